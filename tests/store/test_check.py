"""`store check` finds every fault that is put into a store; `store repair` mends what is derived, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import pytest
from click.testing import CliRunner, Result

from analyzer import cli
from analyzer.store import Store
from analyzer.store.checking import CHECKS, SHOWN, problems_of
from analyzer.store.copies import workshop_of
from analyzer.store.repairing import DERIVED, repair
from tests.store.test_upgrade import released

# What is done to a whole store, and the checks that must find it.
FAULTS = {
    "alter table coverage drop column reason": {"schema"},
    "alter table coverage add column more integer": {"schema"},
    "insert into meta values ('schema_version', '2')": {"schema"},
    "update snapshot set complete = false where snapshot_no = 2": {"snapshots"},
    "update snapshot set deployment_no = 9 where snapshot_no = 2": {"snapshots", "revisions", "counts"},
    "delete from coverage where snapshot_no = 2": {"snapshots"},
    "insert into flag values (77, 'ENABLE_WORKFLOW', 'true', null)": {"snapshots"},
    "update answer set value_json = '{'": {"snapshots"},
    "insert into deployment select 99, name, origin, type, type_reason from deployment where deployment_no = 1": {
        "snapshots"
    },
    "insert into coverage select snapshot_no, component, table_name, table_number, status, document_count + 1, "
    "0, 0, 0, '', 0 from coverage where snapshot_no = 1 and table_name = 'tasks'": {"snapshots", "counts", "readable"},
    "update revision_tasks set snapshot_no = 99 where revision_no = (select min(revision_no) from revision_tasks)": {
        "revisions"
    },
    "update revision_tasks set revision_ns = revision_ns + 1": {"revisions", "intervals", "counts", "readable"},
    "insert into revision_other (revision_no, deployment_no, component, table_name, id, revision_ns, deleted, "
    "snapshot_no) select 90000, deployment_no, '', 'tasks', 'x', revision_ns, true, snapshot_no from revision_tasks "
    "limit 1": {"revisions", "numbers"},
    "insert into revision_users select * from revision_users limit 1": {"revisions", "intervals", "counts", "readable"},
    "delete from revision_end where revision_no = (select min(revision_no) from revision_end)": {
        "intervals",
        "readable",
    },
    "update revision_end set valid_to_ns = valid_to_ns + 1": {"intervals", "readable"},
    "delete from revision_messages where revision_no = (select max(revision_no) from revision_messages)": {
        "counts",
        "intervals",
    },
    "update coverage set document_count = document_count + 1 where table_name = 'todos'": {"counts"},
    "update revision_other set leftovers = '[1]' where not deleted": {"leftovers"},
    "update revision_other set leftovers = '{' where not deleted": {"leftovers"},
    "update revision_messages set content_sha256 = 'abc'::blob where content_length is not null": {"texts"},
    "update revision_messages set content_text = content_text || '!' where content_text is not null": {"texts"},
    "delete from sync": {"cursors"},
    "insert into sync select * from sync limit 1": {"cursors"},
    "update sync set cursor = 'nonsense'": {"cursors"},
    "create or replace sequence revision_no start 3": {"numbers"},
    "insert into remembered values (1, 99, 5, 'x', 0)": {"derived"},
    "insert into remembered_artifact (deployment_no, from_ns, component, table_name, id, tier, rules, reason) "
    "values (1, 5, '', 'tasks', 'nobody', 'certain', [], '')": {"derived"},
    "insert into export_stretch select 1, '', 'tasks', snapshot_no, as_of_ns, 'd', 'a', 'b', 77, 0, '[]' "
    "from snapshot where snapshot_no = 1": {"derived"},
    "insert into export_stretch values (1, '', 'tasks', 99, 5, 'd', 'a', 'b', 77, 0, '[]')": {"derived"},
    "insert into counted_minute values (1, 5, 'chatMessages', null, 0, 0, null, 1)": {"derived"},
    "insert into observed_span values (77, 'calls', 5, 6, false, '')": {"observed"},
    "insert into observed_span values (1, 'calls', 7, 6, false, '')": {"observed"},
    "insert into function_minute select 1, '', 'f', 60000, 1, 1, 1, 1, 1, 1, 1 from range(2)": {"observed"},
    "update mark set deployment_no = 77": {"records"},
    "update mark set verdict = 'perhaps'": {"records"},
    "delete from rollout_plan": {"records"},
    "delete from rollout": {"records"},
    "update rollout_plan set version = 3": {"records"},
    "update purge_receipt set receipt_json = '{}'": {"records"},
    "update purge_receipt set receipt_json = '{'": {"records"},
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Return the bytes of a store that holds something of everything."""
    path = released("0.1.0", tmp_path_factory.mktemp("whole"))
    Store.write(path).__exit__()
    return path.read_bytes()


@pytest.fixture
def store(whole: bytes, tmp_path: Path) -> Path:
    path = tmp_path / "s.duckdb"
    path.write_bytes(whole)
    path.chmod(0o600)
    return path


def damage(path: Path, statement: str) -> None:
    with duckdb.connect(str(path)) as duck:
        duck.execute(statement)


def run(path: Path, *words: str) -> Result:
    return CliRunner().invoke(cli.main, ["store", *words, "--db", str(path)])


def test_a_store_that_holds_something_of_everything_has_nothing_wrong(store: Path) -> None:
    before = store.read_bytes()
    assert problems_of(store) == ()
    assert repair(store).done == () and repair(store).left == ()
    assert run(store, "check").stdout == f"{store}: {len(CHECKS)} checks, nothing wrong\n"
    assert store.read_bytes() == before


@pytest.mark.external
@pytest.mark.parametrize("statement", FAULTS)
def test_every_fault_is_found_by_its_check(statement: str, store: Path) -> None:
    damage(store, statement)
    assert {problem.check for problem in problems_of(store)} == FAULTS[statement]


def test_every_check_has_a_fault_that_it_finds() -> None:
    assert {check for found in FAULTS.values() for check in found} | {"files"} == set(CHECKS)


def test_a_fault_is_a_line_with_what_to_do_and_exit_code_1(store: Path) -> None:
    damage(store, "delete from revision_end")
    done = run(store, "check")
    assert done.exit_code == 1
    assert "intervals: revision_end lacks the end of revision" in done.stdout
    assert "  > `analyzer store repair` works it out again" in done.stdout
    found = json.loads(run(store, "check", "--format", "json").stdout)
    assert found["schema"] == "store-check/1" and found["problems"][0]["check"] == "intervals"


def test_many_faults_of_a_kind_are_some_lines_and_a_number(store: Path) -> None:
    damage(store, "insert into mark select n, 77, 'x', 'test', '', '', 0 from range(50) as r(n)")
    found = [p for p in problems_of(store) if p.check == "records"]
    assert len(found) == SHOWN + 1 and found[-1].what.startswith("and ")


def test_what_people_wrote_cannot_move_a_terminal(store: Path) -> None:
    damage(
        store, "insert into function_minute select 1, '', chr(27) || '[2J', 60000, 1, 1, 1, 1, 1, 1, 1 from range(2)"
    )
    done = run(store, "check")
    assert "\\x1b[2J" in done.stdout and "\x1b" not in done.stdout


@pytest.mark.external
@pytest.mark.parametrize("statement", [s for s, found in FAULTS.items() if found & DERIVED.keys()])
def test_a_repair_mends_what_is_derived_and_touches_nothing_that_was_collected(statement: str, store: Path) -> None:
    damage(store, statement)
    collected = contents(store)
    repaired = repair(store)
    assert not {problem.check for problem in repaired.left} & DERIVED.keys()
    assert contents(store) == collected
    assert repaired.left == problems_of(store)
    assert run(store, "repair").exit_code == (1 if repaired.left else 0)


def test_a_repair_says_what_it_cannot_mend(store: Path) -> None:
    damage(store, "delete from revision_messages; delete from revision_end")
    done = run(store, "repair")
    assert done.exit_code == 1
    assert "intervals: worked out again" in done.stdout
    assert "cannot be mended: counts: snapshot" in done.stdout


def test_files_that_others_may_read_and_what_a_killed_process_left_are_found(store: Path) -> None:
    store.chmod(0o644)
    workshop_of(store).mkdir()
    found = [p for p in problems_of(store) if p.check == "files"]
    assert len(found) == 2 and "mode 0644" in found[0].what
    repair(store)
    assert problems_of(store) == () and not workshop_of(store).exists()


def test_a_repair_of_an_older_store_brings_it_up_to_date(tmp_path: Path) -> None:
    done = run(released("0.1.0", tmp_path), "repair")
    assert done.exit_code == 0
    assert "brought from schema 1 to 3; as it was: s.duckdb.before-schema-3" in done.stdout


def test_a_repair_without_a_store_makes_none(tmp_path: Path) -> None:
    done = run(tmp_path / "none.duckdb", "repair")
    assert done.exit_code == 3 and "there is no store at" in done.stderr
    assert not list(tmp_path.iterdir())


def contents(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """Return the rows of every table that is not derived."""
    with duckdb.connect(str(path), read_only=True) as duck:
        names = [row[0] for row in duck.execute("select table_name from duckdb_tables() order by all").fetchall()]
        derived = (
            "remembered",
            "remembered_artifact",
            "export_stretch",
            "counted_minute",
            "revision_end",
            "sync",
            "sync_truncate",
            "sync_drift",
            "log_position",
        )
        kept = [name for name in names if name not in derived and not name.startswith("staged_")]
        return {name: duck.execute(f"select * from {name} order by all").fetchall() for name in kept}
