"""The queries of artifacts by themselves: columns as their headers say, and rows for small given tables."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from analyzer import rules, sql
from analyzer.analysis import artifacts as finding
from analyzer.store import Frame, Store
from tests import storing
from tests.analysis.leftovers import helper_task, helper_user, make_id, message, prompt, task, trace

NAMES = [name for name in sql.names() if name.startswith("artifacts/")]
TABLES = ["chatMessages", "workflowTraces", "agentTools"]
PARAMS: dict[str, dict[str, Any]] = {
    "artifacts/artifact": {"rules": ["helper-task"], "reasons": ["x"]},
    "artifacts/belongings": {"id": make_id("tasks", 2)},
    "artifacts/evidence": {"id": None},
    "artifacts/internal_document": {
        "emails": ["workflow-test@test.local"],
        "users": [],
        "names": [],
        "repos": [],
        "task_tables": TABLES,
        "message_tables": TABLES,
        "real_ids": [],
    },
    "artifacts/is_internal": {"id": "x"},
    "artifacts/list": {"tiers": ["certain", "orphan"], "limit": 5},
    "artifacts/marked_evidence": {"test_ids": ["x"]},
    "artifacts/message_evidence": {"tables": TABLES, "real_ids": []},
    "artifacts/orphan_evidence": {"wanted": True, "tables": TABLES, "real_ids": []},
    "artifacts/owned_evidence": {"tables": TABLES, "real_ids": []},
    "artifacts/places": {"id": make_id("tasks", 2)},
    "artifacts/task_evidence": {"real_ids": []},
    "artifacts/with_rule": {"rule": "r", "tier_rank": 1, "is_gone": False, "real_ids": []},
}


@pytest.fixture(scope="module")
def frame(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Frame]:
    documents = {
        "users": [helper_user(2)],
        "tasks": [task(1), helper_task(2)],
        "chatMessages": [message(1, 2), prompt(2, 1), message(3, 9), message(4, 1)],
        "workflowTraces": [trace(1, 2)],
        "agentTools": [
            storing.document("agentTools", 1, messageId=make_id("chatMessages", 2), taskId=make_id("tasks", 2))
        ],
    }
    path: Path = storing.put(tmp_path_factory.mktemp("queries"), documents)
    with Store.read(path) as store:
        found = store.frame(store.snapshot())
        finding.prepare(found, rules.load_all(), orphans=True)
        yield found


@pytest.mark.parametrize("name", NAMES)
def test_a_query_returns_the_columns_of_its_header(frame: Frame, name: str) -> None:
    result = frame._run(name, PARAMS.get(name, {}))
    found = [(column[0], str(column[1])) for column in result.description or ()]
    assert found == [(column.name, column.type) for column in sql.load(name).returns]


@pytest.mark.parametrize("name", NAMES)
def test_a_query_gives_the_same_rows_in_the_same_order_again(frame: Frame, name: str) -> None:
    params = PARAMS.get(name, {})
    assert frame.rows(name, **params) == frame.rows(name, **params)


def test_belongings_count_what_names_a_document(frame: Frame) -> None:
    assert frame.rows("artifacts/belongings", id=make_id("tasks", 2)) == [
        ("agentTools", 1),
        ("chatMessages", 1),
        ("workflowTraces", 1),
    ]
    assert frame.rows("artifacts/belongings", id="nobody") == []


def test_places_tell_what_is_there(frame: Frame) -> None:
    assert frame.rows("artifacts/places", id=make_id("tasks", 2)) == [("", "tasks", True)]
    assert frame.rows("artifacts/places", id="nobody") == []


def test_tiers_count_documents_by_table(frame: Frame) -> None:
    assert frame.rows("artifacts/tiers") == [
        ("certain", "", "agentTools", 1),
        ("certain", "", "chatMessages", 2),
        ("certain", "", "tasks", 1),
        ("certain", "", "users", 1),
        ("certain", "", "workflowTraces", 1),
        ("orphan", "", "chatMessages", 1),
    ]


def test_the_list_keeps_to_its_limit_and_its_tiers(frame: Frame) -> None:
    assert [row[3] for row in frame.rows("artifacts/list", tiers=["orphan"], limit=9)] == ["orphan"]
    assert len(frame.rows("artifacts/list", tiers=["certain"], limit=2)) == 2
    assert frame.rows("artifacts/list", tiers=["certain"], limit=0) == []


def test_orphans_are_not_looked_for_unless_wanted(frame: Frame) -> None:
    params = PARAMS["artifacts/orphan_evidence"]
    assert len(frame.rows("artifacts/orphan_evidence", **params)) == 1
    assert frame.rows("artifacts/orphan_evidence", **(params | {"wanted": False})) == []
    assert frame.rows("artifacts/orphan_evidence", **(params | {"real_ids": [make_id("tasks", 9)]})) == []
    assert frame.rows("artifacts/orphan_evidence", **(params | {"tables": ["todos"]})) == []


def test_what_belongs_to_task_and_message_of_one_tier_is_counted_once(frame: Frame) -> None:
    assert frame.rows("artifacts/message_evidence", tables=TABLES, real_ids=[]) == []
