"""The write-ahead record of an apply: one line of JSON for each step, on the disk before the step is taken.

begin   plan_hash, actor, reason, …         an apply starts, or goes on; with server_ms and the health of that moment
backup  path, sha256, documents             it was written, opened again and proven
intent  batch, ids                          these are about to be deleted, all or none
call    batch                               the request leaves now
outcome batch, result                       "deleted", "not done" (nothing happened), "unknown" (the answer was lost)
scrub   id, step                            references of a document that stays: "intent" to take them out, "done", "not
                                            done", "undo" (about to be put back), "undone"
skip    root, reason                        a group stays
pause   by                                  "us": the deployment is about to be paused; "others": it was already
paused                                      it is, by us
unpause                                     it runs again
finish  deleted, skipped                    everything was settled, and the receipt written: the plan is used
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Literal, Self, get_args

from analyzer import clock, units
from analyzer.errors import GuardRefused
from analyzer.purge import files

Result = Literal["deleted", "not done", "unknown"]
Pauser = Literal["us", "others"]
Step = Literal["intent", "done", "not done", "undo", "undone"]


@dataclass
class State:
    """What a ledger says so far."""

    plan_hash: str | None = None
    started_at: str | None = None
    server_ms: int | None = None  # when it began, by the deployment's clock
    health_before: Any = None  # as the deployment said when it began
    actors: list[str] = field(default_factory=list)  # whoever began it or went on, in order
    reason: str | None = None  # the last that was given
    approved_by: str | None = None  # the last that was named
    backup: Mapping[str, Any] | None = None
    deleted: dict[str, None] = field(default_factory=dict)  # ids, in order
    unsettled: dict[int, tuple[str, ...]] = field(default_factory=dict)  # batches whose outcome is not known
    scrubs: dict[str, Step] = field(default_factory=dict)  # how far each document is whose references go
    skipped: dict[str, str] = field(default_factory=dict)  # root -> reason
    paused_by: Pauser | None = None
    is_pause_done: bool = False  # ours took effect for certain
    was_paused_by: Pauser | None = None  # at any time
    is_finished: bool = False
    batches: int = 0

    def take(self, entry: Mapping[str, Any]) -> None:
        """Take one line on."""
        event = entry["event"]
        if event == "begin":
            self._begin(entry)
        elif event == "backup":
            self.backup = dict(entry)
        elif event == "intent":
            batch, ids = entry["batch"], entry["ids"]
            if type(batch) is not int or not isinstance(ids, list) or not all(isinstance(id_, str) for id_ in ids):
                raise TypeError("no batch of ids")
            self.batches = max(self.batches, batch)
            self.unsettled[batch] = tuple(ids)
        elif event == "outcome":
            if entry["result"] == "deleted":
                self.deleted |= dict.fromkeys(self.unsettled.pop(entry["batch"]))
            elif entry["result"] == "not done":
                self.unsettled.pop(entry["batch"], None)
        elif event == "scrub":
            self.scrubs[entry["id"]] = _one_of(entry["step"], get_args(Step))
        elif event == "skip":
            self.skipped[entry["root"]] = entry["reason"]
        elif event == "finish":
            self.is_finished = True
        else:
            self._take_pause(entry)

    def _begin(self, entry: Mapping[str, Any]) -> None:
        if self.plan_hash is None:
            self.plan_hash, self.started_at, self.server_ms = entry["plan_hash"], entry["at"], entry["server_ms"]
            self.health_before = entry.get("health")
        elif self.plan_hash != entry["plan_hash"]:
            raise ValueError("two plans in one ledger")
        if (actor := entry.get("actor")) and actor not in self.actors:
            self.actors.append(str(actor))
        self.reason = entry.get("reason") or self.reason
        self.approved_by = entry.get("approved_by") or self.approved_by

    def _take_pause(self, entry: Mapping[str, Any]) -> None:
        event = entry["event"]
        if event == "pause":
            self.paused_by, self.is_pause_done = _one_of(entry["by"], get_args(Pauser)), False
            self.was_paused_by = self.paused_by
        elif event == "paused":
            self.is_pause_done = True
        elif event == "unpause":
            self.paused_by, self.is_pause_done = None, False


def _one_of(value: Any, known: Collection[str]) -> Any:
    if value not in known:
        raise ValueError("an unknown word")
    return value


def path_of(plan: Path) -> Path:
    """Return where the ledger of a plan lies: beside it."""
    return plan.with_name(f"{plan.stem}.ledger.jsonl")


def read(path: Path, plan_hash: str) -> State:
    """Read the ledger of a plan; an empty state where there is none.

    A last line that was cut off by a crash does not count: what it announced had not begun.

    raises  GuardRefused when it is damaged, or of another plan
    """
    state = State()
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return state
    for number, line in enumerate(lines, start=1):
        if not line:
            continue
        try:
            state.take(json.loads(line))
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            if number == len(lines):  # no newline behind it
                break
            raise _refused(f"{path} is whole", f"a damaged line {number} ({type(error).__name__})") from None
    if state.plan_hash not in (None, plan_hash):
        raise _refused(f"{path} is of this plan", "it is of another")
    return state


class Ledger:
    """Appends to a ledger, each line synced to the disk. Use as a context manager."""

    def __init__(self, path: Path | None, state: State) -> None:
        """path: None for a dry run, which leaves nothing behind."""
        self.path = path
        self.state = state
        self._file: IO[bytes] | None = None

    def __enter__(self) -> Self:
        if self.path is not None:
            is_new = not self.path.exists()
            if not is_new:
                _drop_torn_line(self.path)
            descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, files.PRIVATE)
            self._file = os.fdopen(descriptor, "ab", buffering=0)
            if is_new:
                files.sync_folder(self.path.parent)
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def begin(self, plan_hash: str, **more: Any) -> None:
        """Note that an apply starts or goes on."""
        self._write("begin", plan_hash=plan_hash, **more)

    def backup(self, path: str, sha256: str, documents: int) -> None:
        """Note a proven backup."""
        self._write("backup", path=path, sha256=sha256, documents=documents)

    def intent(self, ids: Sequence[str]) -> int:
        """Note what is about to be deleted; returns the number of the batch."""
        batch = self.state.batches + 1
        self._write("intent", batch=batch, ids=list(ids))
        return batch

    def call(self, batch: int) -> None:
        """Note that the request leaves."""
        self._write("call", batch=batch)

    def outcome(self, batch: int, result: Result, **more: Any) -> None:
        """Note what became of a batch."""
        self._write("outcome", batch=batch, result=result, **more)

    def scrub(self, id_: str, step: Step) -> None:
        """Note how far the references of a document that stays are taken out, or put back."""
        self._write("scrub", id=id_, step=step)

    def pause(self, by: Pauser) -> None:
        """Note that the deployment is about to be paused by us, or was found paused."""
        self._write("pause", by=by)

    def paused(self) -> None:
        """Note that our pause took effect."""
        self._write("paused")

    def unpause(self) -> None:
        """Note that the deployment runs."""
        self._write("unpause")

    def skip(self, root: str, reason: str) -> None:
        """Note a group that stays."""
        self._write("skip", root=root, reason=reason)

    def finish(self) -> None:
        """Note that everything is settled."""
        self._write("finish", deleted=len(self.state.deleted), skipped=len(self.state.skipped))

    def _write(self, event: str, **entry: Any) -> None:
        line = {"event": event, "at": units.instant(clock.now_ms())} | entry
        if self._file is not None:
            self._file.write(json.dumps(line, ensure_ascii=False).encode() + b"\n")
            os.fsync(self._file.fileno())
        self.state.take(line)


def _drop_torn_line(path: Path) -> None:
    """Cut off a last line without an end, so that the next one does not run into it."""
    content = path.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if whole != content:
        with path.open("r+b") as file:
            file.truncate(len(whole))
            os.fsync(file.fileno())


def _refused(wanted: str, found: str) -> GuardRefused:
    return GuardRefused(
        f"guard ledger: wanted that {wanted}, found that {found}",
        hint="keep the file, and ask somebody who knows what happened; nothing was changed",
    )
