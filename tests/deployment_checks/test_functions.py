"""Calling functions: checklist rows 1, 2, 3, 4, 5, 16 and 18."""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.deployment import Deployment, FunctionError, Limits
from tests.deployment.functions import Call
from tests.deployment_checks.client import Client, refusal

HEALTH = "monitoring/dashboard:getSystemHealth"
FLAGS = "monitoring/dashboard:getFeatureFlags"


def throw(message: str, *data: object) -> Callable[[Call, dict[str, Any]], Any]:
    def handler(call: Call, args: dict[str, Any]) -> Any:
        call.log("before it broke")
        raise FunctionError(message, *data)

    return handler


def test_a_function_that_throws_is_http_200_with_status_error(deployment: Deployment, client: Client) -> None:
    deployment.functions.query("x:boom")(throw("boom"))
    answer = client.call("x:boom")
    assert answer["status"] == "error"
    assert answer["errorMessage"].startswith("[Request ID: ")
    assert "Uncaught Error: boom" in answer["errorMessage"]
    assert answer["logLines"] == ["[LOG] 'before it broke'"]
    assert "errorData" not in answer


def test_error_data_comes_with_a_convex_error_only_even_if_it_is_null(deployment: Deployment, client: Client) -> None:
    deployment.functions.query("x:typed")(throw("typed", {"code": 5.0}))
    deployment.functions.query("x:null")(throw("null", None))
    assert client.call("x:typed")["errorData"] == {"code": 5.0}
    assert client.call("x:null")["errorData"] is None


def test_a_function_error_may_come_with_560(deployment: Deployment, client: Client) -> None:
    deployment.settings.function_error_status = 560
    response = client.post("/api/query", json={"path": "no:no", "args": {}})
    assert (response.status_code, response.json()["status"]) == (560, "error")


def test_redaction_drops_texts_and_log_lines_but_not_error_data(deployment: Deployment, client: Client) -> None:
    deployment.functions.query("x:typed")(throw("secret", "kept"))
    deployment.settings.is_redacting = True
    answer = client.call("x:typed")
    assert "secret" not in str(answer)
    assert "logLines" not in answer
    assert answer["errorData"] == "kept"


def test_log_lines_are_absent_when_there_are_none(client: Client) -> None:
    assert "logLines" not in client.call(FLAGS)


def test_refusals_around_a_function_carry_code_and_message(client: Client) -> None:
    response = client.post("/api/query", json={"path": "../x.ts:y", "args": {}})
    assert refusal(response) == (400, "BadConvexFunctionIdentifier")
    assert set(response.json()) == {"code", "message"}


@pytest.mark.parametrize(
    ("headers", "content"),
    [
        ({}, b'{"path":"a:b","args":{}}'),
        ({"Content-Type": "text/plain"}, b'{"path":"a:b","args":{}}'),
        ({"Content-Type": "application/json"}, b"{"),
        ({"Content-Type": "application/json"}, b'{"path":"a:b"}'),
        ({"Content-Type": "application/json"}, b"[]"),
    ],
)
def test_a_body_that_cannot_be_read_is_400(client: Client, headers: dict[str, str], content: bytes) -> None:
    assert refusal(client.post("/api/query", content=content, headers=headers)) == (400, "BadJsonBody")


def test_a_json_suffix_is_a_content_type_of_json(client: Client) -> None:
    headers = {"Content-Type": "application/vnd.own+json; charset=utf-8"}
    body = b'{"path":"monitoring/dashboard:getFeatureFlags","args":{}}'
    assert client.post("/api/query", content=body, headers=headers).json()["status"] == "success"


def test_unknown_paths_are_404_and_wrong_verbs_405_both_empty(client: Client) -> None:
    for response, status in ((client.get("/api/nothing"), 404), (client.get("/api/mutation"), 405)):
        assert (response.status_code, response.content) == (status, b"")


def test_a_path_that_this_version_lacks_is_an_empty_404(deployment: Deployment, client: Client) -> None:
    deployment.settings.absent.add("/api/v1/data/sync")
    assert refusal(client.post("/api/v1/data/sync", json={})) == (404, "")


def test_no_key_a_bad_key_a_foreign_key_and_a_weak_key_are_refused_differently(deployment: Deployment) -> None:
    path = "/api/v1/list_environment_variables"
    weak = deployment.key_without("ViewEnvironmentVariables")
    expected = {
        None: (403, "BadDeployKey"),
        "dev:happy-animal-123|nonsense": (401, "BadAdminKey"),
        deployment.foreign_key(): (401, "BadAdminKey"),
        weak: (403, "OperationNotPermitted"),
    }
    for key, wanted in expected.items():
        with Client(deployment, key) as client:
            response = client.get(path)
            assert refusal(response) == wanted
    assert "deployment:environmentVariables:view" in response.json()["message"]


def test_a_weak_key_fails_a_built_in_function_by_status_or_inside_it(deployment: Deployment) -> None:
    with Client(deployment, deployment.key_without("WriteData")) as client:
        path = "_system/frontend/deleteDocuments"
        args: dict[str, Any] = {"toDelete": []}
        assert refusal(client.post("/api/mutation", json={"path": path, "args": args})) == (
            403,
            "OperationNotPermitted",
        )
        deployment.settings.denies_in_function = True
        assert "You do not have permission" in client.error(path, args, endpoint="mutation")


def test_what_stands_before_the_bar_of_a_key_does_not_count(deployment: Deployment) -> None:
    secret = deployment.admin_key.rpartition("|")[2]
    for key in (f"prod:happy-animal-123|{secret}", f"happy-animal-123|{secret}", f"project:team:project|{secret}"):
        with Client(deployment, key) as client:
            assert client.get("/api/check_admin_key").json()["success"] is True


def test_a_deploy_key_sent_as_bearer_fails(deployment: Deployment) -> None:
    headers = {"Authorization": f"Bearer {deployment.admin_key}"}
    assert refusal(httpx.get(deployment.url + "/api/check_admin_key", headers=headers)) == (401, "InvalidAuthHeader")


def test_other_forms_of_a_key(deployment: Deployment) -> None:
    url = deployment.url + "/api/check_admin_key"
    assert httpx.get(url, params={"adminKey": deployment.admin_key}).status_code == 200
    assert httpx.get(url, headers={"Authorization": f"cOnVeX {deployment.admin_key}"}).status_code == 200
    acting_as = base64.b64encode(b'{"subject":"someone"}').decode()
    assert httpx.get(url, headers={"Authorization": f"Convex {deployment.admin_key}:{acting_as}"}).status_code == 200
    assert refusal(httpx.get(url, headers={"Authorization": "Short"})) == (400, "InvalidHeaderFailure")
    assert refusal(httpx.get(url, headers={"Authorization": "Basic aGVsbG8="})) == (400, "InvalidAdminKey")


def test_check_admin_key_tells_what_a_key_may_do(deployment: Deployment, client: Client) -> None:
    with Client(deployment, deployment.read_key) as reader:
        answer = reader.get("/api/check_admin_key").json()
    assert answer["isReadOnly"] is True
    assert {"ViewData", "ViewAuditLog"} <= set(answer["allowedOps"])
    assert not {"WriteData", "CreateBackups", "ImportBackups"} & set(answer["allowedOps"])
    assert "WriteData" in client.get("/api/check_admin_key").json()["allowedOps"]
    deployment.settings.empty_ops_mean_all = True
    assert client.get("/api/check_admin_key").json()["allowedOps"] == []


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("nodash", "InvalidClientVersion"),
        ("npm-0.19.1", "ClientVersionUnsupported"),
        ("npm-cli-x", "ClientVersionUnsupported"),
    ],
)
def test_clients_without_a_version_or_with_an_old_one_are_refused_everywhere(
    deployment: Deployment, name: str, wanted: str
) -> None:
    with Client(deployment, name=name) as client:
        assert refusal(client.get("/version")) == (400, wanted)
    with Client(deployment, name="npm-1.28.0") as client:
        assert client.get("/version").status_code == 200


def test_numbers_print_with_a_point_and_int64_depends_on_the_format(deployment: Deployment, client: Client) -> None:
    value = {"whole": 5.0, "big": 2**60 + 1, "not": float("nan"), "minus": -0.0, "raw": b"\x00\x01"}
    deployment.functions.query("x:all")(lambda *_: value)
    body = {"path": "x:all", "args": {}}
    text = client.post("/api/query", json=body).text
    assert '"whole":5.0' in text
    assert '"big":"1152921504606846977"' in text
    assert '"not":"NaN"' in text
    encoded = client.call("x:all", format="convex_encoded_json")["value"]
    assert encoded["big"] == {"$integer": base64.b64encode((2**60 + 1).to_bytes(8, "little")).decode()}
    assert encoded["minus"] == {"$float": "AAAAAAAAAIA="}
    assert encoded["raw"] == {"$bytes": "AAE="}
    exported = client.post("/api/query", json=body | {"format": "export_json"}).text
    assert '"big":1152921504606846977' in exported
    assert '"minus":-0.0' in exported
    assert refusal(client.post("/api/query", json=body | {"format": "yaml"})) == (400, "BadFormat")


def test_every_number_in_arguments_is_a_float64(deployment: Deployment, client: Client) -> None:
    deployment.functions.query("x:type")(lambda _, args: type(args["n"]).__name__)
    deployment.functions.query("x:int", {"n": "int64"})(lambda _, args: args["n"])
    assert client.value("x:type", {"n": 5}) == "float"
    assert client.value("x:type", {"n": {"$integer": "BQAAAAAAAAA="}}) == "int"
    assert "does not match validator" in client.error("x:int", {"n": 5})
    assert client.value("x:int", {"n": {"$integer": "BQAAAAAAAAA="}}) == "5"
    assert (
        refusal(client.post("/api/query", json={"path": "x:type", "args": {"n": {"$float": "AAAAAAAA8D8="}}}))[0] == 400
    )


def test_arguments_may_stand_in_a_list_of_one(client: Client) -> None:
    assert client.call(FLAGS, [{}])["status"] == "success"


def test_functions_by_path_function_batch_and_ts(deployment: Deployment, client: Client) -> None:
    run = client.post("/api/run/monitoring/dashboard/getFeatureFlags", json={"args": {}}).json()
    assert run["value"]["ENABLE_PROMPT_MESSAGE_ID"] is True
    assert client.value(FLAGS, endpoint="function") == run["value"]
    batch = client.post(
        "/api/query_batch", json={"queries": [{"path": FLAGS, "args": {}}, {"path": "no:no", "args": {}}]}
    )
    assert [result["status"] for result in batch.json()["results"]] == ["success", "error"]
    ts = client.post("/api/query_ts").json()["ts"]
    deployment.set_env(ENABLE_WORKFLOW="true")
    assert client.value(FLAGS)["ENABLE_WORKFLOW"] is True
    assert client.value(FLAGS, endpoint="query_at_ts", ts=ts)["ENABLE_WORKFLOW"] is False
    deployment.clock.advance_s(300)
    late = client.post("/api/query_at_ts", json={"path": FLAGS, "args": {}, "ts": ts})
    assert refusal(late) == (503, "InternalServerError")


def test_function_needs_a_key_and_public_functions_need_none(deployment: Deployment) -> None:
    with Client(deployment, None) as anonymous:
        assert anonymous.call(FLAGS)["status"] == "success"
        body = {"path": FLAGS, "args": {}}
        assert refusal(anonymous.post("/api/function", json=body)) == (403, "BadDeployKey")
        assert "not permitted" in anonymous.error("_system/frontend/getTableMapping")


def test_unknown_functions_internal_ones_and_wrong_kinds(deployment: Deployment, client: Client) -> None:
    deployment.functions.query("x:inner", is_internal=True)(lambda *_: 1.0)
    assert "Could not find public function for 'no:no'." in client.error("no:no")
    assert client.value("x:inner") == 1.0
    with Client(deployment, None) as anonymous:
        assert "Could not find public function" in anonymous.error("x:inner")
    with Client(deployment, deployment.key_without("RunInternalQueries")) as weak:
        body = {"path": "x:inner", "args": {}}
        assert refusal(weak.post("/api/query", json=body)) == (403, "OperationNotPermitted")
    wrong = client.error("api/testHelpers:createTestUser")
    assert "Trying to execute api/testHelpers.js:createTestUser as Query, but it is defined as Mutation." in wrong


def test_paths_with_and_without_extension_and_export_name(deployment: Deployment, client: Client) -> None:
    deployment.functions.query("a/b:default")(lambda *_: "found")
    assert [client.value(path) for path in ("a/b", "a/b.js", "a/b.js:default")] == ["found"] * 3
    for path in ("a/b.ts:x", "/a:x", "a/../b:x"):
        assert refusal(client.post("/api/query", json={"path": path, "args": {}}))[1] == "BadConvexFunctionIdentifier"


def test_built_in_functions_refuse_arguments_that_they_do_not_know(client: Client) -> None:
    assert "extra field `extra`" in client.error("_system/frontend/getTableMapping", {"extra": 1})
    assert "missing the required field `id`" in client.error("_system/frontend/getById", {})


def test_a_paused_deployment_answers_built_in_functions_only(deployment: Deployment, client: Client) -> None:
    assert client.post("/api/v1/pause_deployment").content == b""
    assert refusal(client.post("/api/v1/pause_deployment")) == (400, "PauseDeploymentFailed")
    assert "Cannot run functions while this deployment is paused" in client.error(HEALTH)
    assert client.value("_system/frontend/deploymentState:deploymentState") == {"state": "paused"}
    assert client.post("/api/v1/data/sync", json={}).status_code == 200
    assert client.post("/api/v1/unpause_deployment").status_code == 200
    assert client.call(HEALTH)["status"] == "success"


def test_reading_too_much_fails_the_function(deployment: Deployment, client: Client) -> None:
    deployment.settings.limits = Limits(documents_read=3, ranges_read=2)
    ids = deployment.insert_many("chatMessages", [{"createdAt": 1.0}] * 4)
    assert "Too many documents read in a single function execution (limit: 3)" in client.error(HEALTH)
    entries = [{"id": id_, "tableName": "chatMessages"} for id_ in ids]
    assert "Too many reads" in client.error("_system/frontend/listById", {"ids": entries[:3]})


def test_more_calls_at_once_than_allowed_are_429(deployment: Deployment, client: Client) -> None:
    started, go_on = threading.Event(), threading.Event()
    deployment.settings.mutations_at_once = 1

    def slowly(call: Call, args: dict[str, Any]) -> Any:
        started.set()
        go_on.wait(60)

    deployment.functions.mutation("x:slow")(slowly)

    def call() -> None:
        with Client(deployment) as other:
            other.call("x:slow", endpoint="mutation")

    running = threading.Thread(target=call)
    running.start()
    assert started.wait(60)
    response = client.post("/api/mutation", json={"path": "x:slow", "args": {}})
    go_on.set()
    running.join()
    assert refusal(response) == (429, "TooManyConcurrentRequests")
    assert "retry-after" not in response.headers


def test_writing_too_much_in_a_second_is_429_and_writes_nothing(deployment: Deployment, client: Client) -> None:
    deployment.settings.write_bytes_per_s = 500
    body = {"path": "api/testHelpers:createTestUser", "args": {}}
    codes = [client.post("/api/mutation", json=body).status_code for _ in range(6)]
    assert codes == sorted(codes)
    assert codes[-1] == 429
    assert len(deployment.documents("users")) == codes.count(200)
    deployment.clock.advance_s(1)
    assert client.post("/api/mutation", json=body).status_code == 200


def test_ad_hoc_queries_check_the_key_and_say_that_they_do_not_run(deployment: Deployment) -> None:
    with Client(deployment, None) as client:
        body = {"args": {}, "bundle": {"path": "testQuery.js", "source": ""}, "format": "convex_encoded_json"}
        answer = client.post("/api/run_test_function", json=body | {"adminKey": deployment.read_key}).json()
        assert answer["status"] == "error"
        assert "does not run JavaScript" in answer["errorMessage"]
        assert refusal(client.post("/api/run_test_function", json=body | {"adminKey": "x|y"})) == (401, "BadAdminKey")
