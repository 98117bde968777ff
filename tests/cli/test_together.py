"""Commands that share a store: reading while another process collects, and a collect that is killed."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from analyzer.cli.explain import explanation
from analyzer.config import Settings
from analyzer.store import Store
from tests.killing import end_of

DEMO = Path(__file__).resolve().parents[2] / "data" / "demo"
COLLECT_ALL = """
import sys
from pathlib import Path
from analyzer import collect, sources
for recording in sorted(Path(sys.argv[1]).glob("[0-9]*-*")):
    source = sources.open_source(recording, deployment=None, taken_at_ns=None, flag_names=())
    collect.collect(source, Path(sys.argv[2]), label=recording.name)
    source.close()
"""


def recordings() -> list[Path]:
    return sorted(DEMO.glob("[0-9]*-*"))


def analyzer(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "analyzer", *map(str, words)], capture_output=True, text=True, check=False
    )


@pytest.mark.external
def test_explain_works_fifty_times_and_more_while_another_process_collects(tmp_path: Path) -> None:
    store = tmp_path / "s.duckdb"
    assert analyzer("collect", recordings()[0], "--db", store).returncode == 0
    collecting = subprocess.Popen([sys.executable, "-c", COLLECT_ALL, str(DEMO), str(store)])
    seen: list[int] = []
    while len(seen) < 50 or collecting.poll() is None:
        found = explanation(Settings(store=store, wait_s=30.0))
        assert found.raw_status.value in ("healthy", "degraded")
        seen.append(found.snapshot.id)
    assert collecting.wait(timeout=280) == 0
    assert len(set(seen)) > 1  # it really ran beside the collects


@pytest.mark.external
def test_a_collect_killed_at_random_moments_leaves_the_store_as_it_was(tmp_path: Path) -> None:
    chance = random.Random(20251216)
    store = tmp_path / "s.duckdb"
    assert analyzer("collect", recordings()[0], "--db", store).returncode == 0
    before = store.read_bytes()
    started = time.monotonic()
    assert analyzer("collect", recordings()[-1], "--db", store).returncode == 0
    takes_s = time.monotonic() - started
    store.write_bytes(before)
    killed = 0
    for _ in range(20):
        process = subprocess.Popen(
            [sys.executable, "-m", "analyzer", "collect", str(recordings()[-1]), "--db", str(store)],
            stdout=subprocess.DEVNULL,
        )
        started = time.monotonic()
        is_killed = end_of(process, killed_after_s=chance.uniform(0.2, 1.0) * takes_s) == -signal.SIGKILL
        killed += is_killed
        if not is_killed:  # a machine that was busier at first would let all the others end
            takes_s = min(takes_s, time.monotonic() - started)
        with Store.read(store) as opened:
            counts = [len(opened.frame(s).rows("staging/stg_messages")) for s in opened.snapshots()]
        assert len(counts) == 1 or counts[1:] == [2581]  # killed before it committed, or after
        assert is_killed or len(counts) == 2
        if len(counts) == 2:
            store.with_name("s.duckdb.wal").unlink(missing_ok=True)
            store.write_bytes(before)
    assert killed > 5
    assert analyzer("collect", recordings()[-1], "--db", store).returncode == 0
    with Store.read(store) as opened:
        assert len(opened.snapshots()) == 2
        assert len(opened.frame(opened.snapshot()).rows("staging/stg_messages")) == 2581


def test_an_interrupted_collect_ends_with_130_and_stores_nothing(tmp_path: Path) -> None:
    store = tmp_path / "s.duckdb"
    script = (
        "import signal\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)  # who runs this may ignore it\n"
        "from analyzer import collect\n"
        "collect.screen_export = lambda *_, **__: signal.raise_signal(signal.SIGINT)\n"
        "from analyzer.cli import main\n"
        f"main(['collect', {str(recordings()[0])!r}, '--db', {str(store)!r}])\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 130
    assert "Traceback" not in done.stderr
    assert not store.exists()
