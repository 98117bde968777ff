"""Explains a degraded Convex deployment, judges a rollout, and removes test leftovers with proof."""

__version__ = "0.1.0"
