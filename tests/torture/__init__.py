"""`make torture`: what this tool must survive, done to it at random, many times, by real processes that really die.

Every run has a seed of its own, so that one that fails can be done again: `python -m tests.torture --only live:17`.
After each run `analyzer store check` finds nothing wrong, nothing is lost, and what was stopped was finished.
"""
