"""The ledger: what each line makes of what is known, on the disk before the step is taken, read with suspicion."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from analyzer.errors import GuardRefused
from analyzer.purge import ledger
from analyzer.purge.ledger import Ledger, State

HASH = "1" * 64


def entries(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def written(path: Path, *steps: Callable[[Ledger], object]) -> State:
    """Write steps after a begin, and return what a reader makes of them; it is what the writer knows."""
    with Ledger(path, State()) as book:
        book.begin(HASH, server_ms=5, actor="a tester")
        for step in steps:
            step(book)
    read = ledger.read(path, HASH)
    assert read == book.state
    return read


def test_it_lies_beside_the_plan_for_its_owner_alone(tmp_path: Path) -> None:
    path = ledger.path_of(tmp_path / "night.plan.json")
    assert path == tmp_path / "night.plan.ledger.jsonl"
    written(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert ledger.read(tmp_path / "none", HASH) == State()


def test_each_line_says_what_and_when(tmp_path: Path) -> None:
    path = tmp_path / "l"
    state = written(
        path,
        lambda b: b.backup("b.zip", "ab", 2),
        lambda b: b.call(b.intent(["a", "é"])),
        lambda b: b.outcome(1, "deleted", settled="read back"),
        lambda b: b.skip("root", "changed"),
        lambda b: b.scrub("s", "intent"),
        lambda b: b.pause("us"),
        lambda b: b.paused(),
        lambda b: b.unpause(),
        lambda b: b.finish(),
    )
    lines = entries(path)
    assert all(line.pop("at").endswith("Z") for line in lines)
    assert lines == [
        {"event": "begin", "plan_hash": HASH, "server_ms": 5, "actor": "a tester"},
        {"event": "backup", "path": "b.zip", "sha256": "ab", "documents": 2},
        {"event": "intent", "batch": 1, "ids": ["a", "é"]},
        {"event": "call", "batch": 1},
        {"event": "outcome", "batch": 1, "result": "deleted", "settled": "read back"},
        {"event": "skip", "root": "root", "reason": "changed"},
        {"event": "scrub", "id": "s", "step": "intent"},
        {"event": "pause", "by": "us"},
        {"event": "paused"},
        {"event": "unpause"},
        {"event": "finish", "deleted": 2, "skipped": 1},
    ]
    assert "é".encode() in path.read_bytes()
    assert state.is_finished and list(state.deleted) == ["a", "é"] and not state.unsettled
    assert state.skipped == {"root": "changed"} and state.scrubs == {"s": "intent"}
    assert state.backup is not None and state.backup["sha256"] == "ab"
    assert (state.plan_hash, state.server_ms, state.batches) == (HASH, 5, 1)
    assert state.started_at is not None and state.started_at.endswith("Z")


def test_the_first_beginning_counts(tmp_path: Path) -> None:
    path = tmp_path / "l"
    first = written(path)
    line = {"event": "begin", "at": "2099-01-01T00:00:00Z", "plan_hash": HASH, "server_ms": 9}
    whole = path.read_bytes()
    path.write_bytes(whole + json.dumps(line).encode() + b"\n")
    assert ledger.read(path, HASH) == first
    path.write_bytes(whole + json.dumps(line | {"plan_hash": "2" * 64}).encode() + b"\n")
    with pytest.raises(GuardRefused, match="guard ledger"):
        ledger.read(path, HASH)


def test_a_batch_is_settled_by_its_outcome_alone(tmp_path: Path) -> None:
    steps: list[Callable[[Ledger], object]] = [lambda b: b.intent(["a"]), lambda b: b.intent(["b"])]
    state = written(tmp_path / "1", *steps)
    assert state.unsettled == {1: ("a",), 2: ("b",)} and not state.deleted
    state = written(tmp_path / "2", *steps, lambda b: b.outcome(1, "unknown"))
    assert state.unsettled == {1: ("a",), 2: ("b",)} and not state.deleted
    state = written(tmp_path / "3", *steps, lambda b: b.outcome(1, "not done"))
    assert state.unsettled == {2: ("b",)} and not state.deleted
    state = written(tmp_path / "4", *steps, lambda b: b.outcome(2, "deleted"), lambda b: b.outcome(9, "not done"))
    assert state.unsettled == {1: ("a",)} and list(state.deleted) == ["b"]
    assert state.batches == 2 and not state.is_finished


def test_a_pause_is_ours_until_it_is_ended(tmp_path: Path) -> None:
    def told(*steps: Callable[[Ledger], object]) -> tuple[object, bool, object]:
        state = written(tmp_path / str(len(list(tmp_path.iterdir()))), *steps)
        return state.paused_by, state.is_pause_done, state.was_paused_by

    ours: list[Callable[[Ledger], object]] = [lambda b: b.pause("us")]
    assert told() == (None, False, None)
    assert told(*ours) == ("us", False, "us")
    assert told(*ours, lambda b: b.paused()) == ("us", True, "us")
    assert told(*ours, lambda b: b.paused(), lambda b: b.unpause()) == (None, False, "us")
    assert told(*ours, lambda b: b.paused(), lambda b: b.pause("others")) == ("others", False, "others")


def test_every_line_is_on_the_disk_before_the_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[tuple[int, bytes]] = []
    path, whole = tmp_path / "l", os.fsync

    def noted(descriptor: int) -> None:
        whole(descriptor)
        synced.append((os.fstat(descriptor).st_ino, path.read_bytes() if path.exists() else b""))

    monkeypatch.setattr(os, "fsync", noted)
    with Ledger(path, State()) as book:
        folder, file = tmp_path.stat().st_ino, path.stat().st_ino
        assert [inode for inode, _ in synced] == [folder]  # its name
        for step in (lambda: book.begin(HASH, server_ms=1), lambda: book.intent(["a"]), lambda: book.call(1)):
            step()
            inode, content = synced[-1]
            assert inode == file and content == path.read_bytes() and content.endswith(b"\n")
    assert len(synced) == 4
    with Ledger(path, State()) as book:
        assert len(synced) == 4  # the name is there already
        book.outcome(1, "deleted") if book.state.unsettled else None


def test_a_dry_run_leaves_nothing_behind(tmp_path: Path) -> None:
    with Ledger(None, State()) as book:
        book.begin(HASH, server_ms=1)
        book.outcome(book.intent(["a"]), "deleted")
    assert list(book.state.deleted) == ["a"] and not list(tmp_path.iterdir())


def test_a_last_line_without_an_end_does_not_count_and_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "l"
    written(path, lambda b: b.intent(["a"]))
    whole = path.read_bytes()
    for torn in (
        b'{"event": "fin',
        b'{"event": "skip"}',
        b"nonsense",
        b'{"event": "outcome", "batch": 9, "result": "deleted"}',
    ):
        path.write_bytes(whole + torn)
        assert ledger.read(path, HASH).unsettled == {1: ("a",)}
        with Ledger(path, ledger.read(path, HASH)) as book:
            assert path.read_bytes() == whole
            book.call(1)
        assert path.read_bytes().startswith(whole) and entries(path)[-1]["event"] == "call"
        path.write_bytes(whole)
        with Ledger(path, State()):
            pass
        assert path.read_bytes() == whole


@pytest.mark.parametrize(
    "line",
    [
        b"nonsense",
        b"[]",
        b"{}",
        b'{"event": "begin", "plan_hash": "2", "at": "x", "server_ms": 1}',
        b'{"event": "begin"}',
        b'{"event": "outcome", "batch": 9, "result": "deleted"}',
        b'{"event": "outcome", "batch": 1}',
        b'{"event": "intent", "batch": true, "ids": []}',
        b'{"event": "intent", "batch": "1", "ids": []}',
        b'{"event": "intent", "batch": 2, "ids": "ab"}',
        b'{"event": "intent", "batch": 2, "ids": ["a", 1]}',
        b'{"event": "intent", "ids": ["a"]}',
        b'{"event": "scrub", "id": "s", "step": "perhaps"}',
        b'{"event": "scrub", "step": "done"}',
        b'{"event": "skip", "root": "r"}',
        b'{"event": "pause", "by": "nobody"}',
        b'{"event": "pause"}',
    ],
)
def test_a_damaged_line_with_an_end_stops_everything(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "l"
    written(path, lambda b: b.intent(["a"]))
    path.write_bytes(path.read_bytes() + line + b"\n")
    with pytest.raises(
        GuardRefused, match=r"^guard ledger: wanted that .* is whole, found that a damaged line 3"
    ) as told:
        ledger.read(path, HASH)
    assert "nothing was changed" in str(told.value.hint)


def test_blank_lines_and_events_of_a_newer_version_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "l"
    state = written(path, lambda b: b.intent(["a"]))
    path.write_bytes(path.read_bytes() + b"\n" + b'{"event": "something new"}\n')
    assert ledger.read(path, HASH) == state
    path.write_bytes(path.read_bytes() + b'\n{"event": "finish"}\n')
    assert ledger.read(path, HASH).is_finished


def test_a_ledger_that_leads_elsewhere_is_not_written_to(tmp_path: Path) -> None:
    (tmp_path / "theirs").write_bytes(b"")
    path = tmp_path / "l"
    path.symlink_to(tmp_path / "theirs")
    with pytest.raises(OSError, match="symbolic"), Ledger(path, State()):
        pass
    assert (tmp_path / "theirs").read_bytes() == b""


def test_the_ledger_of_another_plan_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "l"
    written(path)
    with pytest.raises(
        GuardRefused, match=r"^guard ledger: wanted that .* is of this plan, found that it is of another"
    ):
        ledger.read(path, "2" * 64)
    path.write_bytes(b"")
    assert ledger.read(path, "2" * 64) == State()


def test_who_goes_on_is_named_beside_who_began_and_the_health_before_is_that_of_the_first(tmp_path: Path) -> None:
    path = tmp_path / "l"
    with Ledger(path, State()) as book:
        book.begin(HASH, server_ms=5, health="degraded", actor="Ada", reason="nightly", approved_by="Bea")
        book.begin(HASH, server_ms=6, health="healthy", actor="Cy", reason="again", approved_by="Dan")
        book.begin(HASH, server_ms=7, health="healthy", actor="Ada", reason=None, approved_by=None)
    state = ledger.read(path, HASH)
    assert (state.server_ms, state.health_before, state.actors) == (5, "degraded", ["Ada", "Cy"])
    assert (state.reason, state.approved_by) == ("again", "Dan")
