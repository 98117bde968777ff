"""Collecting a live deployment: the store holds what the server held, whatever came between."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from analyzer.collect import gathering, live
from analyzer.collect.live import LiveOptions, collect_live
from analyzer.convex import target as targets
from analyzer.convex.beside import Beside
from analyzer.convex.connection import Options, connect
from analyzer.convex.retry import Policy
from analyzer.convex.target import Choice
from analyzer.convex.traffic import Limits
from analyzer.errors import AnalyzerError, SourceInvalid
from analyzer.model import CollectResult
from analyzer.sources.live import LiveSource
from analyzer.store import Store
from tests.deployment.deployment import Deployment

IMPATIENT = Options(limits=Limits(policy=Policy(repeats=0, brief_repeats=0)))
WAYS: dict[str, dict[str, Any]] = {
    "data sync": {"sync_rows": 3},
    "deltas": {"absent": {"/api/v1/data/sync"}, "snapshot_rows": 3, "delta_rows": 4},
    "paged": {"absent": {"/api/v1/data/sync"}, "has_streaming_export": False, "table_rows": 3},
}


def gather(d: Deployment, store: Path, *, key: str | None = None, batch_documents: int = 4) -> CollectResult:
    """Collect with tiny batches, so that every page and cursor is kept on its own."""
    target = targets.find(Choice(url=d.url), [], (key or d.read_key, "a test"))
    with LiveSource(connect(target, IMPATIENT), flag_names=("ENABLE_WORKFLOW",)) as source:
        return collect_live(source, store, LiveOptions(batch_documents=batch_documents))


def held(store: Path, snapshot_no: int) -> dict[str, dict[str, str | None]]:
    """Return the status of each message and the text of each note that a snapshot holds."""
    with Store.read(store) as opened:
        frame = opened.frame(opened.snapshot(snapshot_no))
        messages = {row["id"]: row["status"] for row in frame.records("staging/stg_messages")}
        others = {row["id"]: row["leftovers"] for row in frame.records("staging/stg_other")}
    return {"chatMessages": messages, "notes": others}


def truth(d: Deployment) -> dict[str, dict[str, str | None]]:
    notes: dict[str, str | None] = {id_: f'{{"n":{found["n"]}}}' for id_, found in d.documents("notes").items()}
    messages = {id_: found.get("status") for id_, found in d.documents("chatMessages").items()}
    return {"chatMessages": messages, "notes": notes}


def document_bytes(d: Deployment) -> int:
    paths = ("/api/v1/data/sync", "/api/list_snapshot", "/api/document_deltas")
    return sum(noted.sent_bytes for noted in d.requests if noted.path in paths)


def message(d: Deployment, status: str) -> dict[str, Any]:
    return {"role": "USER", "status": status, "content": "hello", "createdAt": float(d.clock.now_ms)}


steps = st.lists(
    st.one_of(
        st.tuples(st.just("insert"), st.sampled_from(["complete", "pending", "failed"]), st.integers(1, 4)),
        st.tuples(st.just("patch"), st.sampled_from(["complete", "failed"]), st.integers(0, 9)),
        st.tuples(st.just("delete"), st.just(""), st.integers(0, 9)),
        st.tuples(st.just("note"), st.just(""), st.integers(0, 9)),
        st.tuples(st.just("replace"), st.just(""), st.integers(0, 3)),
        st.tuples(st.just("collect"), st.just(""), st.just(0)),
    ),
    max_size=14,
)


def play(d: Deployment, step: tuple[str, str, int]) -> None:
    what, status, number = step
    d.clock.advance_ms(1_000)
    living = sorted(d.documents("chatMessages"))
    if what == "insert":
        d.insert_many("chatMessages", [message(d, status)] * number)
    elif what == "note":
        d.insert("notes", {"n": float(number)})
    elif what == "replace":
        d.replace_table("notes", [{"n": float(n)} for n in range(number)])
    elif living and what == "patch":
        d.patch("chatMessages", living[number % len(living)], {"status": status})
    elif living and what == "delete":
        d.delete("chatMessages", living[number % len(living)])


@pytest.mark.external
@pytest.mark.parametrize("way", WAYS)
@given(played=steps, preloaded=st.sampled_from([1, 3, gathering.PRELOADED_DOCUMENTS]))
@settings(
    max_examples=6,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    phases=[Phase.generate],
)
def test_every_snapshot_holds_exactly_what_the_server_held(
    way: str, played: list[tuple[str, str, int]], preloaded: int
) -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        Deployment(**WAYS[way]) as d,
        pytest.MonkeyPatch.context() as patched,
    ):
        patched.setattr(gathering, "PRELOADED_DOCUMENTS", preloaded)
        store = Path(folder) / "s.duckdb"
        d.create_table("chatMessages")
        d.create_table("notes")
        expected = {}
        for step in [*played, ("collect", "", 0)]:
            if step[0] == "collect":
                expected[gather(d, store).snapshot.id] = truth(d)
            else:
                play(d, step)
        assert {number: held(store, number) for number in expected} == expected


@pytest.mark.parametrize("way", WAYS)
def test_the_second_collect_adds_only_what_changed(tmp_path: Path, way: str) -> None:
    with Deployment(**WAYS[way]) as d:
        d.insert_many("chatMessages", [message(d, "complete")] * 7)
        first = gather(d, tmp_path / "s.duckdb").snapshot
        d.clock.advance_ms(1_000)
        d.insert("chatMessages", message(d, "failed"))
        d.delete("chatMessages", sorted(d.documents("chatMessages"))[0])
        second = gather(d, tmp_path / "s.duckdb").snapshot
    assert [c.added for c in first.coverage if c.table.name == "chatMessages"] == [7]
    (covered,) = [c for c in second.coverage if c.table.name == "chatMessages"]
    assert (covered.documents, covered.added, covered.changed, covered.removed) == (7, 1, 0, 1)


@pytest.mark.parametrize("way", ["data sync", "deltas"])
def test_the_second_collect_moves_only_what_changed(tmp_path: Path, way: str) -> None:
    with Deployment(**WAYS[way] | {"sync_rows": 1_000, "snapshot_rows": 1_000}) as d:
        d.insert_many("chatMessages", [message(d, "complete")] * 400)
        gather(d, tmp_path / "s.duckdb", batch_documents=1_000)
        first = document_bytes(d)
        d.requests.clear()
        d.clock.advance_ms(1_000)
        d.insert("chatMessages", message(d, "failed"))
        gather(d, tmp_path / "s.duckdb")
        assert document_bytes(d) < first / 10


def test_a_read_that_breaks_off_is_not_readable_and_goes_on_where_it_was(tmp_path: Path) -> None:
    store = tmp_path / "s.duckdb"
    with Deployment(sync_rows=2) as d:
        d.insert_many("chatMessages", [message(d, "complete")] * 12)
        d.faults.page(520, path="/api/v1/data/sync", times=None, skip=3)
        with pytest.raises(AnalyzerError):
            gather(d, store, batch_documents=2)
        with Store.read(store) as opened:
            assert opened.snapshots() == ()
            kept = opened.sync_cursor("happy-animal-123")
        assert kept is not None
        d.faults.clear()
        asked = len(d.called("/api/v1/data/sync"))
        gather(d, store)
        assert len(d.called("/api/v1/data/sync")) - asked < 7  # not all of it again
        assert held(store, 1) == truth(d)


def test_a_new_store_is_made_while_pages_come_and_holds_nothing_until_they_are_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "MADE_DOCUMENTS", 4)
    monkeypatch.setattr(live, "SLICE_DOCUMENTS", 2)
    store = tmp_path / "s.duckdb"
    with Deployment(sync_rows=2) as d:
        d.insert_many("chatMessages", [message(d, "complete")] * 20)
        d.clock.advance_ms(10)
        gate = d.faults.hold(path="/api/v1/data/sync", skip=7)
        collecting = Beside(lambda: gather(d, store, batch_documents=1_000))
        assert gate.reached.wait(20)
        pause = threading.Event()
        while not store.exists() and not pause.wait(0.01):
            assert not collecting.is_over()
        with Store.read(store) as opened:
            assert opened.snapshots() == ()
            assert opened.sync_cursor("happy-animal-123") is None
        gate.open()
        collecting.result()
        assert held(store, 1) == truth(d)


def test_a_small_read_that_fails_leaves_no_store(tmp_path: Path) -> None:
    store = tmp_path / "s.duckdb"
    with Deployment(sync_rows=2) as d:
        d.insert_many("chatMessages", [message(d, "complete")] * 12)
        d.faults.answer(200, b"{}", path="/api/v1/data/sync", times=None, skip=3)
        with pytest.raises(SourceInvalid):
            gather(d, store, batch_documents=1_000)
    assert list(tmp_path.iterdir()) == []


def test_an_expired_cursor_makes_it_read_everything_and_says_so(tmp_path: Path) -> None:
    store = tmp_path / "s.duckdb"
    with Deployment() as d:
        d.insert_many("chatMessages", [message(d, "complete")] * 3)
        gather(d, store)
        d.clock.advance_ms(20 * 86_400_000)
        d.delete("chatMessages", sorted(d.documents("chatMessages"))[0])
        d.expire_cursors()
        second = gather(d, store).snapshot
        assert any("everything was read again" in warning for warning in second.warnings)
        assert held(store, 2) == truth(d)


GATHER = """
import sys
from pathlib import Path
from types import SimpleNamespace
from tests.collect.test_live import gather
gather(SimpleNamespace(url=sys.argv[1], read_key=sys.stdin.read()), Path(sys.argv[2]), batch_documents=2)
"""


@pytest.mark.external
def test_a_collect_killed_again_and_again_ends_with_the_same_store(tmp_path: Path) -> None:
    store = tmp_path / "s.duckdb"
    with Deployment(sync_rows=2) as d:
        d.insert_many("chatMessages", [message(d, "complete")] * 12)
        for _ in range(3):
            gate = d.faults.hold(path="/api/v1/data/sync", skip=2)
            with subprocess.Popen(
                [sys.executable, "-c", GATHER, d.url, str(store)], stdin=subprocess.PIPE, text=True
            ) as process:
                assert process.stdin is not None
                process.stdin.write(d.read_key)
                process.stdin.close()
                assert gate.reached.wait(30)
                process.send_signal(signal.SIGKILL)
            d.faults.clear()
        gather(d, store)
        assert held(store, 1) == truth(d)


def test_no_key_and_no_unlisted_value_reaches_the_store(tmp_path: Path) -> None:
    store = tmp_path / "s.duckdb"
    with Deployment() as d:
        d.set_env(ENABLE_WORKFLOW="true", OPENAI_API_KEY="sk-unlisted-value-0001")
        d.insert("chatMessages", message(d, "complete"))
        gather(d, store, key=d.admin_key)
        secret = d.admin_key.partition("|")[2]
        with Store.read(store) as opened:
            assert {f.name: f.value for f in opened.snapshot().flags} == {"ENABLE_WORKFLOW": "true"}
    for file in tmp_path.rglob("*"):
        if file.is_file():
            content = file.read_bytes()
            assert b"sk-unlisted-value-0001" not in content
            assert secret.encode() not in content
