"""What is remembered of a search for artifacts says the same as a search, at every snapshot, clock and filter."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from analyzer import rules
from analyzer.analysis import artifacts, health, policy
from analyzer.flows.remembering import remember
from analyzer.model import CollectResult, FilterName, Mark
from analyzer.rules import InternalLists
from analyzer.store import Frame, Store
from tests import storing
from tests.analysis.leftovers import helper_task, helper_user, message, placeholder, prompt, task, trace, user

HOUR_MS = 3_600_000
RULES = rules.load_all()
NOW_MS = storing.NOW_MS


def documents(chance: random.Random) -> dict[str, list[Any]]:
    """Return a deployment with helpers' leftovers, orphans and look-alikes, created in any order over two hours."""

    def some(made: Any) -> dict[str, Any]:
        at_ms = float(NOW_MS - chance.randrange(2 * HOUR_MS))
        status = chance.choice([{}, {}, {"status": "streaming"}, {"status": "failed"}, {"createdAt": "n/a"}])
        return {**made, "_creationTime": at_ms, "createdAt": at_ms, **(status if "taskId" in made else {})}

    tasks = [helper_task(n, 2) if n % 3 == 0 else task(n, 1 + n % 2, title=f"Test {n}") for n in range(1, 9)]
    chats = [
        chance.choice([message, prompt])(n, chance.randrange(1, 12), promptMessageId=storing.make_id("chatMessages", 3))
        for n in range(1, 30)
    ]
    chats += [placeholder(n, chance.randrange(1, 12), chance.randrange(1, 30)) for n in range(30, 36)]
    traces = [
        trace(n, chance.randrange(1, 12), messageId=storing.make_id("chatMessages", chance.randrange(1, 36)))
        for n in range(1, 20)
    ]
    others = [storing.document("todos", n, taskId=storing.make_id("tasks", n % 11 + 1)) for n in range(1, 10)]
    made = {
        "users": [user(1), helper_user(2)],
        "tasks": tasks,
        "chatMessages": chats,
        "workflowTraces": traces,
        "todos": others,
    }
    return {name: [some(item) for item in chance.sample(found, len(found) * 4 // 5)] for name, found in made.items()}


def store_of(folder: Path, seed: int, snapshots: int) -> Path:
    """Collect some random snapshots an hour apart, and remember each."""
    chance = random.Random(seed)
    for hour in range(snapshots):
        path = storing.put(folder, documents(chance), at_ms=NOW_MS + hour * HOUR_MS)
        with Store.write(path) as store:
            remember(store, CollectResult(store.snapshot(), already_present=False), RULES)
    return path


@pytest.mark.external
@pytest.mark.parametrize(("seed", "snapshots"), [(0, 1), (1, 1), (2, 2)])
def test_health_from_what_is_remembered_is_health_from_a_search(tmp_path: Path, seed: int, snapshots: int) -> None:
    path = store_of(tmp_path, seed, snapshots)
    lists = InternalLists(emails=("ada@acme.example",)) if seed == 1 else artifacts.NO_LISTS
    recalled = 0
    with Store.read(path) as store:
        for snapshot in store.snapshots():
            quarters = (-6, -1, 1) if snapshots == 1 else (1,)
            for at_ms in (None, *(snapshot.as_of_ms + n * HOUR_MS // 4 for n in quarters)):
                frame = store.frame(snapshot, at_ms)
                artifacts.prepare(frame, RULES, lists, orphans=True)
                searched = {name: assessed(frame, name) for name in FilterName}
                for name in (FilterName.EVIDENCE, FilterName.WIDE):
                    artifacts.find(frame, RULES, lists, orphans=name is FilterName.WIDE)
                    assert assessed(frame, name) == searched[name], (snapshot.id, at_ms, name)
                recalled += frame.recall(artifacts.search_hash(frame, RULES), orphans=False)
    assert recalled > snapshots  # or this compared a search with itself


def assessed(frame: Frame, name: FilterName) -> health.HealthReport:
    judged = policy.find("rollout", {}, window_ms=HOUR_MS)
    return health.assess(frame, policy=judged, filter_name=name, now_ms=NOW_MS)


def test_artifacts_from_what_is_remembered_are_those_of_a_search(tmp_path: Path) -> None:
    path = store_of(tmp_path, 7, 2)
    with Store.read(path) as store:
        for snapshot in store.snapshots():
            searched, recalled = store.frame(snapshot), store.frame(snapshot)
            artifacts.prepare(searched, RULES, orphans=True)
            expected = artifacts.list_artifacts(searched)
            assert recalled.recall(artifacts.search_hash(recalled, RULES), orphans=True)
            assert artifacts.list_artifacts(recalled) == expected


def test_what_belongs_to_a_message_not_yet_there_makes_only_readers_of_all_tables_search(tmp_path: Path) -> None:
    def made(item: dict[str, Any], minutes_ago: int) -> dict[str, Any]:
        return {**item, "_creationTime": float(NOW_MS - minutes_ago * 60_000)}

    early = storing.document("streamingMetrics", 1, messageId=storing.make_id("chatMessages", 2))
    found = {
        "users": [made(helper_user(2), 90)],
        "tasks": [made(helper_task(3, 2), 80)],
        "chatMessages": [made(message(1, 3), 70), made(message(2, 3), 10)],
        "streamingMetrics": [made(early, 60)],
    }
    path = storing.put(tmp_path, found, at_ms=NOW_MS)
    with Store.write(path) as store:
        remember(store, CollectResult(store.snapshot(), already_present=False), RULES)
    with Store.read(path) as store:
        frame = store.frame(store.snapshot(), NOW_MS - HOUR_MS // 2)
        known = artifacts.search_hash(frame, RULES)
        assert not frame.recall(known, orphans=False)
        artifacts.prepare(frame, RULES)
        searched = artifacts.list_artifacts(frame)
        assert frame.recall(known, orphans=False, whole=False)
        recalled = artifacts.list_artifacts(frame)
    assert [a for a in recalled if a not in searched] == [a for a in recalled if a.table == "streamingMetrics"]
    assert {a.id for a in recalled if a.table == "chatMessages"} == {storing.make_id("chatMessages", 1)}


def test_a_mark_or_another_rule_makes_readers_search_again(tmp_path: Path) -> None:
    path = store_of(tmp_path, 1, 1)
    with Store.write(path) as store:
        frame = store.frame(store.snapshot())
        known = artifacts.search_hash(frame, RULES)
        assert frame.recall(known, orphans=True)
        marked = Mark(storing.make_id("tasks", 3), "real", "a customer's", "Ada", NOW_MS)
        store.add_mark("happy-animal-123", marked)
        assert artifacts.search_hash(frame, RULES) != known
        assert not frame.recall(artifacts.search_hash(frame, RULES), orphans=True)


def test_a_snapshot_slipped_in_between_voids_what_later_ones_remembered(tmp_path: Path) -> None:
    path = store_of(tmp_path, 2, 1)
    storing.put(tmp_path, documents(random.Random(3)), at_ms=NOW_MS - HOUR_MS)
    with Store.write(path) as store:
        earlier, later = store.snapshots()
        remember(store, CollectResult(earlier, already_present=False), RULES)
    with Store.read(path) as store:
        frame = store.frame(later)
        assert not frame.recall(artifacts.search_hash(frame, RULES), orphans=True)
        assert store.frame(earlier).recall(artifacts.search_hash(frame, RULES), orphans=True)
