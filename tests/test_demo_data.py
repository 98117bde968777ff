"""The demo's data: made again as committed, shaped as the platform's, and telling the story that it promises."""

from __future__ import annotations

import itertools
import json
import sys
import zipfile
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from analyzer.convex import ids

DEMO = Path(__file__).parents[1] / "data" / "demo"
sys.path.insert(0, str(DEMO))

import generate  # noqa: E402
from demo_rollout import functions, schedule, story  # noqa: E402
from demo_rollout.deployment import NUMBERS, STORAGE_NUMBER, TableKey, at  # noqa: E402
from demo_rollout.helpers import SMOKE_TITLE  # noqa: E402

Tables = dict[TableKey, list[dict[str, Any]]]
RECORDINGS = [DEMO / step.name for step in schedule.STEPS]
DEGRADED = ["06-after-tests-0658", "07-after-cleanup-0705", "10-t-plus-12h-1859"]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo")
    generate.write(generate.SEED, folder)
    return folder


@pytest.fixture(scope="module")
def told() -> story.Story:
    return story.tell(generate.SEED)


def files(folder: Path) -> dict[str, Path]:
    """Return what the generator writes, by path."""
    patterns = ("[0-9][0-9]-*/*", "rollout-log.md")
    return {path.relative_to(folder).as_posix(): path for pattern in patterns for path in folder.glob(pattern)}


def entries(path: Path) -> list[tuple[Any, ...]]:
    with zipfile.ZipFile(path) as archive:
        return [(e.filename, e.date_time, e.CRC, e.file_size, e.external_attr) for e in archive.infolist()]


@cache
def exported(recording: Path) -> Tables:
    """Read a committed export with nothing but the standard library."""
    (path,) = recording.glob("*.zip")
    tables: Tables = {}
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if name.endswith("/documents.jsonl") and not name.endswith("_tables/documents.jsonl"):
                parts = name.split("/")
                component = parts[1] if parts[0] == "_components" else ""
                tables[component, parts[-2]] = [json.loads(line) for line in archive.read(name).splitlines()]
    return tables


def answer(recording: Path, function: str) -> Any:
    return json.loads((recording / f"{function}.json").read_text(encoding="utf-8"))


def health_without(tables: Tables, left_out: set[str], now_ms: int) -> str:
    messages, traces = (
        [d for d in tables["", name] if d["_id"] not in left_out] for name in ("chatMessages", "workflowTraces")
    )
    return str(functions.get_system_health(messages, traces, now_ms)["health"]["status"])


# ---- made again ------------------------------------------------------------------------------------------------


def test_the_generator_writes_the_committed_files(written: Path) -> None:
    committed, made = files(DEMO), files(written)
    assert sorted(committed) == sorted(made)
    for name, path in made.items():
        if name.endswith(".zip"):  # another build of zlib may pack the same entries into other bytes
            assert entries(path) == entries(committed[name]), name
        else:
            assert path.read_bytes() == committed[name].read_bytes(), name


def test_the_generator_writes_the_same_bytes_again(written: Path, tmp_path: Path) -> None:
    generate.write(generate.SEED, tmp_path)
    first, again = files(written), files(tmp_path)
    assert {n: p.read_bytes() for n, p in first.items()} == {n: p.read_bytes() for n, p in again.items()}


def test_the_generator_replaces_what_an_earlier_run_left(written: Path, tmp_path: Path) -> None:
    (tmp_path / "01-baseline-0653").mkdir()
    (tmp_path / "01-baseline-0653" / "export.zip").write_bytes(b"old")
    generate.write(generate.SEED, tmp_path)
    assert sorted(files(tmp_path)) == sorted(files(written))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_seed_tells_the_same_story_with_other_ids(seed: int, told: story.Story) -> None:
    other = story.tell(seed)
    assert other.smoke_task != told.smoke_task
    assert [s.name for s in schedule.STEPS if reported(other, s) == "degraded"] == DEGRADED


def test_the_recordings_stay_small() -> None:
    assert sum(path.stat().st_size for path in files(DEMO).values()) < 5_000_000


# ---- the deployment's functions --------------------------------------------------------------------------------


@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda path: path.name)
def test_recorded_answers_follow_from_the_exported_documents(recording: Path) -> None:
    tables = exported(recording)
    health = answer(recording, "monitoring.dashboard.getSystemHealth")
    alerts = answer(recording, "monitoring.dashboard.checkAlerts")
    now_ms = health["timestamp"]
    (export,) = recording.glob("*.zip")
    assert export.name == f"snapshot_curious-heron-412_{now_ms * 1_000_000}.zip"
    assert alerts["timestamp"] == now_ms
    messages, traces = tables["", "chatMessages"], tables["", "workflowTraces"]
    assert health == functions.get_system_health(messages, traces, now_ms)
    assert alerts == functions.check_alerts(messages, traces, now_ms)
    assert answer(recording, "monitoring.dashboard.getRecentTraces") == functions.get_recent_traces(traces)
    flags = json.loads((recording / "flags.json").read_text(encoding="utf-8"))
    assert answer(recording, "monitoring.dashboard.getFeatureFlags") == functions.get_feature_flags(flags)
    assert answer(recording, "api.testHelpers.checkWorkflowMode") == functions.check_workflow_mode(flags)


# ---- the documents ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("recording", [RECORDINGS[0], RECORDINGS[-1]], ids=lambda path: path.name)
def test_every_id_is_valid_and_of_its_table(recording: Path) -> None:
    seen: Counter[tuple[str, str]] = Counter()
    for (component, table), documents in exported(recording).items():
        number = STORAGE_NUMBER if table == "_storage" else NUMBERS[component, table]
        for document in documents:
            assert ids.decode(document["_id"]).table_number == number
            seen[component, document["_id"]] += 1
    assert set(seen.values()) == {1}


def test_there_are_about_five_thousand_documents_at_the_end() -> None:
    counts = {key: len(documents) for key, documents in exported(RECORDINGS[-1]).items() if key[1] != "_storage"}
    assert 4_800 <= sum(counts.values()) <= 5_200
    assert {key for key, count in counts.items() if not count} == {("", "commandLogs"), ("workflow", "steps")}
    assert set(counts) == set(NUMBERS)


def test_every_number_of_a_document_is_a_float_and_no_document_is_from_the_future() -> None:
    def numbers(value: Any) -> list[float]:
        if isinstance(value, dict | list):
            items = value.values() if isinstance(value, dict) else value
            return [number for item in items for number in numbers(item)]
        return [value] if isinstance(value, int | float) and not isinstance(value, bool) else []

    for recording in RECORDINGS:
        now_ms = answer(recording, "monitoring.dashboard.getSystemHealth")["timestamp"]
        for (_, table), documents in exported(recording).items():
            if table != "_storage":
                assert all(type(number) is float for number in numbers(documents)), (recording.name, table)
            assert all(document["_creationTime"] < now_ms + 1 for document in documents), (recording.name, table)


def test_no_address_leads_to_a_person() -> None:
    text = json.dumps(list(exported(RECORDINGS[-1]).values()), ensure_ascii=False)
    assert text.count("@") == text.count("@example.com") + text.count("@test.local")
    assert text.count("://") == text.count("https://git.example.com/")


def test_documents_change_and_disappear_between_recordings() -> None:
    before, after = (
        {d["_id"]: d for documents in exported(r).values() for d in documents} for r in (RECORDINGS[0], RECORDINGS[-1])
    )
    assert len(after) - len(before) > 1_000
    assert len([id_ for id_, d in before.items() if id_ in after and after[id_] != d]) >= 5
    deleted = {id_ for recording in RECORDINGS for id_ in id_set(recording)} - set(after)
    assert len(deleted) == 3  # two test tasks, one task of a real user


def id_set(recording: Path) -> set[str]:
    return {d["_id"] for documents in exported(recording).values() for d in documents}


# ---- the story -------------------------------------------------------------------------------------------------


def reported(told: story.Story, step: schedule.Step) -> str:
    return str(story.answers(told, step.at_ms)["monitoring.dashboard.getSystemHealth"]["health"]["status"])


def test_three_recordings_report_degraded() -> None:
    found = [r.name for r in RECORDINGS if status(r) == "degraded"]
    assert found == DEGRADED


def status(recording: Path) -> str:
    return str(answer(recording, "monitoring.dashboard.getSystemHealth")["health"]["status"])


def test_without_leftovers_only_the_failing_provider_degrades_health(told: story.Story) -> None:
    found = []
    for step, recording in zip(schedule.STEPS, RECORDINGS, strict=True):
        if health_without(exported(recording), told.deployment.leftovers, step.at_ms) == "degraded":
            found.append(step.name)
    assert found == ["10-t-plus-12h-1859"]


@pytest.mark.parametrize("name", DEGRADED[:2])
def test_leaving_out_tasks_with_test_in_their_title_does_not_help(name: str) -> None:
    tables = exported(DEMO / name)
    named = {task["_id"] for task in tables["", "tasks"] if "Test" in task["title"]}
    messages = [m for m in tables["", "chatMessages"] if m["taskId"] not in named]
    left_out = {m["_id"] for m in tables["", "chatMessages"]} - {m["_id"] for m in messages}
    now_ms = answer(DEMO / name, "monitoring.dashboard.getSystemHealth")["timestamp"]
    assert left_out
    assert health_without(tables, left_out, now_ms) == "degraded"


def test_baseline_is_healthy_with_traffic_and_everything_complete() -> None:
    health = answer(RECORDINGS[0], "monitoring.dashboard.getSystemHealth")
    assert health["messages"]["total"] == health["messages"]["completed"] >= 20
    assert health["workflows"]["total"] == health["workflows"]["completed"] >= 10
    assert answer(RECORDINGS[0], "monitoring.dashboard.checkAlerts")["alertCount"] == 0


def test_the_status_clears_by_itself_within_an_hour_but_the_alert_does_not(told: story.Story) -> None:
    recording = DEMO / "08-t-plus-1h-0759"
    now_ms = answer(recording, "monitoring.dashboard.getSystemHealth")["timestamp"]
    left = [m for m in exported(recording)["", "chatMessages"] if m["_id"] in told.deployment.leftovers]
    assert len(left) > 10
    assert all(m["createdAt"] < now_ms - 3_600_000 for m in left)
    assert answer(recording, "monitoring.dashboard.checkAlerts")["stuckMessages"] == 1


def test_the_evening_fails_for_one_provider_only() -> None:
    recording = DEMO / "10-t-plus-12h-1859"
    now_ms = answer(recording, "monitoring.dashboard.getSystemHealth")["timestamp"]
    recent = [t for t in exported(recording)["", "workflowTraces"] if t["createdAt"] >= now_ms - 3_600_000]
    failed = [t for t in recent if t["status"] == "FAILED"]
    assert len(failed) >= 5
    assert {t["provider"] for t in failed} == {"google"}
    assert {t["errorType"] for t in failed} <= {"LLM_STREAM_ERROR", "PROVIDER_OVERLOADED"}
    assert answer(recording, "monitoring.dashboard.checkAlerts")["stuckWorkflows"] == 1
    assert answer(RECORDINGS[-1], "monitoring.dashboard.checkAlerts")["stuckWorkflows"] == 0


def test_flags_flip_one_by_one_and_the_log_provider_never() -> None:
    answers = [answer(recording, "monitoring.dashboard.getFeatureFlags") for recording in RECORDINGS]
    assert not any(answers[0].values())
    changes = [{name for name in a if a[name] != b[name]} for a, b in itertools.pairwise(answers)]
    assert [sorted(found) for found in changes if found] == [[name] for _, name in schedule.FLIPS]
    assert not answers[-1]["LOG_PROVIDER_ENABLED"]
    modes = [answer(recording, "api.testHelpers.checkWorkflowMode")["mode"] for recording in RECORDINGS]
    assert modes == ["direct"] * 4 + ["workflow"] * 7


def test_real_tasks_with_test_in_their_title_have_real_traffic_in_the_degraded_hour(told: story.Story) -> None:
    recording = DEMO / DEGRADED[0]
    tables = exported(recording)
    now_ms = answer(recording, "monitoring.dashboard.getSystemHealth")["timestamp"]
    recent = {m["taskId"] for m in tables["", "chatMessages"] if m["createdAt"] >= now_ms - 3_600_000}
    titles = {t["title"]: t["_id"] for t in tables["", "tasks"] if t["_id"] not in told.deployment.leftovers}
    decoys = {title for title in titles if "test" in title.lower()}
    assert {"Add unit Tests for login", "Fix flaky test in CI"} <= {t for t in decoys if titles[t] in recent}
    assert len(decoys) >= 6


def test_messages_of_deleted_tasks_stay_real_ones_and_leftovers(told: story.Story) -> None:
    tables = exported(RECORDINGS[-1])
    tasks = {task["_id"] for task in tables["", "tasks"]}
    orphans = {m["_id"] for m in tables["", "chatMessages"] if m["taskId"] not in tasks}
    assert len(orphans & told.deployment.leftovers) == 4
    assert len(orphans - told.deployment.leftovers) == 8


def test_some_messages_of_the_older_version_have_no_status() -> None:
    bare = [m["createdAt"] for m in exported(RECORDINGS[-1])["", "chatMessages"] if "status" not in m]
    assert len([ms for ms in bare if ms < at(12, 0)]) >= 10
    assert len([ms for ms in bare if ms >= at(12, 0)]) == 1


def test_documents_drift_in_later_recordings_only() -> None:
    def drift(recording: Path) -> list[bool]:
        tables = exported(recording)
        tasks, messages = tables["", "tasks"], tables["", "chatMessages"]
        return [
            any("priority" in t for t in tasks),
            any(isinstance(t["createdAt"], str) for t in tasks),
            any(m.get("status") == "withdrawn" for m in messages),
        ]

    assert drift(RECORDINGS[8]) == [False, False, False]
    assert drift(RECORDINGS[9]) == [True, True, False]
    assert drift(RECORDINGS[10]) == [True, True, True]


def test_the_log_names_the_smoke_task_and_leaves_its_checkpoints_empty(told: story.Story) -> None:
    log = (DEMO / "rollout-log.md").read_text(encoding="utf-8")
    (smoke,) = [t for t in exported(RECORDINGS[-1])["", "tasks"] if t["title"] == SMOKE_TITLE]
    assert smoke["_id"] == told.smoke_task
    assert f"- Task ID: `{smoke['_id']}`" in log
    assert log.count("| | | | | ⬜ |") == 8
    runs = [t for t in exported(RECORDINGS[5])["", "workflowTraces"] if t["taskId"] == smoke["_id"]]
    assert [t["status"] for t in runs] == ["COMPLETED"]


def test_the_readme_shows_what_the_deployment_reported(told: story.Story) -> None:
    assert story.table(told) in (DEMO / "README.md").read_text(encoding="utf-8")
