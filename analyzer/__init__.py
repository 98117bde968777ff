"""Explains a degraded Convex deployment, judges a rollout, and removes test leftovers with proof.

In a notebook: `import analyzer`, then the functions of `analyzer.api` as `analyzer.open_store`, `analyzer.explain` and
so on. They are loaded when first asked for, so that `import analyzer` costs nothing.
"""

from __future__ import annotations

from typing import Any

__version__ = "0.2.0"

# Written out, because asking the module that defines them would load it, also for `from analyzer import cli`.
_PUBLIC = (
    "artifacts",
    "causes",
    "checkpoints",
    "collect_source",
    "decomposition",
    "demo_store",
    "explain",
    "health",
    "health_over_time",
    "metrics",
    "held_back",
    "open_store",
    "planned",
    "plot_differences",
    "plot_health",
    "plot_metrics",
    "purge_rehearsal",
    "rollout_report",
    "rules_of",
    "snapshots",
)


def __getattr__(name: str) -> Any:
    """Load the public functions when one of them is asked for."""
    if name not in _PUBLIC:
        raise AttributeError(f"module 'analyzer' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module("analyzer.api"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_PUBLIC})
