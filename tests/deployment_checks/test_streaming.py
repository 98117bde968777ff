"""Reading everything: list_snapshot and document_deltas (checklist row 6), and the data sync API."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.deployment import Deployment
from tests.deployment_checks.client import Client, refusal

Rows = dict[tuple[str, str], dict[str, dict[str, Any]]]  # by (component, table), by id
DAY_S = 86_400


def sync(client: Client, cursor: str | None = None, **more: Any) -> dict[str, Any]:
    response = client.post("/api/v1/data/sync", json=({"cursor": cursor} if cursor else {}) | more)
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


class Copy:
    """What a reader of the data sync API holds."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.rows: Rows = {}
        self.cursor: str | None = None
        self.status: dict[str, Any] = {}

    def step(self) -> None:
        page = sync(self.client, self.cursor)
        for table in page["truncates"]:
            self.rows[table["component"], table["table"]] = {}
        for entry in page["values"]:
            rows = self.rows.setdefault((entry["component"], entry["table"]), {})
            if entry["deleted"]:
                assert list(entry["value"]) == ["_id"]
                rows.pop(entry["value"]["_id"], None)
            else:
                rows[entry["value"]["_id"]] = entry["value"]
        assert page["pagination"]["hasMore"] is True
        self.cursor, self.status = page["pagination"]["nextCursor"], page["status"]

    def finish(self) -> None:
        for _ in range(500):
            self.step()
            if self.status["type"] == "upToDate":
                return
        raise AssertionError("never up to date")

    def documents(self) -> Rows:
        return {key: rows for key, rows in self.rows.items() if rows}


def truth(deployment: Deployment, ts: int | None = None) -> Rows:
    return {key: rows for key, rows in deployment.at(ts).items() if rows}


def snapshot_pages(client: Client, **params: Any) -> list[dict[str, Any]]:
    pages: list[dict[str, Any]] = []
    cursor: dict[str, Any] = {}
    while not pages or pages[-1]["hasMore"]:
        pages.append(client.get("/api/list_snapshot", params=params | cursor).json())
        cursor = {"cursor": pages[-1]["cursor"], "snapshot": pages[-1]["snapshot"]}
    return pages


def deltas(client: Client, cursor: int, **params: Any) -> list[dict[str, Any]]:
    pages: list[dict[str, Any]] = []
    while not pages or pages[-1]["hasMore"]:
        pages.append(client.get("/api/document_deltas", params=params | {"cursor": cursor}).json())
        cursor = pages[-1]["cursor"]
    return pages


# ---- list_snapshot -----------------------------------------------------------------------------------------------


def test_snapshot_pages_cover_one_table_each_in_order_of_id_and_may_be_empty(
    deployment: Deployment, client: Client
) -> None:
    deployment.settings.snapshot_rows = 2
    for table in ("users", "tasks"):
        deployment.insert_many(table, [{}] * 4)
    deployment.create_table("empty")
    deployment.insert("locks", {}, component="limits")
    pages = snapshot_pages(client)
    assert all(len({(row["_component"], row["_table"]) for row in page["values"]}) <= 1 for page in pages)
    assert any(not page["values"] and page["hasMore"] for page in pages)
    assert [page["cursor"] is None for page in pages] == [False] * (len(pages) - 1) + [True]
    users = [row["_id"] for page in pages for row in page["values"] if row["_table"] == "users"]
    assert users == sorted(deployment.documents("users"))
    assert sum(len(page["values"]) for page in pages) == 9


def test_timestamps_are_bare_integers_beyond_2_to_the_53(deployment: Deployment, client: Client) -> None:
    deployment.insert("users", {"n": 5.0})
    text = client.get("/api/list_snapshot").text
    page = json.loads(text)
    assert page["snapshot"] > 2**53
    assert f'"_ts":{page["values"][0]["_ts"]},' in text
    assert '"n":5.0' in text
    assert {"_component", "_table", "_ts", "_id", "_creationTime", "n"} == set(page["values"][0])


def test_a_snapshot_stays_as_it_was_while_documents_change(deployment: Deployment, client: Client) -> None:
    deployment.settings.snapshot_rows = 1
    deployment.insert_many("users", [{"n": 1.0}] * 3)
    first = client.get("/api/list_snapshot").json()
    for id_ in deployment.documents("users"):
        deployment.patch("users", id_, {"n": 2.0})
    deployment.insert("users", {"n": 2.0})
    pages = [first]
    while pages[-1]["hasMore"]:
        params = {"cursor": pages[-1]["cursor"], "snapshot": pages[-1]["snapshot"]}
        pages.append(client.post("/api/list_snapshot", json=params).json())
    assert [row["n"] for page in pages for row in page["values"]] == [1.0, 1.0, 1.0]


def test_snapshots_too_new_too_old_and_bad_cursors_are_refused(deployment: Deployment, client: Client) -> None:
    ts = deployment.now_ts()
    params: list[tuple[dict[str, int | str], str]] = [
        ({"snapshot": ts + 10**15}, "SnapshotTooNew"),
        ({"cursor": "junk"}, "InvalidListSnapshotCursor"),
    ]
    for wrong, code in params:
        assert refusal(client.get("/api/list_snapshot", params=wrong)) == (400, code)
    deployment.clock.advance_s(6 * DAY_S)
    assert refusal(client.get("/api/list_snapshot", params={"snapshot": ts})) == (400, "SnapshotTooOld")
    assert refusal(client.get("/api/list_snapshot", params={"snapshot": "soon"})) == (400, "BadQueryArgs")


# ---- document_deltas ---------------------------------------------------------------------------------------------


def test_deltas_need_a_cursor(client: Client) -> None:
    assert refusal(client.get("/api/document_deltas")) == (400, "DocumentDeltasCursorRequired")


def test_delta_pages_count_rows_of_system_tables_and_may_be_empty_with_more_to_come(
    deployment: Deployment, client: Client
) -> None:
    deployment.settings.delta_rows = 4
    start = deployment.now_ts()
    for number in range(6):
        deployment.set_env(FLAG=str(number))
    id_ = deployment.insert("users", {})
    deployment.clock.advance_s(60)
    pages = deltas(client, start)
    assert (pages[0]["values"], pages[0]["hasMore"]) == ([], True)
    assert [row["_id"] for page in pages for row in page["values"]] == [id_]
    assert pages[-1]["cursor"] == deployment.clock()


def test_a_delta_page_never_splits_a_transaction(deployment: Deployment, client: Client) -> None:
    deployment.settings.delta_rows = 2
    start = deployment.now_ts()
    deployment.insert_many("users", [{}] * 7)
    deployment.insert("users", {})
    pages = deltas(client, start)
    full = next(page for page in pages if page["values"])
    assert len({row["_ts"] for row in full["values"]}) == 1
    assert len(full["values"]) == 7


def test_a_tombstone_carries_the_id_alone(deployment: Deployment, client: Client) -> None:
    id_ = deployment.insert("users", {"name": "Ada"})
    start = deployment.now_ts()
    deployment.patch("users", id_, {"name": "Bea"})
    deployment.delete("users", id_)
    rows = [row for page in deltas(client, start) for row in page["values"]]
    assert [row["_deleted"] for row in rows] == [False, True]
    assert set(rows[1]) == {"_id", "_component", "_table", "_ts", "_deleted"}


@pytest.mark.parametrize("how", ["replace", "drop"])
def test_after_a_replacement_or_a_drop_there_are_no_tombstones(
    deployment: Deployment, client: Client, how: str
) -> None:
    deployment.insert_many("users", [{"n": 1.0}] * 3)
    start = deployment.now_ts()
    if how == "replace":
        deployment.replace_table("users", [{"n": 2.0}])
    else:
        deployment.drop_table("users")
    rows = [row for page in deltas(client, start) for row in page["values"]]
    assert [row["n"] for row in rows] == ([2.0] if how == "replace" else [])


def test_a_cursor_before_retention_is_refused(deployment: Deployment, client: Client) -> None:
    start = deployment.now_ts()
    deployment.clock.advance_s(15 * DAY_S)
    assert refusal(client.get("/api/document_deltas", params={"cursor": start}))[1] == "InvalidWindowToReadDocuments"


# ---- selection ---------------------------------------------------------------------------------------------------

USERS_NAMES = {"": {"users": {"name": "incl", "_id": "incl", "_other": "excl"}, "_other": "excl"}, "_other": "excluded"}


def test_a_selection_leaves_tables_and_columns_on_the_server(deployment: Deployment, client: Client) -> None:
    deployment.insert("users", {"name": "Ada", "email": "ada@example.org"})
    deployment.insert("tasks", {})
    deployment.insert("locks", {}, component="limits")
    page = client.post("/api/list_snapshot", json={"selection": USERS_NAMES}).json()
    assert [set(row) - {"_component", "_table", "_ts"} for row in page["values"]] == [{"_id", "name"}]
    assert [set(row["value"]) for row in sync(client, selection=USERS_NAMES)["values"]] == [{"_id", "name"}]
    short = snapshot_pages(client, tableName="tasks")
    assert [row["_table"] for page in short for row in page["values"]] == ["tasks"]
    inner = snapshot_pages(client, component="limits")
    assert [row["_table"] for page in inner for row in page["values"]] == ["locks"]


def test_a_server_may_misread_the_selection_and_send_everything(deployment: Deployment, client: Client) -> None:
    deployment.insert("tasks", {"title": "secret"})
    deployment.settings.ignores_selection = True
    assert sync(client, selection=USERS_NAMES)["values"][0]["value"]["title"] == "secret"


NO_IDS = {"": {"users": {"_id": "excl", "_other": "incl"}, "_other": "incl"}, "_other": "incl"}


@pytest.mark.parametrize("wrong", [{"": "included"}, {"_other": "maybe"}, NO_IDS])
def test_a_bad_selection_is_refused(client: Client, wrong: Any) -> None:
    assert refusal(client.post("/api/v1/data/sync", json={"selection": wrong})) == (400, "InvalidDataSyncSelection")


# ---- plan, shapes ------------------------------------------------------------------------------------------------


def test_without_the_plan_streaming_export_is_refused_and_with_it_the_preflight_says_null(
    deployment: Deployment, client: Client
) -> None:
    assert client.get("/api/test_streaming_export_connection").json() is None
    deployment.settings.has_streaming_export = False
    for response in (
        client.get("/api/test_streaming_export_connection"),
        client.get("/api/list_snapshot"),
        client.post("/api/v1/data/sync", json={}),
    ):
        assert refusal(response) == (403, "StreamingExportNotEnabled")


def test_schemas_and_column_names_are_inferred_from_documents(deployment: Deployment, client: Client) -> None:
    deployment.insert_many("users", [{"name": "Ada", "age": 5.0}, {"name": None}])
    schema = client.get("/api/json_schemas", params={"deltaSchema": "true", "format": "json"}).json()["users"]
    assert schema["properties"]["name"] == {"anyOf": [{"type": "null"}, {"type": "string"}]}
    assert schema["properties"]["_ts"] == {"type": "integer"}
    assert "users" in client.get("/api/json_schemas", params={"byComponent": "true"}).json()[""]
    found = client.get("/api/get_table_column_names").json()["byComponent"][""]
    assert found == [{"name": "users", "columns": ["_creationTime", "_id", "age", "name"]}]
    assert client.get("/api/shapes2").json()["users"]["type"] == "Object"


# ---- data sync ---------------------------------------------------------------------------------------------------


def test_a_sync_ends_up_to_date_and_goes_on_with_changes_alone(deployment: Deployment, client: Client) -> None:
    deployment.settings.sync_rows = 2
    made = deployment.insert_many("users", [{"n": 1.0}] * 5)
    copy = Copy(client)
    copy.step()
    assert copy.status == {"type": "snapshotting"}
    copy.finish()
    assert copy.documents() == truth(deployment)
    assert copy.status["snapshotTs"] == deployment.now_ts()
    deployment.patch("users", made[0], {"n": 2.0})
    deployment.delete("users", made[1])
    page = sync(client, copy.cursor)
    assert [(entry["value"]["_id"], entry["deleted"]) for entry in page["values"]] == [
        (made[0], False),
        (made[1], True),
    ]
    assert page["truncates"] == []
    copy.finish()
    assert copy.documents() == truth(deployment)


def test_a_sync_that_is_behind_says_stale_at_a_consistent_time(deployment: Deployment, client: Client) -> None:
    copy = Copy(client)
    deployment.insert("users", {"n": 0.0})
    copy.finish()
    deployment.settings.sync_rows = 1
    for number in range(3):
        deployment.insert("users", {"n": float(number)})
    copy.step()
    assert copy.status["type"] == "stale"
    assert copy.documents() == truth(deployment, copy.status["snapshotTs"])


def test_an_idle_sync_moves_on_with_the_clock(deployment: Deployment, client: Client) -> None:
    deployment.insert("users", {})
    copy = Copy(client)
    copy.finish()
    deployment.clock.advance_s(60)
    copy.step()
    assert copy.status == {"type": "upToDate", "snapshotTs": deployment.clock()}


def test_a_sync_never_splits_a_transaction(deployment: Deployment, client: Client) -> None:
    deployment.insert("users", {})
    copy = Copy(client)
    copy.finish()
    deployment.settings.sync_rows = 1
    deployment.insert_many("users", [{}] * 3)
    deployment.insert("users", {})
    copy.step()
    assert copy.status["type"] == "stale"
    assert len(copy.documents()["", "users"]) == 4


def test_a_replaced_table_is_truncated_and_copied_again(deployment: Deployment, client: Client) -> None:
    deployment.insert_many("users", [{"n": 1.0}] * 3)
    copy = Copy(client)
    copy.finish()
    deployment.replace_table("users", [{"n": 2.0}])
    page = sync(client, copy.cursor)
    assert page["truncates"] == [{"component": "", "table": "users"}]
    assert [entry["value"]["n"] for entry in page["values"]] == [2.0]


@pytest.mark.parametrize("tells", [False, True])
def test_a_dropped_table_is_truncated_only_if_the_server_tells(
    deployment: Deployment, client: Client, tells: bool
) -> None:
    deployment.settings.tells_drops = tells
    deployment.insert("users", {})
    copy = Copy(client)
    copy.finish()
    deployment.drop_table("users")
    assert [table["table"] for table in sync(client, copy.cursor)["truncates"]] == (["users"] if tells else [])
    assert "users" not in client.value("_system/frontend/getTableMapping").values()


def test_cursors_are_opaque_expire_and_cannot_be_made_up(deployment: Deployment, client: Client) -> None:
    deployment.insert("users", {})
    copy = Copy(client)
    copy.finish()
    for wrong in ("junk", "anVuaw==", (copy.cursor or "")[:-4] + "AAA="):
        assert refusal(client.post("/api/v1/data/sync", json={"cursor": wrong})) == (400, "InvalidDataSyncCursor")
    deployment.expire_cursors()
    expired = client.post("/api/v1/data/sync", json={"cursor": copy.cursor})
    assert refusal(expired) == (400, "DataSyncCursorExpired")
    copy = Copy(client)
    copy.finish()
    deployment.clock.advance_s(15 * DAY_S)
    assert refusal(client.post("/api/v1/data/sync", json={"cursor": copy.cursor}))[1] == "DataSyncCursorExpired"


def test_changing_the_selection_copies_new_tables_and_truncates_those_that_leave(
    deployment: Deployment, client: Client
) -> None:
    deployment.insert("users", {})
    deployment.insert("tasks", {})
    only: Callable[[str], Any] = lambda table: {"": {table: "incl", "_other": "excl"}, "_other": "excl"}  # noqa: E731
    first = sync(client, selection=only("users"))
    second = sync(client, first["pagination"]["nextCursor"], selection=only("tasks"))
    assert {table["table"] for table in second["truncates"]} == {"users", "tasks"}
    assert [entry["table"] for entry in second["values"]] == ["tasks"]


def test_a_sync_is_noted_and_listed(deployment: Deployment, client: Client) -> None:
    deployment.insert("users", {})
    page = sync(client)
    assert deployment.backend.audit.rows()[-1]["action"] == "create_data_sync"
    listed = client.get("/api/v1/data/list_active_syncs").json()["syncs"]
    assert [(entry["syncId"], entry["status"]["type"]) for entry in listed] == [(page["syncId"], "upToDate")]
    deployment.clock.advance_s(4 * DAY_S)
    assert client.get("/api/v1/data/list_active_syncs").json()["syncs"] == []


def test_a_sync_can_go_on_from_a_cursor_of_deltas(deployment: Deployment, client: Client) -> None:
    deployment.insert("users", {})
    start = deployment.now_ts()
    later = deployment.insert("users", {})
    cursor = client.post("/api/data_sync_cursor_from_deltas", json={"cursor": start}).json()["cursor"]
    assert [entry["value"]["_id"] for entry in sync(client, cursor)["values"]] == [later]


def test_sync_values_are_lossless(deployment: Deployment, client: Client) -> None:
    deployment.insert("users", {"big": 2**62, "whole": 3.0, "raw": b"x"})
    text = client.post("/api/v1/data/sync", json={}).text
    assert '"big":4611686018427387904' in text
    assert '"whole":3.0' in text
    assert '{"$bytes":"eA=="}' in text


ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(["insert", "patch", "delete", "replace", "drop", "env", "step"]),
        st.sampled_from(["users", "tasks"]),
        st.integers(0, 5),
    ),
    max_size=25,
)


@settings(max_examples=30)
@given(actions=ACTIONS, rows=st.integers(1, 4))
def test_any_writes_between_pages_end_in_the_same_documents(actions: list[tuple[str, str, int]], rows: int) -> None:
    with (
        Deployment(sync_rows=rows, sync_rows_read=2 * rows, tells_drops=True) as deployment,
        Client(deployment) as client,
    ):
        copy = Copy(client)
        for action, table, number in actions:
            perform(deployment, copy, action, table, number)
            if copy.status.get("type") in ("stale", "upToDate"):
                assert action != "step" or copy.documents() == truth(deployment, copy.status["snapshotTs"])
        copy.finish()
        assert copy.documents() == truth(deployment)


def perform(deployment: Deployment, copy: Copy, action: str, table: str, number: int) -> None:
    there = sorted(deployment.documents(table))
    if action == "insert":
        deployment.insert_many(table, [{"n": float(number)}] * (1 + number % 3))
    elif action == "patch" and there:
        deployment.patch(table, there[number % len(there)], {"n": float(number)})
    elif action == "delete" and there:
        deployment.delete(table, there[number % len(there)])
    elif action == "replace":
        deployment.replace_table(table, [{"n": 9.0}] * number)
    elif action == "drop" and ("", table) in deployment.at():
        deployment.drop_table(table)
    elif action == "env":
        deployment.set_env(FLAG=str(number))
    elif action == "step":
        copy.step()
