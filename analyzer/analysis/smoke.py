"""Judges the tasks that were run to see whether a rollout works: found by id, and by what became of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from analyzer.analysis.verdict import SmokeResult, Verdict
from analyzer.model import Snapshot
from analyzer.store import Store
from analyzer.units import count, instant


def judge_smoke_test(
    store: Store, snapshots: Sequence[Snapshot], task_id: str | None, *, title: str, claimed: str, at_ms: int | None
) -> SmokeResult:
    """Look a smoke test's task up and judge its outcome.

    snapshots  of the deployment, oldest first
    claimed    what the log says of it, "" for nothing
    at_ms      when it was run; the first snapshot from then on that knows the task counts, the last one says if it went
    """
    if task_id is None:
        return _result(
            (title, None, claimed), None, Verdict.NO_DATA, "The log names no task id, so nothing can be found."
        )
    later = [snapshot for snapshot in snapshots if at_ms is None or snapshot.as_of_ms >= at_ms]
    if not later:
        return _result((title, task_id, claimed), None, Verdict.NO_DATA, "No snapshot was taken after it.")
    for snapshot in later:
        rows = store.frame(snapshot).records("compare/smoke_task", id=task_id)
        if rows:
            return _judged(rows[0], snapshot, title, task_id, claimed)
    first, last = instant(later[0].as_of_ms), instant(later[-1].as_of_ms)
    between = f"in the snapshot of {first}" if len(later) == 1 else f"in {len(later)} snapshots of {first} to {last}"
    return _result((title, task_id, claimed), None, Verdict.FAIL, f"There is no such task {between}.")


def _judged(row: Mapping[str, Any], snapshot: Snapshot, title: str, task_id: str, claimed: str) -> SmokeResult:
    failed = row["failed_count"] + row["failed_trace_count"]
    where = f"in the snapshot of {instant(snapshot.as_of_ms)}"
    replies, done = row["reply_count"], row["completed_reply_count"]
    facts = f"{count(row['message_count'], 'message')}, {done} of {count(replies, 'reply', 'replies')} complete {where}"
    if not row["exists_now"]:
        verdict, text = Verdict.INCONCLUSIVE, f"The task is gone; left of it: {facts}."
    elif failed or row["status"] == "FAILED":
        verdict, text = Verdict.FAIL, f"It failed: {count(failed, 'document')} failed; {facts}."
    elif replies == 0:
        verdict = Verdict.INCONCLUSIVE
        text = f"The task was created, and nothing answered in it: {facts}. That proves that a task can be created."
    elif done < replies:
        verdict, text = Verdict.INCONCLUSIVE, f"Not every reply was complete: {facts}."
    else:
        verdict, text = Verdict.PASS, f"It completed: {facts}."
    if claimed == "completed" and verdict is not Verdict.PASS:
        text = f"The log says success, the documents do not bear it out. {text}"
    return _result((title or row["title"] or "", task_id, claimed), row, verdict, text)


def _result(
    named: tuple[str, str | None, str], row: Mapping[str, Any] | None, verdict: Verdict, text: str
) -> SmokeResult:
    title, task_id, claimed = named
    return SmokeResult(
        title=title,
        task_id=task_id,
        claimed=claimed,
        found=None if verdict is Verdict.NO_DATA else bool(row and row["exists_now"]),
        task_status=row["status"] if row else None,
        messages=row["message_count"] if row else 0,
        completed_messages=row["completed_count"] if row else 0,
        verdict=verdict,
        text=text,
    )
