"""A frame: the documents of one snapshot seen at one clock, and the only way to run a query."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import duckdb

from analyzer import sql
from analyzer.errors import QueryError
from analyzer.model import Snapshot
from analyzer.store.columns import REVISION_TABLES

if TYPE_CHECKING:
    import pandas as pd

NS_PER_MS = 1_000_000


class Frame:
    """Runs named queries over the documents of `snapshot` as they stood at `at_ms`.

    The views stg_* show, for a clock at or after the snapshot's time, exactly the snapshot's documents that had been
    created by then. For an earlier clock they show the revisions in force then, where the store has them, and the
    oldest known revision of documents that existed then but were first seen later.
    """

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, snapshot: Snapshot, deployment_no: int, at_ms: int | None
    ) -> None:
        self.snapshot = snapshot
        self.at_ms = snapshot.as_of_ms if at_ms is None else at_ms
        self._connection = connection
        self._prepare(deployment_no)

    @property
    def is_before_snapshot(self) -> bool:
        """Whether the clock is earlier than the snapshot, so that some statuses may be from later."""
        return self.at_ms < self.snapshot.as_of_ms

    def rows(self, name: str, **params: Any) -> list[tuple[Any, ...]]:
        """Run a named query; returns its rows in the query's own order.

        raises  QueryError when the query does not exist or its parameters are wrong
        """
        return self._run(name, params).fetchall()

    def records(self, name: str, **params: Any) -> list[dict[str, Any]]:
        """Run a named query; returns a dict for each row, keys in the header's order."""
        result = self._run(name, params)
        columns = [column[0] for column in result.description or ()]
        return [dict(zip(columns, row, strict=True)) for row in result.fetchall()]

    def pandas(self, name: str, **params: Any) -> pd.DataFrame:
        """Run a named query; returns a DataFrame with the header's columns."""
        return self._run(name, params).df()

    def materialise(self, table: str, name: str, **params: Any) -> int:
        """Keep a query's rows in a temporary table that later queries of this frame read; returns their number."""
        query = sql.load(name)
        self._check(query, params)
        try:
            self._connection.execute(
                f"create or replace temp table {_identifier(table)} as {query.text}", params or None
            )
            row = self._connection.execute(f"select count(*) from {_identifier(table)}").fetchone()
        except duckdb.Error as error:
            raise QueryError(f"query {name} failed: {error}") from error
        assert row is not None
        return int(row[0])

    def _run(self, name: str, params: dict[str, Any]) -> duckdb.DuckDBPyConnection:
        query = sql.load(name)
        self._check(query, params)
        try:
            return self._connection.execute(query.text, params or None)
        except duckdb.Error as error:
            raise QueryError(f"query {name} failed: {error}") from error

    @staticmethod
    def _check(query: sql.Query, params: dict[str, Any]) -> None:
        wanted = {param.name for param in query.params}
        if wanted != set(params):
            raise QueryError(
                f"query {query.name} takes {', '.join(sorted(wanted)) or 'no parameters'}, "
                f"got {', '.join(sorted(params)) or 'none'}",
                hint=f"`analyzer query {query.name} --help` describes them",
            )

    def _prepare(self, deployment_no: int) -> None:
        at_ns = (self.at_ms + 1) * NS_PER_MS - 1  # the whole millisecond belongs to the clock
        variables = {
            "deployment_no": deployment_no,
            "as_of_ns": self.snapshot.as_of_ns,
            "at_ms": self.at_ms,
            "valid_at_ns": min(at_ns, self.snapshot.as_of_ns),
        }
        for name, value in variables.items():
            self._connection.execute(f"set variable {name} = {int(value)}::bigint")
        hidden = sql.load_text("staging/frame_hidden")
        self._connection.execute(f"create or replace temp table frame_hidden as {hidden}")
        for table in REVISION_TABLES.values():
            text = sql.load_text(f"staging/{table.staging}")
            self._connection.execute(f"create or replace temp view {table.staging} as {text}")


def _identifier(name: str) -> str:
    if not (name.isidentifier() and name.isascii()):
        raise QueryError(f"{name!r} is no table name")
    return name
