"""The endpoints that call functions, and what they answer."""

from __future__ import annotations

import base64
import binascii
import threading
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import orjson

from tests.deployment import encoding
from tests.deployment.clock import NS_PER_S
from tests.deployment.errors import NO_DATA, FunctionError, HttpError, bad_body, out_of_retention
from tests.deployment.functions import Call, Function, Kind, canonical, check_args, shown
from tests.deployment.keys import Identity, denied
from tests.deployment.transaction import Transaction
from tests.deployment.wire import Request, Response, json_response

if TYPE_CHECKING:
    from tests.deployment.backend import Backend

STOPPED = {
    "paused": "Cannot run functions while this deployment is paused. Resume the deployment in the dashboard settings "
    "to allow functions to run.",
    "disabled": "You have exceeded the free plan limits, so your deployments have been disabled. Please upgrade to a "
    "Pro plan or reach out to us for help.",
    "suspended": "Cannot run functions while this deployment is suspended. Please contact Convex if you believe this "
    "is a mistake.",
}
_INTERNAL_OPS = {"Query": "RunInternalQueries", "Mutation": "RunInternalMutations", "Action": "RunInternalActions"}


class Permits:
    """So many at once; who waits too long is refused."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._changed = threading.Condition()
        self._running = {"Query": 0, "Mutation": 0, "Action": 0}

    @contextmanager
    def hold(self, kind: Kind) -> Iterator[None]:
        settings = self._backend.settings
        most = settings.queries_at_once if kind == "Query" else settings.mutations_at_once
        with self._changed:
            if not self._changed.wait_for(lambda: self._running[kind] < most, settings.permit_wait_s):
                raise HttpError(
                    429,
                    "TooManyConcurrentRequests",
                    "Too many concurrent requests. Your backend is limited; see the limits page.",
                )
            self._running[kind] += 1
        try:
            yield
        finally:
            with self._changed:
                self._running[kind] -= 1
                self._changed.notify()


class Calls:
    """Runs functions for HTTP and for tests."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.permits = Permits(backend)

    # ---- endpoints ---------------------------------------------------------------------------------------------

    def query(self, request: Request, identity: Identity) -> Response:
        if request.method == "GET":
            try:
                args = orjson.loads(request.query["args"])
            except (KeyError, ValueError) as error:
                raise HttpError(400, "BadQueryArgs", "path and args are needed") from error
            return self._one(dict(request.query) | {"args": args}, request, identity, "Query")
        return self._one(request.json(), request, identity, "Query")

    def mutation(self, request: Request, identity: Identity) -> Response:
        return self._one(request.json(), request, identity, "Mutation")

    def action(self, request: Request, identity: Identity) -> Response:
        return self._one(request.json(), request, identity, "Action")

    def function(self, request: Request, identity: Identity) -> Response:
        body = request.json()
        identity.require("")
        component = body.get("componentPath")
        return self._one(body, request, identity, None, component=component)

    def run(self, request: Request, identity: Identity) -> Response:
        """Serve /api/run/dir/file/function."""
        body = request.json()
        parts = [urllib.parse.unquote(part) for part in request.path.removeprefix("/api/run/").split("/")]
        path = "/".join(parts[:-1]) + ":" + parts[-1]
        return self._one({"format": "json"} | body | {"path": path}, request, identity, None)

    def query_ts(self, request: Request, identity: Identity) -> Response:
        ts = self.backend.database.latest_ts()
        return json_response({"ts": base64.b64encode(ts.to_bytes(8, "little")).decode()})

    def query_at_ts(self, request: Request, identity: Identity) -> Response:
        body = request.json()
        try:
            raw = base64.b64decode(body["ts"], validate=True)
        except (KeyError, TypeError, binascii.Error) as error:
            raise bad_body("Failed to deserialize the JSON body: bad `ts`") from error
        if len(raw) != 8:
            raise bad_body("Failed to deserialize the JSON body: bad `ts`")
        return self._one(body, request, identity, "Query", ts=int.from_bytes(raw, "little"))

    def query_batch(self, request: Request, identity: Identity) -> Response:
        queries = request.json().get("queries")
        if not isinstance(queries, list):
            raise bad_body("Failed to deserialize the JSON body: missing field `queries`")
        ts = self.backend.database.latest_ts()
        results = [self._answer(body, request, identity, "Query", ts=ts) for body in queries]
        return json_response({"results": results})

    def run_test_function(self, request: Request, identity: Identity) -> Response:
        """Take the key from the body, check it, and say that no JavaScript runs here."""
        body = request.json()
        by_key = self.backend.keys.of_key(str(body.get("adminKey", "")))
        by_key.require("RunTestQuery")
        message = "The stand-in does not run JavaScript: POST /api/run_test_function is not supported."
        return json_response(self._failure(FunctionError(message), [], False))

    # ---- one call ----------------------------------------------------------------------------------------------

    def _one(
        self,
        body: dict[str, Any],
        request: Request,
        identity: Identity,
        kind: Kind | None,
        *,
        component: str | None = None,
        ts: int | None = None,
    ) -> Response:
        answer = self._answer(body, request, identity, kind, component=component, ts=ts)
        is_failed = answer["status"] == "error"
        return replace(json_response(answer), status=self.backend.settings.function_error_status if is_failed else 200)

    def _answer(
        self,
        body: Any,
        request: Request,
        identity: Identity,
        kind: Kind | None,
        *,
        component: str | None = None,
        ts: int | None = None,
    ) -> dict[str, Any]:
        if not isinstance(body, dict) or "args" not in body or "path" not in body:
            raise bad_body("Failed to deserialize the JSON body: missing field `args` or `path`")
        default = "encoded" if request.headers.get("convex-client", "").startswith("npm-0.") else "json"
        style = encoding.format_named(body.get("format"), default)
        path = canonical(body["path"])
        try:
            args = _arguments(body["args"])
        except ValueError as error:
            raise HttpError(400, "InvalidArguments", str(error)) from error
        lines: list[tuple[str, str]] = []
        try:
            value = self.invoke(
                path,
                args,
                identity,
                kind,
                component=component,
                ts=ts,
                lines=lines,
                user_agent=request.headers.get("user-agent", ""),
            )
        except FunctionError as error:
            return self._failure(error, lines, self.backend.settings.is_redacting, style)
        answer = {"status": "success", "value": encoding.encode(value, style)}
        if lines and not self.backend.settings.is_redacting:
            answer["logLines"] = [f"[{level}] '{text}'" for level, text in lines]
        return answer

    def _failure(
        self, error: FunctionError, lines: list[tuple[str, str]], is_redacted: bool, style: str = "json"
    ) -> dict[str, Any]:
        message = f"[Request ID: {self.backend.request_id()}] Server Error"
        if not is_redacted:
            message += f"\nUncaught Error: {error.message}\n    at handler (../convex/source.ts:3:4)\n"
        answer: dict[str, Any] = {"status": "error", "errorMessage": message}
        if error.data is not NO_DATA:
            answer["errorData"] = encoding.encode(error.data, style)
        if lines and not is_redacted:
            answer["logLines"] = [f"[{level}] '{text}'" for level, text in lines]
        return answer

    def invoke(
        self,
        path: str,
        args: dict[str, Any],
        identity: Identity,
        kind: Kind | None = None,
        *,
        component: str | None = None,
        ts: int | None = None,
        lines: list[tuple[str, str]] | None = None,
        user_agent: str = "",
    ) -> Any:
        """Run a function and return its value, noting what a user's function did in logs and metrics.

        raises  FunctionError for what it threw; HttpError for what goes wrong around it
        """
        function = self._find(path, identity, kind)
        if path.startswith("_system/"):
            component, args = self._namespace(args, component)
        backend = self.backend
        with self.permits.hold(function.kind), backend.database.lock:
            now_ts = backend.database.latest_ts()
            if ts is not None and (ts > now_ts or now_ts - ts > backend.settings.index_retention_s * NS_PER_S):
                raise out_of_retention()
            tx = Transaction(
                backend.database, ts or now_ts, backend.settings.limits, is_read_only=function.kind == "Query"
            )
            where = backend.database.component(component)
            call = Call(
                backend,
                tx,
                identity,
                where,
                float(backend.clock() // 1_000_000),
                user_agent,
                lines if lines is not None else [],
            )
            return self._run(function, call, args)

    def _run(self, function: Function, call: Call, args: dict[str, Any]) -> Any:
        backend, is_system = self.backend, function.path.startswith("_system/")
        cached = not is_system and function.kind == "Query" and backend.cache.is_hit(function.path, args)
        error: FunctionError | None = None
        try:
            check_args(args, function.args)
            value = function.handler(call, args)
            backend.throttle(call.tx.usage.bytes_written)
            call.tx.commit()
        except FunctionError as thrown:
            error = thrown
        if not is_system:
            backend.executions.note(function, call, error, is_cached=cached)
        if error is not None:
            raise error
        return value

    def _find(self, path: str, identity: Identity, kind: Kind | None) -> Function:
        """Return the function, if it is there, may be run by whom, and is of that kind."""
        settings, is_system = self.backend.settings, path.startswith("_system/")
        if is_system and not identity.is_admin:
            raise FunctionError("Operation Executing function not permitted")
        if not is_system and settings.state != "running":
            raise FunctionError(STOPPED[settings.state])
        function = self.backend.registry.by_path.get(path)
        needs_internal = function is not None and function.is_internal
        if function is None or (needs_internal and not identity.is_admin):
            raise FunctionError(
                f"Could not find public function for '{shown(path)}'. Did you forget to run `npx convex dev` or "
                "`npx convex deploy`?"
            )
        op = function.op or (_INTERNAL_OPS[function.kind] if needs_internal else "")
        if op and not identity.may(op):
            if is_system and settings.denies_in_function:
                raise FunctionError(denied(op))
            identity.require(op)
        if kind is not None and function.kind != kind:
            module, _, name = path.rpartition(":")
            raise FunctionError(
                f"Trying to execute {module}.js:{name} as {kind}, but it is defined as {function.kind}."
            )
        return function

    def _namespace(self, args: dict[str, Any], component: str | None) -> tuple[str | None, dict[str, Any]]:
        """Take `componentId` out of the arguments of a built-in function: it chooses where it looks."""
        if "componentId" not in args:
            return component, args
        rest = {name: value for name, value in args.items() if name != "componentId"}
        if args["componentId"] is None:
            return component, rest
        return self.backend.database.component_by_id(args["componentId"]).path, rest


def _arguments(args: Any) -> dict[str, Any]:
    """Return the one positional argument, given plainly or in a list."""
    if isinstance(args, list):
        args = args[0] if len(args) == 1 else None
    if not isinstance(args, dict):
        raise bad_body("Failed to deserialize the JSON body: `args` must be an object")
    decoded: dict[str, Any] = encoding.decode(args)
    return decoded
