"""What a key may do, in the platform's words, and what this tool needs it for."""

from __future__ import annotations

from collections.abc import Mapping

VIEW_DATA = "ViewData"
VIEW_ENVIRONMENT = "ViewEnvironmentVariables"
VIEW_METRICS = "ViewMetrics"
VIEW_LOGS = "ViewLogs"
VIEW_AUDIT_LOG = "ViewAuditLog"
WRITE_DATA = "WriteData"
IMPORT = "ImportBackups"
VIEW_BACKUPS = "ViewBackups"
RUN_INTERNAL_QUERIES = "RunInternalQueries"
PAUSE, UNPAUSE = "PauseDeployment", "UnpauseDeployment"

# What each is needed for, as it stands in sentences. Collecting needs the first; the others add to it.
PERMISSIONS: Mapping[str, str] = {
    VIEW_DATA: "documents, tables and the deployment's own description",
    RUN_INTERNAL_QUERIES: "health functions that the app keeps internal",
    VIEW_ENVIRONMENT: "flags: values of the configured ones, and when each was last changed",
    VIEW_METRICS: "error rate, latency and cache hits of each function",
    VIEW_LOGS: "single function calls",
    VIEW_AUDIT_LOG: "when code was deployed and flags were flipped",
    WRITE_DATA: "deleting test leftovers (`purge apply`)",
    IMPORT: "putting deleted documents back (`purge restore`)",
    VIEW_BACKUPS: "following an import (`purge restore`)",
    PAUSE: "`purge apply --pause`",
    UNPAUSE: "`purge apply --pause`",
}
TO_COLLECT = (VIEW_DATA, RUN_INTERNAL_QUERIES, VIEW_ENVIRONMENT, VIEW_METRICS, VIEW_LOGS, VIEW_AUDIT_LOG)
TO_PURGE = (WRITE_DATA, IMPORT, VIEW_BACKUPS)
TO_PAUSE = (PAUSE, UNPAUSE)
