"""A live source: which way it takes, who it is, what its functions and flags say, and what never gets in."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

from analyzer.convex import keys
from analyzer.convex.connection import Options, connect
from analyzer.convex.functions import decode_timestamp
from analyzer.convex.permissions import VIEW_METRICS
from analyzer.convex.retry import Policy
from analyzer.convex.target import Target
from analyzer.convex.traffic import Limits
from analyzer.errors import AccessDenied, CursorExpired, SourceInvalid, SourceUnreachable, UsageError
from analyzer.model import Answer, DeploymentType, Flag, TableRef
from analyzer.sources.live import LiveSource
from analyzer.sources.live_events import RESYNC_ACTIONS, read_events
from analyzer.sources.live_logs import REMEMBERED_CALLS, error_class, read_logs
from analyzer.sources.live_metrics import read_metrics
from analyzer.sources.live_pages import Wanted
from tests.cli.answering import FLAG, KEY, NAME, PAUSED, SECRET, answering, function_error, value
from tests.convex.scripted import Reply, Request, ScriptedServer, ok, refusal, serving
from tests.sources.live_pages_of import T0, document, id_of, listed, sync_page, synced

OPTIONS = Options(limits=Limits(policy=Policy(repeats=0, brief_repeats=0)))
FLAGS = (FLAG, "ENABLE_PROMPT_MESSAGE_ID")
NO_PLAN = refusal(403, "StreamingExportNotEnabled")
UP_TO_DATE = sync_page("upToDate", "c1", synced(1), ts=T0 + 1)


def target_of(server: ScriptedServer, **more: Any) -> Target:
    return Target(server.url, None, keys.parse(KEY, "a test"), "a test", **more)


@contextmanager
def live(
    changed: Mapping[str, Reply] | None = None, wanted: Wanted | None = None
) -> Iterator[tuple[LiveSource, ScriptedServer]]:
    with serving(answering(changed)) as server, connect(target_of(server), OPTIONS) as connection:
        yield LiveSource(connection, flag_names=FLAGS, wanted=wanted or Wanted()), server


def asked(server: ScriptedServer, path: str) -> list[Request]:
    return [request for request in server.requests if request.path.partition("?")[0] == path]


# ---- the way in ------------------------------------------------------------------------------------------------


def test_a_deployment_says_who_it_is_before_the_key_is_shown() -> None:
    with live() as (source, server):
        deployment = source.connection.deployment
    assert (deployment.name, deployment.type, deployment.origin) == (NAME, DeploymentType.PROD, server.url)
    first_with_key = next(i for i, request in enumerate(server.requests) if "Authorization" in request.headers)
    assert {request.path for request in server.requests[:first_with_key]} == {"/instance_name", "/version"}


def test_another_deployment_never_sees_the_key() -> None:
    other = {"/instance_name": Reply(body=b"other-one-2", content_type="text/plain")}
    with serving(answering(other)) as server, pytest.raises(AccessDenied, match="is for another deployment"):
        connect(target_of(server), OPTIONS)
    assert not any("Authorization" in request.headers for request in server.requests)


def test_a_preview_that_is_another_one_is_refused() -> None:
    info = {"kind": "cloud", "deploymentType": "preview", "reference": "preview/feature"}
    with serving(answering({"/api/v1/deployment_info": ok(info)})) as server:
        required = {"required_type": DeploymentType.PREVIEW}
        connect(target_of(server, preview_name="feature", **required), OPTIONS).close()
        with pytest.raises(UsageError, match=r"--preview-name is other, and .* is preview/feature"):
            connect(target_of(server, preview_name="other", **required), OPTIONS)


# ---- which way -------------------------------------------------------------------------------------------------


def test_data_sync_is_taken_where_it_exists() -> None:
    with live({"/api/v1/data/sync": ok(UP_TO_DATE)}) as (source, server):
        pages = list(source.changes())
        assert (source.way, source.snapshot_ts_ns) == ("data sync", T0 + 1)
    assert [change.id for change in pages[0].values] == [id_of(1)]
    assert asked(server, "/api/list_snapshot") == []


def test_an_older_version_is_read_by_deltas() -> None:
    pair = {
        "/api/list_snapshot": ok({"values": [listed(1, T0)], "snapshot": T0, "cursor": None, "hasMore": False}),
        "/api/document_deltas": ok({"values": [], "cursor": T0 + 1, "hasMore": False}),
    }
    with live(pair) as (source, _):
        pages = list(source.changes())
        assert (source.way, source.snapshot_ts_ns) == ("deltas", T0 + 1)
        assert "no data sync" in source.info.warnings[0]
    assert [page.snapshot_ts_ns for page in pages] == [T0, T0 + 1]


PAGED = {
    "/api/v1/data/sync": NO_PLAN,
    "/api/list_snapshot": NO_PLAN,
    "_system/cli/tableData": value({"page": [], "isDone": True, "continueCursor": "x"}),
}


def test_without_streaming_export_tables_are_read_page_by_page() -> None:
    with live(PAGED) as (source, server):
        pages = list(source.changes())
        assert source.way == "paged"
        assert source.snapshot_ts_ns == decode_timestamp("AHhqDpvCgRg=")
    bodies = [json.loads(request.body) for request in asked(server, "/api/query_at_ts")]
    assert sorted(body["args"]["table"] for body in bodies) == ["tasks", "users"]
    assert (pages[0].is_fresh, pages[-1].is_last) == (True, True)


def test_tables_of_components_are_read_by_their_id() -> None:
    components = value([{"id": "comp1", "name": "waitlist", "path": "waitlist", "args": {}, "state": "active"}])

    def script(request: Request) -> Reply:
        body = json.loads(request.body) if request.body else {}
        if body.get("path") == "_system/frontend/getTableMapping" and body["args"].get("componentId"):
            return value({"10001": "entries"})
        if body.get("path") == "_system/frontend/paginatedTableDocuments":
            return value({"page": [document(7)], "isDone": True, "continueCursor": "x"})
        return answering(PAGED | {"_system/frontend/components:list": components})(request)

    with serving(script) as server, connect(target_of(server), OPTIONS) as connection:
        source = LiveSource(connection)
        changes = [change for page in source.changes() for change in page.values]
        tables = source.tables()
    assert tables == (
        TableRef("", "tasks", 10002),
        TableRef("", "users", 10001),
        TableRef("waitlist", "entries", 10001),
    )
    assert [(change.component, change.table, change.document) for change in changes] == [
        ("waitlist", "entries", document(7))
    ]
    bodies = [json.loads(r.body) for r in asked(server, "/api/query_at_ts")]
    in_component = [body["args"] for body in bodies if body["path"].endswith("paginatedTableDocuments")]
    assert in_component[0]["componentId"] == "comp1"


def test_only_wanted_tables_are_read_page_by_page() -> None:
    with live(PAGED, Wanted(frozenset({("", "tasks")}))) as (source, server):
        list(source.changes())
    bodies = [json.loads(request.body) for request in asked(server, "/api/query_at_ts")]
    assert [body["args"]["table"] for body in bodies] == ["tasks"]


def test_a_moment_that_is_too_long_ago_says_what_to_do_instead() -> None:
    gone = refusal(503, "InternalServerError", "out of retention")
    with live(PAGED | {"_system/cli/tableData": gone}) as (source, _), pytest.raises(SourceUnreachable) as caught:
        list(source.changes())
    assert "about four minutes" in caught.value.hint


def test_a_cursor_whose_way_is_gone_means_to_start_over() -> None:
    with live({"/api/v1/data/sync": ok(UP_TO_DATE)}) as (source, _):
        cursor = list(source.changes())[-1].next_cursor
    with live(PAGED) as (source, _), pytest.raises(CursorExpired, match="the last way of reading is gone"):
        list(source.changes(cursor))
    with live() as (source, _), pytest.raises(CursorExpired, match="of an unknown kind"):
        list(source.changes('{"way":"pigeon"}'))


def test_an_expired_cursor_is_passed_on_as_such() -> None:
    with live({"/api/v1/data/sync": ok(UP_TO_DATE)}) as (source, _):
        cursor = list(source.changes())[-1].next_cursor
    expired = {"/api/v1/data/sync": refusal(400, "DataSyncCursorExpired", "too old")}
    with live(expired) as (source, _), pytest.raises(CursorExpired, match="DataSyncCursorExpired"):
        list(source.changes(cursor))


def test_counts_are_those_of_the_moment() -> None:
    with live({"_system/cli/tableSize": value(3.0)}) as (source, server):
        assert source.counts(T0) == {("", "tasks"): 3, ("", "users"): 3}
        assert {decode_timestamp(json.loads(r.body)["ts"]) for r in asked(server, "/api/query_at_ts")} == {T0}
    for bad in (value("3"), value(2.5), value(-1.0), value(True)):
        with live({"_system/cli/tableSize": bad}) as (source, _), pytest.raises(SourceInvalid, match="a count"):
            source.counts(T0)


# ---- what it says of itself ------------------------------------------------------------------------------------


def test_functions_are_asked_about_exactly_the_documents_that_were_read() -> None:
    with live({"/api/v1/data/sync": ok(UP_TO_DATE)}) as (source, server):
        list(source.changes())
        info = source.info
        assert source.info is info
    assert (info.kind, info.source_time_ns, info.time_basis, info.label) == ("live", T0 + 1, "server", server.url)
    assert [answer.function for answer in info.answers][:2] == [
        "monitoring/dashboard:getSystemHealth",
        "monitoring/dashboard:checkAlerts",
    ]
    assert info.answers[0] == Answer(
        "monitoring/dashboard:getSystemHealth", {"timestamp": 1765889880000.0}, 1765889880000
    )
    asked_at = [json.loads(request.body) for request in asked(server, "/api/query_at_ts")]
    assert len(asked_at) == 5
    assert {decode_timestamp(body["ts"]) for body in asked_at} == {T0 + 1}


def test_a_function_that_does_not_answer_is_a_warning_and_no_failure() -> None:
    paused = {f"monitoring/dashboard:{n}": function_error(PAUSED) for n in ("getSystemHealth", "checkAlerts")}
    broken = {"monitoring/dashboard:getRecentTraces": refusal(500, "InternalServerError")}
    with live(paused | broken) as (source, _):
        info = source.info
    assert [answer.function for answer in info.answers] == [
        "monitoring/dashboard:getFeatureFlags",
        "api/testHelpers:checkWorkflowMode",
    ]
    assert len([warning for warning in info.warnings if "did not answer" in warning]) == 3


def test_only_queries_are_ever_called() -> None:
    mutation = function_error(
        "Trying to execute api/testHelpers.js:checkWorkflowMode as Query, but it is defined as Mutation."
    )
    with live({"api/testHelpers:checkWorkflowMode": mutation}) as (source, server):
        warnings = source.info.warnings
    assert any("is a mutation and not what it was called as" in warning for warning in warnings)
    paths = {request.path.partition("?")[0] for request in server.requests}
    assert not paths & {"/api/mutation", "/api/action", "/api/function", "/api/run_test_function"}


def test_values_of_configured_flags_are_kept_and_of_other_variables_only_name_and_time() -> None:
    with live() as (source, _):
        flags = source.flags()
        shown = repr(source.info) + repr(flags)
    assert flags.flags == (Flag(FLAG, "true", 1765889880000.5), Flag("ENABLE_PROMPT_MESSAGE_ID", None))
    assert [(other.name, other.changed_at_ms) for other in flags.others] == [
        ("GREETING", 1765889860000.0),
        ("OPENAI_API_KEY", 1765889870000.0),
    ]
    assert "very-private" not in shown
    assert SECRET not in shown


def test_a_variable_that_says_it_is_a_secret_is_no_flag_whoever_configured_it() -> None:
    with serving(answering()) as server, connect(target_of(server), OPTIONS) as connection:
        source = LiveSource(connection, flag_names=("OPENAI_API_KEY", FLAG))
        flags = source.flags()
    assert [flag.name for flag in flags.flags] == [FLAG]
    assert "sk-very-private" not in repr(flags)


def test_without_the_permission_flags_are_what_the_app_says_they_are() -> None:
    denied = {"_system/cli/queryEnvironmentVariables": refusal(403, "OperationNotPermitted", "(deployment:env:view)")}
    with live(denied) as (source, _):
        info = source.info
    assert info.flags == (Flag(FLAG, "true", None),)
    assert any("flags are as the flags function says" in warning for warning in info.warnings)
    assert any("ViewEnvironmentVariables (deployment:env:view)" in warning for warning in info.warnings)


@pytest.mark.parametrize("listed_", [None, {}, [1], [{"name": "A", "value": 5, "_creationTime": 1.0}]])
def test_a_list_of_variables_that_is_none_is_refused_without_showing_it(listed_: Any) -> None:
    refused = pytest.raises(SourceInvalid, match="a list of variables")
    with live({"_system/cli/queryEnvironmentVariables": value(listed_)}) as (source, _), refused:
        source.flags()


# ---- events ----------------------------------------------------------------------------------------------------

PUSH = {
    "actor": {"kind": "member", "member_id": 7},
    "action": "push_config_with_components",
    "createTime": 1765889880000,
    "clientIp": "192.0.2.7",
    "metadata": {
        "message": "private words",
        "component_diffs": [{"component_diff": {"moduleDiff": {"added": ["chat.js"], "removed": []}}}],
    },
}
FLIP = {
    "actor": {"kind": "member", "member_id": 7},
    "action": "update_environment_variable",
    "createTime": 1765889890000,
    "metadata": {"variable_name": FLAG},
}
IMPORT = {"actor": {"kind": "system"}, "action": "snapshot_import", "createTime": 1765889895000, "metadata": {}}


def events_page(items: list[Any], cursor: str | None = None) -> dict[str, Any]:
    more = {"nextCursor": cursor} if cursor else {}
    return {"items": items, "pagination": {"hasMore": cursor is not None, **more}}


def test_events_are_read_page_by_page_and_hold_names_of_things_only() -> None:
    pages = iter([events_page([PUSH], "e1"), events_page([FLIP, IMPORT])])

    def script(request: Request) -> Reply:
        is_log = request.path.startswith("/api/v1/list_audit_log_events")
        return ok(next(pages)) if is_log else answering()(request)

    with serving(script) as server, connect(target_of(server), OPTIONS) as connection:
        found = read_events(connection.client, 1765889000000, 1765890000000)
    assert found.complete_since_ms == 1765889000000
    assert [(event.action, event.at_ms, event.actor, event.details) for event in found.events] == [
        ("push_config_with_components", 1765889880000.0, "member", {"modules_added": ["chat.js"]}),
        ("update_environment_variable", 1765889890000.0, "member", {"variable_name": FLAG}),
        ("snapshot_import", 1765889895000.0, "system", {}),
    ]
    assert "from=1765889000000" in server.requests[-1].path
    assert "cursor=e1" in server.requests[-1].path
    assert "private words" not in repr(found)
    assert "192.0.2.7" not in repr(found)
    assert RESYNC_ACTIONS.intersection(event.action for event in found.events) == {"snapshot_import"}


def test_without_the_audit_log_in_the_plan_the_last_day_is_known() -> None:
    row = {
        "_id": "x",
        "_creationTime": 1765889890000.5,
        "action": "pause_deployment",
        "member_id": None,
        "metadata": {},
    }
    disabled = {
        "/api/v1/list_audit_log_events": refusal(403, "AuditLogsDisabled"),
        "_system/frontend/listDeploymentEventsFromTime": value([row]),
    }
    now_ms = 1765890000000
    with live(disabled) as (source, _):
        found = read_events(source.connection.client, now_ms - 3 * 86_400_000, now_ms)
    assert [(event.action, event.at_ms, event.actor) for event in found.events] == [
        ("pause_deployment", 1765889890000.5, "system")
    ]
    assert found.complete_since_ms == now_ms - 86_400_000
    assert "events may be missing before the last day" in found.warnings[0]


def test_without_any_audit_log_the_last_push_is_known() -> None:
    denied = refusal(403, "OperationNotPermitted")
    push = {"_id": "x", "_creationTime": 1765889890000.5, "action": "push_config", "member_id": "5", "metadata": {}}
    routes = {
        "/api/v1/list_audit_log_events": denied,
        "_system/frontend/listDeploymentEventsFromTime": denied,
        "_system/frontend/deploymentEvents:lastPushEvent": value(push),
    }
    with live(routes) as (source, _):
        found = read_events(source.connection.client, 0, 1765890000000)
    assert [event.action for event in found.events] == ["push_config"]
    assert found.complete_since_ms is None
    assert "only the last push is known" in found.warnings[0]


@pytest.mark.parametrize("items", [[5], [{}], [{**FLIP, "metadata": None}], [{**FLIP, "createTime": "now"}]])
def test_events_that_make_no_sense_are_refused(items: list[Any]) -> None:
    refused = pytest.raises(SourceInvalid, match="events")
    with live({"/api/v1/list_audit_log_events": ok(events_page(items))}) as (source, _), refused:
        read_events(source.connection.client, 0, 1)


# ---- metrics ---------------------------------------------------------------------------------------------------

MINUTE_S = 1765889880 // 60 * 60


def points(*values: float | None) -> list[Any]:
    return [[{"secs_since_epoch": MINUTE_S + 60 * n, "nanos_since_epoch": 0}, v] for n, v in enumerate(values)]


METRICS = {
    "/api/app_metrics/function_call_count_top_k": ok(
        [["chat.js:send", points(6.0, None)], ["_rest", points(0.0, None)]]
    ),
    "/api/app_metrics/failure_percentage_top_k": ok([["waitlist/jobs.js:run", points(50.0, None)]]),
    "/api/app_metrics/udf_rate": ok(points(0.1, None)),
    "/api/app_metrics/latency_percentiles": ok([[50, points(0.02, None)], [95, points(0.5, None)]]),
    "/api/app_metrics/scheduled_job_lag": ok(points(1.5)),
}


def test_metrics_are_counted_back_and_a_missing_bucket_stays_unknown() -> None:
    with live(METRICS) as (source, server):
        found = read_metrics(source.connection.client, (MINUTE_S + 75) * 10**9, ["waitlist"])
    assert (found.end_ms, found.end_ms - found.start_ms) == ((MINUTE_S + 60) * 1000, 3_600_000)
    assert found.is_complete
    by_name = {(series.metric, series.component, series.function): series.points for series in found.series}
    start_ms = MINUTE_S * 1000
    assert by_name[("calls", "", "chat.js:send")] == ((start_ms, 6.0), (start_ms + 60_000, None))
    assert by_name[("latency_p95_s", "waitlist", "jobs.js:run")] == ((start_ms, 0.5), (start_ms + 60_000, None))
    assert by_name[("scheduler_lag_s", "", "")] == ((start_ms, 1.5),)
    windows = {request.path.partition("window=")[2].partition("&")[0] for request in asked_metrics(server)}
    assert len(windows) == 1


def asked_metrics(server: ScriptedServer) -> list[Request]:
    return [request for request in server.requests if "/app_metrics/" in request.path]


def test_metrics_of_more_functions_than_the_ranking_names_are_said_to_be_incomplete() -> None:
    rest = ok([["chat.js:send", points(6.0)], ["_rest", points(2.0)]])
    with live(METRICS | {"/api/app_metrics/function_call_count_top_k": rest}) as (source, _):
        assert not read_metrics(source.connection.client, MINUTE_S * 10**9).is_complete


@pytest.mark.parametrize("bad", [None, {}, [1], [[{"secs_since_epoch": 1.5}, 1.0]], [[{"secs_since_epoch": 1}, "x"]]])
def test_measurements_that_make_no_sense_are_refused(bad: Any) -> None:
    refused = pytest.raises(SourceInvalid, match="a series of measurements")
    with live(METRICS | {"/api/app_metrics/udf_rate": ok(bad)}) as (source, _), refused:
        read_metrics(source.connection.client, MINUTE_S * 10**9)


def test_metrics_without_the_permission_name_it() -> None:
    denied = {"/api/app_metrics/function_call_count_top_k": refusal(403, "OperationNotPermitted")}
    with live(denied) as (source, _), pytest.raises(AccessDenied) as caught:
        read_metrics(source.connection.client, MINUTE_S * 10**9)
    assert caught.value.permission == VIEW_METRICS


# ---- logs ------------------------------------------------------------------------------------------------------

CALL = {
    "kind": "Completion",
    "udfType": "Mutation",
    "componentPath": None,
    "identifier": "chat:send",
    "logLines": ["[LOG] 'private words'"],
    "timestamp": 1765889880.5,
    "executionTimestamp": 1765889880.25,
    "executionTime": 0.125,
    "cachedResult": False,
    "success": None,
    "error": "Uncaught ConvexError: private words\n    at handler",
    "requestId": "r",
    "executionId": "e1",
    "caller": "HttpApi",
    "willRetry": False,
    "occInfo": {"tableName": "tasks"},
    "usageStats": {"databaseReadBytes": 512, "databaseReadDocuments": 3, "databaseWriteBytes": 64},
}
LOGS = "/api/stream_function_logs"


def test_of_a_call_its_figures_are_kept_and_of_an_error_its_class() -> None:
    progress = {"kind": "Progress", "identifier": "x", "logLines": ["private words"]}
    entries = [CALL, progress, {**CALL, "error": None, "cachedResult": True}]
    with live({LOGS: ok({"entries": entries, "newCursor": 1765889880500.1234})}) as (source, server):
        page = read_logs(source.connection.client, 1765889870000.5678)
    assert len(page.calls) == 2
    failed, cached = page.calls
    assert (failed.function, failed.started_ms, failed.took_s) == ("chat:send", 1765889880250.0, 0.125)
    assert (failed.error, failed.conflict_table, failed.read_documents) == ("ConvexError", "tasks", 3)
    assert (cached.error, cached.is_cached) == (None, True)
    assert "private words" not in repr(page)
    assert page.next_cursor == 1765889880500.1234
    assert server.requests[-1].path.endswith(f"cursor={1765889870000.5678!r}")
    assert not page.may_have_lost


def test_an_answer_as_full_as_the_memory_may_have_lost_calls() -> None:
    entries = [CALL] * REMEMBERED_CALLS
    with live({LOGS: ok({"entries": entries, "newCursor": 2.0})}) as (source, _):
        assert read_logs(source.connection.client, 1.0).may_have_lost
        assert not read_logs(source.connection.client, 0.0).may_have_lost


@pytest.mark.parametrize(
    "answer",
    [
        None,
        {"entries": []},
        {"entries": [], "newCursor": "5"},
        {"entries": [], "newCursor": 1.0},
        {"entries": [CALL], "newCursor": 5.0},
        {"entries": [{**CALL, "identifier": 3}], "newCursor": 9.0},
        {"entries": [{**CALL, "executionTime": None}], "newCursor": 9.0},
    ],
)
def test_logs_that_make_no_sense_or_do_not_move_on_are_refused(answer: Any) -> None:
    with live({LOGS: ok(answer)}) as (source, _), pytest.raises(SourceInvalid):
        read_logs(source.connection.client, 5.0)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Uncaught TypeError: x is not a function", "TypeError"),
        ("[Request ID: ab] Server Error\nUncaught Error: boom", "Error"),
        ("something odd", "Error"),
        ("", "Error"),
    ],
)
def test_an_error_is_reduced_to_its_class(text: str, expected: str) -> None:
    assert error_class(text) == expected
