"""Snapshots keep exactly their documents, in whatever order they arrive."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer.errors import SourceInvalid
from analyzer.store import Store
from analyzer.store.differences import rebuild_ends
from tests.store.spooling import collection

HOUR_NS = 3_600_000_000_000
START_NS = 1_765_889_880_000 * 1_000_000


def message(number: int, status: str | None = "complete", **more: object) -> dict[str, object]:
    document: dict[str, object] = {
        "_id": f"m{number}",
        "_creationTime": 1_765_889_000_000.0 + number,
        "createdAt": 1_765_889_000_000.0 + number,
        "content": "some text",
        "role": "USER",
        "taskId": "t1",
    }
    return document | ({} if status is None else {"status": status}) | more


def seen(store: Store, snapshot_no: int, at_ms: int | None = None) -> dict[str, str | None]:
    frame = store.frame(store.snapshot(snapshot_no), at_ms)
    return {row["id"]: row["status"] for row in frame.records("staging/stg_messages")}


def everything(store: Store) -> list[tuple[object, ...]]:
    tables = ("revision_messages", "revision_other", "revision_end", "snapshot", "coverage")
    return [row for table in tables for row in store._duck.execute(f"select * from {table} order by all").fetchall()]


def test_collecting_the_same_documents_twice_adds_nothing(tmp_path: Path) -> None:
    with Store.write(tmp_path / "s.duckdb") as store:
        first = store.ingest(collection(tmp_path / "a", {"chatMessages": [message(1)]}, as_of_ns=START_NS))
        before = everything(store)
        second = store.ingest(collection(tmp_path / "b", {"chatMessages": [message(1)]}, as_of_ns=START_NS))
        assert not first.already_present
        assert second.already_present
        assert second.snapshot.id == first.snapshot.id
        assert everything(store) == before


def test_a_later_export_adds_only_what_changed_and_records_what_disappeared(tmp_path: Path) -> None:
    with Store.write(tmp_path / "s.duckdb") as store:
        store.ingest(
            collection(tmp_path / "a", {"chatMessages": [message(1), message(2), message(3)]}, as_of_ns=START_NS)
        )
        later = [message(1), message(2, "failed"), message(4)]
        result = store.ingest(collection(tmp_path / "b", {"chatMessages": later}, as_of_ns=START_NS + HOUR_NS))
        covered = result.snapshot.coverage[0]
        assert (covered.documents, covered.added, covered.changed, covered.removed) == (3, 1, 1, 1)
        assert seen(store, 1) == {"m1": "complete", "m2": "complete", "m3": "complete"}
        assert seen(store, 2) == {"m1": "complete", "m2": "failed", "m4": "complete"}


def test_a_field_that_only_leftovers_hold_is_a_change_too(tmp_path: Path) -> None:
    with Store.write(tmp_path / "s.duckdb") as store:
        store.ingest(collection(tmp_path / "a", {"chatMessages": [message(1)]}, as_of_ns=START_NS))
        changed = [message(1, somethingNew=1.0)]
        result = store.ingest(collection(tmp_path / "b", {"chatMessages": changed}, as_of_ns=START_NS + 1))
        assert result.snapshot.coverage[0].changed == 1


def test_text_that_changed_without_changing_length_is_a_change(tmp_path: Path) -> None:
    with Store.write(tmp_path / "s.duckdb") as store:
        store.ingest(collection(tmp_path / "a", {"chatMessages": [message(1)]}, as_of_ns=START_NS))
        changed = [message(1, content="SOME TEXT")]
        result = store.ingest(collection(tmp_path / "b", {"chatMessages": changed}, as_of_ns=START_NS + 1))
        assert result.snapshot.coverage[0].changed == 1


def test_a_table_that_a_complete_listing_lacks_is_gone_and_comes_back(tmp_path: Path) -> None:
    with Store.write(tmp_path / "s.duckdb") as store:
        store.ingest(collection(tmp_path / "a", {"chatMessages": [message(1)]}, as_of_ns=START_NS))
        gone = store.ingest(collection(tmp_path / "b", {}, as_of_ns=START_NS + 1))
        assert gone.snapshot.coverage[0].removed == 1
        store.ingest(collection(tmp_path / "c", {"chatMessages": [message(1)]}, as_of_ns=START_NS + 2))
        assert [seen(store, n) for n in (1, 2, 3)] == [{"m1": "complete"}, {}, {"m1": "complete"}]


def test_a_table_that_an_incomplete_source_lacks_is_not_gone(tmp_path: Path) -> None:
    with Store.write(tmp_path / "s.duckdb") as store:
        store.ingest(collection(tmp_path / "a", {"chatMessages": [message(1)]}, as_of_ns=START_NS))
        store.ingest(collection(tmp_path / "b", {"users": []}, as_of_ns=START_NS + 1, complete=False))
        assert seen(store, 2) == {"m1": "complete"}


def test_two_deployments_never_mix(tmp_path: Path) -> None:
    with Store.write(tmp_path / "s.duckdb") as store:
        for name, status in (("happy-animal-123", "complete"), ("other-beast-9", "failed")):
            documents = {"chatMessages": [message(1, status)]}
            store.ingest(collection(tmp_path / name, documents, as_of_ns=START_NS, deployment=name))
        statuses = {}
        for name in ("happy-animal-123", "other-beast-9"):
            frame = store.frame(store.snapshot(deployment=name))
            statuses[name] = [row["status"] for row in frame.records("staging/stg_messages")]
        assert statuses == {"happy-animal-123": ["complete"], "other-beast-9": ["failed"]}


def test_different_documents_at_the_same_source_time_are_two_snapshots(tmp_path: Path) -> None:
    with Store.write(tmp_path / "s.duckdb") as store:
        store.ingest(collection(tmp_path / "a", {"chatMessages": [message(1)]}, as_of_ns=START_NS))
        store.ingest(collection(tmp_path / "b", {"chatMessages": [message(1, "failed")]}, as_of_ns=START_NS))
        assert seen(store, 1) == {"m1": "complete"}
        assert seen(store, 2) == {"m1": "failed"}


def test_a_duplicate_id_names_both_lines_and_stores_nothing(tmp_path: Path) -> None:
    with Store.write(tmp_path / "s.duckdb") as store:
        documents = {"chatMessages": [message(1), message(2), message(1)]}
        with pytest.raises(SourceInvalid, match=r"chatMessages/documents\.jsonl: line 3: _id m1 .* line 1"):
            store.ingest(collection(tmp_path / "a", documents, as_of_ns=START_NS))
        assert everything(store) == []


def test_a_document_that_refers_to_the_duplicate_is_not_taken_for_it(tmp_path: Path) -> None:
    with Store.write(tmp_path / "s.duckdb") as store:
        documents = {"chatMessages": [message(1), message(2, promptMessageId="m1"), message(1)]}
        with pytest.raises(SourceInvalid, match=r"line 3: _id m1 stands already in line 1"):
            store.ingest(collection(tmp_path / "a", documents, as_of_ns=START_NS))


def test_a_field_that_stands_twice_names_entry_line_and_field_and_no_file_of_ours(tmp_path: Path) -> None:
    taken = collection(tmp_path / "a", {"chatMessages": [message(1), message(2)]}, as_of_ns=START_NS)
    spool = taken.tables[0].spool
    spool.write_text(spool.read_text().removesuffix("}\n") + ', "status": "failed"}\n')
    with Store.write(tmp_path / "s.duckdb") as store:
        with pytest.raises(SourceInvalid) as refused:
            store.ingest(taken)
        assert str(refused.value) == "export.zip: chatMessages/documents.jsonl: line 2: field 'status' stands twice"
        assert everything(store) == []


def test_an_earlier_clock_shows_the_revisions_in_force_then(tmp_path: Path) -> None:
    with Store.write(tmp_path / "s.duckdb") as store:
        store.ingest(collection(tmp_path / "a", {"chatMessages": [message(1, "pending")]}, as_of_ns=START_NS))
        later = [message(1, "complete"), message(2, "complete")]
        store.ingest(collection(tmp_path / "b", {"chatMessages": later}, as_of_ns=START_NS + HOUR_NS))
        # message 2 existed then by its creation time but was first seen later: its oldest known revision is shown
        assert seen(store, 2, START_NS // 1_000_000) == {"m1": "pending", "m2": "complete"}
        assert seen(store, 2) == {"m1": "complete", "m2": "complete"}
        assert seen(store, 2, 1_765_889_000_001) == {"m1": "pending"}


contents = st.dictionaries(st.integers(1, 5), st.sampled_from(["complete", "failed", "pending", None]), max_size=5)


@given(versions=st.lists(contents, min_size=1, max_size=5), data=st.data())
@settings(max_examples=15, deadline=None)
def test_every_snapshot_has_exactly_its_documents_in_any_order_of_arrival(
    versions: list[dict[int, str | None]], data: st.DataObject
) -> None:
    order = data.draw(st.permutations(range(len(versions))))
    with tempfile.TemporaryDirectory() as folder, Store.write(Path(folder) / "s.duckdb") as store:
        for position in order:
            documents = [message(number, status) for number, status in versions[position].items()]
            other = [
                {"_id": f"o{number}", "_creationTime": 1.0, "x": status}
                for number, status in versions[position].items()
            ]
            store.ingest(
                collection(
                    Path(folder) / str(position),
                    {"chatMessages": documents, "todos": other},
                    as_of_ns=START_NS + position * HOUR_NS,
                    label=f"v{position}",
                )
            )
        for position, version in enumerate(versions):
            number = store.snapshot(f"v{position}").id
            assert seen(store, number) == {f"m{n}": status for n, status in version.items()}
            frame = store.frame(store.snapshot(number))
            assert {row["id"] for row in frame.records("staging/stg_other")} == {f"o{n}" for n in version}
        ends = store._duck.execute("select * from revision_end order by all").fetchall()
        rebuild_ends(store._duck)
        assert store._duck.execute("select * from revision_end order by all").fetchall() == ends
