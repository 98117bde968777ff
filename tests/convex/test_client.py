"""The client against real sockets: how it asks, what it repeats, where it stops, and what it says."""

from __future__ import annotations

import gzip
import json
import logging
import select
import socket
import threading
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from httpcore._backends.sync import SyncStream
from httpcore._sync.http11 import HTTP11Connection

from analyzer import __version__
from analyzer.convex import functions, keys
from analyzer.convex.client import Client
from analyzer.convex.retry import NOT_DONE_CODES, Policy, Repeat, Timing
from analyzer.convex.traffic import Limits
from analyzer.errors import (
    AccessDenied,
    AnalyzerError,
    ConfigError,
    CursorExpired,
    FunctionFailed,
    NotOffered,
    OutcomeUnknown,
    ServerRefused,
    SourceInvalid,
    SourceUnreachable,
    UsageError,
)
from tests.convex.scripted import FakeTiming, Reply, Request, ScriptedServer, ok, refusal, serving

SECRET = "eyJ2MiI6IjRhYmNkZWZnaGlqa2xtbm9w"
KEY = keys.parse(f"prod:happy-animal-123|{SECRET}", "a test")
HTML = Reply(status=520, body=b"<!DOCTYPE html><title>Unknown error</title>", content_type="text/html")


def client_of(server: ScriptedServer, fake: FakeTiming | None = None, **limits: Any) -> Client:
    fake = fake or FakeTiming()
    timing = Timing(fake.monotonic_s, fake.sleep_s, fake.draw)
    return Client(server.url, KEY, limits=Limits(**limits), timing=timing)


def failing(reply: Reply, ask: Callable[[Client], Any] = lambda client: client.get("/api/x")) -> AnalyzerError:
    """Return the error that one reply leads to, after making sure that it holds no key."""
    with serving([reply]) as server, client_of(server) as client, pytest.raises(AnalyzerError) as caught:
        ask(client)
    assert SECRET not in everything_shown(caught.value)
    return caught.value


def everything_shown(error: BaseException) -> str:
    """Return all text that an error could ever show: itself, its hint, its traceback with locals, its causes."""
    shown = [str(error), repr(error), repr(vars(error))]
    seen: BaseException | None = error
    while seen is not None:
        shown.append("".join(traceback.TracebackException.from_exception(seen, capture_locals=True).format()))
        seen = seen.__cause__ or seen.__context__
    return "\n".join(shown)


# ---- asking ----------------------------------------------------------------------------------------------------


def test_every_request_names_the_tool_and_carries_the_key_in_the_convex_scheme() -> None:
    with serving([ok({"a": 1})]) as server, client_of(server) as client:
        assert client.get("/api/x", {"q": "a b"}) == {"a": 1}
        assert client.post("/api/y", {"n": 1}) == {"a": 1}
    get, post = server.requests
    assert (get.method, get.path) == ("GET", "/api/x?q=a+b")
    assert get.headers["Authorization"] == KEY.header()
    assert get.headers["Convex-Client"] == f"analyzer-{__version__}"
    assert get.headers["User-Agent"] == f"analyzer/{__version__}"
    assert post.headers["Content-Type"] == "application/json"
    assert json.loads(post.body) == {"n": 1}


def test_without_a_key_no_authorization_is_sent() -> None:
    with serving([ok("x")]) as server, Client(server.url) as client:
        client.get("/version")
    assert "Authorization" not in server.requests[0].headers


def test_connections_are_used_again() -> None:
    with serving([ok(None)]) as server, client_of(server) as client:
        for _ in range(10):
            client.get("/api/x")
    assert len({request.connection for request in server.requests}) == 1


def test_at_most_four_requests_are_under_way_at_once() -> None:
    together = threading.Barrier(4, timeout=60)
    lock = threading.Lock()
    running: list[int] = [0, 0]

    def answer(_: Request) -> Reply:
        with lock:
            running[0] += 1
            running[1] = max(running)
        together.wait()  # four must be here at once, or this times out
        with lock:
            running[0] -= 1
        return ok(None)

    with serving(answer) as server, client_of(server) as client:
        threads = [threading.Thread(target=client.get, args=("/api/x",)) for _ in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(server.requests) == 12
    assert running[1] == 4


def test_whole_numbers_beyond_2_to_the_53_stay_exact() -> None:
    with serving([Reply(body=b'{"ts": 1766000000123456789, "f": 5.0}')]) as server, client_of(server) as client:
        answer = client.get("/api/x")
    assert answer == {"ts": 1766000000123456789, "f": 5.0}
    assert isinstance(answer["ts"], int)
    assert isinstance(answer["f"], float)


def test_a_packed_body_is_unpacked_and_counted_unpacked() -> None:
    packed = gzip.compress(b'"' + b"a" * 2_000_000 + b'"')
    reply = Reply(body=packed, headers={"Content-Encoding": "gzip"})
    with serving([reply]) as server:
        with client_of(server) as client:
            assert len(client.get("/api/x")) == 2_000_000
        with client_of(server, body_bytes=1_000_000) as client, pytest.raises(SourceInvalid, match="with more than"):
            client.get("/api/x")


def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with serving([ok(1)]) as server, client_of(server) as client:
        assert client.get("/api/x") == 1


# ---- functions -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 560])
def test_a_function_error_is_read_whatever_status_it_comes_with(status: int) -> None:
    body = {"status": "error", "errorMessage": "[Request ID: abc] Server Error\nUncaught Error: boom\n  at x.ts:3"}
    error = failing(
        Reply(status=status, body=json.dumps(body).encode()), lambda client: functions.query(client, "a/b:c", {})
    )
    assert isinstance(error, FunctionFailed)
    assert error.reason == "threw"
    assert error.message == "Server Error Uncaught Error: boom at x.ts:3"
    assert "a/b:c" in str(error)


@pytest.mark.parametrize(
    ("message", "reason", "says"),
    [
        ("[Request ID: x] Server Error\nCould not find public function for 'a:b'. Did you", "missing", "no function"),
        ("Cannot run functions while this deployment is paused. Resume it", "paused", "is paused"),
        ("Cannot run functions while this deployment is disabled.", "paused", "is disabled"),
        ("Trying to execute a.js:b as Query, but it is defined as Mutation.", "wrong kind", "is a mutation"),
    ],
)
def test_each_way_in_which_a_function_does_not_answer_has_its_own_sentence(
    message: str, reason: str, says: str
) -> None:
    error = failing(ok({"status": "error", "errorMessage": message}), lambda c: functions.query(c, "a:b", {}))
    assert isinstance(error, FunctionFailed)
    assert error.reason == reason
    assert says in str(error)


@pytest.mark.parametrize("answer", [None, [], 5, {}, {"status": "success"}, {"status": "odd", "value": 1}])
def test_an_answer_of_another_shape_is_refused(answer: Any) -> None:
    error = failing(ok(answer), lambda client: functions.query(client, "a:b", {}))
    assert isinstance(error, SourceInvalid)
    assert "without a status and a value" in str(error)


def test_a_query_as_of_a_time_sends_that_time() -> None:
    with serving([ok({"status": "success", "value": 7.0})]) as server, client_of(server) as client:
        assert functions.query(client, "a:b", {"x": 1.0}, as_of_ns=1766000000123456789) == 7.0
    body = json.loads(server.requests[0].body)
    assert server.requests[0].path == "/api/query_at_ts"
    assert functions.decode_timestamp(body["ts"]) == 1766000000123456789
    assert body["args"] == {"x": 1.0}


def test_a_component_is_asked_for_the_platforms_own_functions_only() -> None:
    with serving([ok({"status": "success", "value": []})]) as server, client_of(server) as client:
        functions.query(client, "_system/cli/tables", {}, component="waitlist")
        assert json.loads(server.requests[0].body)["componentPath"] == "waitlist"
        with pytest.raises(ValueError, match="only the platform's own"):
            functions.query(client, "app:mutation", {}, component="waitlist")
        with pytest.raises(ValueError, match="only as of now"):
            functions.query(client, "_system/cli/tables", {}, component="waitlist", as_of_ns=1)
    assert len(server.requests) == 1


@pytest.mark.parametrize("answer", [None, {}, {"ts": 5}, {"ts": "AAAA"}, {"ts": "no base64!"}])
def test_a_timestamp_that_is_none_is_refused(answer: Any) -> None:
    assert isinstance(failing(ok(answer), functions.now_ns), SourceInvalid)


# ---- repeating -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "reply",
    [
        refusal(500, "InternalServerError"),
        refusal(503, "TableSummariesUnavailable"),
        Reply(status=408, body=b""),
        HTML,
        Reply(is_dropped=True),
        Reply(body=b'{"a": 1', declared=200),
        Reply(body=b'{"a": 1'),
        Reply(body=b""),
        *(refusal(503, code) for code in sorted(NOT_DONE_CODES)),
        refusal(429, "TooManyConcurrentRequests"),
    ],
)
def test_a_read_is_repeated_until_it_is_answered(reply: Reply) -> None:
    fake = FakeTiming()
    with serving([reply, reply, ok("done")]) as server, client_of(server, fake) as client:
        assert client.post("/api/query", {"n": 1}) == "done"
    assert len(server.requests) == 3
    assert fake.slept_s == [0.25, 0.5]
    assert [request.body for request in server.requests] == [b'{"n":1}'] * 3


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 409, 421, 425, 302, 501])
def test_what_will_not_change_is_asked_once(status: int) -> None:
    with serving([Reply(status=status, body=b"")]) as server, client_of(server) as client, pytest.raises(AnalyzerError):
        client.get("/api/x")
    assert len(server.requests) == 1


def change(client: Client) -> Any:
    return functions.mutation(client, "_system/frontend/deleteDocuments", {"toDelete": []}, permission="WriteData")


@pytest.mark.parametrize("code", sorted(NOT_DONE_CODES))
def test_a_change_is_repeated_when_it_certainly_did_not_happen(code: str) -> None:
    status = 429 if code.startswith("TooMany") else 503
    with (
        serving([refusal(status, code), ok({"status": "success", "value": None})]) as server,
        client_of(server) as client,
    ):
        assert change(client) is None
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    "reply",
    [
        refusal(500, "InternalServerError"),
        refusal(503, "CommitterFullError"),
        Reply(status=408, body=b""),
        HTML,
        Reply(status=200, body=b"<html>", content_type="text/html"),
        Reply(is_dropped=True),
        Reply(body=b'{"status": "succ', declared=200),
        Reply(body=b'{"status": "succ'),
        Reply(body=b'"' + b"x" * 2000 + b'"'),
    ],
)
def test_a_change_whose_answer_was_lost_is_sent_once_and_said_to_be_unknown(reply: Reply) -> None:
    unknown = pytest.raises(OutcomeUnknown, match="nobody knows whether the change was made")
    with serving([reply]) as server, client_of(server, body_bytes=1000) as client, unknown:
        change(client)
    assert len(server.requests) == 1


@pytest.mark.parametrize("reply", [refusal(400, "BadJsonBody"), refusal(403, "OperationNotPermitted")])
def test_a_change_that_was_refused_is_not_called_unknown(reply: Reply) -> None:
    error = failing(reply, change)
    assert isinstance(error, ServerRefused)


def test_a_change_that_was_not_sent_is_repeated_and_not_called_unknown() -> None:
    fake = FakeTiming()
    timing = Timing(fake.monotonic_s, fake.sleep_s, fake.draw)
    unreachable = pytest.raises(SourceUnreachable, match="cannot be reached")
    with Client(closed_port(), KEY, timing=timing) as client, unreachable as caught:
        change(client)
    assert not isinstance(caught.value, OutcomeUnknown)
    assert len(fake.slept_s) == Policy().repeats


def closed_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    return f"http://127.0.0.1:{port}"


def test_a_change_with_an_empty_answer_is_done() -> None:
    with serving([Reply(body=b"")]) as server, client_of(server) as client:
        assert client.change("/api/v1/pause_deployment", permission="PauseDeployment") is None


def test_raw_bytes_are_sent_as_they_are() -> None:
    with serving([ok("token")]) as server, client_of(server) as client:
        params: dict[str, str | int] = {"uploadToken": "a/b", "partNumber": 1}
        path = "/api/import/upload_part"
        assert client.change(path, b"\x00\xff", params=params, permission="ImportBackups") == "token"
    assert server.requests[0].body == b"\x00\xff"
    assert server.requests[0].path == "/api/import/upload_part?uploadToken=a%2Fb&partNumber=1"


def test_waits_double_up_to_a_limit_and_are_jittered_downwards() -> None:
    policy = Policy(repeats=7)
    waits = [policy.wait_s(n, Repeat.READS, False, 0.0) for n in range(8)]
    assert waits == [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 8.0, None]
    assert policy.wait_s(2, Repeat.READS, False, 1.0) == 0.5
    assert policy.wait_s(0, Repeat.READS, True, 0.0) is None
    assert policy.wait_s(0, Repeat.NEVER, False, 0.0) is None
    assert policy.wait_s(2, Repeat.BRIEFLY, False, 0.0) is None


def test_repeating_ends_when_the_time_is_used_up() -> None:
    fake = FakeTiming()
    with serving([refusal(500, "InternalServerError")]) as server, client_of(server, fake, total_s=1.0) as client:
        with pytest.raises(SourceUnreachable, match="InternalServerError"):
            client.get("/api/x")
        assert sum(fake.slept_s) < 1.0
        fake.now_s = 2.0
        with pytest.raises(SourceUnreachable, match="the time limit is used up"):
            client.get("/api/x")


# ---- bad servers -----------------------------------------------------------------------------------------------


def forever(chunk: bytes) -> Iterator[bytes]:
    while True:
        yield chunk


@pytest.mark.parametrize(
    "reply", [Reply(body=b"[1", declared=10**12), Reply(body=forever(b" " * 65536))], ids=["announced", "endless"]
)
def test_a_gigantic_body_is_refused_by_its_announcement_and_by_its_size(reply: Reply) -> None:
    too_big = pytest.raises(SourceInvalid, match="with more than 1 MiB")
    with serving([reply]) as server, client_of(server, body_bytes=2**20) as client, too_big:
        client.get("/api/x")
    assert len(server.requests) == 1


def test_a_body_that_never_ends_is_cut_off_in_time() -> None:
    fake = FakeTiming(step_s=50.0)
    slow = pytest.raises(SourceUnreachable, match="too slowly")
    limits = {"policy": Policy(repeats=1)}
    with serving([Reply(body=forever(b" "))]) as server, client_of(server, fake, **limits) as client, slow:
        client.get("/api/x")


def test_a_silent_server_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:  # accepts into its backlog, and never answers
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        silent = pytest.raises(SourceUnreachable, match="does not answer GET /api/x in time")
        with Client(url, KEY, limits=Limits(silence_s=0.05, policy=Policy(repeats=0))) as client, silent:
            client.get("/api/x")


def test_a_redirect_is_not_followed_and_says_where_to() -> None:
    with serving([ok("stolen")]) as thief:
        for status in (301, 302, 303, 307, 308):
            reply = Reply(status=status, body=b"", headers={"Location": f"{thief.url}/api/x"})
            error = failing(reply)
            assert isinstance(error, SourceInvalid)
            assert f"redirects GET /api/x to {thief.url}" in str(error)
    assert thief.requests == []


def test_an_unknown_certificate_is_no_deployment(tmp_path: Any) -> None:
    with pytest.raises(ConfigError, match="holds no certificates"):
        Client("https://a-b-1.convex.cloud", KEY, ca_file=tmp_path / "none.pem")


def test_a_server_that_speaks_no_tls_is_not_trusted() -> None:
    with serving([ok(1)]) as server:
        origin = server.url.replace("http:", "https:")
        unreachable = pytest.raises(SourceUnreachable, match="cannot be reached")
        with Client(origin, KEY, limits=Limits(policy=Policy(repeats=0))) as client, unreachable:
            client.get("/api/x")
    assert server.requests == []


def test_plain_http_to_another_machine_is_refused_before_anything_is_sent() -> None:
    with pytest.raises(UsageError, match="everyone on the way"):
        Client("http://192.0.2.1:3210", KEY)


def test_a_proxy_that_is_no_url_is_refused_without_its_password() -> None:
    password = "hunter" + "2"
    with pytest.raises(ConfigError, match="the proxy is no URL") as caught:
        Client("https://a-b-1.convex.cloud", KEY, proxy=f"{password}@nowhere")
    assert password not in "".join(traceback.format_exception(caught.value)) + caught.value.hint


@pytest.mark.parametrize(
    ("reply", "kind", "says", "hint"),
    [
        (HTML, SourceUnreachable, "with a web page (HTTP 520)", "a proxy stands in between"),
        (Reply(body=b"<html>hi", content_type="text/plain"), SourceInvalid, "with a web page (HTTP 200)", "proxy"),
        (Reply(status=404, body=b""), NotOffered, "has no GET /api/x", "too old"),
        (Reply(status=405, body=b""), NotOffered, "has no GET /api/x", "too old"),
        (Reply(body=b"\x00\x01"), SourceInvalid, "with no JSON but", "cut off"),
        (Reply(body=b"NaN"), SourceInvalid, "with no JSON but 'NaN'", "cut off"),
        (Reply(body=b"[" * 5000), SourceInvalid, "with no JSON", "cut off"),
        (Reply(body=b" \n"), SourceInvalid, "with an empty body", "cut off"),
        (Reply(body=b"zz", headers={"Content-Encoding": "gzip"}), SourceUnreachable, "cannot be unpacked", "proxy"),
        (refusal(401, "BadAdminKey"), AccessDenied, "does not accept the prod key of happy-animal-123", "revoked"),
        (refusal(403, "BadDeployKey"), AccessDenied, "does not accept the prod key of happy-animal-123", "revoked"),
        (refusal(403, "StreamingExportNotEnabled"), NotOffered, "plan of", "page by page"),
        (refusal(403, "AuditLogsDisabled"), NotOffered, "is not in its plan", ""),
        (refusal(403, "AuditLogsTooOld"), NotOffered, "does not go back that far", ""),
        (refusal(400, "DataSyncCursorExpired", "old"), CursorExpired, "cannot continue", "from the start"),
        (refusal(400, "InvalidWindowToReadDocuments"), CursorExpired, "cannot continue", "from the start"),
        (refusal(400, "BadFormat", "bad"), ServerRefused, "refuses GET /api/x: BadFormat: bad", ""),
        (refusal(429, "TooManyConcurrentRequests"), SourceUnreachable, "is asked too much at once", "less runs"),
        (refusal(503, "WorkerOverloaded"), SourceUnreachable, "cannot answer GET /api/x now", "later"),
        (Reply(status=418, body=b"[]"), ServerRefused, "refuses GET /api/x: HTTP 418", ""),
        (refusal(404, "ExportNotFound", "gone"), ServerRefused, "ExportNotFound: gone", ""),
    ],
)
def test_each_bad_answer_has_a_class_and_a_sentence_of_its_own(
    reply: Reply, kind: type[AnalyzerError], says: str, hint: str
) -> None:
    error = failing(reply)
    assert type(error) is kind
    assert says in str(error)
    assert hint in error.hint


def test_a_key_that_is_too_weak_is_told_what_it_lacks_and_for_what() -> None:
    message = "You do not have permission to perform this operation (deployment:metrics:view)."
    error = failing(
        refusal(403, "OperationNotPermitted", message), lambda client: client.get("/api/x", permission="ViewMetrics")
    )
    assert isinstance(error, AccessDenied)
    assert error.permission == "ViewMetrics"
    assert "it lacks ViewMetrics (deployment:metrics:view), needed for error rate, latency" in str(error)


def test_a_permission_that_is_missing_inside_a_function_is_told_the_same_way() -> None:
    message = "[Request ID: 1] You do not have permission to perform this operation (deployment:data:view)."
    answer = ok({"status": "error", "errorMessage": message})
    error = failing(answer, lambda client: functions.query(client, "_system/cli/tables", {}))
    assert isinstance(error, AccessDenied)
    assert "it lacks ViewData (deployment:data:view), needed for documents" in str(error)


def test_no_key_at_all_is_said_to_be_missing() -> None:
    denied = pytest.raises(AccessDenied, match="only with a key, and none was given")
    with serving([refusal(403, "BadDeployKey")]) as server, Client(server.url) as client, denied as caught:
        client.get("/api/check_admin_key")
    assert "CONVEX_DEPLOY_KEY" in caught.value.hint


# ---- secrets ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "reply",
    [
        refusal(400, "Echo", f"you sent Convex prod:happy-animal-123|{SECRET}"),
        refusal(401, "BadAdminKey", f"wrong: {SECRET}"),
        refusal(503, "Echo", SECRET),
        ok({"status": "error", "errorMessage": f"key {SECRET}"}),
        Reply(body=f"no json {SECRET}".encode()),
        Reply(status=302, body=b"", headers={"Location": f"https://evil.example/{SECRET}"}),
        Reply(is_dropped=True),
        Reply(body=b"{", declared=100),
        Reply(body=b"not gzip", headers={"Content-Encoding": "gzip"}),
    ],
)
def test_no_error_shows_the_key_even_if_the_server_echoes_it(reply: Reply, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    failing(reply, lambda client: functions.query(client, "a:b", {}))
    failing(reply, change)
    assert SECRET not in caplog.text


def test_an_error_carries_nothing_of_the_http_library() -> None:
    for reply in (Reply(is_dropped=True), refusal(401, "BadAdminKey")):
        error = failing(reply)
        assert error.__cause__ is None
        assert error.__context__ is None


def test_a_key_inside_an_answer_is_taken_out_of_it() -> None:
    echo = {"status": "success", "value": [{"note": f"key: prod:happy-animal-123|{SECRET}!"}]}
    with serving([ok(echo)]) as server, client_of(server) as client:
        assert functions.query(client, "a:b", {}) == [{"note": "key: prod:happy-animal-123|[key]!"}]


def test_foreign_text_in_an_error_cannot_steer_a_terminal() -> None:
    error = failing(refusal(400, "Odd", "\x1b[2J\x1b]0;owned\x07 rm\u202e -rf\n" + "x" * 5000))
    assert str(error).isprintable()
    assert len(str(error)) < 400


def test_a_closed_client_says_so() -> None:
    with serving([ok(1)]) as server:
        client = client_of(server)
        client.close()
        with pytest.raises(SourceUnreachable, match="was closed here"):
            client.get("/api/x")


def test_closing_waits_for_nobody_and_leaves_no_connection_behind() -> None:
    arrived, leave = threading.Event(), threading.Event()

    def answer(_: Request) -> Reply:
        arrived.set()
        leave.wait(20)
        return ok("late")

    found: list[Any] = []
    with serving(answer) as server:
        client = client_of(server)
        (library,) = client._wire._lanes._free
        thread = threading.Thread(target=lambda: found.append(client.get("/api/x")))
        thread.start()
        assert arrived.wait(20)
        client.close()  # returns although the answer is not there yet
        assert found == []
        leave.set()
        thread.join()
        assert found == ["late"]
        with pytest.raises(SourceUnreachable, match="was closed here"):
            client.get("/api/x")
    assert library.is_closed
    assert client._wire._lanes._free == []


def test_no_connection_is_closed_under_a_thread_that_reads_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library looks whether idle connections are still open; it gets all the time it can lose there."""
    ready, begun = SyncStream.get_extra_info, HTTP11Connection.handle_request

    def looking(stream: SyncStream, info: str) -> Any:
        if info == "is_readable" and (number := stream._sock.fileno()) >= 0:
            return bool(select.select([number], [], [], 0.005)[0])
        return ready(stream, info)

    def beginning(connection: HTTP11Connection, request: Any) -> Any:
        threading.Event().wait(0.002)
        return begun(connection, request)

    monkeypatch.setattr(SyncStream, "get_extra_info", looking)
    monkeypatch.setattr(HTTP11Connection, "handle_request", beginning)
    answers: list[Any] = []
    with serving(lambda _: ok(1)) as server, client_of(server) as client:
        asking = [
            threading.Thread(target=lambda: answers.extend(client.get("/x") for _ in range(20))) for _ in range(6)
        ]
        for thread in asking:
            thread.start()
        for thread in asking:
            thread.join(30)
        assert client.requests_sent == 120  # none was repeated
    assert answers == [1] * 120
