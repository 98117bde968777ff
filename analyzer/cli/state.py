"""What `analyzer` alone says: where things stand, or how to start."""

from __future__ import annotations

from analyzer.cli import output
from analyzer.config import Settings
from analyzer.units import visible

WAYS_TO_START = """\
There is no store at {store} yet. Three ways to start:

  analyzer demo                 see a rollout and its degraded check explained, on sample data
  analyzer collect EXPORT.zip   read an export made with `npx convex export --path EXPORT.zip`
  analyzer collect --via-cli    let your own `npx convex` make a recording, then read it
"""


def show_state(settings: Settings) -> int:
    """Print the 12-line state of the newest snapshot and the next step; without a store, the ways to start."""
    if not settings.store.exists():
        output.write(WAYS_TO_START.format(store=visible(str(settings.store))))
        return 0
    from analyzer.cli.explain import brief_text

    output.write(brief_text(settings))
    return 0
