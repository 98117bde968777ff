"""A purge over a slow wire, against the bare batched deletes of the same documents.

Both are whole processes, and each round of each has a fresh stand-in deployment with the same ids.
"""

from __future__ import annotations

import gc
import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from analyzer.cli import NEW_OBJECTS
from analyzer.convex import dotenv, keys
from analyzer.convex.connection import connect
from analyzer.convex.target import Target
from analyzer.purge import plan_file
from analyzer.purge.apply import Pace, Run
from analyzer.purge.ledger import Ledger, State
from analyzer.purge.live import Watch, read_documents
from analyzer.purge.plan_file import Plan
from analyzer.purge.writes import Deleting
from analyzer.sources.live import LiveSource
from benchmarks.context import Context, Row
from benchmarks.measure import Cost, Figure, Pair, python, run

DOCUMENTS = {"10k": 1_000, "100k": 10_000}  # that tests left; as many of people's stand beside them
REQUEST_S = 0.02
BATCH = 1_000  # documents of one call, on both sides: the platform's own limit is 4,096, and differs by version
BARE = """
import json, sys, httpx
from analyzer.convex import dotenv
plan, keys, size = json.load(open(sys.argv[1])), dotenv.parse(open(sys.argv[2]).read()), int(sys.argv[3])
entries = [{"id": d["id"], "tableName": d["table"]} for group in plan["groups"] for d in group["documents"]]
client = httpx.Client(headers={"Authorization": "Convex " + keys["ANALYZER_WRITE_KEY"]}, timeout=60)
for start in range(0, len(entries), size):
    body = {"path": "_system/frontend/deleteDocuments", "args": {"toDelete": entries[start : start + size]}}
    answer = client.post(keys["CONVEX_URL"] + "/api/mutation", json=body | {"format": "json"}).json()
    assert answer["value"]["success"] is True, answer
"""


def rows(context: Context) -> list[Row]:
    """Return the deletion alone, and the whole command; nothing at the sizes where nobody would judge it."""
    if context.size not in DOCUMENTS:
        return []
    documents, port = DOCUMENTS[context.size], _free_port()
    plan = _plan(context, documents, port)
    before = gc.get_threshold()
    gc.set_threshold(NEW_OBJECTS)  # as every command does: both sides of the deletion run in this process
    try:
        deletion = _deletion(context, documents, port, plan)
    finally:
        gc.set_threshold(*before)
    return [deletion, _command(context, documents, port, plan)]


def _deletion(context: Context, documents: int, port: int, path: Path) -> Row:
    """Compare what an apply does between its backup and its proof with the deletes alone, over the same client."""
    plan = plan_file.read(path)
    shares = []
    for number in range(context.rounds):
        with _serving(context, documents, port) as server, server.source() as source:
            ours_s = _careful_s(server, source, plan, context.folder / f"deletion-{number}.ledger.jsonl")
        with _serving(context, documents, port) as server, server.source() as source:
            shares.append(ours_s / _bare_s(server, source, plan))
    return context.row(
        f"purge, {len(plan.documents):,} documents",
        Figure.of(shares),
        floor=f"the bare deletes, {BATCH:,} a call, over the same client, {REQUEST_S * 1000:g} ms a request",
        command="analyzer purge apply plan.json, from its backup to its proof",
        limit=2.5,
        judged_at="100k",
    )


def _careful_s(server: _Server, source: LiveSource, plan: Plan, ledger: Path) -> float:
    client = source.connection.client
    known = read_documents(client, [(d.table, d.id) for d in plan.documents])
    watch = Watch(source, frozenset(d.id for d in plan.documents))
    with Ledger(ledger, State()) as book:
        carried = Run(client, plan, watch, book, Deleting(client), Pace(batch_documents=BATCH), known=known)
        groups = carried.survey()
        return _timed(server, len(plan.documents), lambda: carried.go(groups))


def _bare_s(server: _Server, source: LiveSource, plan: Plan) -> float:
    deleting = Deleting(source.connection.client)

    def all_of_them() -> None:
        for start in range(0, len(plan.documents), BATCH):
            deleting.delete(plan.documents[start : start + BATCH])

    return _timed(server, len(plan.documents), all_of_them)


def _command(context: Context, documents: int, port: int, plan: Path) -> Row:
    """Compare whole processes: with guards, a look at the whole deployment, backup, proof and receipt."""
    confirm = json.loads(plan.read_text(encoding="utf-8"))["confirm"]
    planned = int(confirm.split("/")[1])
    ours, floor = [], []
    for number in range(context.rounds):
        folder = context.folder / f"purge-{number}"
        folder.mkdir()
        own = shutil.copy(plan, folder / "plan.json")
        with _serving(context, documents, port) as server:
            words = [*_apply(context, server), own, "--confirm", confirm, "--max-docs", str(documents * 2)]
            ours.append(_deleted(planned, server, words))
        with _serving(context, documents, port) as server:
            floor.append(_deleted(planned, server, python(BARE, str(plan), str(server.path), str(BATCH))))
    return context.row(
        f"purge apply, {planned:,} documents",
        Pair(tuple(ours), tuple(floor)).ratio,
        floor="a process that sends the bare deletes alone",
        command="analyzer purge apply plan.json",
    )


def _timed(server: _Server, planned: int, call: Callable[[], None]) -> float:
    """Return how long a deletion takes; what it did is counted, for a purge that deletes nothing is fast."""
    before = server.documents()
    started_s = time.perf_counter()
    call()
    took_s = time.perf_counter() - started_s
    _check(planned, before - server.documents())
    return took_s


def _deleted(planned: int, server: _Server, command: list[str]) -> Cost:
    """Run one side."""
    before = server.documents()
    cost = run(command, fine=(0,))
    _check(planned, before - server.documents())
    return cost


def _check(planned: int, deleted: int) -> None:
    if deleted != planned:
        raise RuntimeError(f"{deleted} documents went, {planned} were planned")


class _Server:
    """A stand-in for one purge."""

    def __init__(self, process: subprocess.Popen[str], path: Path) -> None:
        self._process = process
        self.path = path  # of the file with its keys
        self.url = self._line()

    def source(self) -> LiveSource:
        """Connect to it, with the key that deletes."""
        variables = dotenv.parse(self.path.read_text(encoding="utf-8"))
        target = Target(self.url, None, keys.parse(variables["ANALYZER_WRITE_KEY"], "a benchmark"), "a benchmark")
        return LiveSource(connect(target))

    def documents(self) -> int:
        """Return how many documents there are."""
        assert self._process.stdin is not None
        self._process.stdin.write("count\n")
        self._process.stdin.flush()
        return int(self._line())

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


@contextmanager
def _serving(context: Context, documents: int, port: int, *, wait_s: float = REQUEST_S) -> Iterator[_Server]:
    path = context.folder / "purge-keys.env"
    command = [sys.executable, "-m", "benchmarks.purge_server", "--leftovers", str(documents), "--port", str(port)]
    command += ["--key-file", str(path), "--wait-s", str(wait_s)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield _Server(process, path)
        finally:
            process.terminate()


def _plan(context: Context, documents: int, port: int) -> Path:
    path = context.folder / "purge-plan.json"
    with _serving(context, documents, port, wait_s=0.0) as server:
        run([*context.analyzer, "purge", "plan", "-o", str(path), *_where(context, server)])
    return path


def _apply(context: Context, server: _Server) -> list[str]:
    return [*context.analyzer, "purge", "apply", *_where(context, server)]


def _where(context: Context, server: _Server) -> list[str]:
    store = context.folder / "purge.duckdb"
    return ["--url", server.url, "--env-file", str(server.path), "--db", str(store)]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
