"""Identity, environment, audit log: checklist rows 14 and 15."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.deployment import Clock, Deployment
from tests.deployment_checks.client import Client, refusal

LIST = "/api/v1/list_environment_variables"
UPDATE = "/api/v1/update_environment_variables"
ROWS = "_system/cli/queryEnvironmentVariables"
EVENTS = "/api/v1/list_audit_log_events"
DAY_S, DAY_MS = 86_400, 86_400_000


@pytest.fixture
def self_hosted() -> Iterator[Deployment]:
    with Deployment(kind="selfHosted", name="convex-self-hosted") as running:
        yield running


def test_the_deployment_says_who_it_is_without_a_key(deployment: Deployment) -> None:
    def text(path: str) -> str:
        return httpx.get(deployment.url + path).text

    assert text("/instance_name") == "happy-animal-123"
    assert text("/version") == text("/instance_version") == "unknown"
    assert text("/").startswith("This Convex deployment is running.")
    assert httpx.post(deployment.url + "/echo", content=b"hi").content == b"hi"


@pytest.mark.parametrize("kind", ["prod", "dev", "preview", "custom"])
def test_deployment_info_tells_the_type_of_a_cloud_deployment(kind: str) -> None:
    with Deployment(kind=kind) as deployment, Client(deployment) as client:
        info = client.get("/api/v1/deployment_info").json()
        assert (info["kind"], info["deploymentType"]) == ("cloud", kind)
        assert deployment.admin_key.startswith(f"{kind}:happy-animal-123|")


def test_a_self_hosted_deployment(self_hosted: Deployment) -> None:
    name, _, secret = self_hosted.admin_key.partition("|")
    assert name == "convex-self-hosted"
    assert int(secret, 16)
    with Client(self_hosted) as client:
        assert client.get("/api/v1/deployment_info").json() == {"kind": "selfHosted"}
        assert refusal(client.get(EVENTS, params={"from": 0})) == (403, "AuditLogsDisabled")
        assert client.get("/api/test_streaming_export_connection").json() is None


# ---- environment -------------------------------------------------------------------------------------------------


def test_updating_variables_answers_nothing_and_listing_shows_them_sorted(client: Client) -> None:
    changes = [{"name": "B", "value": "2"}, {"name": "A", "value": "1"}, {"name": "UNKNOWN", "value": None}]
    response = client.post(UPDATE, json={"changes": changes})
    assert (response.status_code, response.content) == (200, b"")
    assert list(client.get(LIST).json()["environmentVariables"].items()) == [("A", "1"), ("B", "2")]
    client.post(UPDATE, json={"changes": [{"name": "A"}]})
    assert client.get("/api/list_environment_variables").json()["environmentVariables"] == {"B": "2"}


def test_the_creation_time_of_a_variable_is_when_it_was_last_set(deployment: Deployment, client: Client) -> None:
    deployment.set_env(A="1", B="1")
    before = {row["name"]: row for row in client.value(ROWS)}
    deployment.clock.advance_s(60)
    deployment.set_env(A="1")
    after = {row["name"]: row for row in client.value(ROWS)}
    assert after["A"]["_creationTime"] == deployment.clock.now_ms
    assert after["A"]["_id"] != before["A"]["_id"]
    assert after["B"] == before["B"]


def test_one_variable_by_name_and_those_that_are_built_in(deployment: Deployment, client: Client) -> None:
    deployment.set_env(A="1")
    assert client.value(f"{ROWS}:get", {"name": "A"}) == {"name": "A", "value": "1"}
    assert client.value(f"{ROWS}:get", {"name": "B"}) is None
    assert client.value(f"{ROWS}:get", {"name": "CONVEX_CLOUD_URL"})["value"] == deployment.url


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("1A", "x", "EnvironmentVariableNameInvalid"),
        ("A" * 257, "x", "EnvironmentVariableNameTooLong"),
        ("A", "x" * 8_193, "EnvironmentVariableValueTooLarge"),
    ],
)
def test_variables_that_are_too_much_change_nothing(client: Client, name: str, value: str, code: str) -> None:
    changes = [{"name": "OK", "value": "1"}, {"name": name, "value": value}]
    assert refusal(client.post(UPDATE, json={"changes": changes})) == (400, code)
    assert client.get(LIST).json()["environmentVariables"] == {}


def test_setting_a_variable_is_noted_without_its_value_even_if_it_is_the_same(
    deployment: Deployment, client: Client
) -> None:
    for value in ("secret", "secret", None):
        client.post(UPDATE, json={"changes": [{"name": "A", "value": value}]})
    rows = deployment.backend.audit.rows()
    assert [row["action"].partition("_")[0] for row in rows] == ["create", "update", "delete"]
    assert all(row["metadata"] == {"variable_name": "A"} for row in rows)


# ---- audit log ---------------------------------------------------------------------------------------------------


def test_events_come_page_by_page_oldest_first(deployment: Deployment, client: Client) -> None:
    start_ms = deployment.clock.now_ms
    for number in range(5):
        deployment.set_env(A=str(number))
    params: dict[str, Any] = {"from": start_ms, "limit": 2}
    items: list[dict[str, Any]] = []
    while True:
        page = client.get(EVENTS, params=params).json()
        items += page["items"]
        if not page["pagination"]["hasMore"]:
            break
        params["cursor"] = page["pagination"]["nextCursor"]
    assert len(items) == 5
    assert [item["createTime"] for item in items] == sorted(item["createTime"] for item in items)
    assert items[0]["actor"] == {"kind": "system"}
    assert refusal(client.get(EVENTS, params={"from": start_ms - 1, "cursor": params["cursor"]}))[0] == 400


def test_who_did_it_is_told_in_snake_case(deployment: Deployment, client: Client) -> None:
    client.post(UPDATE, json={"changes": [{"name": "A", "value": "1"}]}, headers={"User-Agent": "mytool/0.1"})
    (item,) = client.get(EVENTS, params={"from": deployment.clock.now_ms - 1}).json()["items"]
    assert item["actor"] == {"kind": "token", "member_id": 7, "token_id": 1, "client_id": None}
    assert item["clientUserAgent"] == "mytool/0.1"


@pytest.mark.parametrize("limit", [0, 101])
def test_limits_of_pages_of_events(client: Client, limit: int) -> None:
    now_ms = Clock().now_ms
    assert refusal(client.get(EVENTS, params={"from": now_ms, "limit": limit})) == (400, "LimitOutOfRange")


def test_too_old_and_not_in_the_plan(deployment: Deployment, client: Client) -> None:
    assert refusal(client.get(EVENTS, params={"from": 0})) == (403, "AuditLogsTooOld")
    deployment.settings.audit_retention_days = None
    assert refusal(client.get(EVENTS, params={"from": deployment.clock.now_ms})) == (403, "AuditLogsDisabled")


def test_self_hosted_shows_one_day_of_events_without_saying_so(self_hosted: Deployment) -> None:
    self_hosted.push(added=["a.js"])
    self_hosted.clock.advance_s(DAY_S + 60)
    self_hosted.set_env(A="1")
    with Client(self_hosted) as client:
        rows = client.value("_system/frontend/listDeploymentEventsFromTime", {"fromTimestamp": 0})
        assert [row["action"] for row in rows] == ["create_environment_variable"]
        pushed = client.value("_system/frontend/deploymentEvents:lastPushEvent")
        assert pushed["action"] == "push_config_with_components"
        assert pushed["metadata"]["component_diffs"][0]["component_diff"]["moduleDiff"]["added"] == ["a.js"]


def test_events_of_the_dashboard_are_filtered_and_newest_first(deployment: Deployment, client: Client) -> None:
    start_ms = deployment.clock.now_ms
    deployment.set_env(A="1")
    deployment.clock.advance_s(60)
    deployment.push()
    deployment.set_env(A="2")
    path = "_system/frontend/paginatedDeploymentEvents"
    opts = {"paginationOpts": {"numItems": 10, "cursor": None}}
    found = client.value(path, opts | {"filters": {"minDate": start_ms}})
    assert [row["action"] for row in found["page"]] == [
        "update_environment_variable",
        "push_config_with_components",
        "create_environment_variable",
    ]
    some = {"minDate": start_ms, "maxDate": start_ms + 30_000, "actions": ["create_environment_variable"]}
    assert len(client.value(path, opts | {"filters": some})["page"]) == 1


def test_dropping_and_clearing_tables_is_noted(deployment: Deployment, client: Client) -> None:
    deployment.insert("users", {})
    deployment.insert("tasks", {})
    client.post("/api/delete_tables", json={"tableNames": ["users"]})
    client.put("/api/streaming_import/clear_tables", json={"tableNames": ["tasks"]})
    assert deployment.at() == {("", "tasks"): {}}
    rows = deployment.backend.audit.rows()
    assert [(row["action"], row["metadata"].get("table_names")) for row in rows] == [
        ("delete_tables", ["users"]),
        ("clear_tables", None),
    ]
    assert deployment.create_table("users") == 10_003
