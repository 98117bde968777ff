"""Targets: the files that a purge writes and reads again: plan, ledger, receipt and backup."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import replace

from analyzer.purge import backup, files, ledger, plan_file, receipt
from analyzer.purge.live import Found
from analyzer.purge.plan_file import BlockedGroup, Evidence, Plan, Planned, PlannedGroup, Scrub, TableTotal
from tests.convex.exports import make_id
from tests.fuzz.target import Target, saved, scratch

LINE = b'{"_creationTime":1.0,"_id":"%s"}' % make_id("tasks", 1).encode()
HASH = hashlib.sha256(LINE).hexdigest()
TASK = Planned("", "tasks", make_id("tasks", 1), 1, HASH, "certain", ("helper-task",), "made by a helper", None, 60)
SCRUB = Scrub("", "tasks", make_id("tasks", 3), HASH, HASH, ("userId",), (TASK.id,))
PLAN = Plan(
    deployment="happy-animal-123",
    type="dev",
    origin="http://127.0.0.1:3210",
    snapshot_ts=1_765_889_880_000_000_000,
    created_at="2025-12-16T12:58:00Z",
    expires_at="2025-12-17T12:58:00Z",
    nonce="0" * 32,
    rules_hash="1" * 64,
    groups=(PlannedGroup(TASK.id, (TASK,), (Evidence("", "users", make_id("users", 1), HASH),), (SCRUB,)),),
    blocked=(BlockedGroup(make_id("tasks", 2), "held", {"component": "", "table": "todos", "id": "x", "field": "y"}),),
    totals={"tasks": TableTotal(1, 0.5, 60)},
    rehearsal=False,
    tables={"10002": "tasks", "10001": "users"},
    functions={"calls": 3, "errors": 0},
)


def read_plan(data: bytes) -> None:
    """Read a plan; one that is taken means what it says, in the types that the guards compute with."""
    plan = plan_file.parse(_signed(data), "plan.json")
    assert plan_file.parse(json.dumps(plan_file.as_data(plan)).encode(), "again") == plan
    assert plan.created_ms <= plan.expires_ms
    for document in plan.documents:
        assert isinstance(document.id, str) and isinstance(document.table, str) and isinstance(document.ts, int)
    assert plan.confirm.count("/") >= 2


def _signed(data: bytes) -> bytes:
    """Put the right hash into what may be an edited plan, as somebody would who wants it to pass."""
    try:
        edited = json.loads(data)
        made = plan_file._plan(edited)
        edited["hash"], edited["confirm"] = made.hash, made.confirm
        return json.dumps(edited).encode()
    except Exception:  # then it is read as it is
        return data


def plan_seeds() -> list[bytes]:
    rehearsal = replace(PLAN, rehearsal=True, origin=None, functions=None)
    return [json.dumps(plan_file.as_data(plan)).encode() for plan in (PLAN, rehearsal)]


def read_ledger(data: bytes) -> None:
    """Read the ledger of a plan; what it says of ids and batches can be worked with."""
    state = ledger.read(saved("plan.ledger.jsonl", data), "1" * 64)
    assert state.plan_hash in (None, "1" * 64)
    assert all(isinstance(id_, str) for id_ in state.deleted)
    assert all(isinstance(batch, int) for batch in state.unsettled) and isinstance(state.batches, int)
    assert all(isinstance(id_, str) for batch in state.unsettled.values() for id_ in batch)


def ledger_seeds() -> list[bytes]:
    path = scratch() / "seed.ledger.jsonl"
    path.unlink(missing_ok=True)
    with ledger.Ledger(path, ledger.State()) as book:
        book.begin("1" * 64, actor="a tester", reason="why", server_ms=1_765_889_880_000)
        book.backup("plan.backup.zip", HASH, 1)
        for result in ("deleted", "not done", "unknown"):
            batch = book.intent([TASK.id])
            book.call(batch)
            book.outcome(batch, result)
        book.pause("us")
        book.paused()
        book.scrub(make_id("tasks", 3), "intent")
        book.unpause()
        book.skip(TASK.id, "changed lately")
        book.finish()
    return [re.sub(rb'"at": "[^"]*"', b'"at": "2025-12-16T12:58:00Z"', path.read_bytes())]


def read_receipt(data: bytes) -> None:
    """Read a receipt and the documents that it says are gone."""
    found = receipt.read(saved("plan.receipt.json", data))
    for document in receipt.deleted(found):
        assert isinstance(document.id, str) and isinstance(document.table, str)


def receipt_seeds() -> list[bytes]:
    made = receipt.make(PLAN, ledger.State(deleted={TASK.id: None}), verified="x", key="x")
    return [json.dumps(made).encode()]


def read_backup(data: bytes) -> None:
    """Prove a backup against the documents it must hold, and read what it says of itself."""
    path = saved("plan.backup.zip", data)
    backup.prove(backup.Backup(path, files.sha256(path), 1), [TASK])
    assert backup.manifest(path)["schema"] == backup.SCHEMA


def read_manifest(data: bytes) -> None:
    """Read what a backup says of itself."""
    assert isinstance(backup.manifest(saved("plan.backup.zip", data)), dict)


def backup_seeds() -> list[bytes]:
    path = scratch() / "seed.backup.zip"
    path.unlink(missing_ok=True)
    backup.write(path, PLAN, [TASK], {TASK.id: Found({"_id": TASK.id, "_creationTime": 1.0}, LINE, HASH)})
    return [path.read_bytes()]


TARGETS = (
    Target("plan", read_plan, plan_seeds, ("purge/plan_file.py",)),
    Target("ledger", read_ledger, ledger_seeds, ("purge/ledger.py",)),
    Target("receipt", read_receipt, receipt_seeds, ("purge/receipt.py",)),
    Target("backup", read_backup, backup_seeds, ("purge/backup.py",)),
    Target("manifest", read_manifest, backup_seeds, ("purge/backup.py",)),
)
