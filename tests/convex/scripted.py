"""A server on loopback that answers as told, request by request: what no well-behaved deployment would do, too."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Reply:
    """One answer. `declared` overrides Content-Length; `is_dropped` hangs up without a word."""

    status: int = 200
    body: bytes | Iterator[bytes] = field(default=b"null", repr=False)  # tests search tracebacks for what it holds
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    content_type: str = "application/json"
    declared: int | None = None
    is_dropped: bool = False


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    connection: int


def ok(value: Any, **more: Any) -> Reply:
    return Reply(body=json.dumps(value).encode(), **more)


def refusal(status: int, code: str, message: str = "no") -> Reply:
    return Reply(status=status, body=json.dumps({"code": code, "message": message}).encode())


class ScriptedServer:
    """`script` is a list of replies, used in order (the last for ever), or a function of the request."""

    def __init__(self, script: Sequence[Reply] | Callable[[Request], Reply]) -> None:
        self.requests: list[Request] = []
        self._script = script
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def _answer(self, request: Request) -> Reply:
        with self._lock:
            self.requests.append(request)
            position = len(self.requests) - 1
        if callable(self._script):
            return self._script(request)
        return self._script[min(position, len(self._script) - 1)]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                request = Request(self.command, self.path, dict(self.headers), body, self.client_address[1])
                reply = server._answer(request)
                if reply.is_dropped:
                    self.close_connection = True
                    return
                self.send_response(reply.status)
                self.send_header("Content-Type", reply.content_type)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                if isinstance(reply.body, bytes):
                    self.send_header("Content-Length", str(reply.declared or len(reply.body)))
                    self.end_headers()
                    self.wfile.write(reply.body)
                    self.close_connection = reply.declared is not None
                    return
                self.send_header("Connection", "close")
                self.end_headers()
                self.close_connection = True
                for chunk in reply.body:
                    try:
                        self.wfile.write(chunk)
                    except OSError:
                        return

            do_GET = do_POST = do_PUT = answer  # noqa: N815

            def log_message(self, *_: object) -> None:
                pass

        return Handler


@contextmanager
def serving(script: Sequence[Reply] | Callable[[Request], Reply]) -> Iterator[ScriptedServer]:
    server = ScriptedServer(script)
    thread = threading.Thread(target=server._server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server._server.shutdown()
        server._server.server_close()
        thread.join()


class FakeTiming:
    """A clock that moves only by sleeping, or by `step_s` each time it is read."""

    def __init__(self, step_s: float = 0.0, draw: float = 0.0) -> None:
        self.now_s = 0.0
        self.slept_s: list[float] = []
        self.step_s = step_s
        self._draw = draw

    def monotonic_s(self) -> float:
        self.now_s += self.step_s
        return self.now_s

    def sleep_s(self, seconds: float) -> None:
        self.slept_s.append(seconds)
        self.now_s += seconds

    def draw(self) -> float:
        return self._draw
