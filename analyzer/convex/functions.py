"""Calling functions of a deployment: the app's own, and the platform's under `_system/`."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any, Literal

from analyzer.convex import refusals
from analyzer.convex.client import Client
from analyzer.convex.permissions import RUN_INTERNAL_QUERIES, VIEW_DATA

ValueFormat = Literal["json", "convex_encoded_json"]
SYSTEM = "_system/"


def query(
    client: Client,
    function: str,
    args: Mapping[str, Any],
    *,
    as_of_ns: int | None = None,
    component: str = "",
    value_format: ValueFormat = "json",
    permission: str = "",
) -> Any:
    """Return the value of a query function. Nothing but a query is run: whatever else it is, is refused.

    as_of_ns   the deployment's documents at that time, at most a few minutes ago; None: now
    component  path of a component; for `_system/` functions only, since that endpoint runs mutations as well
    raises     FunctionFailed when it throws, does not exist, is no query, or the deployment is paused
    """
    body: dict[str, Any] = {"path": function, "args": dict(args), "format": value_format}
    path = "/api/query"
    if component:
        if not function.startswith(SYSTEM) or as_of_ns is not None:
            raise ValueError("only the platform's own functions are called in components, and only as of now")
        path, body["componentPath"] = "/api/function", component
    elif as_of_ns is not None:
        path, body["ts"] = "/api/query_at_ts", encode_timestamp(as_of_ns)
    needed = permission or (VIEW_DATA if function.startswith(SYSTEM) else RUN_INTERNAL_QUERIES)
    what = f"POST {path} ({function})"
    return _value(client, client.post(path, body, what=what, permission=needed), what, needed)


def mutation(client: Client, function: str, args: Mapping[str, Any], *, component: str = "", permission: str) -> Any:
    """Run a mutation and return its value.

    raises  OutcomeUnknown when the answer was lost: find out by reading, never by repeating; FunctionFailed when it
            threw, and so changed nothing
    """
    path = "/api/function" if component else "/api/mutation"
    body: dict[str, Any] = {"path": function, "args": dict(args), "format": "json"}
    if component:
        body["componentPath"] = component
    what = f"POST {path} ({function})"
    return _value(client, client.change(path, body, what=what, permission=permission), what, permission)


def now_ns(client: Client) -> int:
    """Return the deployment's newest timestamp, nanoseconds since the epoch by its own clock."""
    what = "POST /api/query_ts"
    answer = client.post("/api/query_ts", what=what)
    text = answer.get("ts") if isinstance(answer, dict) else None
    try:
        return decode_timestamp(text)
    except ValueError:
        raise client.unexpected(what, "a timestamp") from None


def encode_timestamp(time_ns: int) -> str:
    """Write nanoseconds since the epoch as the query endpoints want them: base64 of 8 bytes, little-endian."""
    return base64.b64encode(time_ns.to_bytes(8, "little")).decode("ascii")


def decode_timestamp(text: object) -> int:
    """Read what `encode_timestamp` writes.

    raises  ValueError
    """
    try:
        raw = base64.b64decode(text, validate=True) if isinstance(text, str) else b""
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) != 8:
        raise ValueError("no timestamp")
    return int.from_bytes(raw, "little")


def _value(client: Client, answer: Any, what: str, permission: str) -> Any:
    status = answer.get("status") if isinstance(answer, dict) else None
    if status == "success" and "value" in answer:
        return answer["value"]
    if status == "error":
        raise refusals.from_function(client.asked(what, permission), answer)
    raise client.unexpected(what, "a status and a value", permission)
