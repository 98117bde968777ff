"""The platform's own functions that read: `_system/cli/...` and `_system/frontend/...`."""

from __future__ import annotations

from typing import Any

from analyzer.convex import ids
from tests.deployment import filters, paging
from tests.deployment.functions import Call, Registry
from tests.deployment.tables import Revision

VIEW = "ViewData"
TABLE_MAPPING_LIMIT = 1_000


def table_data(call: Call, args: dict[str, Any]) -> Any:
    paging.check_readable(args["table"])
    is_descending = args["order"] == "desc"
    return paging.paginate(
        call, args["table"], args["paginationOpts"], is_descending=is_descending, purpose="tableData"
    )


def paginated_table_documents(call: Call, args: dict[str, Any]) -> Any:
    paging.check_readable(args["table"])
    expression = filters.parse(args["filters"])
    clauses = expression["clauses"]
    if wrong := filters.errors(clauses):
        return {"page": wrong, "isDone": True, "continueCursor": ""}
    by_value = filters.enabled(clauses, types=False)
    if len(by_value) == 1 and by_value[0]["field"] == "_id" and by_value[0]["op"] == "eq":
        found = _normalized(call, args["table"], by_value[0].get("value"))
        return {"page": [found] if found else [], "isDone": True, "continueCursor": ""}
    found_page = paging.paginate(
        call,
        args["table"],
        args["paginationOpts"],
        is_descending=expression.get("order", "desc") == "desc",
        purpose=f"documents {args['filters']}",
        keep=lambda revision: all(filters.holds(revision.document, clause) for clause in by_value),
    )
    by_type = filters.enabled(clauses, types=True)
    kept = [r for r in found_page["page"] if all(filters.holds(r.document, clause) for clause in by_type)]
    return found_page | {"page": kept}


def _normalized(call: Call, table: str, id_: Any) -> Any:
    """Return the document of an id, None where the id is of another table or of none."""
    known = call.component.tables.get(table)
    try:
        number = ids.decode(id_).table_number
    except (TypeError, ValueError):
        return None
    return call.tx.revision_in(known, id_) if known is not None and number == known.number else None


def tables(call: Call, args: dict[str, Any]) -> Any:
    names = [{"name": table.name} for table in call.component.user_tables()]
    return {"page": names, "isDone": True, "continueCursor": "end"}


def get_table_mapping(call: Call, args: dict[str, Any]) -> Any:
    found = {str(table.number): table.name for table in call.component.user_tables()[:TABLE_MAPPING_LIMIT]}
    own = call.component.tables
    return found | {
        str(own["_scheduled_functions"].number): "_scheduled_jobs",
        str(own["_storage"].number): "_file_storage",
    }


def get_by_id(call: Call, args: dict[str, Any]) -> Any:
    return call.tx.revision(call.component, args["id"])


def list_by_id(call: Call, args: dict[str, Any]) -> Any:
    return [_normalized(call, entry["tableName"], entry["id"]) for entry in args["ids"]]


def table_size(call: Call, args: dict[str, Any]) -> Any:
    tablet = call.tx.tablet(call.component, args["tableName"])
    return float(tablet.count(call.tx.ts)) if tablet else 0.0


def size_of_all_tables(call: Call, args: dict[str, Any]) -> Any:
    return sum(table_size(call, {"tableName": table.name}) for table in call.component.user_tables())


def api_spec(call: Call, args: dict[str, Any]) -> Any:
    if call.component.path:
        return []
    found = []
    for path, function in sorted(call.backend.registry.by_path.items()):
        if not path.startswith("_system/"):
            module, _, name = path.rpartition(":")
            found.append(
                {
                    "identifier": f"{module}.js:{name}",
                    "functionType": function.kind,
                    "visibility": {"kind": "internal" if function.is_internal else "public"},
                    "args": {"type": "any"},
                    "returns": {"type": "any"},
                }
            )
    return [*found, {"functionType": "HttpAction", "method": "GET", "path": "/health"}]


def components(call: Call, args: dict[str, Any]) -> Any:
    found = []
    for component in sorted(call.backend.database.components.values(), key=lambda c: c.path):
        name = {"name": component.name} if component.path else {}
        entry: dict[str, Any] = {
            "id": component.id,
            "path": component.path,
            "args": {},
            "state": "active",
            "httpPrefix": None,
        }
        found.append(entry | name)
    return found


def scheduled_jobs(call: Call, args: dict[str, Any]) -> Any:
    tablet = call.tx.tablet(call.component, "_scheduled_functions")
    page: list[Revision] = list(tablet.by_creation(call.tx.ts)) if tablet else []
    return {"page": page, "isDone": True, "continueCursor": ""}


def install(registry: Registry) -> None:
    cli, frontend = "_system/cli", "_system/frontend"
    opts = {"paginationOpts": "object"}
    where = {"table": "string"} | opts

    registry.query(f"{cli}/tableData:default", where | {"order": "string"}, op=VIEW)(table_data)
    registry.query(f"{frontend}/paginatedTableDocuments:default", where | {"filters": "string|null"}, op=VIEW)(
        paginated_table_documents
    )
    registry.query(f"{cli}/tables:default", opts, op=VIEW)(tables)
    registry.query(f"{frontend}/getTableMapping:default", {}, op=VIEW)(get_table_mapping)
    registry.query(f"{frontend}/getSchemas:default", {}, op=VIEW)(lambda *_: {})
    registry.query(f"{frontend}/getById:default", {"id": "string"}, op=VIEW)(get_by_id)
    registry.query(f"{frontend}/listById:default", {"ids": "array"}, op=VIEW)(list_by_id)
    registry.query(f"{cli}/tableSize:default", {"tableName": "string"}, op=VIEW)(table_size)
    registry.query(f"{frontend}/tableSize:default", {"tableName": "string"}, op=VIEW)(table_size)
    registry.query(f"{frontend}/tableSize:sizeOfAllTables", {}, op=VIEW)(size_of_all_tables)
    registry.query(f"{cli}/modules:apiSpec", {}, op=VIEW)(api_spec)
    registry.query(f"{frontend}/components:list", {}, op=VIEW)(components)
    registry.query(f"{frontend}/paginatedScheduledJobs:default", opts, op=VIEW)(scheduled_jobs)
    registry.query(f"{frontend}/getVersion:default", {})(lambda call, _: call.backend.settings.npm_version)
    registry.query(f"{frontend}/deploymentState:deploymentState", {}, op=VIEW)(
        lambda call, _: {"state": call.backend.settings.state}
    )
    registry.query(f"{cli}/convexUrl:cloudUrl", {}, op=VIEW)(lambda call, _: call.backend.url)
