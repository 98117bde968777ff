"""Targets: every parser of what a server answers, fed through the real client below its socket.

An input is a conversation: answers one a line, `200 {"json": …}`, in the order in which they are given. When they are
used up the server is gone, so that nothing goes on for ever by itself.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any
from unittest import mock

import httpx

from analyzer.convex import functions, identity, keys
from analyzer.convex.client import Client
from analyzer.convex.retry import Policy
from analyzer.convex.target import Target as Aim
from analyzer.convex.traffic import Limits
from analyzer.purge import live, writes
from analyzer.sources import live_events, live_flags, live_logs, live_metrics
from analyzer.sources.live import LiveSource
from analyzer.sources.live_pages import ChangeReader, Wanted
from tests.convex.exports import make_id
from tests.fuzz.target import Target
from tests.sources.live_pages_of import CONVERSATIONS, T0, document, of_function, reader_of

ORIGIN = "http://127.0.0.1:3210"
KEY = keys.parse("prod:happy-animal-123|eyJ2MiI6IjRhYmNkZWZnaGlqa2xtbm9w", "a test")
LIMITS = Limits(policy=Policy(repeats=0, brief_repeats=0))
MOST_REQUESTS = 200


def scripted(data: bytes) -> httpx.Client:
    """Return the library's client over a transport that answers from a conversation."""
    lines = iter(data.split(b"\n")[:MOST_REQUESTS])

    def answer(request: httpx.Request) -> httpx.Response:
        line = next(lines, None)
        if line is None:
            raise httpx.ConnectError("the conversation is over", request=request)
        status, _, body = line.partition(b" ")
        code = int(status) if status.isdigit() and 100 <= int(status[:9]) <= 599 else 200
        page = b"text/html" if body.startswith(b"<") else b"application/json"
        return httpx.Response(code, headers=[(b"content-type", page)], content=body or line)

    return httpx.Client(transport=httpx.MockTransport(answer), headers={"Authorization": KEY.header()})


def client_of(data: bytes) -> Client:
    client = Client(ORIGIN, KEY, limits=LIMITS)
    client._wire._lanes.close()
    client._wire._lanes._free = [scripted(data)]
    return client


class OneByOne:
    """A call whose outcome is there before the next is asked for: a conversation has an order."""

    def __init__(self, call: Callable[[], Any]) -> None:
        found = call()
        self.result = lambda: found


def conversation(*answers: Any, status: int = 200) -> bytes:
    return b"\n".join(b"%d %s" % (status, json.dumps(answer).encode()) for answer in answers)


def asking(ask: Callable[[Client], None]) -> Callable[[bytes], None]:
    def reads(data: bytes) -> None:
        with client_of(data) as client:
            ask(client)

    return reads


def reading(way: str) -> Callable[[Client], None]:
    def ask(client: Client) -> None:
        reader: ChangeReader = reader_of(way, client, Wanted(left_out={("", "users"): frozenset({"name"})}))
        at_ns = 0
        for page in reader.pages(None):
            for change in page.values:
                assert isinstance(change.id, str) and isinstance(change.ts_ns, int)
                assert change.deleted == (change.document is None)
                assert change.document is None or "name" not in change.document or change.table != "users"
            assert page.snapshot_ts_ns is None or page.snapshot_ts_ns >= at_ns, "time goes forward"
            at_ns = page.snapshot_ts_ns or at_ns

    return ask


def introducing(client: Client) -> None:
    with mock.patch.object(identity, "Beside", OneByOne):
        _introducing(client)


def _introducing(client: Client) -> None:
    who = identity.introduce(client)
    assert who.name is None or who.name.isascii()
    powers = identity.powers(client)
    assert powers is None or not (powers.is_everything and powers.is_read_only)
    identity.deployment(Aim(ORIGIN, None, KEY, "a test"), identity.describe(client, who))


def listing(client: Client) -> None:
    source = LiveSource.__new__(LiveSource)
    source.wanted, source._client, source._tables, source._component_ids = Wanted(), client, None, {}
    source._listing, source._early = threading.Lock(), None
    tables = source.tables()
    assert list(tables) == sorted(tables, key=lambda table: (table.component, table.name))
    assert all(count >= 0 for count in source.counts(T0).values())


def hearing(client: Client) -> None:
    page = live_logs.read_logs(client, 0.0)
    for call in page.calls:
        assert len(call.function) <= 300 and call.read_bytes >= 0
        float(call.started_ms)


def measuring(client: Client) -> None:
    found = live_metrics.read_metrics(client, T0)
    for series in found.series:
        assert all(value is None or abs(value) >= 0 for _, value in series.points)


def auditing(client: Client) -> None:
    found = live_events.read_events(client, 0, 1_765_889_880_000)
    for event in found.events:
        assert len(event.action) <= 100
        json.dumps(event.details, allow_nan=False)


def varying(client: Client) -> None:
    flags = live_flags.read_flags(client, ("ENABLE_WORKFLOW", "API_KEY"), lambda: {"ENABLE_WORKFLOW": True})
    assert {flag.name for flag in flags.flags} <= {"ENABLE_WORKFLOW"}, "no other value is kept"


def telling_time(client: Client) -> None:
    assert functions.now_ns(client) >= 0


def fetching(client: Client) -> None:
    wanted = [("users", make_id("users", 1)), ("users", make_id("users", 2))]
    found = live.read_documents(client, wanted)
    assert set(found) == {id_ for _, id_ in wanted}
    assert all(isinstance(name, str) for name in live.table_mapping(client).values())
    assert live.table_count(client, "users") >= 0


def changing(client: Client) -> None:
    import_id = writes.start_import(client, b"PK")
    assert import_id
    writes.perform_import(client, import_id)
    writes.Deleting(client).delete(())


EVENT = {"action": "update_environment_variable", "metadata": {"variable_name": "X", "document_ids": [1]}}
PUSH = {"modules": {"added": ["a.js"], "removed": []}, "component_diffs": [{"component_diff": {"moduleDiff": {}}}]}
CALL = {
    "kind": "Completion", "identifier": "messages:list", "udfType": "Query", "executionTimestamp": 1765889.1,
    "executionTime": 0.02, "cachedResult": False, "error": None, "timestamp": 1765889.2, "componentPath": None,
    "usageStats": {"databaseReadBytes": 5, "databaseWriteBytes": 0, "databaseReadDocuments": 1}, "occInfo": None,
    "caller": "HttpApi", "executionId": "e", "willRetry": False,
}  # fmt: skip
SERIES = [[{"secs_since_epoch": 1765889880, "nanos_since_epoch": 0}, 0.05], [{"secs_since_epoch": 1765889940}, None]]
VARIABLES = [{"name": n, "value": "true", "_creationTime": 1.5} for n in ("ENABLE_WORKFLOW", "API_KEY")]
FAILURE = {"status": "error", "errorMessage": "[Request ID: a1] Server Error\nUncaught Error: boom at x.ts:3"}
REFUSALS = (
    (403, {"code": "OperationNotPermitted", "message": "You do not have permission deployment:data:view"}),
    (400, {"code": "InvalidDataSyncCursor", "message": "no"}),
    (503, {"code": "WorkerOverloaded", "message": "busy"}),
)

_asks: Sequence[tuple[str, Callable[[Client], None], Sequence[bytes], tuple[str, ...]]] = (
    *(
        (f"server: {way}", reading(way), [conversation(*CONVERSATIONS[way])], (module, "sources/live_pages.py"))
        for way, module in (
            ("data sync", "sources/live_sync.py"),
            ("deltas", "sources/live_deltas.py"),
            ("paged", "sources/live_paged.py"),
        )
    ),
    (
        "server: identity",
        introducing,
        [
            b"\n".join(
                [
                    b"200 1.2.3",
                    b"200 happy-animal-123",
                    conversation(
                        {"success": True, "allowedOps": ["ViewData"], "isReadOnly": True},
                        of_function({"state": "running"}),
                        {"kind": "cloud", "deploymentType": "dev", "reference": "dev/x", "projectSlug": "p"},
                    ),
                ]
            )
        ],
        ("convex/identity.py",),
    ),
    (
        "server: tables",
        listing,
        [
            conversation(
                of_function([{"path": "agent", "id": "k1"}]),
                of_function({"10001": "users", "10": "_x"}),
                of_function({"10001": "threads"}),
                of_function(3.0),
                of_function(4),
            )
        ],
        ("sources/live.py",),
    ),
    (
        "server: logs",
        hearing,
        [conversation({"entries": [CALL, {"kind": "Progress"}], "newCursor": 1765889.5})],
        ("sources/live_logs.py",),
    ),
    (
        "server: metrics",
        measuring,
        [
            conversation(
                [["messages.js:list", SERIES], ["_rest", SERIES]],
                [["messages.js:list", SERIES]],
                *[SERIES] * 4,
                [[50, SERIES], [95, SERIES], [99, SERIES]],
                SERIES,
            )
        ],
        ("sources/live_metrics.py",),
    ),
    (
        "server: audit log",
        auditing,
        [
            conversation(
                {
                    "items": [{**EVENT, "createTime": 1.5, "actor": {"kind": "member"}, "clientUserAgent": "x"}],
                    "pagination": {"hasMore": True, "nextCursor": "c"},
                },
                {
                    "items": [{"action": "push_config", "metadata": PUSH, "createTime": 2, "actor": {"kind": "token"}}],
                    "pagination": {"hasMore": False},
                },
            ),
            conversation({"code": "AuditLogsDisabled", "message": "no"}, status=403)
            + b"\n"
            + conversation(of_function([{**EVENT, "_creationTime": 5.0, "member_id": "m"}])),
        ],
        ("sources/live_events.py",),
    ),
    (
        "server: variables",
        varying,
        [conversation(of_function(VARIABLES)), conversation(FAILURE)],
        ("sources/live_flags.py",),
    ),
    ("server: time", telling_time, [conversation({"ts": "AHhqDpvCgRg="})], ("convex/functions.py",)),
    (
        "server: documents by id",
        fetching,
        [
            conversation(
                of_function([{**document(1), "_id": make_id("users", 1)}, None]),
                of_function({"10001": "users"}),
                of_function(2.0),
            )
        ],
        ("purge/live.py",),
    ),
    (
        "server: changes",
        changing,
        [
            conversation(
                {"uploadToken": "t"}, "part", {"importId": "i"}, None, of_function({"success": True, "error": "x"})
            )
        ],
        ("purge/writes.py", "convex/functions.py"),
    ),
    (
        "server: refusals",
        telling_time,
        [conversation(answer, status=status) for status, answer in REFUSALS]
        + [b"302 http://elsewhere", b"200 <html>sign in</html>", b'200 {"ts":'],
        ("convex/refusals.py", "convex/client.py", "convex/wire.py"),
    ),
)
TARGETS = tuple(Target(name, asking(ask), partial(list[bytes], seeds), modules) for name, ask, seeds, modules in _asks)
