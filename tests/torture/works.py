"""What the hands do: the tool's own functions, with arguments that go through a pipe."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from analyzer.collect.live import LiveOptions, collect_live
from analyzer.convex import exported, keys, lines
from analyzer.convex.connection import connect
from analyzer.convex.target import Target
from analyzer.flows import forgetting
from analyzer.flows import purge as flow
from analyzer.purge import plan_file, restore
from analyzer.purge.apply import Pace
from analyzer.purge.facts import Consent
from analyzer.rules import load_all
from analyzer.sources import archive, recording
from analyzer.sources.live import LiveSource
from analyzer.store import Store
from analyzer.store.checking import problems_in, problems_of_files
from analyzer.store.repairing import repair
from tests.purge.leftovers import QUICK, World
from tests.support import collected

READY = (recording, archive)  # what is imported late is imported once, before the hands are made
# Small exports are shared with a second process, too, as large ones are.
exported.SHARED_FROM_BYTES = exported.SHARED_SOON_BYTES = 0
lines.BLOCK_BYTES = 2_000
Held = Mapping[str, Mapping[str, str | None]]  # by label of the snapshot, by id: status, or the further fields


class Remote:
    """A deployment in another process, as far as `World` wants one."""

    class settings:  # noqa: N801  # it stands for an attribute
        kind = "dev"

    def __init__(self, url: str, key: str) -> None:
        self.url, self.admin_key = url, key


def collect_export(path: Path, store: Path) -> int:
    """Collect an export; returns the number of its snapshot."""
    return collected(path, store, label=path.stem.partition("_")[0]).snapshot.id


def collect_from(url: str, key: str, store: Path, label: str) -> int:
    """Collect a live deployment; returns the number of its snapshot."""
    target = Target(url, None, keys.parse(key, "torture"), "torture")
    with LiveSource(connect(target, QUICK)) as source:
        return collect_live(source, store, LiveOptions(label=label, batch_documents=4)).snapshot.id


def apply_plan(url: str, key: str, folder: Path, batch: int) -> dict[str, Any]:
    """Apply the plan of a folder, and keep its receipt."""
    path = folder / "plan.json"
    w = World(Remote(url, key), folder)  # type: ignore[arg-type]
    made = w.apply(plan_file.read(path), path, pace=Pace(batch_documents=batch, settle_s=0.0))
    flow.keep_receipt(w.store, made, 10.0)
    return made


def restore_plan(url: str, key: str, folder: Path) -> dict[str, Any]:
    """Put back what the plan of a folder deleted."""
    target = Target(url, None, keys.parse(key, "torture"), "torture")
    path = folder / "plan.receipt.json"
    with LiveSource(connect(target, QUICK)) as source:
        rehearsed = restore.rehearse(source.connection, path, Consent())
        return restore.restore(source.connection, path, rehearsed, rehearsed.confirm, poll_s=0.0)


def forget_task(store: Path, task: str) -> bool:
    """Forget a task; returns whether there was anything to forget."""
    asked = forgetting.wanted(load_all(), tasks=[task], users=[], is_text=False)
    rehearsed = forgetting.rehearse(store, asked)
    if rehearsed.is_empty:
        return False
    forgetting.forget(store, asked, rehearsed, rehearsed.found.confirm)
    return True


def upgrade(store: Path) -> None:
    """Bring a store up to date."""
    Store.write(store).__exit__()


def mend(store: Path) -> tuple[str, ...]:
    """Repair a store; returns what is left."""
    return tuple(f"{problem.check}: {problem.what}" for problem in repair(store).left)


def look(store: Path, wait_s: float = 10.0) -> tuple[list[str], Held]:
    """Return what `store check` finds, and what each snapshot holds."""
    if not store.exists():
        return [], {}
    with Store.read(store, wait_s=wait_s) as opened:
        wrong = [f"{problem.check}: {problem.what}" for problem in problems_in(opened._duck)]
        wrong += [f"{problem.check}: {problem.what}" for problem in problems_of_files(store)]
        return wrong, {shot.label: _documents(opened, shot) for shot in opened.snapshots()}


def _documents(opened: Store, shot: Any) -> dict[str, str | None]:
    frame = opened.frame(shot)
    found = {row["id"]: row["status"] for row in frame.records("staging/stg_messages")}
    for view in ("stg_users", "stg_tasks", "stg_other"):
        found |= {row["id"]: row["leftovers"] for row in frame.records(f"staging/{view}")}
    return found
