"""Servers that answer nonsense, and who may see a key: a clear error, nothing stored, nothing leaked, no hang."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from analyzer.errors import SourceError
from analyzer.store import Store
from tests.collect.test_live import gather, held, message, truth
from tests.deployment import Deployment

SYNC = "/api/v1/data/sync"
UNLISTED = "sk-unlisted-value-0001"


def page(**changed: Any) -> bytes:
    """Return a page of data sync that ends, with some of it changed."""
    usual = {
        "status": {"type": "upToDate", "snapshotTs": 1_765_889_880_000_000_000},
        "truncates": [],
        "values": [],
        "syncId": "s",
        "pagination": {"hasMore": True, "nextCursor": "c"},
    }
    return json.dumps(usual | changed).encode()


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "an empty body"),
        (b"<html>520</html>", "a web page"),
        (b'{"status":', "no JSON"),
        (b"[1, 2]", "without a page"),
        (b'"words"', "without a page"),
        (page(status={"type": "upToDate", "snapshotTs": 1.765889880e18}), "without exact timestamps"),
        (page(status={"type": "upToDate", "snapshotTs": 2**64}), "without exact timestamps"),
        (page(status={"type": "soon"}), "without a status that is known"),
        (page(values=[{"component": "", "table": "users", "ts": 1, "deleted": False, "value": {}}]), "without ids"),
        (page(pagination={"hasMore": True}), "without a cursor"),
        (page(status={"type": "snapshotting"}), "without an end: it gives the same cursor again"),
    ],
    ids=[
        "empty",
        "HTML",
        "cut off",
        "a list",
        "text",
        "float time",
        "time too large",
        "status",
        "no id",
        "end",
        "circle",
    ],
)
def test_a_server_that_answers_nonsense_is_an_error_that_says_so_and_nothing_is_stored(
    tmp_path: Path, body: bytes, says: str
) -> None:
    store = tmp_path / "s.duckdb"
    with Deployment() as d:
        d.insert("chatMessages", message(d, "complete"))
        first = gather(d, store).snapshot.id
        d.faults.answer(200, body, path=SYNC, times=None)
        with pytest.raises(SourceError, match=says):
            gather(d, store)
        with Store.read(store) as opened:
            assert [snapshot.id for snapshot in opened.snapshots()] == [first]
        d.faults.clear()
        d.clock.advance_ms(1_000)
        assert held(store, gather(d, store).snapshot.id) == truth(d)


def processes(parent: int) -> list[Path]:
    """Return what the system tells of a process and of its children."""
    found = [Path(f"/proc/{parent}")]
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return found + [place for child in children for place in processes(int(child))]


def files_of(folder: Path, running: subprocess.Popen[bytes]) -> list[bytes]:
    """Return the files of a folder as soon as documents are in them."""
    for _ in range(600):
        found = [file.read_bytes() for file in folder.rglob("*") if file.is_file()]
        if sum(map(len, found)) > 100_000:
            return found
        with contextlib.suppress(subprocess.TimeoutExpired):
            running.wait(timeout=0.1)
            break
    raise AssertionError("nothing was spooled")


@pytest.mark.skipif(
    not Path("/proc/self/environ").exists(),
    reason="the process list and environments are read from /proc, which this system lacks",
)
@pytest.mark.external
def test_an_interrupted_collect_shows_no_secret_anywhere_and_goes_on_where_it_was(tmp_path: Path) -> None:
    """The command in the middle of its pages: process list, environment, spool; then store, output, traceback."""
    spool, key_file, store = tmp_path / "spool", tmp_path / "key", tmp_path / "s.duckdb"
    spool.mkdir()
    with Deployment(sync_rows=2_000, kind="prod") as d:
        d.set_env(ENABLE_WORKFLOW="true", OPENAI_API_KEY=UNLISTED)
        d.insert_many("chatMessages", [message(d, "complete")] * 16_000)
        d.clock.advance_ms(10)  # four thousand creation times fit into a millisecond
        key_file.write_text(d.admin_key)
        key_file.chmod(0o600)
        secrets = (d.admin_key.partition("|")[2].encode(), UNLISTED.encode())
        command = [sys.executable, "-m", "analyzer", "--debug", "collect", "--url", d.url, "--key-file", str(key_file)]
        gate = d.faults.hold(path=SYNC, skip=7)  # after fourteen thousand documents
        clean = {name: value for name, value in os.environ.items() if not name.startswith("CONVEX")}
        with subprocess.Popen(
            [*command, "--db", str(store)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=clean | {"TMPDIR": str(spool)},
        ) as running:
            assert gate.reached.wait(60)
            seen = [(place / name).read_bytes() for place in processes(running.pid) for name in ("cmdline", "environ")]
            spooled = files_of(spool, running)
            assert all(file.stat().st_mode & 0o077 == 0 for file in spool.rglob("*"))
            running.send_signal(signal.SIGINT)
            said, _ = running.communicate(timeout=60)
        assert running.returncode == 130
        assert list(spool.iterdir()) == []
        with Store.read(store) as opened:
            assert opened.snapshots() == ()
            assert opened.sync_cursor("happy-animal-123") is not None
        d.faults.clear()
        asked = len(d.called(SYNC))
        again = subprocess.run([*command, "--db", str(store)], capture_output=True, env=clean, check=True)
        assert len(d.called(SYNC)) - asked < 7  # of nine pages, those that were kept do not come again
        assert held(store, 1) == truth(d)
    everything = [*seen, *spooled, said, again.stdout, again.stderr, store.read_bytes()]
    for secret in secrets:
        assert not any(secret in text for text in everything)
