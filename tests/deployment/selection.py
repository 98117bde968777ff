"""Which components, tables and columns a reader of the stream wants."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from tests.deployment import encoding
from tests.deployment.tables import Revision, Tablet

_WORDS = {"included": True, "incl": True, "excluded": False, "excl": False}


@dataclass(frozen=True)
class Columns:
    """Which fields of a table are sent."""

    named: Mapping[str, bool] = field(default_factory=dict)
    other: bool = True

    @property
    def takes_all(self) -> bool:
        return self.other and all(self.named.values())

    def wire(self, revision: Revision, style: str) -> Any:
        """Return the document for a JSON writer, with the wanted fields alone."""
        if self.takes_all:
            return revision.wire(style)
        kept = {name: value for name, value in revision.document.items() if self.named.get(name, self.other)}
        return encoding.encode(dict(sorted(kept.items())), style)


@dataclass(frozen=True)
class Selection:
    """A parsed selection. Without one everything is sent."""

    tree: Mapping[str, Any] | None = None  # component -> bool | table -> Columns | None for excluded

    def columns(self, tablet: Tablet) -> Columns | None:
        """Return what is wanted of a table; None for nothing."""
        if self.tree is None:
            return Columns()
        component = self.tree.get(tablet.table.component.path, self.tree["_other"])
        if isinstance(component, bool):
            return Columns() if component else None
        found = component.get(tablet.table.name, component["_other"])
        if isinstance(found, bool):
            return Columns() if found else None
        assert isinstance(found, Columns)
        return found


def everything() -> Selection:
    return Selection()


def one(component: str | None, table: str | None) -> Selection:
    """Return what the short form of the older endpoints means."""
    if table is not None:
        return Selection({component or "": {table: Columns(), "_other": False}, "_other": False})
    return everything() if component is None else Selection({component: True, "_other": False})


def parse(parsed: Any) -> Selection:
    """Read a selection object.

    raises  ValueError saying what is wrong with it
    """
    if parsed is None:
        return everything()
    tree = _level(parsed, lambda tables: _level(tables, _columns))
    return Selection(tree)


def _columns(parsed: Any) -> Columns:
    named = _level(parsed, None)
    if named.get("_id", True) is False:
        raise ValueError("_id cannot be excluded")
    return Columns({name: wanted for name, wanted in named.items() if name != "_other"}, named["_other"])


def _level(parsed: Any, deeper: Any) -> dict[str, Any]:
    if not isinstance(parsed, dict):
        raise ValueError("expected an object")
    if "_other" not in parsed:
        raise ValueError("missing field `_other`")
    found: dict[str, Any] = {}
    for name, value in parsed.items():
        if isinstance(value, str) and value in _WORDS:
            found[name] = _WORDS[value]
        elif isinstance(value, dict) and deeper is not None and name != "_other":
            found[name] = deeper(value)
        else:
            raise ValueError(f"{orjson.dumps(value).decode()} cannot stand at {name}")
    return found
