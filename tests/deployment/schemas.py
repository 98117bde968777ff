"""What tables look like, inferred from the documents that are there."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from tests.deployment import encoding
from tests.deployment.errors import HttpError
from tests.deployment.keys import Identity
from tests.deployment.streaming import require_plan
from tests.deployment.tables import Table
from tests.deployment.wire import Request, Response, json_response

if TYPE_CHECKING:
    from tests.deployment.backend import Backend

DRAFT = "http://json-schema.org/draft-07/schema#"
SAMPLE = 2_000  # documents of a table that are looked at, spread over all of it
_BASE = {"_creationTime": {"number"}, "_id": {"string"}}
_DELTA = {"_table": "string", "_component": "string", "_ts": "integer", "_deleted": "boolean"}
_JSON_TYPES = {"string": "string", "boolean": "boolean", "null": "null", "array": "array", "object": "object"}


class Schemas:
    """Shapes of tables for the connectors of other tools."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend

    def json_schemas(self, request: Request, identity: Identity) -> Response:
        require_plan(self.backend, identity)
        style = encoding.format_named(request.query.get("format"))
        is_delta = request.query.get("deltaSchema") == "true"
        by_component: dict[str, Any] = {}
        for component, tables in self._tables():
            by_component[component] = {t.name: self._schema(t, style, is_delta=is_delta) for t in tables}
        if request.query.get("byComponent") == "true":
            return json_response(by_component)
        return json_response({name: schema for tables in by_component.values() for name, schema in tables.items()})

    def column_names(self, request: Request, identity: Identity) -> Response:
        require_plan(self.backend, identity)
        found = {
            component: [{"name": table.name, "columns": sorted(self._fields(table))} for table in tables]
            for component, tables in self._tables()
            if tables
        }
        return json_response({"byComponent": found})

    def shapes(self, request: Request, identity: Identity) -> Response:
        """Serve /api/shapes2: table -> shape."""
        component = self.backend.database.component_by_id(request.query.get("component"))
        found = {}
        for table in component.user_tables():
            fields = [
                {"fieldName": name, "optional": False, "shape": _shape(kinds)}
                for name, kinds in sorted(self._fields(table).items())
            ]
            found[table.name] = {"type": "Object", "fields": fields} if self._has_rows(table) else {"type": "Never"}
        return json_response(found)

    def _tables(self) -> Iterable[tuple[str, list[Table]]]:
        with self.backend.database.lock:
            components = sorted(self.backend.database.components.items())
            return [(path, component.user_tables()) for path, component in components]

    def _has_rows(self, table: Table) -> bool:
        ts = self.backend.database.latest_ts()
        return table.tablet is not None and next(table.tablet.by_id(ts), None) is not None

    def _fields(self, table: Table) -> dict[str, set[str]]:
        """Return the fields of a table's documents and the types that they have."""
        found: dict[str, set[str]] = {name: set(kinds) for name, kinds in _BASE.items()}
        if table.tablet is None:
            raise HttpError(400, "NoTableDefinitionForExport", f"table {table.name} is gone")
        with self.backend.database.lock:
            revisions = list(table.tablet.by_id(self.backend.database.latest_ts()))
        for revision in revisions[:: max(1, len(revisions) // SAMPLE)]:
            for name, value in revision.document.items():
                found.setdefault(name, set()).add(encoding.type_of(value))
        return found

    def _schema(self, table: Table, style: str, *, is_delta: bool) -> dict[str, Any]:
        fields = self._fields(table)
        properties = {name: _property(kinds, style) for name, kinds in sorted(fields.items())}
        if is_delta:
            properties |= {name: {"type": kind} for name, kind in _DELTA.items()}
        return {
            "$schema": DRAFT,
            "type": "object",
            "properties": properties,
            "additionalProperties": False,
            "required": sorted(_BASE),
        }


def _property(kinds: set[str], style: str) -> dict[str, Any]:
    options = [_one(kind, style) for kind in sorted(kinds)]
    return options[0] if len(options) == 1 else {"anyOf": options}


def _one(kind: str, style: str) -> dict[str, Any]:
    if kind == "number":
        return {"type": "number"}
    if kind == "bigint":
        return {"type": "string" if style == "json" else "integer" if style == "export" else "object"}
    if kind == "bytes":
        return {"type": "string" if style == "json" else "object"}
    return {"type": _JSON_TYPES[kind]}


def _shape(kinds: set[str]) -> dict[str, Any]:
    names = {"number": "Float64", "bigint": "Int64", "null": "Null"}
    found = [{"type": names.get(kind, kind.capitalize())} for kind in sorted(kinds)]
    return found[0] if len(found) == 1 else {"type": "Union", "shapes": found}
