"""What is not answered, or not answered any more, is never taken for consent."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from analyzer.collect.live import LiveOptions, collect_live
from analyzer.errors import GuardRefused, SourceInvalid
from analyzer.model import Snapshot
from analyzer.purge import audit
from analyzer.purge import plan as planning
from analyzer.purge.plan import Judged
from analyzer.purge.select import Choice
from analyzer.rules import fingerprints
from analyzer.store import Store
from tests.purge.leftovers import LEFTOVERS, NOW_MS, RULES, world


def test_measures_that_fall_silent_during_the_run_stop_it(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        plan, path = w.plan()
        w.deployment.faults.refuse(403, "AccessDenied", path="/api/app_metrics/scheduled_job_lag", times=None, skip=1)
        with pytest.raises(GuardRefused, match="does not tell any more"):
            w.apply(plan, path)
        assert {w.ids[n] for n in LEFTOVERS} <= w.living()
        w.deployment.faults.clear()
        w.deployment.faults.refuse(403, "AccessDenied", path="/api/app_metrics/*", times=None)
        said: list[str] = []  # a key that never saw them is not asked to, and whoever waits is told
        assert w.apply(plan, path, narrate=said.append)["verified"]["ok"]
        assert any("nothing tells how often functions fail" in line for line in said)


@pytest.mark.parametrize("change", ["patch", "delete"])
def test_a_reason_that_changes_before_it_is_read_lets_the_group_stay(tmp_path: Path, change: str) -> None:
    with world(tmp_path) as w, w.source() as source:
        collect_live(source, w.store, LiveOptions(fingerprints=fingerprints(RULES)))
        if change == "patch":
            w.deployment.patch("chatMessages", w.ids["prompt"], {"content": "A real question"})
        else:
            w.deployment.delete("chatMessages", w.ids["prompt"])
        with Store.read(w.store) as store:
            made = planning.make(source, store.frame(store.snapshot(None)), Judged(RULES, choice=Choice()))
        assert w.ids["reply"] not in {document.id for document in made.documents}
        said = {group.root: group.reason for group in made.blocked}[w.ids["reply"]]
        assert "the reason for it, changed after the snapshot" in said


def with_a_hole(snapshot: Snapshot) -> Snapshot:
    first, *others = snapshot.coverage
    return replace(snapshot, coverage=(replace(first, status="not_collected"), *others))


GROUNDS: dict[str, Callable[[Snapshot], Snapshot]] = {
    "snapshot age": lambda snapshot: replace(snapshot, as_of_ns=snapshot.as_of_ns - 16 * 60 * 10**9),
    "deployment": lambda snapshot: replace(snapshot, deployment=replace(snapshot.deployment, name="other-one-2")),
    "whole view": with_a_hole,
}


@pytest.mark.parametrize("guard", list(GROUNDS))
def test_an_old_snapshot_another_deployments_or_one_with_holes_is_no_ground_for_a_plan(
    tmp_path: Path, guard: str
) -> None:
    with world(tmp_path) as w, w.source() as source:
        collect_live(source, w.store, LiveOptions(fingerprints=fingerprints(RULES)))
        with Store.read(w.store) as store:
            frame = store.frame(store.snapshot(None))
            frame.snapshot = GROUNDS[guard](frame.snapshot)
            with pytest.raises(GuardRefused, match=f"guard {guard}"):
                planning.make(source, frame, Judged(RULES))
            if guard == "whole view":
                with pytest.raises(GuardRefused, match=f"guard {guard}"):
                    planning.rehearse(frame, Judged(RULES))
        assert not w.deployment.called("_system/frontend/listById")


def test_an_audit_log_that_says_more_without_a_way_to_it_is_no_end(tmp_path: Path) -> None:
    def cut(body: bytes) -> bytes:
        return json.dumps(json.loads(body) | {"pagination": {"hasMore": True}}).encode()

    with world(tmp_path) as w, w.source() as source:
        w.deployment.faults.rewrite(cut, path=audit.AUDIT)
        with pytest.raises(SourceInvalid, match="the next cursor, or an end"):
            audit.entries(source.connection.client, NOW_MS, ("delete_documents",))
