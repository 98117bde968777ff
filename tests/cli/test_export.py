"""`analyzer export`: what lies where, whole or not at all, and only for its owner and its version."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import duckdb
import pytest
from click.testing import CliRunner, Result

from analyzer import cli, exported
from analyzer.errors import StoreError
from analyzer.rules import InternalLists, load_all, rules_hash
from tests.analysis.leftovers import helper_task, message, prompt, task, user
from tests.storing import NOW_MS, document, put

DAY = "day=2025-12-16"


pytestmark = pytest.mark.usefixtures("alone")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two snapshots: a message changes, one has a creation time that no calendar knows, one goes."""
    folder = tmp_path_factory.mktemp("made")
    odd = {**message(3, 1), "_creationTime": 1e300}
    tables: dict[str, list[Any]] = {
        "users": [user(1)],
        "tasks": [task(1), helper_task(2)],
        "chatMessages": [message(1, 1, status="streaming"), prompt(2, 2), odd, message(4, 1)],
        "todos": [document("todos", 1, taskId=task(1)["_id"])],
    }
    put(folder, tables, at_ms=NOW_MS - 1000)
    tables["chatMessages"] = [message(1, 1), prompt(2, 2), odd]
    return put(folder, tables)


def export(store: Path, folder: Path, *words: str) -> Result:
    return CliRunner().invoke(cli.main, ["export", "--db", str(store), "--parquet", str(folder), *words])


def manifest(folder: Path) -> exported.Manifest:
    return exported.read_manifest((folder / "manifest.json").read_text(encoding="utf-8"), "here")


def test_there_is_a_folder_a_table_and_in_it_one_a_day_with_the_documents_in_force_apart(
    store: Path, tmp_path: Path
) -> None:
    result = export(store, tmp_path / "out")
    assert result.exit_code == 0, result.output
    messages = tmp_path / "out" / "revision_messages"
    found = {path.parent.relative_to(messages).as_posix() for path in messages.rglob("*.parquet")}
    assert {f"is_in_force=true/{DAY}", f"is_in_force=false/{DAY}"} <= found
    assert "is_in_force=false/day=__HIVE_DEFAULT_PARTITION__" in found, "of a deletion, which has no creation time"
    assert (tmp_path / "out" / "revision_other" / "table_name=todos" / "is_in_force=true" / DAY).is_dir()
    in_force = duckdb.execute(f"select id, status from '{messages}/is_in_force=true/*/*.parquet'").fetchall()
    assert sorted(in_force) == sorted((m["_id"], m["status"]) for m in (message(1, 1), prompt(2, 2)))


def test_the_manifest_says_which_documents_these_are_and_what_follows_from_the_rules(
    store: Path, tmp_path: Path
) -> None:
    assert export(store, tmp_path / "out", "--at", str(NOW_MS - 5)).exit_code == 0
    found = manifest(tmp_path / "out")
    assert (found.deployment, found.snapshot) == ("happy-animal-123", 2)
    assert (found.variables["at_ms"], found.variables["as_of_ns"]) == (NOW_MS - 5, NOW_MS * 1_000_000)
    assert found.rules_hash == rules_hash(load_all(), InternalLists(), ())
    assert [step.table for step in found.derived][-2:] == ["artifact", "internal_document"]
    assert found.tables["rule_evidence"].row_count > 0
    assert found.tables["revision_traces"].row_count == 0
    assert not (tmp_path / "out" / "revision_traces").exists()


def test_nobody_else_may_read_it(store: Path, tmp_path: Path) -> None:
    export(store, tmp_path / "out")
    modes = {stat.S_IMODE(path.stat().st_mode) for path in [tmp_path / "out", *(tmp_path / "out").rglob("*")]}
    assert modes == {0o700, 0o600}


def test_an_empty_folder_is_filled_and_nothing_is_overwritten(store: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    assert export(store, tmp_path / "out").exit_code == 0
    before = sorted(tmp_path.rglob("*"))
    again = export(store, tmp_path / "out")
    assert again.exit_code == 3
    assert "is there, and is no empty folder" in again.stderr
    assert sorted(tmp_path.rglob("*")) == before


def test_what_cannot_be_completed_leaves_nothing(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    result = export(store, tmp_path / "file" / "out")
    assert result.exit_code == 3
    assert "hint: " in result.stderr

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "rename", fail)
    assert "No space left on device" in export(store, tmp_path / "out").stderr
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"version": "0.0.9"}, "was exported by analyzer 0.0.9"),
        ({"format": "parquet-export/9"}, "as parquet-export/9"),
        ({"tables": 3}, "is none of an export"),
        ({"more": 3}, "is none of an export"),
    ],
)
def test_a_manifest_of_another_version_or_shape_is_refused(
    change: dict[str, Any], words: str, store: Path, tmp_path: Path
) -> None:
    export(store, tmp_path / "out")
    text = json.dumps(json.loads((tmp_path / "out" / "manifest.json").read_text(encoding="utf-8")) | change)
    with pytest.raises(StoreError, match=words):
        exported.read_manifest(text, "here")
    for broken in ("", "[]", "{}", "null"):
        with pytest.raises(StoreError):
            exported.read_manifest(broken, "here")
