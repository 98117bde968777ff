"""Finds and reads queries/: one SELECT a file, whose header says grain, parameters, columns and units."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from analyzer.errors import QueryError

INTERNAL_FOLDERS = ("schema", "staging", "check")  # not run by name
_FIELD = re.compile(r"^(grain|params|returns|reads)\s+(.*)$")
_PARAM = re.compile(r"^\$(\w+)\s+(\S+)(?:\s+(.*))?$")
_COLUMN = re.compile(r"^(\w+)\s+(\S+)(?:\s+(.*))?$")


class Named(NamedTuple):
    """A parameter or a column as a header describes it."""

    name: str
    type: str  # DuckDB type name, upper case
    meaning: str


@dataclass(frozen=True, slots=True)
class Query:
    """One file of queries/."""

    name: str  # "health/system_health": path without the suffix
    text: str  # the whole file
    title: str  # the first line of its header
    grain: str
    params: tuple[Named, ...]
    returns: tuple[Named, ...]
    reads: tuple[str, ...]

    def check(self, params: Mapping[str, Any]) -> None:
        """Refuse parameters that are not exactly the query's.

        raises  QueryError naming both
        """
        wanted = {param.name for param in self.params}
        if wanted != set(params):
            raise QueryError(
                f"query {self.name} takes {', '.join(sorted(wanted)) or 'no parameters'}, "
                f"got {', '.join(sorted(params)) or 'none'}",
                hint=f"`analyzer query {self.name} --help` describes them",
            )


@dataclass(frozen=True, slots=True)
class Derived:
    """A temporary table that a query fills before others read it."""

    table: str
    query: str
    params: Mapping[str, Any]


@functools.cache
def folder() -> Path:
    """Return the queries folder: inside the installed package, else beside it in a checkout."""
    package = Path(__file__).resolve().parent
    installed = package / "queries"
    return installed if installed.is_dir() else package.parent / "queries"


@functools.cache
def load(name: str) -> Query:
    """Read one query by name, e.g. "health/system_health".

    raises  QueryError when there is no such file, or its header is incomplete
    """
    path = folder() / f"{name}.sql"
    if not re.fullmatch(r"[a-z_]+/[a-z0-9_]+", name) or not path.is_file():
        raise QueryError(f"there is no query named {name!r}", hint="`analyzer query` lists them")
    return parse(name, path.read_text(encoding="utf-8"))


def names() -> list[str]:
    """Return the names of all queries that can be run by name, sorted."""
    found = (path.relative_to(folder()).with_suffix("").as_posix() for path in folder().glob("*/*.sql"))
    return sorted(name for name in found if name.split("/")[0] not in INTERNAL_FOLDERS)


def parse(name: str, text: str) -> Query:
    """Read a header. Sections are `grain`, `params`, `returns` and `reads`; a section may span lines.

    raises  QueryError naming the query when a section is missing
    """
    comments = []
    for line in text.splitlines():
        if not line.startswith("--"):
            break
        comments.append(line[2:].strip())
    if not comments:
        raise QueryError(f"query {name} has no header", hint="see queries/README.md")
    sections: dict[str, list[str]] = {}
    current: list[str] | None = None
    for line in comments[1:]:
        if match := _FIELD.match(line):
            current = sections.setdefault(match[1], [])
            current.append(match[2].strip())
        elif current is not None and line:
            current.append(line)
    missing = [key for key in ("grain", "params", "returns", "reads") if key not in sections]
    if missing:
        raise QueryError(f"query {name} has no {missing[0]!r} in its header", hint="see queries/README.md")
    return Query(
        name=name,
        text=text,
        title=comments[0],
        grain=" ".join(sections["grain"]),
        params=_described(sections["params"], _PARAM),
        returns=_described(sections["returns"], _COLUMN),
        reads=tuple(word.strip() for word in " ".join(sections["reads"]).split(",")),
    )


def _described(lines: list[str], pattern: re.Pattern[str]) -> tuple[Named, ...]:
    """Parse "name TYPE meaning" lines; a line that does not fit continues the meaning before it."""
    found: list[Named] = []
    for line in lines:
        match = pattern.match(line)
        if match and match[2].rstrip("[]").isupper():
            found.append(Named(match[1], match[2], (match[3] or "").strip()))
        elif found:
            last = found[-1]
            found[-1] = Named(last.name, last.type, f"{last.meaning} {line}".strip())
    return tuple(found)


def load_text(name: str) -> str:
    """Return the text of one query."""
    return load(name).text
