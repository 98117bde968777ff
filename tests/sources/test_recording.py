from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from analyzer.convex.function_names import DEFAULT_NAMES, FunctionNames, file_name
from analyzer.errors import SourceInvalid
from analyzer.model import Flag, SourceInfo
from analyzer.sources import Source, open_source
from tests.convex.exports import export, message, unpacked

CASE = json.loads((Path(__file__).parents[1] / "recorded/golden-health.json").read_text())[1]
NOW_MS = CASE["now_ms"]
FLAGS = ("ENABLE_WORKFLOW", "LOG_PROVIDER_ENABLED", "ENABLE_RETRY_WITH_BACKOFF")
NAME = "snapshot_happy-animal-123_1765889880000000000.zip"
TABLES = {":chatMessages": [message(1)], ":users": []}


def opened(folder: Path, **options: Any) -> Source:
    given: dict[str, Any] = {"deployment": None, "taken_at_ns": None, "flag_names": FLAGS}
    return open_source(folder, **(given | options))


def info(folder: Path, **options: Any) -> SourceInfo:
    with closing(opened(folder, **options)) as source:
        return source.info


def answers(folder: Path, **changes: Any) -> Path:
    """Write the recorded answers by their platform names; a change of None leaves one out."""
    for function in DEFAULT_NAMES.all():
        value = changes.get(function.rpartition(":")[2], CASE["expected"][function.rpartition(":")[2]])
        if value is not None:
            (folder / file_name(function)).write_text(json.dumps(value, indent=2))
    return folder


def test_answers_flags_and_documents_make_a_recording(tmp_path: Path) -> None:
    export(answers(tmp_path) / "export.zip", TABLES)
    (tmp_path / "flags.json").write_text(
        '{"ENABLE_WORKFLOW": "true", "LOG_PROVIDER_ENABLED": null, "SECRET": "s3cret"}'
    )
    source = opened(tmp_path)
    assert source.info.kind == "recording"
    assert [answer.function for answer in source.info.answers] == list(DEFAULT_NAMES.all())
    assert source.info.answers[0].value == CASE["expected"]["getSystemHealth"]
    assert source.info.flags == (Flag("ENABLE_WORKFLOW", "true"), Flag("LOG_PROVIDER_ENABLED", None))
    assert "s3cret" not in repr(source.info)
    assert [table.name for table in source.tables()] == ["chatMessages", "users"]
    assert source.where(source.tables()[0]) == f"{tmp_path.name}/export.zip: chatMessages/documents.jsonl"
    with source.open_table(source.tables()[0]) as stream:
        assert stream.read().count(b"\n") == 1
    source.close()


def test_the_answers_say_when_where_no_file_name_does(tmp_path: Path) -> None:
    later = CASE["expected"]["checkAlerts"] | {"timestamp": NOW_MS + 700.0}
    export(answers(tmp_path, checkAlerts=later) / "export.zip", TABLES)
    found = info(tmp_path)
    assert (found.source_time_ns, found.time_basis) == ((NOW_MS + 700) * 1_000_000, "answer-timestamp")
    found = info(tmp_path, taken_at_ns=7)
    assert (found.source_time_ns, found.time_basis) == (7, "taken-at")


def test_an_export_under_the_platforms_name_says_which_deployment_and_when(tmp_path: Path) -> None:
    export(answers(tmp_path) / NAME, TABLES)
    found = info(tmp_path)
    assert found.deployment.name == "happy-animal-123"
    assert (found.source_time_ns, found.time_basis) == (1765889880000000000, "file-name")


@pytest.mark.parametrize("inner", ["", "export", NAME.removesuffix(".zip")])
def test_the_export_may_be_unpacked_beside_the_answers_or_in_a_folder(tmp_path: Path, inner: str) -> None:
    path = export(tmp_path / "export.zip", TABLES)
    folder = tmp_path / "recording"
    unpacked(path, folder / inner)
    answers(folder)
    source = opened(folder)
    assert source.info.kind == "recording"
    assert [table.name for table in source.tables()] == ["chatMessages", "users"]
    assert source.info.time_basis == ("file-name" if inner.startswith("snapshot") else "answer-timestamp")
    source.close()


def test_a_recording_without_documents_is_told_from_others_by_where_it_lies(tmp_path: Path) -> None:
    names = set()
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        found = info(answers(tmp_path / name))
        names.add(found.deployment.name)
        assert found.deployment == info(tmp_path / name).deployment
        assert any("holds no export" in warning for warning in found.warnings)
        assert not opened(tmp_path / name).tables()
        assert not opened(tmp_path / name).lists_all_tables
    assert len(names) == 2
    assert all(name.startswith("unknown:") for name in names)


def test_two_exports_in_one_recording_are_refused(tmp_path: Path) -> None:
    export(tmp_path / "export.zip", TABLES)
    export(tmp_path / NAME, TABLES)
    with pytest.raises(SourceInvalid, match=r"more than one export: export\.zip, snapshot_happy"):
        opened(tmp_path)


def test_what_cannot_be_used_is_left_out_with_a_warning(tmp_path: Path) -> None:
    answers(tmp_path, getSystemHealth={"timestamp": 1}, checkWorkflowMode=None)
    (tmp_path / file_name(DEFAULT_NAMES.recent_traces)).write_text("{ not json }")
    (tmp_path / file_name(DEFAULT_NAMES.feature_flags)).write_text("")
    (tmp_path / "flags.json").write_text('{"ENABLE_WORKFLOW": 5, "LOG_PROVIDER_ENABLED": true}')
    found = info(tmp_path)
    assert [answer.function for answer in found.answers] == [DEFAULT_NAMES.alerts]
    assert found.flags == (Flag("LOG_PROVIDER_ENABLED", "true"),)
    said = " ".join(found.warnings)
    for part in ("getSystemHealth answered something else", "getRecentTraces.json is not JSON", "null, not an object"):
        assert part in said
    assert "the value of ENABLE_WORKFLOW is no text" in said
    (tmp_path / "flags.json").write_text("[]")
    assert any("flags.json is no object" in warning for warning in info(tmp_path).warnings)


def test_functions_with_other_names_are_found_by_those(tmp_path: Path) -> None:
    (tmp_path / "ops.health.json").write_text(json.dumps(CASE["expected"]["getSystemHealth"]))
    found = info(tmp_path, functions=FunctionNames(system_health="ops:health"))
    assert [answer.function for answer in found.answers] == ["ops:health"]


def test_a_link_out_of_a_recording_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret.json").write_text('{"ENABLE_WORKFLOW": "x"}')
    (tmp_path / "recording").mkdir()
    (tmp_path / "recording/flags.json").symlink_to(tmp_path / "secret.json")
    with pytest.raises(SourceInvalid, match="leads out of the recording"):
        opened(tmp_path / "recording")


def test_a_damaged_export_in_a_recording_is_refused(tmp_path: Path) -> None:
    (answers(tmp_path) / "export.zip").write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(SourceInvalid, match=r"export\.zip is damaged or cut short"):
        opened(tmp_path)


def test_an_answer_of_an_impossible_time_does_not_say_when(tmp_path: Path) -> None:
    for impossible in (1.0, 99_999_999_999_999.0):
        names = ("getSystemHealth", "checkAlerts")
        broken = {name: CASE["expected"][name] | {"timestamp": impossible} for name in names}
        export(answers(tmp_path, **broken) / "export.zip", TABLES)
        assert info(tmp_path).source_time_ns is None
