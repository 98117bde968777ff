"""Logs and metrics: checklist rows 12 and 13."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest

from tests.deployment import Deployment, Execution, FunctionError
from tests.deployment_checks.client import Client, refusal

STREAM = "/api/stream_function_logs"
FLAGS = "monitoring/dashboard:getFeatureFlags"
FLAGS_KEY = "monitoring/dashboard.js:getFeatureFlags"


def entries(client: Client, cursor: float = 0.0) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.get(STREAM, params={"cursor": repr(cursor)}).json()["entries"]
    return found


def window(deployment: Deployment, minutes: int = 10, buckets: int | None = None, before_s: float = 0) -> str:
    end_s = deployment.clock.now_ms // 1000 // 60 * 60 + 60 - before_s
    times = [{"secs_since_epoch": int(s), "nanos_since_epoch": 0} for s in (end_s - minutes * 60, end_s)]
    return json.dumps({"start": times[0], "end": times[1], "num_buckets": buckets or minutes})


def metric(client: Client, deployment: Deployment, what: str, /, **params: Any) -> Any:
    response = client.get(f"/api/app_metrics/{what}", params={"window": window(deployment)} | params)
    assert response.status_code == 200, response.text
    return response.json()


# ---- logs --------------------------------------------------------------------------------------------------------


def test_a_completion_has_null_success_and_times_in_seconds(deployment: Deployment, client: Client) -> None:
    deployment.insert("users", {})
    client.value(FLAGS)
    page = client.get(STREAM, params={"cursor": "0"}).json()
    (entry,) = page["entries"]
    assert (entry["kind"], entry["success"], entry["error"]) == ("Completion", None, None)
    assert (entry["identifier"], entry["udfType"]) == (FLAGS, "Query")
    now_s = deployment.clock.now_ms / 1000
    assert entry["timestamp"] == pytest.approx(now_s)
    assert entry["executionTimestamp"] == pytest.approx(entry["timestamp"] - entry["executionTime"])
    assert page["newCursor"] == entry["timestamp"] * 1000
    assert entries(client, page["newCursor"]) == []


def test_errors_stand_in_the_log(deployment: Deployment, client: Client) -> None:
    @deployment.functions.query("x:boom")
    def boom(call: Any, args: Any) -> None:
        raise FunctionError("boom")

    client.call("x:boom")
    assert entries(client)[0]["error"].startswith("Uncaught Error: boom")


def test_built_in_functions_never_appear(client: Client) -> None:
    client.value("_system/frontend/getTableMapping")
    assert entries(client) == []


def test_log_lines_are_objects_for_the_cli_and_strings_for_others(deployment: Deployment, client: Client) -> None:
    deployment.functions.query("x:talk")(lambda call, _: call.log("hello"))
    deployment.functions.action("x:act")(lambda call, _: call.log("hidden"))
    client.value("x:talk")
    client.call("x:act", endpoint="action")
    found = [(entry["kind"], entry["logLines"]) for entry in entries(client)]
    assert found == [("Completion", ["[LOG] 'hello'"]), ("Progress", ["[LOG] 'hidden'"]), ("Completion", [])]
    completions = client.get("/api/stream_udf_execution", params={"cursor": 0}).json()["entries"]
    assert [entry["kind"] for entry in completions] == ["Completion", "Completion"]
    with Client(deployment, name="npm-cli-1.28.0") as cli:
        (line,) = entries(cli)[0]["logLines"]
        assert (line["messages"], line["level"]) == (["'hello'"], "LOG")


def test_only_so_many_completions_are_kept(deployment: Deployment, client: Client) -> None:
    deployment.settings.logs_kept = 3
    for _ in range(5):
        client.value(FLAGS)
    found = entries(client)
    assert len(found) == 3
    assert len({entry["timestamp"] for entry in found}) == 3


def test_a_poll_waits_for_news_and_else_returns_the_same_cursor(deployment: Deployment, client: Client) -> None:
    assert client.get(STREAM, params={"cursor": "5.25"}).json() == {"entries": [], "newCursor": 5.25}
    deployment.settings.long_poll_s = 30.0
    gate = deployment.faults.hold(path=STREAM)
    found: list[dict[str, Any]] = []

    def poll() -> None:
        with Client(deployment) as other:
            found.extend(entries(other))

    thread = threading.Thread(target=poll)
    thread.start()
    assert gate.reached.wait(60)
    gate.open()
    client.value(FLAGS)
    thread.join(60)
    assert [entry["identifier"] for entry in found] == [FLAGS]


def test_stopping_ends_a_waiting_poll_and_a_restart_forgets(deployment: Deployment, client: Client) -> None:
    client.value(FLAGS)
    deployment.restart()
    assert entries(client) == []
    assert metric(client, deployment, "function_call_count_top_k") == []
    assert client.value(FLAGS)["ENABLE_WORKFLOW"] is False


def test_runs_can_be_noted_without_running(deployment: Deployment, client: Client) -> None:
    occ = {"tableName": "users", "documentId": None, "writeSource": None, "componentPath": None, "retryCount": 1}
    deployment.record(Execution("messages:send", "Mutation", 0.0, 0.2, will_retry=True, occ_info=occ))
    deployment.record(Execution("GET /health", "HttpAction", 0.0, 0.1, http_status="200"))
    first, second = entries(client)
    assert (first["willRetry"], first["occInfo"]["tableName"]) == (True, "users")
    assert (second["identifier"], second["success"]) == ("GET /health", {"status": "200"})


def test_logs_need_a_cursor_and_the_permission(deployment: Deployment, client: Client) -> None:
    assert refusal(client.get(STREAM)) == (400, "BadQueryArgs")
    with Client(deployment, deployment.key_without("ViewLogs")) as weak:
        assert refusal(weak.get("/api/app_metrics/stream_udf_execution", params={"cursor": 0}))[1] == (
            "OperationNotPermitted"
        )


# ---- metrics -----------------------------------------------------------------------------------------------------


def test_rates_are_calls_per_second_with_times_as_objects(deployment: Deployment, client: Client) -> None:
    deployment.set_env(A="1")
    for _ in range(6):
        client.value(FLAGS)
    series = metric(client, deployment, "udf_rate", udfPath=FLAGS, metric="invocations")
    assert len(series) == 10
    assert set(series[0][0]) == {"secs_since_epoch", "nanos_since_epoch"}
    assert [value for _, value in series] == [0.0] * 9 + [6 / 60]
    assert metric(client, deployment, "udf_rate", path="monitoring/dashboard.js:getFeatureFlags", metric="cacheHits")[
        -1
    ][1] == pytest.approx(5 / 60)


def test_buckets_outside_the_last_hour_are_null(deployment: Deployment, client: Client) -> None:
    long = window(deployment, minutes=90, buckets=9)
    series = metric(client, deployment, "udf_rate", window=long, udfPath="a:b", metric="invocations")
    assert [value is None for _, value in series] == [True] * 3 + [False] * 6


def test_the_hour_moves_on(deployment: Deployment, client: Client) -> None:
    client.value(FLAGS)
    deployment.clock.advance_s(3_700)
    before = window(deployment, minutes=5, before_s=3_600)
    series = metric(client, deployment, "udf_rate", window=before, udfPath=FLAGS, metric="invocations")
    assert {value for _, value in series} == {None}
    assert metric(client, deployment, "function_call_count_top_k") == []


def test_latency_percentiles_are_seconds_with_two_digits_and_skip_cached_runs(
    deployment: Deployment, client: Client
) -> None:
    for execution_s in (0.1234, 0.2, 0.3):
        deployment.record(Execution("messages:list", "Query", 0.0, execution_s))
    deployment.record(Execution("messages:list", "Query", 0.0, 0.00001, is_cached=True))
    found = metric(client, deployment, "latency_percentiles", udfPath="messages:list", percentiles="[50,95]")
    assert [(percentile, series[-1][1]) for percentile, series in found] == [(50, 0.2), (95, 0.3)]
    assert found[0][1][0][1] is None


def test_top_k_ranks_functions_with_errors_only_and_folds_the_rest(deployment: Deployment, client: Client) -> None:
    for name, runs, errors in (("a:a", 4, 1), ("b:b", 4, 3), ("c:c", 4, 0)):
        for number in range(runs):
            deployment.record(Execution(name, "Query", 0.0, 0.01, "boom" if number < errors else None))
    found = metric(client, deployment, "failure_percentage_top_k")
    assert [(key, series[-1][1]) for key, series in found] == [("b.js:b", 75.0), ("a.js:a", 25.0), ("_rest", 0.0)]
    one = metric(client, deployment, "failure_percentage_top_k", k=1)
    assert [(key, series[-1][1]) for key, series in one] == [("b.js:b", 75.0), ("_rest", 12.5)]
    counts = metric(client, deployment, "function_call_count_top_k", k=2)
    assert [series[-1][1] for _, series in counts] == [4.0, 4.0, 4.0]
    assert counts[-1][0] == "_rest"
    assert refusal(
        client.get("/api/app_metrics/failure_percentage_top_k", params={"window": window(deployment), "k": 26})
    )[1] == ("InvalidTopKParameter")


def test_changing_a_variable_empties_the_cache(deployment: Deployment, client: Client) -> None:
    def run() -> None:
        for _ in range(4):
            client.value(FLAGS)
        deployment.clock.advance_s(60)

    run()
    run()
    deployment.set_env(ENABLE_WORKFLOW="true")
    run()
    series = metric(client, deployment, "cache_hit_percentage", udfPath=FLAGS)
    assert [value for _, value in series[-4:]] == [75.0, 100.0, 75.0, None]
    assert metric(client, deployment, "cache_hit_percentage_top_k")[0][0] == FLAGS_KEY


def test_lag_of_scheduled_jobs_is_carried_over_gaps(deployment: Deployment, client: Client) -> None:
    deployment.backend.metrics.record_lag(2.5)
    deployment.clock.advance_s(180)
    series = metric(client, deployment, "scheduled_job_lag")
    assert [value for _, value in series[-5:]] == [None, 2.5, 2.5, 2.5, 2.5]


@pytest.mark.parametrize("wrong", ["{", "{}", '{"start":1,"end":2,"num_buckets":3}'])
def test_a_bad_window_or_metric_is_the_servers_fault(deployment: Deployment, client: Client, wrong: str) -> None:
    params = {"window": wrong, "udfPath": "a:b", "metric": "invocations"}
    assert refusal(client.get("/api/app_metrics/udf_rate", params=params)) == (500, "InternalServerError")
    params |= {"window": window(deployment), "metric": "speed"}
    assert refusal(client.get("/api/app_metrics/udf_rate", params=params)) == (500, "InternalServerError")


def test_other_metrics_answer_in_their_shapes(deployment: Deployment, client: Client) -> None:
    deployment.backend.metrics.record_rows("users", "rowsRead", 120)
    series = metric(client, deployment, "table_rate", name="users", metric="rowsRead")
    assert series[-1][1] == 2.0
    assert metric(client, deployment, "subscription_invalidations_top_k") == []
    assert all(name.startswith("outstanding_functions:") for name in metric(client, deployment, "function_concurrency"))
