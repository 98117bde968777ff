"""The only door to the network: HTTP to one deployment, polite and stubborn.

Polite: at most four requests at once, over kept connections, with a name of its own. Stubborn: what may be sent
again is, with growing, jittered waits, until a limit in time (see `retry`). Careful: the key goes to this origin
alone (no redirect is followed), over https:// or to this machine; a body is read only up to a size; a change whose
answer was lost is never repeated. Proxies and certificates of the environment are not looked at by themselves: the
configuration passes them in, so that no variable silently sends the key somewhere else.

Errors are of `analyzer.errors`; none carries, shows or chains anything that holds the key.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Self

import httpx
import orjson

from analyzer import __version__
from analyzer.convex import outages, refusals, urls
from analyzer.convex.keys import Key
from analyzer.convex.outages import Outage
from analyzer.convex.refusals import Asked, Failure
from analyzer.convex.retry import Repeat, Timing
from analyzer.convex.traffic import ClosedError, Limits, OutOfTimeError, Traffic
from analyzer.errors import ConfigError, SourceInvalid

FUNCTION_FAILED_STATUS = 560  # accepted like 200; it carries the same body
SILENT: Any = object()  # what `get` returns when its patience is at an end
CLIENT_NAME = f"analyzer-{__version__}"  # "<name>-<version>", as the platform wants it
JSON = "application/json"

for _library_name in ("httpx", "httpcore"):  # at lower levels they write what the server sent, which may hold the key
    logging.getLogger(_library_name).setLevel(logging.WARNING)


@dataclass(frozen=True, slots=True)
class _Call:
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


class Client:
    """Talks to one deployment. Safe to use from several threads; use as a context manager."""

    def __init__(
        self,
        origin: str,
        key: Key | None = None,
        *,
        limits: Limits | None = None,
        timing: Timing | None = None,
        is_insecure_allowed: bool = False,
        proxy: str | None = None,
        ca_file: Path | None = None,
    ) -> None:
        """Prepare to talk; nothing is sent yet.

        origin   "https://happy-animal-123.convex.cloud", see `urls.origin`
        proxy    URL of an HTTP proxy, used for https:// only: through any other it would see the key
        ca_file  certificates to trust instead of the usual ones, for a self-hosted deployment
        raises   UsageError for an origin that cannot be used; ConfigError for certificates that cannot be read
        """
        self.origin = urls.origin(origin, "the URL", is_insecure_allowed=is_insecure_allowed)
        self.key = key
        self.limits = limits or Limits()
        self._timing = timing or Timing()
        is_tls = self.origin.startswith("https:")
        trust = _trust(ca_file) if is_tls else False  # loading certificates takes longer than a request
        self._http = _library(key, self.limits.at_once, proxy if is_tls else None, trust)
        self._traffic = Traffic(self.limits, self._timing, self._http.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def requests_sent(self) -> int:
        """Requests so far, repeats included."""
        return self._traffic.sent

    def close(self) -> None:
        """Send nothing more, and wait for nothing: what other threads still wait for is finished there."""
        self._traffic.close()

    # ---- reading -----------------------------------------------------------------------------------------------

    def get(
        self,
        path: str,
        params: Mapping[str, str | int | float] | None = None,
        *,
        permission: str = "",
        patience_s: float | None = None,
    ) -> Any:
        """Return the parsed JSON of a GET.

        patience_s  of a long poll: after so long without a byte SILENT is returned, and that is no error
        """
        return self._ask("GET", path, permission=permission, params=params, patience_s=patience_s)

    def text(self, path: str) -> str:
        """Return the plain text of a GET, stripped."""
        body: bytes = self._ask("GET", path, is_text=True)
        return body.decode("utf-8", "replace").strip()

    def post(self, path: str, body: Mapping[str, Any] | None = None, *, permission: str = "", what: str = "") -> Any:
        """Return the parsed JSON of a POST that only reads, and so may be repeated.

        permission  that the key needs, for the error when it lacks it
        what        how errors call the request; default: method and path
        """
        return self._ask("POST", path, permission=permission, what=what, json=body)

    # ---- changing ----------------------------------------------------------------------------------------------

    def change(
        self,
        path: str,
        body: Mapping[str, Any] | bytes | None = None,
        *,
        params: Mapping[str, str | int | float] | None = None,
        permission: str,
        what: str = "",
        method: Literal["POST", "PUT"] = "POST",
    ) -> Any:
        """Send a change, JSON or raw bytes, and return the parsed answer; None when it is empty.

        raises  OutcomeUnknown when the answer was lost
        """
        raw = body if isinstance(body, bytes) else None
        json = None if isinstance(body, bytes) else body
        return self._ask(
            method,
            path,
            permission=permission,
            what=what,
            params=params,
            json=json,
            content=raw,
            is_change=True,
        )

    def unexpected(self, what: str, expected: str, permission: str = "") -> SourceInvalid:
        """Return the error for an answer of another shape."""
        return refusals.unexpected(self.asked(what, permission), expected)

    def asked(self, what: str, permission: str = "") -> Asked:
        """Return what errors say of a request to this deployment."""
        return Asked(self.origin, what, self.key, permission)

    # ---- one call ----------------------------------------------------------------------------------------------

    def _ask(
        self,
        method: Literal["GET", "POST", "PUT"],
        path: str,
        *,
        what: str = "",
        permission: str = "",
        params: Mapping[str, str | int | float] | None = None,
        json: Mapping[str, Any] | None = None,
        content: bytes | None = None,
        is_change: bool = False,
        is_text: bool = False,
        patience_s: float | None = None,
    ) -> Any:
        """Send until there is an answer or no more sense in it."""
        content_type = JSON if content is None else "application/octet-stream"
        if content is None and method != "GET":
            content = orjson.dumps(dict(json or {}))
        call = _Call(
            method,
            path,
            what or f"{method} {path}",
            permission,
            params or {},
            content,
            content_type,
            is_change,
            is_text,
            patience_s,
        )
        policy, timing = self.limits.policy, self._timing
        repeat = 0
        while True:
            outcome = self._try(call)
            if not isinstance(outcome, Failure):
                return outcome[0]
            wait_s = policy.wait_s(repeat, outcome.repeat, is_change, timing.draw())
            if wait_s is None or wait_s >= self._traffic.left_s():
                if is_change and outcome.leaves_change_unknown:
                    raise outages.lost(outcome.error)
                raise outcome.error
            timing.sleep_s(wait_s)
            repeat += 1

    def _try(self, call: _Call) -> tuple[Any] | Failure:
        """Send once. Errors are returned and not raised, so that none of them is chained to one of the library's."""
        asked = self.asked(call.what, call.permission)
        try:
            with self._traffic.slot(), self._stream(call) as response:
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
        return self._parsed(call, asked, content_type, body)

    def _parsed(self, call: _Call, asked: Asked, content_type: str, body: bytes) -> tuple[Any] | Failure:
        if self.key:
            body = self.key.removed_from_bytes(body)  # a server or a document may echo it
        if call.is_text and not refusals.looks_like_page(content_type, body):
            return (body,)
        if call.is_change and not body:
            return (None,)
        try:
            return (orjson.loads(body),)
        except orjson.JSONDecodeError:
            return replace(refusals.not_json(asked, content_type, body), is_lost=True)

    def _stream(self, call: _Call) -> Any:
        limits, left_s = self.limits, max(self._traffic.left_s(), 0.001)
        silence_s = call.patience_s or limits.silence_s
        return self._http.stream(
            call.method,
            self.origin + call.path,
            params=call.params or None,
            content=call.content,
            headers={"Content-Type": call.content_type} if call.content is not None else {},
            timeout=httpx.Timeout(min(silence_s, left_s), connect=min(limits.connect_s, left_s)),
        )

    def _body(self, response: httpx.Response, asked: Asked) -> bytes | Failure:
        """Read a body, up to a size and a time."""
        allowed = self.limits.body_bytes
        declared = response.headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > allowed:
            return outages.too_big(asked, allowed)
        end_s = self._timing.monotonic_s() + min(self.limits.request_s, self._traffic.left_s())
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


def _library(key: Key | None, at_once: int, proxy: str | None, trust: ssl.SSLContext | bool) -> httpx.Client:
    headers = {"User-Agent": f"analyzer/{__version__}", "Convex-Client": CLIENT_NAME, "Accept": f"{JSON}, text/plain"}
    try:
        return httpx.Client(
            headers=headers | ({"Authorization": key.header()} if key else {}),
            limits=httpx.Limits(max_connections=at_once, max_keepalive_connections=at_once),
            verify=trust,
            proxy=proxy,
            follow_redirects=False,
            trust_env=False,
        )
    except (ValueError, httpx.InvalidURL):  # it may hold a password, which the library would quote
        raise ConfigError("the proxy is no URL that can be used", hint="expected: http://HOST:PORT") from None


def _trust(ca_file: Path | None) -> ssl.SSLContext | bool:
    if ca_file is None:
        return True
    try:
        return ssl.create_default_context(cafile=str(ca_file))
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"{ca_file} holds no certificates: {error}", hint="expected: PEM") from error
