"""The only door to the network: HTTP to one deployment, polite and stubborn.

Polite: at most four requests at once, over kept connections, with a name of its own. Stubborn: what may be sent
again is, with growing, jittered waits, until a limit in time (see `retry`). Careful: the key goes to this origin
alone (no redirect is followed), over https:// or to this machine; a body is read only up to a size; a change whose
answer was lost is never repeated. Proxies and certificates of the environment are not looked at by themselves: the
configuration passes them in, so that no variable silently sends the key somewhere else.

Errors are of `analyzer.errors`; none carries, shows or chains anything that holds the key.
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

import httpx
import orjson

from analyzer import __version__
from analyzer.convex import refusals, urls
from analyzer.convex.keys import Key
from analyzer.convex.refusals import Asked, Failure
from analyzer.convex.retry import Policy, Repeat, Timing
from analyzer.errors import ConfigError, OutcomeUnknown, SourceError, SourceInvalid, SourceUnreachable

MIB = 2**20
FUNCTION_FAILED_STATUS = 560  # accepted like 200; it carries the same body
CLIENT_NAME = f"analyzer-{__version__}"  # "<name>-<version>", as the platform wants it
JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Limits:
    """How much, how long and how often."""

    at_once: int = 4  # requests; the platform serves 16 queries at a time, and other clients are there too
    connect_s: float = 10.0
    silence_s: float = 90.0  # without a byte; a long poll is silent for up to 60 s
    request_s: float = 330.0  # one body, from first to last byte; the server itself cuts at 300 s
    total_s: float | None = None  # the whole life of the client; None: no limit
    body_bytes: int = 256 * MIB  # of one answer, unpacked; the largest page the platform makes is 64 MiB of documents
    policy: Policy = field(default_factory=Policy)


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
        self.requests_sent = 0  # tries, repeats included
        self._timing = timing or Timing()
        self._started_s = self._timing.monotonic_s()
        self._slots = threading.BoundedSemaphore(self.limits.at_once)
        self._counting = threading.Lock()
        self._is_closed = False
        self._http = httpx.Client(
            headers={
                "User-Agent": f"analyzer/{__version__}",
                "Convex-Client": CLIENT_NAME,
                "Accept": f"{JSON}, text/plain",
                **({"Authorization": key.header()} if key else {}),
            },
            limits=httpx.Limits(max_connections=self.limits.at_once, max_keepalive_connections=self.limits.at_once),
            verify=_trust(ca_file),
            proxy=proxy if self.origin.startswith("https:") else None,
            follow_redirects=False,
            trust_env=False,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the connections; what is under way in other threads ends with an error."""
        self._is_closed = True
        self._http.close()

    # ---- reading -----------------------------------------------------------------------------------------------

    def get(self, path: str, params: Mapping[str, str | int | float] | None = None, *, permission: str = "") -> Any:
        """Return the parsed JSON of a GET."""
        return self._ask("GET", path, permission=permission, params=params)

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
        return self._ask(method, path, permission=permission, params=params, json=json, content=raw, is_change=True)

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
        )
        policy, timing = self.limits.policy, self._timing
        repeat = 0
        while True:
            outcome = self._try(call)
            if not isinstance(outcome, Failure):
                return outcome[0]
            wait_s = policy.wait_s(repeat, outcome.repeat, is_change, timing.draw())
            if wait_s is None or wait_s >= self._left_s():
                if is_change and outcome.repeat in (Repeat.READS, Repeat.BRIEFLY):
                    raise _lost(outcome.error)
                raise outcome.error
            timing.sleep_s(wait_s)
            repeat += 1

    def _try(self, call: _Call) -> tuple[Any] | Failure:
        """Send once. Errors are returned and not raised, so that none of them is chained to one of the library's."""
        asked = self.asked(call.what, call.permission)
        try:
            with self._slot(), self._stream(call) as response:
                body = self._body(response, call, asked)
        except httpx.HTTPError as error:
            return _broken(error, asked)
        except httpx.InvalidURL:
            return Failure(SourceInvalid(f"{call.what} is no request that can be sent"), Repeat.NEVER)
        except RuntimeError:
            if not self._is_closed:
                raise
            return Failure(SourceUnreachable(f"the connection to {self.origin} was closed"), Repeat.NEVER)
        if isinstance(body, Failure):
            return body
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
            return refusals.not_json(asked, content_type, body)

    def _stream(self, call: _Call) -> Any:
        with self._counting:
            self.requests_sent += 1
        limits, left_s = self.limits, max(self._left_s(), 0.001)
        return self._http.stream(
            call.method,
            self.origin + call.path,
            params=call.params or None,
            content=call.content,
            headers={"Content-Type": call.content_type} if call.content is not None else {},
            timeout=httpx.Timeout(min(limits.silence_s, left_s), connect=min(limits.connect_s, left_s)),
        )

    def _body(self, response: httpx.Response, call: _Call, asked: Asked) -> bytes | Failure:
        """Read a body, up to a size and a time."""
        allowed = self.limits.body_bytes
        declared = response.headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > allowed:
            return _too_big(asked, allowed)
        end_s = self._timing.monotonic_s() + min(self.limits.request_s, self._left_s())
        chunks: list[bytes] = []
        size = 0
        for chunk in response.iter_bytes():
            chunks.append(chunk)
            size += len(chunk)
            if size > allowed:
                return _too_big(asked, allowed)
            if self._timing.monotonic_s() > end_s:
                return Failure(
                    SourceUnreachable(
                        f"{self.origin} sends its answer to {call.what} too slowly", hint="try again later"
                    ),
                    Repeat.READS,
                )
        return b"".join(chunks)

    @contextmanager
    def _slot(self) -> Iterator[None]:
        left_s = self._left_s()
        if left_s <= 0 or not self._slots.acquire(timeout=min(left_s, threading.TIMEOUT_MAX)):
            raise _OutOfTimeError
        try:
            yield
        finally:
            self._slots.release()

    def _left_s(self) -> float:
        """Return what is left of the client's time."""
        if self.limits.total_s is None:
            return float("inf")
        return self.limits.total_s - (self._timing.monotonic_s() - self._started_s)


class _OutOfTimeError(httpx.TimeoutException):
    """The client's whole time is used up; nothing was sent."""

    def __init__(self) -> None:
        super().__init__("out of time")


NOT_SENT: Sequence[type[httpx.HTTPError]] = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
)


def _broken(error: httpx.HTTPError, asked: Asked) -> Failure:
    """Explain a connection that failed. What the library says is quoted, the library's error itself is dropped."""
    repeat = Repeat.ALWAYS if isinstance(error, tuple(NOT_SENT)) else Repeat.READS
    origin = asked.origin
    if isinstance(error, _OutOfTimeError):
        fact, hint = f"{origin}: the time limit is used up", "give more time, or run it again: it continues"
        repeat = Repeat.NEVER
    elif isinstance(error, httpx.ConnectError) and "CERTIFICATE_VERIFY_FAILED" in str(error):
        fact = f"the certificate of {origin} is not trusted: {asked.quote(error)}"
        hint, repeat = "check the URL; for a certificate of your own give its CA file", Repeat.NEVER
    elif isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
        fact, hint = f"{origin} cannot be reached: {asked.quote(error) or 'no answer'}", "check the URL and the network"
    elif isinstance(error, httpx.ProxyError):
        fact, hint = f"the proxy does not connect to {origin}: {asked.quote(error)}", "check the proxy"
    elif isinstance(error, httpx.TimeoutException):
        fact, hint = f"{origin} does not answer {asked.what} in time", "try again later"
    elif isinstance(error, httpx.DecodingError):
        fact, hint = f"{origin} sends a body for {asked.what} that cannot be unpacked", "a proxy may stand in between"
    else:
        fact, hint = f"{origin} broke off while answering {asked.what}: {asked.quote(error)}", "try again"
    return Failure(SourceUnreachable(fact, hint=hint), repeat)


def _lost(error: SourceError) -> OutcomeUnknown:
    return OutcomeUnknown(
        f"nobody knows whether the change was made: {error}", hint="read back what is there before anything else"
    )


def _too_big(asked: Asked, allowed: int) -> Failure:
    return Failure(
        SourceInvalid(
            f"{asked.origin} answers {asked.what} with more than {allowed // MIB} MiB",
            hint="no page of a deployment is that large; check the URL",
        ),
        Repeat.NEVER,
    )


def _trust(ca_file: Path | None) -> ssl.SSLContext | bool:
    if ca_file is None:
        return True
    try:
        return ssl.create_default_context(cafile=str(ca_file))
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"{ca_file} holds no certificates: {error}", hint="expected: PEM") from error
