"""Talks to one deployment, polite and stubborn.

Polite: at most four requests at once, over kept connections, with a name of its own. Stubborn: what may be sent
again is, with growing, jittered waits, until a limit in time (see `retry`); a change whose answer was lost is never
repeated.

Errors are of `analyzer.errors`; none carries, shows or chains anything that holds the key.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Self

import orjson

from analyzer.convex import outages, refusals, urls
from analyzer.convex.keys import Key
from analyzer.convex.lanes import AGENT, JSON, Trust
from analyzer.convex.refusals import Asked, Failure
from analyzer.convex.retry import Timing
from analyzer.convex.traffic import Limits
from analyzer.convex.wire import SILENT, Call, Unparsed, Wire
from analyzer.errors import SourceInvalid

__all__ = ["SILENT", "Client", "Limits", "Unread"]


@dataclass(frozen=True, slots=True)
class Unread:
    """An answer that has come whole, and is parsed when somebody asks: who asks for the next one first loses no time.

    value  returns the parsed JSON, or raises what `Client.post` raises: an answer that is none is asked for again
    """

    body: bytes
    value: Callable[[], Any]


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
        self.signature = ""
        self.origin = urls.origin(origin, "the URL", is_insecure_allowed=is_insecure_allowed)
        self.key = key
        self.limits = limits or Limits()
        self._timing = timing or Timing()
        self._wire = Wire(self.origin, key, self.limits, self._timing, trust=Trust(proxy, ca_file))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def requests_sent(self) -> int:
        """Requests so far, repeats included."""
        return self._wire.traffic.sent

    def sign(self, work: str) -> None:
        """Name a piece of work in every request from now on: the deployment keeps it in its audit log.

        work  one word of a User-Agent, "purge/0a1b2c"
        """
        self.signature = work
        self._wire.agent = f"{AGENT} {work}"

    def close(self) -> None:
        """Send nothing more, and wait for nothing: what other threads still wait for is finished there."""
        self._wire.traffic.close()

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

    def unread(
        self, path: str, body: Mapping[str, Any], *, permission: str = "", sent: Callable[[], None] | None = None
    ) -> Unread:
        """Return the answer to a POST that only reads, not parsed yet.

        sent  called, in whatever thread sends it, once the request has left; again where it is repeated
        """
        content = orjson.dumps(dict(body))
        call = Call("POST", path, f"POST {path}", permission, {}, content, JSON, is_change=False, is_text=False)
        found: Unparsed
        found, repeat = self._answer(replace(call, is_unread=True, sent=sent))

        def value() -> Any:
            return self._answer(call, self._wire.parsed(call, self.asked(call.what, permission), found), repeat)[0]

        return Unread(found.body, value)

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
        call = Call(
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
        return self._answer(call)[0]

    def _answer(self, call: Call, outcome: tuple[Any] | Failure | None = None, repeat: int = 0) -> tuple[Any, int]:
        """Send until there is an answer or no more sense in it; returns it, and how often the call was repeated.

        outcome  of sending it so far; None: it was not sent
        repeat   how often it was repeated so far
        """
        policy, timing = self.limits.policy, self._timing
        while True:
            if outcome is None:
                outcome = self._wire.send(call, self.asked(call.what, call.permission))
            if not isinstance(outcome, Failure):
                return outcome[0], repeat
            wait_s = policy.wait_s(repeat, outcome.repeat, call.is_change, timing.draw())
            if wait_s is None or wait_s >= self._wire.traffic.left_s():
                if call.is_change and outcome.leaves_change_unknown:
                    raise outages.lost(outcome.error)
                raise outcome.error
            timing.sleep_s(wait_s)
            outcome, repeat = None, repeat + 1
