"""What `analyzer` alone says: where things stand, or how to start."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from analyzer.cli import output
from analyzer.config import Settings
from analyzer.errors import EXIT_OK
from analyzer.units import visible

if TYPE_CHECKING:
    from analyzer.model import Snapshot

WAYS_TO_START = """\
There is no snapshot in {store} yet. Three ways to start:

  analyzer demo                 see a rollout and its degraded check explained, on sample data
  analyzer collect EXPORT.zip   read an export; --via-cli lets your own `npx convex` make a fuller recording
  analyzer collect              read the live deployment; `analyzer doctor` first says with which key
"""


def show_state(settings: Settings) -> int:
    """Print the 12-line state of the newest snapshot and the next step; without one, the ways to start."""
    snapshots = _snapshots(settings)
    if not snapshots:
        output.write(WAYS_TO_START.format(store=visible(str(settings.store))))
        return EXIT_OK
    from analyzer.cli.explain import brief_text

    newest = max(snapshots, key=lambda snapshot: snapshot.as_of_ns).deployment.name
    output.write(brief_text(replace(settings, deployment=newest)))
    if others := sorted({snapshot.deployment.name for snapshot in snapshots} - {newest}):
        output.narrate(f"the store also holds {visible(', '.join(others))}: `analyzer explain --deployment NAME`")
    return EXIT_OK


def _snapshots(settings: Settings) -> tuple[Snapshot, ...]:
    if not settings.store.exists():
        return ()
    from analyzer.store import Store

    with Store.read(settings.store, wait_s=settings.wait_s) as store:
        return store.snapshots(settings.deployment)
