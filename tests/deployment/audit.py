"""The audit log: rows of a system table, and the four ways to read them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tests.deployment import paging
from tests.deployment.errors import HttpError
from tests.deployment.functions import Call, Registry
from tests.deployment.keys import SYSTEM, Identity
from tests.deployment.tables import Revision
from tests.deployment.transaction import Transaction
from tests.deployment.wire import Request, Response, json_response

if TYPE_CHECKING:
    from tests.deployment.backend import Backend

TABLE = "_deployment_audit_log"
DAY_MS = 86_400_000
PUSHES = ("push_config", "push_config_with_components")
DEFAULT_LIMIT, MOST = 15, 100


class Audit:
    """Notes what was done to the deployment, and by whom."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend

    def write(
        self,
        action: str,
        metadata: Mapping[str, Any],
        identity: Identity = SYSTEM,
        *,
        tx: Transaction | None = None,
        user_agent: str = "",
    ) -> None:
        """Add a row: within a transaction, else in one of its own."""
        row: dict[str, Any] = {
            "action": action,
            "member_id": identity.member_id,
            "client_ip": "127.0.0.1",
            "client_user_agent": user_agent or None,
            "metadata": dict(metadata),
        }
        if identity.token_id is not None:
            row["token_id"] = identity.token_id
        database = self.backend.database
        with database.lock:
            own = tx or Transaction(database, database.latest_ts())
            own.insert(database.components[""], TABLE, row)
            if tx is None:
                own.commit()

    def rows(self) -> list[dict[str, Any]]:
        """Return all rows, oldest first."""
        database = self.backend.database
        with database.lock:
            return [revision.document for revision in self._revisions(database.latest_ts())]

    def _revisions(self, ts: int) -> list[Revision]:
        tablet = self.backend.database.components[""].tables[TABLE].tablet
        assert tablet is not None
        return list(tablet.by_creation(ts))

    def earliest_ms(self, wanted_ms: float) -> float:
        """Return from when on the plan shows rows to the platform's functions: it moves the start without a word."""
        days = self.backend.settings.audit_retention_days or 0
        if self.backend.settings.is_self_hosted:
            days = 0
        return max(wanted_ms, self.backend.clock() / 1e6 - (days + 1) * DAY_MS)

    # ---- endpoint ----------------------------------------------------------------------------------------------

    def list_events(self, request: Request, identity: Identity) -> Response:
        """Serve /api/v1/list_audit_log_events."""
        settings = self.backend.settings
        if settings.is_self_hosted or settings.audit_retention_days is None:
            raise HttpError(403, "AuditLogsDisabled", "Audit logs are not available on this plan.")
        try:
            from_ms, limit = int(request.query["from"]), int(request.query.get("limit", DEFAULT_LIMIT))
        except (KeyError, ValueError) as error:
            raise HttpError(400, "BadQueryArgs", "Failed to deserialize query string") from error
        if not 1 <= limit <= MOST:
            raise HttpError(400, "LimitOutOfRange", f"limit must be between 1 and {MOST}")
        if from_ms < self.backend.clock() / 1e6 - settings.audit_retention_days * DAY_MS:
            raise HttpError(403, "AuditLogsTooOld", "Audit logs that old are not available on this plan.")
        after = self._open(request.query.get("cursor"), from_ms)
        with self.backend.database.lock:
            rows = [r for r in self._revisions(self.backend.database.latest_ts()) if r.creation_ms >= from_ms]
        rows = [r for r in rows if after is None or (r.creation_ms, r.id) > after]
        page, has_more = rows[:limit], len(rows) > limit
        pagination: dict[str, Any] = {"hasMore": has_more}
        if has_more:
            cursor = self.backend.seal.close(f"audit {from_ms}", [page[-1].creation_ms, page[-1].id])
            pagination["nextCursor"] = cursor
        return json_response({"items": [_item(r.document) for r in page], "pagination": pagination})

    def _open(self, cursor: str | None, from_ms: int) -> tuple[float, str] | None:
        if cursor is None:
            return None
        try:
            creation_ms, id_ = self.backend.seal.open(f"audit {from_ms}", cursor)
        except ValueError as error:
            raise HttpError(400, "InvalidCursor", "The cursor is not of this listing.") from error
        return creation_ms, id_


def _item(row: dict[str, Any]) -> dict[str, Any]:
    identity = Identity(member_id=row["member_id"], token_id=row.get("token_id"))
    return {
        "actor": identity.actor,
        "action": row["action"],
        "createTime": int(row["_creationTime"]),
        "metadata": row["metadata"],
        "clientIp": row["client_ip"],
        "clientUserAgent": row["client_user_agent"],
    }


def _from_time(call: Call, args: dict[str, Any]) -> Any:
    from_ms = call.backend.audit.earliest_ms(args["fromTimestamp"])
    return [r for r in call.tx.scan(call.backend.database.components[""], TABLE) if r.creation_ms >= from_ms]


def _paginated(call: Call, args: dict[str, Any]) -> Any:
    wanted = args["filters"]
    from_ms = call.backend.audit.earliest_ms(wanted["minDate"])
    call.component = call.backend.database.components[""]

    def keep(revision: Revision) -> bool:
        row = revision.document
        return (
            revision.creation_ms >= from_ms
            and revision.creation_ms <= wanted.get("maxDate", revision.creation_ms)
            and row["action"] in wanted.get("actions", [row["action"]])
            and row["member_id"] in wanted.get("authorMemberIds", [row["member_id"]])
        )

    return paging.paginate(
        call, TABLE, args["paginationOpts"], is_descending=True, purpose=f"events {wanted}", keep=keep
    )


def _last_push(call: Call, args: dict[str, Any]) -> Any:
    rows = list(call.tx.scan(call.backend.database.components[""], TABLE))
    return next((row for row in reversed(rows) if row.document["action"] in PUSHES), None)


def install(registry: Registry) -> None:
    frontend, view = "_system/frontend", "ViewAuditLog"
    registry.query(f"{frontend}/listDeploymentEventsFromTime:default", {"fromTimestamp": "number"}, op=view)(_from_time)
    registry.query(
        f"{frontend}/paginatedDeploymentEvents:default", {"paginationOpts": "object", "filters": "object"}, op=view
    )(_paginated)
    registry.query(f"{frontend}/deploymentEvents:lastPushEvent", {}, op="ViewData")(_last_push)
