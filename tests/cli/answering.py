"""A small deployment on loopback whose every answer a test can replace: for what no stand-in should do."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from tests.convex.scripted import Reply, Request, ok, refusal

SECRET = "eyJ2MiI6IjRhYmNkZWZnaGlqa2xtbm9w"
NAME = "happy-animal-123"
KEY, DEV_KEY = f"prod:{NAME}|{SECRET}", f"dev:{NAME}|{SECRET}"
FLAG = "ENABLE_WORKFLOW"
READ_ONLY = ["ViewData", "RunInternalQueries", "ViewEnvironmentVariables", "ViewMetrics", "ViewLogs", "ViewAuditLog"]
PAUSED = "[Request ID: 1] Cannot run functions while this deployment is paused. Resume it on the dashboard."


def value(found: Any) -> Reply:
    return ok({"status": "success", "value": found})


def function_error(message: str) -> Reply:
    return ok({"status": "error", "errorMessage": message})


def plain(text: str) -> Reply:
    return Reply(body=text.encode(), content_type="text/plain")


ROUTES: Mapping[str, Reply] = {
    "/instance_name": plain(NAME),
    "/version": plain("0.1.0"),
    "/api/check_admin_key": ok({"success": True, "allowedOps": READ_ONLY, "isReadOnly": True}),
    "/api/v1/deployment_info": ok(
        {"kind": "cloud", "deploymentType": "prod", "projectSlug": "chat", "reference": "production"}
    ),
    "/api/v1/data/list_active_syncs": ok({"syncs": [], "pagination": {"hasMore": False}}),
    "/api/test_streaming_export_connection": ok(None),
    "/api/query_ts": ok({"ts": "AHhqDpvCgRg="}),
    "/api/app_metrics/function_call_count_top_k": ok([]),
    "/api/v1/list_audit_log_events": ok({"items": [], "pagination": {"hasMore": False}}),
    "_system/frontend/deploymentState:deploymentState": value({"state": "running"}),
    "_system/frontend/components:list": value([]),
    "_system/frontend/getTableMapping": value({"10001": "users", "10002": "tasks", "9001": "_file_storage"}),
    "_system/cli/queryEnvironmentVariables": value(
        [
            {"_id": "1", "_creationTime": 1765889880000.5, "name": FLAG, "value": "true"},
            {"_id": "3", "_creationTime": 1765889860000.0, "name": "GREETING", "value": "hello-very-private"},
            {"_id": "2", "_creationTime": 1765889870000.0, "name": "OPENAI_API_KEY", "value": "sk-very-private"},
        ]
    ),
    "monitoring/dashboard:getSystemHealth": value({"timestamp": 1765889880000.0}),
    "monitoring/dashboard:checkAlerts": value({"timestamp": 1765889880000.0}),
    "monitoring/dashboard:getFeatureFlags": value({FLAG: True}),
    "monitoring/dashboard:getRecentTraces": value([]),
    "api/testHelpers:checkWorkflowMode": value({"mode": "workflow"}),
}


def answering(changed: Mapping[str, Reply] | None = None, key: str = KEY) -> Callable[[Request], Reply]:
    """Return a script: by path, by function where the path calls one; without a good key nothing but names."""
    routes = {**ROUTES, **(changed or {})}

    def answer(request: Request) -> Reply:
        path = request.path.partition("?")[0]
        if path in ("/instance_name", "/version"):
            return routes[path]
        if request.headers.get("Authorization") is None:
            return refusal(403, "BadDeployKey")
        if request.headers["Authorization"] != f"Convex {key}" and path not in (changed or {}):
            return refusal(401, "BadAdminKey", "The provided admin key was invalid for this instance")
        if path in ("/api/query", "/api/query_at_ts", "/api/function"):
            function = json.loads(request.body)["path"]
            missing = function_error(f"Could not find public function for '{function}'.")
            return routes.get(path, routes.get(function, missing))
        return routes.get(path, Reply(status=404, body=b""))

    return answer
