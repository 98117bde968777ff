"""Which path and verb leads where, and what a key needs to go there."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from tests.deployment.errors import HttpError
from tests.deployment.keys import ALL_OPS, Identity
from tests.deployment.wire import TEXT, Request, Response, json_response

if TYPE_CHECKING:
    from tests.deployment.backend import Backend

Endpoint = Callable[[Request, Identity], Response]
PUBLIC, ADMIN = None, ""  # no key is needed; any key will do
OLDEST_CLIENTS = {
    "npm": (0, 19, 1),
    "npm-cli": (0, 19, 1),
    "actions": (0, 19, 1),
    "python": (0, 0, 2),
    "rust": (0, 0, 1),
}


class Routes:
    """All endpoints of a deployment."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self._exact: dict[str, dict[str, tuple[str | None, Endpoint]]] = {}
        self._prefixes: list[tuple[str, str, str | None, Endpoint]] = []
        self._identity()
        self._functions()
        self._data()
        self._jobs()
        self._health()

    def answer(self, request: Request) -> Response:
        """Answer a request.

        raises  HttpError
        """
        _check_client(request.headers.get("convex-client"))
        backend = self.backend
        if request.path in backend.settings.absent:
            raise HttpError(404, "")
        op, endpoint = self._find(request)
        if op is PUBLIC and not request.path.startswith("/api/"):
            return endpoint(request, Identity())
        identity = backend.keys.identify(request.headers.get("authorization"), request.query.get("adminKey"))
        if op is not None:
            identity.require(op)
        return endpoint(request, identity)

    def _find(self, request: Request) -> tuple[str | None, Endpoint]:
        verbs = self._exact.get(request.path)
        if verbs is not None:
            if request.method not in verbs:
                raise HttpError(405, "")
            return verbs[request.method]
        for prefix, method, op, endpoint in self._prefixes:
            if request.path.startswith(prefix) and len(request.path) > len(prefix):
                if request.method != method:
                    raise HttpError(405, "")
                return op, endpoint
        raise HttpError(404, "")

    def _add(self, verbs: str, path: str, op: str | None, endpoint: Endpoint) -> None:
        for verb in verbs.split():
            self._exact.setdefault(path, {})[verb] = (op, endpoint)

    # ---- tables ------------------------------------------------------------------------------------------------

    def _identity(self) -> None:
        settings = self.backend.settings
        self._add("GET", "/version", PUBLIC, lambda *_: _text(settings.version))
        self._add("GET", "/instance_version", PUBLIC, lambda *_: _text(settings.version))
        self._add("GET", "/instance_name", PUBLIC, lambda *_: _text(settings.name))
        running = "This Convex deployment is running. See https://docs.convex.dev/."
        self._add("GET", "/", PUBLIC, lambda *_: _text(running))
        self._add("POST", "/echo", PUBLIC, lambda request, _: Response(200, request.body, TEXT))
        self._add("GET", "/api/check_admin_key", ADMIN, self._check_admin_key)
        self._add("GET", "/api/v1/deployment_info", "ViewData", self._deployment_info)

    def _functions(self) -> None:
        calls = self.backend.calls
        self._add("GET POST", "/api/query", PUBLIC, calls.query)
        self._add("POST", "/api/query_ts", PUBLIC, calls.query_ts)
        self._add("POST", "/api/query_at_ts", PUBLIC, calls.query_at_ts)
        self._add("POST", "/api/query_batch", PUBLIC, calls.query_batch)
        self._add("POST", "/api/mutation", PUBLIC, calls.mutation)
        self._add("POST", "/api/action", PUBLIC, calls.action)
        self._add("POST", "/api/function", PUBLIC, calls.function)
        self._add("POST", "/api/run_test_function", PUBLIC, calls.run_test_function)
        self._prefixes.append(("/api/run/", "POST", PUBLIC, calls.run))

    def _data(self) -> None:
        backend = self.backend
        streaming, sync, schemas = backend.streaming, backend.sync, backend.schemas
        # These check plan and key themselves, in the order in which the platform does.
        self._add("GET POST", "/api/list_snapshot", PUBLIC, streaming.list_snapshot)
        self._add("GET POST", "/api/document_deltas", PUBLIC, streaming.document_deltas)
        self._add("GET", "/api/test_streaming_export_connection", PUBLIC, streaming.test_connection)
        self._add("GET", "/api/json_schemas", PUBLIC, schemas.json_schemas)
        self._add("GET", "/api/get_table_column_names", PUBLIC, schemas.column_names)
        self._add("GET", "/api/shapes2", "ViewData", schemas.shapes)
        self._add("POST", "/api/v1/data/sync", PUBLIC, sync.sync)
        self._add("GET", "/api/v1/data/list_active_syncs", PUBLIC, sync.list_active)
        self._add("POST", "/api/data_sync_cursor_from_deltas", PUBLIC, sync.cursor_from_deltas)
        self._add("POST", "/api/delete_tables", "WriteData", self._delete_tables)
        self._add("PUT", "/api/streaming_import/clear_tables", "ImportBackups", self._clear_tables)
        for version in ("/api", "/api/v1"):
            environment = backend.environment
            self._add(
                "GET",
                f"{version}/list_environment_variables",
                "ViewEnvironmentVariables",
                environment.list_variables,
            )
            self._add(
                "POST", f"{version}/update_environment_variables", "WriteEnvironmentVariables", environment.update
            )

    def _jobs(self) -> None:
        exports, imports = self.backend.exports, self.backend.imports
        self._add("POST", "/api/export/request/zip", "CreateBackups", exports.request)
        self._prefixes.append(("/api/export/zip/", "GET", "DownloadBackups", exports.fetch))
        self._prefixes.append(("/api/export/set_expiration/", "POST", "DeleteBackups", exports.set_expiration))
        self._prefixes.append(("/api/export/cancel/", "POST", "CreateBackups", exports.cancel))
        for name, endpoint in (
            ("/api/import", imports.one_shot),
            ("/api/import/start_upload", imports.start_upload),
            ("/api/import/upload_part", imports.upload_part),
            ("/api/import/finish_upload", imports.finish_upload),
            ("/api/perform_import", imports.perform),
            ("/api/cancel_import", imports.cancel),
        ):
            self._add("POST", name, "ImportBackups", endpoint)

    def _health(self) -> None:
        backend, metrics = self.backend, self.backend.metrics
        self._add("GET", "/api/v1/list_audit_log_events", "ViewAuditLog", backend.audit.list_events)
        self._add("POST", "/api/v1/pause_deployment", "PauseDeployment", self._pause)
        self._add("POST", "/api/v1/unpause_deployment", "UnpauseDeployment", self._unpause)
        for name, endpoint in (
            ("udf_rate", metrics.udf_rate),
            ("cache_hit_percentage", metrics.cache_hit_percentage),
            ("latency_percentiles", metrics.latency_percentiles),
            ("failure_percentage_top_k", metrics.failure_percentage_top_k),
            ("cache_hit_percentage_top_k", metrics.cache_hit_percentage_top_k),
            ("function_call_count_top_k", metrics.function_call_count_top_k),
            ("subscription_invalidations_top_k", metrics.subscription_invalidations_top_k),
            ("scheduled_job_lag", metrics.scheduled_job_lag),
            ("function_concurrency", metrics.function_concurrency),
            ("table_rate", metrics.table_rate),
        ):
            self._add("GET", f"/api/app_metrics/{name}", "ViewMetrics", endpoint)
        for prefix in ("/api", "/api/app_metrics"):
            executions = backend.executions
            self._add("GET", f"{prefix}/stream_function_logs", "ViewLogs", executions.stream_function_logs)
            self._add("GET", f"{prefix}/stream_udf_execution", "ViewLogs", executions.stream_udf_execution)

    # ---- small ones --------------------------------------------------------------------------------------------

    def _check_admin_key(self, request: Request, identity: Identity) -> Response:
        ops = sorted(identity.ops)
        if self.backend.settings.empty_ops_mean_all and len(ops) == len(ALL_OPS):
            ops = []
        return json_response({"success": True, "allowedOps": ops, "isReadOnly": identity.is_read_only})

    def _deployment_info(self, request: Request, identity: Identity) -> Response:
        settings = self.backend.settings
        if settings.is_self_hosted:
            return json_response({"kind": "selfHosted"})
        project = {"teamId": 1, "projectId": 2, "projectName": "Widgets", "projectSlug": "widgets", "id": 3}
        own = {"kind": "cloud", "deploymentType": settings.kind, "reference": settings.reference}
        return json_response(own | project)

    def _delete_tables(self, request: Request, identity: Identity) -> Response:
        body, database = request.json(), self.backend.database
        names = body.get("tableNames", [])
        component = database.component_by_id(body.get("componentId"))
        with database.lock:
            for name in names:
                if name in component.tables and component.tables[name].tablet is not None:
                    database.swap(component.tables[name], None)
            metadata = {"table_names": names, "component": component.path or None}
            self.backend.audit.write("delete_tables", metadata, identity)
        return json_response(None)

    def _clear_tables(self, request: Request, identity: Identity) -> Response:
        """Empty tables at once; the audit log does not say which."""
        database = self.backend.database
        with database.lock:
            for name in request.json().get("tableNames", []):
                table = database.create_table(name)
                database.swap(table, database.new_tablet(table))
            self.backend.audit.write("clear_tables", {}, identity)
        return Response()

    def _pause(self, request: Request, identity: Identity) -> Response:
        return self._turn(request, identity, "running", "paused", "pause_deployment")

    def _unpause(self, request: Request, identity: Identity) -> Response:
        return self._turn(request, identity, "paused", "running", "unpause_deployment")

    def _turn(self, request: Request, identity: Identity, before: str, after: str, action: str) -> Response:
        settings = self.backend.settings
        if settings.state != before:
            code = "PauseDeploymentFailed" if after == "paused" else "UnpauseDeploymentFailed"
            raise HttpError(400, code, f"The deployment is {settings.state}.")
        settings.state = "paused" if after == "paused" else "running"
        self.backend.audit.write(action, {}, identity, user_agent=request.headers.get("user-agent", ""))
        return Response()


def _text(text: str) -> Response:
    return Response(200, text.encode(), TEXT)


def _check_client(text: str | None) -> None:
    """Refuse clients that do not say who they are, or are too old."""
    if text is None:
        return
    if "-" not in text:
        raise HttpError(400, "InvalidClientVersion", f"Failed to parse client version: {text}")
    name = next((name for name in sorted(OLDEST_CLIENTS, reverse=True) if text.startswith(f"{name}-")), None)
    if name is not None:
        numbers = re.fullmatch(r"(\d+)\.(\d+)\.(\d+)(?:[-+].*)?", text.removeprefix(f"{name}-"))
        if numbers is None or tuple(map(int, numbers.groups())) <= OLDEST_CLIENTS[name]:
            raise HttpError(400, "ClientVersionUnsupported", f"The Convex client {text} is too old.")
