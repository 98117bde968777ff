"""Reading and writing tables without streaming export: checklist rows 7, 8, 10 and 17."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from analyzer.convex import ids
from tests.deployment import UNSET, Deployment
from tests.deployment.system_writes import UNDEFINED
from tests.deployment_checks.client import Client

FRONTEND = "_system/frontend"
DELETE = f"{FRONTEND}/deleteDocuments"


def page(client: Client, table: str, items: int, cursor: str | None = None, **more: Any) -> dict[str, Any]:
    opts = {"numItems": items, "cursor": cursor}
    args = {"table": table, "order": "asc", "paginationOpts": opts}
    found: dict[str, Any] = client.value("_system/cli/tableData", args | more)
    return found


def entries(table: str, *found: str) -> dict[str, Any]:
    return {"toDelete": [{"id": id_, "tableName": table} for id_ in found]}


def test_user_tables_start_at_10001_in_every_component_and_ids_carry_the_number(
    deployment: Deployment, client: Client
) -> None:
    first = deployment.insert("users", {"name": "Ada"})
    second = deployment.insert("tasks", {})
    inner = deployment.insert("locks", {}, component="limits/inner")
    assert [ids.decode(id_).table_number for id_ in (first, second, inner)] == [10_001, 10_002, 10_001]
    mapping = client.value(f"{FRONTEND}/getTableMapping")
    assert {"10001": "users", "10002": "tasks"}.items() <= mapping.items()
    assert {"_scheduled_jobs", "_file_storage"} <= set(mapping.values())
    listed = client.value(f"{FRONTEND}/components:list")
    assert [component["path"] for component in listed] == ["", "limits", "limits/inner"]
    where = {"componentId": listed[2]["id"]}
    assert client.value(f"{FRONTEND}/getTableMapping", where)["10001"] == "locks"
    assert client.value(f"{FRONTEND}/getById", where | {"id": inner})["_id"] == inner
    assert client.value(f"{FRONTEND}/getById", {"id": inner}) is None


def test_components_by_path_and_unknown_ones(deployment: Deployment, client: Client) -> None:
    deployment.insert("locks", {}, component="limits")
    opts = {"table": "locks", "order": "asc", "paginationOpts": {"numItems": 5, "cursor": None}}
    found = client.value("_system/cli/tableData", opts, endpoint="function", componentPath="limits")
    assert len(found["page"]) == 1
    body = {"path": "_system/cli/tableData", "args": opts, "componentPath": "nowhere"}
    response = client.post("/api/function", json=body)
    assert (response.status_code, response.json()["code"]) == (400, "ComponentPathNotFound")


def test_pages_come_in_order_of_creation_and_may_be_short_or_empty(deployment: Deployment, client: Client) -> None:
    made = deployment.insert_many("users", [{"n": float(n)} for n in range(4)])
    first = page(client, "users", 2)
    second = page(client, "users", 2, first["continueCursor"])
    third = page(client, "users", 2, second["continueCursor"])
    assert [doc["_id"] for doc in first["page"] + second["page"]] == made
    assert [found["isDone"] for found in (first, second, third)] == [False, False, True]
    assert third["page"] == []
    deployment.settings.table_bytes = 1
    short = page(client, "users", 10)
    assert (len(short["page"]), short["isDone"], short["pageStatus"]) == (1, False, "SplitRecommended")
    backwards = page(client, "users", 10, order="desc")
    assert backwards["page"][0]["_id"] == made[-1]


def test_an_unknown_table_is_an_empty_finished_page(client: Client) -> None:
    found = page(client, "nowhere", 10)
    assert (found["page"], found["isDone"]) == ([], True)


def test_a_cursor_of_another_query_is_refused(deployment: Deployment, client: Client) -> None:
    deployment.insert_many("users", [{}] * 3)
    cursor = page(client, "users", 1)["continueCursor"]
    for table, order in (("tasks", "asc"), ("users", "desc")):
        args = {"table": table, "order": order, "paginationOpts": {"numItems": 1, "cursor": cursor}}
        answer = client.call("_system/cli/tableData", args)
        assert answer["errorData"] == {"isConvexSystemError": True, "paginationError": "InvalidCursor"}


def test_pages_at_one_timestamp_see_nothing_that_comes_later(deployment: Deployment, client: Client) -> None:
    deployment.insert_many("users", [{"n": 1.0}] * 3)
    ts = client.post("/api/query_ts").json()["ts"]
    first = page(client, "users", 2)
    deployment.delete("users")
    args = {"table": "users", "order": "asc", "paginationOpts": {"numItems": 9, "cursor": first["continueCursor"]}}
    rest = client.value("_system/cli/tableData", args, endpoint="query_at_ts", ts=ts)
    assert len(rest["page"]) == 1
    assert client.value("_system/cli/tableSize", {"tableName": "users"}) == 0


def test_private_system_tables_cannot_be_read(client: Client) -> None:
    args = {"order": "asc", "paginationOpts": {"numItems": 9, "cursor": None}}
    assert "cannot be read" in client.error("_system/cli/tableData", args | {"table": "_environment_variables"})
    assert client.value("_system/cli/tableData", args | {"table": "_storage"})["page"] == []


@pytest.mark.parametrize(
    ("clauses", "wanted"),
    [
        ([{"op": "eq", "field": "name", "value": "b"}], ["b"]),
        ([{"op": "neq", "field": "name", "value": "b"}], ["c", "a"]),
        ([{"op": "gte", "field": "n", "value": 2}], ["c", "b"]),
        ([{"op": "anyOf", "field": "name", "value": ["a", "c"]}], ["c", "a"]),
        ([{"op": "noneOf", "field": "name", "value": ["a", "c"]}], ["b"]),
        ([{"op": "anyOf", "field": "name", "value": []}], ["c", "b", "a"]),
        ([{"op": "type", "field": "n", "value": "unset"}], ["a"]),
        ([{"op": "notype", "field": "n", "value": "unset"}], ["c", "b"]),
        ([{"op": "eq", "field": "name", "value": "b", "enabled": False}], ["c", "b", "a"]),
        ([{"op": "gt", "field": "n", "value": 1}, {"op": "lt", "field": "n", "value": 3}], ["b"]),
    ],
)
def test_filters_of_the_dashboard(
    deployment: Deployment, client: Client, clauses: list[dict[str, Any]], wanted: list[str]
) -> None:
    deployment.insert_many("users", [{"name": "a"}, {"name": "b", "n": 2.0}, {"name": "c", "n": 3.0}])
    filters = base64.b64encode(json.dumps({"clauses": clauses}).encode()).decode()
    opts = {"numItems": 10, "cursor": None}
    found = client.value(
        f"{FRONTEND}/paginatedTableDocuments", {"paginationOpts": opts, "table": "users", "filters": filters}
    )
    assert [doc["name"] for doc in found["page"]] == wanted


def test_a_filter_with_a_value_that_is_none_gives_a_page_of_errors(deployment: Deployment, client: Client) -> None:
    id_ = deployment.insert("users", {})
    args: dict[str, Any] = {"paginationOpts": {"numItems": 10, "cursor": None}, "table": "users"}
    for value, wanted in (({"$odd": 1}, "error"), (id_, "_id")):
        clause = {"op": "eq", "field": "_id", "value": value}
        args["filters"] = base64.b64encode(json.dumps({"clauses": [clause]}).encode()).decode()
        found = client.value(f"{FRONTEND}/paginatedTableDocuments", args)
        assert wanted in found["page"][0]
        assert found["isDone"] is True


def test_list_by_id_gives_null_for_what_is_not_there_and_for_ids_of_other_tables(
    deployment: Deployment, client: Client
) -> None:
    there, gone = deployment.insert_many("users", [{"n": 1.0}, {"n": 2.0}])
    deployment.delete("users", gone)
    wanted = [(there, "users"), (gone, "users"), (there, "tasks"), ("nonsense", "users")]
    args = {"ids": [{"id": id_, "tableName": table} for id_, table in wanted]}
    found = client.value(f"{FRONTEND}/listById", args)
    assert [document and document["_id"] for document in found] == [there, None, None, None]


# ---- deleting and writing ----------------------------------------------------------------------------------------


def test_deleting_more_than_the_limit_is_a_success_that_says_no(deployment: Deployment, client: Client) -> None:
    made = deployment.insert_many("users", [{}] * 4_097)
    answer = client.call(DELETE, entries("users", *made), endpoint="mutation")
    assert answer["status"] == "success"
    assert answer["value"]["success"] is False
    assert "You can't delete more than 4096" in answer["value"]["error"]
    assert len(deployment.documents("users")) == 4_097
    assert client.mutate(DELETE, entries("users", *made[:4_096])) == {"success": True}


@pytest.mark.parametrize("case", ["gone", "twice"])
def test_one_missing_or_doubled_id_undoes_the_whole_batch(deployment: Deployment, client: Client, case: str) -> None:
    first, second = deployment.insert_many("users", [{}, {}])
    third = first if case == "twice" else deployment.insert("users", {})
    if case == "gone":
        deployment.delete("users", third)
    message = client.error(DELETE, entries("users", first, second, third), endpoint="mutation")
    assert f"Delete on nonexistent document ID {third}" in message
    assert set(deployment.documents("users")) == {first, second}
    assert all(row["action"] != "delete_documents" for row in deployment.backend.audit.rows())


def test_the_table_name_of_a_delete_is_not_checked_and_only_noted(deployment: Deployment, client: Client) -> None:
    task = deployment.insert("tasks", {})
    client.mutate(DELETE, entries("users", task))
    assert deployment.documents("tasks") == {}
    row = deployment.backend.audit.rows()[-1]
    assert (row["action"], row["metadata"]["table"], row["metadata"]["document_ids"]) == (
        "delete_documents",
        "users",
        [task],
    )


def test_rows_of_system_tables_are_not_protected(deployment: Deployment, client: Client) -> None:
    deployment.set_env(ENABLE_WORKFLOW="true")
    row = client.value("_system/cli/queryEnvironmentVariables")[0]
    client.mutate(DELETE, entries("users", row["_id"]))
    assert client.value("_system/cli/queryEnvironmentVariables") == []


def test_add_document_tells_no_ids_and_ignores_those_it_is_given(deployment: Deployment, client: Client) -> None:
    old = deployment.insert("users", {"name": "Ada"})
    deployment.delete("users", old)
    document = {"_id": old, "_creationTime": 1.0, "name": "Ada"}
    answer = client.mutate(f"{FRONTEND}/addDocument", {"table": "users", "documents": [document]})
    assert answer == {"success": True}
    (found,) = deployment.documents("users").values()
    assert found["_id"] != old
    assert found["_creationTime"] != 1.0
    assert deployment.backend.audit.rows()[-1]["metadata"]["document_ids"] == [found["_id"]]


def test_patching_unsets_by_a_placeholder_and_without_ids_patches_everything(
    deployment: Deployment, client: Client
) -> None:
    first, second = deployment.insert_many("users", [{"a": 1.0, "b": 1.0}, {"a": 1.0}])
    path = f"{FRONTEND}/patchDocumentsFields"
    client.mutate(path, {"table": "users", "fields": {"a": UNDEFINED, "c": 3}, "ids": [first]})
    assert {k: v for k, v in deployment.documents("users")[first].items() if k[0] != "_"} == {"b": 1.0, "c": 3.0}
    client.mutate(path, {"table": "users", "fields": {"d": 4}})
    assert [document["d"] for document in deployment.documents("users").values()] == [4.0, 4.0]
    deployment.delete("users", second)
    assert "null" in client.error(path, {"table": "users", "fields": {}, "ids": [second]}, endpoint="mutation")


def test_replacing_keeps_id_and_creation_time(deployment: Deployment, client: Client) -> None:
    id_ = deployment.insert("users", {"name": "Ada"})
    before = deployment.documents("users")[id_]
    path = f"{FRONTEND}/replaceDocument"
    assert client.mutate(path, {"id": id_, "document": {"name": "Bea"}})["success"] is True
    assert deployment.documents("users")[id_] == before | {"name": "Bea"}
    deployment.delete("users", id_)
    assert client.mutate(path, {"id": id_, "document": {}})["success"] is False


def test_clearing_a_table_goes_page_by_page_from_the_oldest(deployment: Deployment, client: Client) -> None:
    deployment.settings.clear_rows = 2
    made = deployment.insert_many("users", [{}] * 3)
    args: dict[str, Any] = {"tableName": "users", "cursor": None}
    first = client.mutate(f"{FRONTEND}/clearTablePage", args)
    assert (first["deleted"], first["hasMore"], set(deployment.documents("users"))) == (2, True, {made[2]})
    second = client.mutate(f"{FRONTEND}/clearTablePage", args | {"cursor": first["continueCursor"]})
    assert (second["deleted"], second["hasMore"]) == (1, False)


def test_writes_are_all_or_nothing_and_share_a_timestamp(deployment: Deployment, client: Client) -> None:
    made = deployment.insert_many("users", [{}, {}])
    client.mutate(DELETE, entries("users", *made))
    ts = {change.ts for change in deployment.history if change.document is None}
    assert len(ts) == 1
    assert set(deployment.at(ts.pop() - 1)["", "users"]) == set(made)


def test_documents_of_the_past_can_be_read_from_the_history(deployment: Deployment) -> None:
    id_ = deployment.insert("users", {"name": "Ada", "age": 1.0})
    before = deployment.now_ts()
    deployment.patch("users", id_, {"name": "Bea", "age": UNSET})
    assert deployment.documents("users", ts=before)[id_]["name"] == "Ada"
    assert "age" not in deployment.documents("users")[id_]
    assert [change.document and change.document["name"] for change in deployment.history] == ["Ada", "Bea"]
