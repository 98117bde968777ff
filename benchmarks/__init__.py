"""Measures speed as ratios to physical floors, in one run: `make bench SIZE=100k`."""
