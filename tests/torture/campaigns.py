"""The campaigns: each is one run with a seed, and fails by an exception that says what is not as it must be."""

from __future__ import annotations

import gzip
import json
import random
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from analyzer.purge import ledger, receipt
from tests.deployment import OTHER_503, RETRIABLE_503, TOO_MANY, Clock, Deployment
from tests.purge.leftovers import world
from tests.storing import NOW_MS, make_id
from tests.support import export as write_export
from tests.torture import works
from tests.torture.hands import Hand, Outcome

RELEASED = Path(__file__).parents[1] / "store" / "released"
WAYS: tuple[dict[str, Any], ...] = (
    {"sync_rows": 5},
    {"absent": {"/api/v1/data/sync"}, "snapshot_rows": 5, "delta_rows": 6},
    {"absent": {"/api/v1/data/sync"}, "has_streaming_export": False, "table_rows": 5},
)
DELETE = "_system/frontend/deleteDocuments"
IMPORT_PATHS = ("/api/import/start_upload", "/api/import/finish_upload", "/api/perform_import", "/api/query")
MOST_TRIES = 3


class BrokenError(AssertionError):
    """Something is not as it must be."""


@dataclass
class Run:
    """One run: its random numbers, its folder, its hands, and what happened."""

    random: random.Random
    folder: Path
    hands: list[Hand]
    happened: Counter[str] = field(default_factory=Counter)

    @property
    def store(self) -> Path:
        return self.folder / "store.duckdb"

    def attempt(self, work: Callable[..., Any], *args: Any, kill_within_s: float | None = None) -> Outcome:
        """Let a hand try something, perhaps killing it; only the tool's own errors are allowed to come of it."""
        delay_s = None if kill_within_s is None else self.random.random() * kill_within_s
        found = self.hands.pop().do(work, *args, kill_after_s=delay_s)
        if found.kind == "fault":
            raise BrokenError(f"{work.__name__}: {found.text}")
        self.happened[found.kind] += 1
        return found

    def must(self, work: Callable[..., Any], *args: Any) -> Any:
        """Let a hand do something that has to succeed now."""
        found = self.attempt(work, *args)
        if found.kind != "done":
            raise BrokenError(f"{work.__name__} does not get done: {found.value}: {found.text}")
        return found.value

    def check(self, expected: Mapping[str, Mapping[str, str | None]], *, exactly: bool = False) -> None:
        """Prove the store, and that it holds these snapshots; `exactly`: no others."""
        wrong, held = self.must(works.look, self.store)
        if wrong:
            raise BrokenError(f"store check: {wrong}")
        for label, documents in expected.items():
            if label not in held:
                raise BrokenError(f"snapshot {label} is lost")
            if held[label] != documents:
                differ = {id_ for id_ in {*held[label], *documents} if held[label].get(id_) != documents.get(id_)}
                raise BrokenError(f"snapshot {label} differs in {sorted(differ)[:5]}")
        if exactly and held.keys() != expected.keys():
            raise BrokenError(f"snapshots {sorted(held)}, expected {sorted(expected)}")


@contextmanager
def prepared(name: str, hands: int) -> Iterator[Run]:
    """Make what a run needs."""
    with tempfile.TemporaryDirectory(prefix="torture-") as folder:
        run = Run(random.Random(name), Path(folder), [Hand() for _ in range(hands)])
        try:
            yield run
        finally:
            for hand in run.hands:
                hand.close()


# ---- collects ---------------------------------------------------------------------------------------------------


def _documents(random_: random.Random) -> dict[str, list[dict[str, Any]]]:
    at_ms = float(NOW_MS - 60_000)
    common: dict[str, Any] = {"_creationTime": at_ms, "createdAt": at_ms}
    users = [{"_id": make_id("users", 1), "email": "ada@example.org", "name": "Ada"} | common]
    tasks = [
        {"_id": make_id("tasks", n), "title": f"Task {n}", "status": "RUNNING", "userId": users[0]["_id"]} | common
        for n in random_.sample(range(1, 9), 5)
    ]
    messages = [
        {
            "_id": make_id("chatMessages", n),
            "taskId": random_.choice(tasks)["_id"],
            "role": "USER",
            "content": "hello",
            "status": random_.choice(["complete", "failed", "pending"]),
        }
        | common
        | ({"extra": random_.random()} if random_.random() < 0.3 else {})
        for n in random_.sample(range(1, 60), 30)
    ]
    todos = [{"_id": make_id("todos", n), "mark": random_.choice("abc")} for n in random_.sample(range(1, 9), 5)]
    return {"users": users, "tasks": tasks, "chatMessages": messages, "todos": [t | common for t in todos]}


def _export(run: Run, number: int) -> tuple[Path, dict[str, str | None]]:
    """Write an export of random documents; returns it, and what a snapshot of it holds."""
    documents = _documents(run.random)
    at_ns = (NOW_MS + number * 60_000) * 1_000_000
    path = run.folder / f"v{number}_happy-animal-123_{at_ns}.zip"
    write_export(path, documents)
    held: dict[str, str | None] = {d["_id"]: d["status"] for d in documents["chatMessages"]}
    held |= {d["_id"]: None for table in ("users", "tasks") for d in documents[table]}
    held |= {d["_id"]: _leftovers(d, {"_id", "_creationTime"}) for d in documents["todos"]}
    return path, held


def _leftovers(document: Mapping[str, Any], columns: set[str]) -> str:
    left = {name: value for name, value in sorted(document.items()) if name not in columns}
    return json.dumps(left, separators=(",", ":"))


def export(run: Run) -> None:
    """Collect two exports in any order, killed while doing it."""
    made = {f"v{number}": _export(run, number) for number in range(2)}
    order = run.random.sample(sorted(made), 2)
    expected: dict[str, Mapping[str, str | None]] = {}
    within_s = 0.6
    for label in order:
        path, held = made[label]
        for _ in range(run.random.randrange(MOST_TRIES)):
            found = run.attempt(works.collect_export, path, run.store, kill_within_s=within_s)
            if found.kind == "done":
                break
        run.check(expected)
        within_s = max(0.1, run.attempt(works.collect_export, path, run.store).took_s * 1.2)
        expected[label] = held
    run.check(expected, exactly=True)


def live(run: Run) -> None:
    """Collect a live deployment that fails at random and changes meanwhile, killed while doing it."""
    way = run.random.choice(WAYS)
    with Deployment(clock=Clock(NOW_MS), seed=run.random.randrange(2**30), long_poll_s=0.0, **way) as d:
        for table in ("users", "tasks", "chatMessages", "workflowTraces", "notes"):
            d.create_table(table)
        _play(run, d, 12)
        expected: dict[str, Mapping[str, str | None]] = {}
        within_s = 0.8
        for number in range(run.random.randrange(1, 3)):
            for _ in range(1 + run.random.randrange(MOST_TRIES)):
                _strike(run, d)
                kill = within_s if run.random.random() < 0.7 else None
                # A try that succeeds is a snapshot like any other; its label is the try's own.
                run.attempt(works.collect_from, d.url, d.admin_key, run.store, "tried", kill_within_s=kill)
                d.faults.clear()
                d.clock.advance_ms(1_000)
                _play(run, d, 4)
            run.check(expected)
            label = f"whole {number}"
            run.must(works.collect_from, d.url, d.admin_key, run.store, label)
            expected[label] = _truth(d)
            d.clock.advance_ms(1_000)
        run.check(expected)


def _play(run: Run, d: Deployment, steps: int) -> None:
    for _ in range(run.random.randrange(steps // 2, steps + 1)):
        living = sorted(d.documents("chatMessages"))
        what = run.random.random()
        if what < 0.5 or not living:
            status = run.random.choice(["complete", "failed", "pending"])
            message = {"role": "USER", "status": status, "content": "hello", "createdAt": float(d.clock.now_ms)}
            d.insert_many("chatMessages", [message] * run.random.randrange(1, 4))
        elif what < 0.7:
            d.patch("chatMessages", run.random.choice(living), {"status": "failed"})
        elif what < 0.85:
            d.delete("chatMessages", run.random.choice(living))
        else:
            d.replace_table("notes", [{"n": float(n)} for n in range(run.random.randrange(5))])


def _truth(d: Deployment) -> dict[str, str | None]:
    notes: dict[str, str | None] = {id_: f'{{"n":{found["n"]}}}' for id_, found in d.documents("notes").items()}
    return notes | {id_: found.get("status") for id_, found in d.documents("chatMessages").items()}


def _strike(run: Run, d: Deployment, **where: Any) -> None:
    """Set some faults."""
    for _ in range(run.random.randrange(3)):
        probability = run.random.choice((0.02, 0.1, 0.3))
        often: dict[str, Any] = {"times": None, "probability": probability} | where
        kind = run.random.randrange(6)
        if kind == 0:
            d.faults.refuse(503, run.random.choice((*RETRIABLE_503, *OTHER_503)), **often)
        elif kind == 1:
            d.faults.refuse(429, run.random.choice(TOO_MANY), **often)
        elif kind == 2:
            d.faults.page(520, **often)
        elif kind == 3:
            d.faults.truncate(run.random.random(), **often)
        else:
            d.faults.drop(after_commit=run.random.random() < 0.5, **often)


# ---- purges and restores ----------------------------------------------------------------------------------------


def purge(run: Run) -> None:
    """Purge a deployment that fails at random, killed while doing it: what was planned goes, and nothing else."""
    with world(run.folder) as w:
        _purge(run, w, is_struck=True)


def _purge(run: Run, w: Any, *, is_struck: bool) -> tuple[set[str], dict[str, dict[str, Any]]]:
    before = _everything(w.deployment)
    plan, path = w.plan()
    planned = {document.id for document in plan.documents}
    asked = (w.deployment.url, w.deployment.admin_key, run.folder)
    for _ in range(1 + run.random.randrange(MOST_TRIES) if is_struck else 0):
        _strike(run, w.deployment, function=run.random.choice((DELETE, "*")))
        kill = 1.2 if run.random.random() < 0.7 else None
        run.attempt(works.apply_plan, *asked, run.random.randrange(1, 4), kill_within_s=kill)
        w.deployment.faults.clear()
    if not ledger.read(ledger.path_of(path), plan.hash).is_finished or not receipt.path_of(path).exists():
        last = run.attempt(works.apply_plan, *asked, 2)
        state = ledger.read(ledger.path_of(path), plan.hash)
        if last.kind != "done" and not state.is_finished:
            raise BrokenError(f"the purge cannot be finished: {last.text}")
    after = _everything(w.deployment)
    if before.keys() - after.keys() != planned:
        raise BrokenError(f"gone: {sorted(before.keys() - after.keys())}, planned: {sorted(planned)}")
    if any(before[id_] != document for id_, document in after.items()):
        raise BrokenError("a document that stays was changed")
    run.check({})
    return planned, before


def _everything(d: Deployment) -> dict[str, dict[str, Any]]:
    return {id_: document for rows in d.at().values() for id_, document in rows.items()}


def restore(run: Run) -> None:
    """Put back what was purged, killed while doing it: everything is there once, as it was but for the ids."""
    with world(run.folder) as w:
        planned, before = _purge(run, w, is_struck=False)
        asked = (w.deployment.url, w.deployment.admin_key, run.folder)
        for _ in range(1 + run.random.randrange(MOST_TRIES)):
            _strike(run, w.deployment, path=run.random.choice((*IMPORT_PATHS, "*")))
            kill = 0.8 if run.random.random() < 0.7 else None
            run.attempt(works.restore_plan, *asked, kill_within_s=kill)
            w.deployment.faults.clear()
        run.must(works.restore_plan, *asked)
        made = run.must(works.restore_plan, *asked)
        if made["sent"] or set(made["ids"]) != planned:
            raise BrokenError(f"a second restore sends {made['sent']} documents")
        text = json.dumps(sorted(_everything(w.deployment).values(), key=lambda d: str(d["_creationTime"])))
        for old, new in made["ids"].items():
            text = text.replace(new, old)
        if {d["_id"]: d for d in json.loads(text)} != before or len(json.loads(text)) != len(before):
            raise BrokenError("the documents are not as before")


# ---- the store alone --------------------------------------------------------------------------------------------


def _released(run: Run) -> None:
    run.store.write_bytes(gzip.decompress((RELEASED / "0.1.0.duckdb.gz").read_bytes()))
    run.store.chmod(0o600)


def forget(run: Run) -> None:
    """Forget a task, killed while doing it: the store is the old one or the new one, and then it is forgotten."""
    _released(run)
    run.must(works.upgrade, run.store)
    _, held = run.must(works.look, run.store)
    task = run.random.choice(sorted({id_ for documents in held.values() for id_ in documents if id_[:3] == "j97"}))
    for _ in range(1 + run.random.randrange(MOST_TRIES)):
        run.attempt(works.forget_task, run.store, task, kill_within_s=1.5)
    run.must(works.forget_task, run.store, task)
    if left := run.must(works.mend, run.store):
        raise BrokenError(f"store repair leaves {left}")
    wrong, after = run.must(works.look, run.store)
    if wrong or after.keys() != held.keys() or any(task in documents for documents in after.values()):
        raise BrokenError(f"{wrong} {sorted(after)}")
    named = [file.name for file in run.folder.rglob("*") if file.is_file() and task.encode() in file.read_bytes()]
    if named:
        raise BrokenError(f"the id of the task still stands in {named}")


def upgrade(run: Run) -> None:
    """Bring a released store up to date, killed while doing it: the old store or the new one, with all snapshots."""
    _released(run)
    for _ in range(1 + run.random.randrange(MOST_TRIES)):
        run.attempt(works.upgrade, run.store, kill_within_s=0.4)
    if left := run.must(works.mend, run.store):
        raise BrokenError(f"store repair leaves {left}")
    wrong, held = run.must(works.look, run.store)
    if wrong or len(held) != 4:  # of the released store
        raise BrokenError(f"{wrong} {sorted(held)}")


def crowd(run: Run) -> None:
    """Collect several exports into one store at once, while others read it: nobody's snapshot is lost."""
    made = {f"v{number}": _export(run, number) for number in range(4)}
    writers = [run.hands.pop() for _ in made]
    readers = [run.hands.pop() for _ in range(2)]
    for hand, (path, _) in zip(writers, made.values(), strict=True):
        hand.start(works.collect_export, path, run.store)
    for hand in readers:
        hand.start(works.look, run.store, 0.05)
    dies = run.random.random() < 0.5
    for position, hand in enumerate(writers):
        found = hand.finish(run.random.random() if dies and position == 0 else None)
        run.happened[found.kind] += 1
        waited = found.kind == "refused" and "in use by process" in found.text  # a slow machine: it is told so
        if position and not waited and found.kind != "done":
            raise BrokenError(f"a collector among others fails: {found.text}")
    for hand in readers:
        found = hand.finish()
        run.happened[found.kind] += 1
        if found.kind == "fault" or (found.kind == "refused" and "in use by process" not in found.text):
            raise BrokenError(f"a reader among writers fails: {found.text}")
    for path, _ in made.values():  # what is there already is not added twice
        run.must(works.collect_export, path, run.store)
    run.check({label: held for label, (_, held) in made.items()}, exactly=True)


CAMPAIGNS: Mapping[str, tuple[Callable[[Run], None], int]] = {  # with their share of all runs, percent
    "export": (export, 22),
    "live": (live, 30),
    "purge": (purge, 18),
    "restore": (restore, 10),
    "crowd": (crowd, 8),
    "forget": (forget, 7),
    "upgrade": (upgrade, 5),
}
HANDS = 18  # more than any run needs
