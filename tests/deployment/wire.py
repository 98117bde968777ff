"""HTTP on loopback: requests in, answers out, with faults between."""

from __future__ import annotations

import contextlib
import io
import re
import socket
import threading
import time
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.client import responses
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol

import orjson

from tests.deployment.errors import HttpError, bad_body
from tests.deployment.faults import Fault, Faults
from tests.deployment.websocket import WebSocket, accept

JSON = "application/json"
SYNC_PATH = re.compile(r"/api/[^/]+/sync")  # the version of the client stands in it
TEXT = "text/plain; charset=utf-8"


@dataclass
class Request:
    """One request. `function` names are filled in by whoever reads the body first."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]  # names in lower case
    body: bytes
    arrived_s: float  # when its first line was read, by the monotonic clock

    def json(self) -> dict[str, Any]:
        """Return the JSON body as the platform reads it."""
        kind = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != JSON and not (kind.startswith("application/") and kind.endswith("+json")):
            raise bad_body("Expected request with `Content-Type: application/json`")
        try:
            parsed = orjson.loads(self.body)
        except orjson.JSONDecodeError as error:
            raise bad_body(f"Failed to parse the request body as JSON: {error}") from error
        if not isinstance(parsed, dict):
            raise bad_body("Failed to deserialize the JSON body: expected an object")
        return parsed

    def functions(self) -> tuple[str, ...]:
        """Return the names of the functions that the body asks for, to choose faults by."""
        if not self.path.startswith(("/api/query", "/api/mutation", "/api/action", "/api/function")):
            return ()
        try:
            parsed = orjson.loads(self.body)
        except orjson.JSONDecodeError:
            return ()
        calls = parsed.get("queries", [parsed]) if isinstance(parsed, dict) else []
        return tuple(str(call["path"]) for call in calls if isinstance(call, dict) and "path" in call)


@dataclass(frozen=True)
class Response:
    status: int = 200
    body: bytes = b""
    content_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)


def json_response(value: Any) -> Response:
    return Response(body=orjson.dumps(value))


def error_response(error: HttpError) -> Response:
    if not error.code:
        return Response(error.status)
    return Response(error.status, orjson.dumps({"code": error.code, "message": error.message}))


class Application(Protocol):
    """What answers requests."""

    faults: Faults

    @property
    def closing(self) -> threading.Event: ...

    def handle(self, request: Request) -> Response: ...

    def note(self, request: Request, functions: tuple[str, ...], status: int, sent_bytes: int) -> None: ...

    def entered(self, step: int) -> None: ...

    def talk(self, socket_: WebSocket) -> None: ...


class HangUpError(Exception):
    """The connection is closed without an answer."""


class Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def __init__(self, application: Application, host: str, port: int) -> None:
        self.application = application
        self._open: set[socket.socket] = set()
        super().__init__((host, port), Handler)

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        self._open.add(connection)
        return connection, address

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def hang_up(self) -> None:
        """Close every connection, as a process that ends does."""
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that hang up are no news."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: Server
    arrived_s = 0.0

    def parse_request(self) -> bool:
        """Note when a request arrived: its first line was read just now."""
        self.arrived_s = time.monotonic()
        return super().parse_request()

    def answer(self) -> None:
        application = self.server.application
        if self.headers.get("Upgrade", "").lower() == "websocket" and SYNC_PATH.fullmatch(self.path):
            return self._talk()
        split = urllib.parse.urlsplit(self.path)
        request = Request(
            self.command,
            urllib.parse.unquote(split.path),
            dict(urllib.parse.parse_qsl(split.query, keep_blank_values=True)),
            {name.lower(): value for name, value in self.headers.items()},
            self.rfile.read(int(self.headers.get("Content-Length") or 0)),
            self.arrived_s,
        )
        functions = request.functions()
        is_control = request.path.startswith("/__control")
        struck = [] if is_control else application.faults.strike(request.method, request.path, functions)
        application.entered(1)
        try:
            response = self._meet(struck, request)
            if not is_control:
                application.note(request, functions, response.status, len(response.body))
            self._send(response, struck)
        except (HangUpError, OSError):
            application.note(request, functions, 0, 0)
            self._hang_up()
        finally:
            application.entered(-1)
        return None

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = do_HEAD = answer  # noqa: N815

    def _talk(self) -> None:
        """Leave HTTP, and serve open queries until one side goes."""
        self.close_connection = True
        self.wfile.write(accept(self.headers.get("Sec-WebSocket-Key", "")))
        self.wfile.flush()
        assert isinstance(self.rfile, io.BufferedReader), "requests are read through a buffer"
        self.server.application.talk(WebSocket(self.connection, self.rfile))

    def _meet(self, struck: list[Fault], request: Request) -> Response:
        """Answer, with what goes wrong before and after."""
        application = self.server.application
        response = None
        for after in (False, True):
            if after and response is None:
                response = application.handle(request)
            for fault in struck:
                if fault.after_commit is not after:
                    continue
                response = self._strike(fault, response)
                if response is not None and not after:
                    return response
        assert response is not None
        return response

    def _strike(self, fault: Fault, response: Response | None) -> Response | None:
        if fault.kind == "drop":
            raise HangUpError
        if fault.kind == "refuse":
            return error_response(HttpError(fault.status, fault.code, fault.message))
        if fault.kind == "answer":
            return Response(fault.status, fault.body, fault.content_type)
        if fault.kind == "latency":
            self.server.application.closing.wait(fault.pause_s)
        elif fault.kind == "hold" and fault.gate:
            fault.gate.wait()
        elif fault.kind == "rewrite" and fault.change and response:
            return Response(response.status, fault.change(response.body), response.content_type, response.headers)
        return response

    def _send(self, response: Response, struck: list[Fault]) -> None:
        lines = [f"HTTP/1.1 {response.status} {responses.get(response.status, 'Unknown')}"]
        if response.body:
            lines.append(f"Content-Type: {response.content_type}")
        lines.append(f"Content-Length: {len(response.body)}")
        lines += [f"{name}: {value}" for name, value in response.headers.items()]
        body = b"" if self.command == "HEAD" else response.body
        head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
        for fault in struck:
            if fault.kind == "truncate":
                self.wfile.write(head + body[: int(len(body) * fault.share)])
                raise HangUpError
            if fault.kind == "slow":
                self.wfile.write(head)
                return self._drip(body, fault)
        self.wfile.write(head + body)
        self.wfile.flush()
        return None

    def _drip(self, body: bytes, fault: Fault) -> None:
        for start in range(0, len(body), fault.chunk_bytes):
            self.wfile.write(body[start : start + fault.chunk_bytes])
            self.wfile.flush()
            if self.server.application.closing.wait(fault.pause_s):
                raise HangUpError

    def _hang_up(self) -> None:
        """Close the connection behind what was sent, so that the client sees at once that nothing more will come."""
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.wfile.flush()

    def log_message(self, *_: object) -> None:
        """Nothing is printed: paths may hold keys."""
