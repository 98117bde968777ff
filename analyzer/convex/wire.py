"""The only door to the network: one request over a kept connection, and what became of it.

Careful: the key goes to this origin alone (no redirect is followed), over https:// or to this machine, and a body is
read only up to a size and a time. Proxies and certificates of the environment are not looked at: who makes a wire says
which, so that no variable silently sends the key somewhere else. No error carries, shows or chains anything that holds
the key.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import httpx
import orjson

from analyzer.convex import outages, refusals
from analyzer.convex.keys import Key
from analyzer.convex.lanes import AGENT, Lanes, Trust
from analyzer.convex.outages import Outage
from analyzer.convex.refusals import Asked, Failure
from analyzer.convex.retry import Repeat, Timing
from analyzer.convex.traffic import ClosedError, Limits, OutOfTimeError, Traffic

FUNCTION_FAILED_STATUS = 560  # accepted like 200; it carries the same body
SILENT: Any = object()  # the answer to a call whose patience is at an end

for _library_name in ("httpx", "httpcore"):  # at lower levels they write what the server sent, which may hold the key
    logging.getLogger(_library_name).setLevel(logging.WARNING)


@dataclass(frozen=True, slots=True)
class Call:
    """One request to be made, perhaps several times."""

    method: Literal["GET", "POST", "PUT"]
    path: str
    what: str
    permission: str
    params: Mapping[str, str | int | float]
    content: bytes | None
    content_type: str
    is_change: bool
    is_text: bool
    patience_s: float | None = None
    is_unread: bool = False  # the answer is an `Unparsed`
    sent: Callable[[], None] | None = None  # called once the request has left


class Unparsed(NamedTuple):
    """A body that came with success; whether it is JSON is not known yet."""

    body: bytes
    content_type: str


class Wire:
    """Connections to one origin. Safe to use from several threads."""

    def __init__(self, origin: str, key: Key | None, limits: Limits, timing: Timing, *, trust: Trust) -> None:
        """Prepare to talk; nothing is sent yet.

        raises  ConfigError for certificates that cannot be read, or a proxy that is none
        """
        self._origin, self._key = origin, key
        self._limits, self._timing = limits, timing
        self._lanes = Lanes(key, trust, is_tls=origin.startswith("https:"))
        self.agent = AGENT
        self.traffic = Traffic(limits, timing, self._lanes.close)

    def send(self, call: Call, asked: Asked) -> tuple[Any] | Failure:
        """Send once. Errors are returned and not raised, so that none of them is chained to one of the library's."""
        try:
            with self.traffic.slot(), self._lanes.lane() as library, self._stream(library, call) as response:
                body = self._body(response, asked)
        except httpx.HTTPError as error:
            if call.patience_s is not None and isinstance(error, httpx.ReadTimeout):
                return (SILENT,)
            return _broken(error, asked)
        except (OutOfTimeError, ClosedError, httpx.InvalidURL) as error:
            return outages.failure(_UNSENT[type(error)], asked, Repeat.NEVER)
        if isinstance(body, Failure):
            return replace(body, is_lost=True)
        content_type = response.headers.get("content-type", "")
        if response.status_code not in (200, FUNCTION_FAILED_STATUS):
            location = response.headers.get("location", "")
            return refusals.from_status(asked, response.status_code, content_type, body, location)
        if self._key:
            body = self._key.removed_from_bytes(body)  # a server or a document may echo it
        found = Unparsed(body, content_type)
        return (found,) if call.is_unread else self.parsed(call, asked, found)

    def parsed(self, call: Call, asked: Asked, found: Unparsed) -> tuple[Any] | Failure:
        """Return what a body says, as the call wants it."""
        body, content_type = found
        if call.is_text and not refusals.looks_like_page(content_type, body):
            return (body,)
        if call.is_change and not body:
            return (None,)
        try:
            return (orjson.loads(body),)
        except orjson.JSONDecodeError:
            return replace(refusals.not_json(asked, content_type, body), is_lost=True)

    def _stream(self, library: httpx.Client, call: Call) -> Any:
        limits, left_s = self._limits, max(self.traffic.left_s(), 0.001)
        silence_s = call.patience_s or limits.silence_s
        return library.stream(
            call.method,
            self._origin + call.path,
            params=call.params or None,
            content=call.content,
            headers={"User-Agent": self.agent} | ({} if call.content is None else {"Content-Type": call.content_type}),
            timeout=httpx.Timeout(min(silence_s, left_s), connect=min(limits.connect_s, left_s)),
            extensions=None if call.sent is None else {"trace": _telling(call.sent)},
        )

    def _body(self, response: httpx.Response, asked: Asked) -> bytes | Failure:
        """Read a body, up to a size and a time."""
        allowed = self._limits.body_bytes
        declared = response.headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > allowed:
            return outages.too_big(asked, allowed)
        end_s = self._timing.monotonic_s() + min(self._limits.request_s, self.traffic.left_s())
        chunks: list[bytes] = []
        size = 0
        for chunk in response.iter_bytes():
            chunks.append(chunk)
            size += len(chunk)
            if size > allowed:
                return outages.too_big(asked, allowed)
            if self._timing.monotonic_s() > end_s:
                return outages.failure(Outage.SLOW, asked, Repeat.READS)
        return b"".join(chunks)


def _telling(sent: Callable[[], None]) -> Callable[[str, Mapping[str, Any]], None]:
    """Return what the library tells each of its steps to."""

    def step(name: str, _: Mapping[str, Any]) -> None:
        if name.endswith("send_request_body.complete"):
            sent()

    return step


_UNSENT: Mapping[type[Exception], Outage] = {
    OutOfTimeError: Outage.OUT_OF_TIME,
    ClosedError: Outage.CLOSED,
    httpx.InvalidURL: Outage.UNSENDABLE,
}
# Which of the library's errors means what; the first that fits. Nothing was sent where it says ALWAYS.
_OUTAGES: Sequence[tuple[type[httpx.HTTPError], Outage, Repeat]] = (
    (httpx.ConnectError, Outage.UNREACHABLE, Repeat.ALWAYS),
    (httpx.ConnectTimeout, Outage.UNREACHABLE, Repeat.ALWAYS),
    (httpx.PoolTimeout, Outage.SILENT, Repeat.ALWAYS),
    (httpx.ProxyError, Outage.NO_PROXY, Repeat.ALWAYS),
    (httpx.TimeoutException, Outage.SILENT, Repeat.READS),
    (httpx.DecodingError, Outage.GARBLED, Repeat.BRIEFLY),
    (httpx.HTTPError, Outage.BROKEN, Repeat.READS),
)


def _broken(error: httpx.HTTPError, asked: Asked) -> Failure:
    """Explain a connection that failed. What the library says is quoted, the library's error itself is dropped."""
    if isinstance(error, httpx.ConnectError) and "CERTIFICATE_VERIFY_FAILED" in str(error):
        return outages.failure(Outage.NOT_TRUSTED, asked, Repeat.NEVER, str(error))
    outage, repeat = next((outage, repeat) for kind, outage, repeat in _OUTAGES if isinstance(error, kind))
    return outages.failure(outage, asked, repeat, str(error))
