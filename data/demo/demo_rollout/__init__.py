"""Makes the demo: a small deployment that lives through a rollout, and the recordings that were taken of it."""
