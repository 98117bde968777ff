"""What goes wrong on demand: which requests, how often, and in which way.

    d.faults.refuse(503, "ExpiredInQueue", path="/api/v1/data/*", times=2)
    d.faults.drop(function="_system/frontend/deleteDocuments", after_commit=True)

Every fault takes: path and function (patterns with * and ?), method, times (None: for ever), skip (how many matching
requests pass first), probability (drawn from the seeded generator). A fault counts what it did in `hits`.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from fnmatch import fnmatchcase
from typing import Any, Literal

Kind = Literal["refuse", "answer", "drop", "truncate", "slow", "latency", "hold", "rewrite"]
RETRIABLE_503 = (
    "ExpiredInQueue",
    "WorkerOverloaded",
    "IsolateNotClean",
    "InitialPermitTimeoutError",
    "ExecuteFullError",
)
OTHER_503 = (
    "OptimisticConcurrencyControlFailure",
    "InternalServerError",
    "CommitterFullError",
    "TableSummariesUnavailable",
    "Busy",
)
TOO_MANY = ("TooManyConcurrentRequests", "TooManyWrites")  # 429
PAGE = b"<!DOCTYPE html><html><head><title>520: Web server is returning an unknown error</title></head></html>"


class Gate:
    """Holds requests back until it is opened; tells when one has come."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self._open = threading.Event()

    def open(self) -> None:
        self._open.set()

    def wait(self, limit_s: float = 60.0) -> None:
        self.reached.set()
        self._open.wait(limit_s)


@dataclass
class Fault:
    kind: Kind
    path: str = "*"
    function: str = "*"
    method: str = "*"
    times: int | None = 1
    skip: int = 0
    probability: float = 1.0
    after_commit: bool = False  # the server did what it was asked before it went wrong
    status: int = 500
    code: str = ""
    message: str = ""
    body: bytes = b""
    content_type: str = "application/json"
    share: float = 0.5  # of the body that is sent before it breaks off
    chunk_bytes: int = 64
    pause_s: float = 0.0  # between chunks, or before the answer
    gate: Gate | None = None
    change: Callable[[bytes], bytes] | None = None
    hits: int = 0
    seen: int = 0

    def matches(self, method: str, path: str, functions: tuple[str, ...]) -> bool:
        return (
            fnmatchcase(method, self.method)
            and fnmatchcase(path, self.path)
            and any(fnmatchcase(name, self.function) for name in functions or ("",))
        )


@dataclass
class Faults:
    """The faults that are set, tried in the order in which they were set."""

    seed: int = 0
    _set: list[Fault] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._random = random.Random(f"{self.seed}/faults")
        self._lock = threading.Lock()

    def add(self, fault: Fault) -> Fault:
        with self._lock:
            self._set.append(fault)
        return fault

    def from_json(self, parsed: dict[str, Any]) -> Fault:
        """Set a fault described in JSON; `body` is text."""
        allowed = {f.name for f in fields(Fault)} - {"gate", "change", "hits", "seen"}
        if unknown := set(parsed) - allowed:
            raise ValueError(f"unknown: {', '.join(sorted(unknown))}")
        return self.add(Fault(**parsed | ({"body": parsed["body"].encode()} if "body" in parsed else {})))

    def clear(self) -> None:
        """Take all faults away, and let everything go that is held."""
        with self._lock:
            for fault in self._set:
                if fault.gate:
                    fault.gate.open()
            self._set = []

    def refuse(self, status: int, code: str = "", message: str = "Try again later.", **where: Any) -> Fault:
        """Answer with an error of the platform, before anything is done unless `after_commit`."""
        return self.add(Fault("refuse", status=status, code=code, message=message, **where))

    def answer(self, status: int, body: bytes, content_type: str = "application/json", **where: Any) -> Fault:
        """Answer with anything at all."""
        return self.add(Fault("answer", status=status, body=body, content_type=content_type, **where))

    def page(self, status: int = 520, **where: Any) -> Fault:
        """Answer with the web page of a proxy that stands in between."""
        return self.answer(status, PAGE, "text/html; charset=UTF-8", **where)

    def drop(self, **where: Any) -> Fault:
        """Hang up without a word; `after_commit` tells whether the request was carried out."""
        return self.add(Fault("drop", **where))

    def truncate(self, share: float = 0.5, **where: Any) -> Fault:
        """Break off in the middle of the body."""
        return self.add(Fault("truncate", share=share, after_commit=True, **where))

    def slow(self, chunk_bytes: int = 64, pause_s: float = 0.01, **where: Any) -> Fault:
        """Send the body in small pieces with pauses between."""
        return self.add(Fault("slow", chunk_bytes=chunk_bytes, pause_s=pause_s, after_commit=True, **where))

    def latency(self, pause_s: float, *, times: int | None = None, **where: Any) -> Fault:
        """Let every request wait."""
        return self.add(Fault("latency", pause_s=pause_s, times=times, **where))

    def hold(self, **where: Any) -> Gate:
        """Let a request wait until the gate is opened; `after_commit`: with its answer ready."""
        gate = Gate()
        self.add(Fault("hold", gate=gate, **where))
        return gate

    def rewrite(self, change: Callable[[bytes], bytes], **where: Any) -> Fault:
        """Change the bytes of an answer."""
        return self.add(Fault("rewrite", change=change, after_commit=True, **where))

    def strike(self, method: str, path: str, functions: tuple[str, ...]) -> list[Fault]:
        """Return the faults that this request meets, each counted."""
        with self._lock:
            found = []
            for fault in self._set:
                if fault.times is not None and fault.hits >= fault.times:
                    continue
                if not fault.matches(method, path, functions):
                    continue
                fault.seen += 1
                if fault.seen > fault.skip and self._random.random() < fault.probability:
                    fault.hits += 1
                    found.append(fault)
            return found
