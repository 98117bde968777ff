"""A frame: the documents of one snapshot seen at one clock, and the only way to run a query."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from analyzer import sql
from analyzer.errors import QueryError
from analyzer.model import Mark, Snapshot, Tier
from analyzer.store import marks, remembered, tables
from analyzer.store.columns import REVISION_TABLES
from analyzer.store.connection import SCHEMA_VERSION

if TYPE_CHECKING:
    import pandas as pd

    from analyzer.exported import ExportedTable, Manifest
    from analyzer.model import Table
    from analyzer.predicate import Leaf, Predicate

NS_PER_MS = 1_000_000
_NOT_HIDDEN = "\n    and r.revision_no not in (select h.revision_no from frame_hidden as h)"  # in each view of staging/
_SHOWN = ("artifact", "left_out")  # either a temporary table, or a view of what is remembered
_STAGING = tuple(table.staging for table in REVISION_TABLES.values())


class Frame:
    """Runs named queries over the documents of `snapshot` as they stood at `at_ms`.

    The views stg_* show, for a clock at or after the snapshot's time, exactly the snapshot's documents that had been
    created by then. For an earlier clock they show the revisions in force then, where the store has them, and the
    oldest known revision of documents that existed then but were first seen later.
    """

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        snapshot: Snapshot,
        deployment_no: int,
        *,
        at_ms: int | None,
        before: Frame | None = None,
    ) -> None:
        """Show a snapshot at a clock; `before` is the last frame of the same connection."""
        self.snapshot = snapshot
        self.at_ms = snapshot.as_of_ms if at_ms is None else at_ms
        self._connection = connection
        self._deployment_no = deployment_no
        self._recalled: str | None = None  # the condition of what is shown as `artifact`, where that was remembered
        self._holds_internal = False  # whether `internal_document` holds a document
        self._prepare(deployment_no, before)

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

    def table(self, name: str, **params: Any) -> Table:
        """Run a named query; returns its rows with the names of their columns."""
        return tables.fetch(self._run(name, params))

    def save_parquet(self, path: Path, name: str, **params: Any) -> None:
        """Write a named query's rows to a Parquet file.

        raises  QueryError as `rows`; StoreError when the file cannot be written
        """
        query = self._query(name, params)
        try:
            tables.write_parquet(self._connection, path, query.text, params)
        except duckdb.Error as error:
            raise QueryError(
                f"query {name} failed: {error}", hint=f"`analyzer query {name} --help` describes it"
            ) from error

    def user_sql(self, query: str, *, parquet: Path | None = None) -> Table:
        """Run one SELECT that a user wrote, without access to files, the network or settings.

        The connection stays confined: run nothing else in it that needs them.

        parquet  a file to write the rows to, the only one in reach; the table returned is then empty
        raises   QueryError when it is not one SELECT, or fails; StoreError when the file cannot be written
        """
        text = tables.only_select(query)
        self.show_documents()
        tables.confine(self._connection, parquet)
        try:
            if parquet is not None:
                tables.write_parquet(self._connection, parquet, text, {})
                from analyzer.model import Table

                return Table((), [])
            return tables.interruptible(self._connection, lambda: tables.fetch(self._connection.execute(text)))
        except duckdb.Error as error:
            hint = (
                "`analyzer query` lists what can be read; the views are stg_users, stg_tasks, stg_messages, stg_traces"
            )
            if "pytz" in str(error):  # times with a zone
                hint = "write such a column as x::timestamp"
            raise QueryError(f"this SQL failed: {tables.explained(error)}", hint=hint) from None

    def pandas(self, name: str, **params: Any) -> pd.DataFrame:
        """Run a named query; returns a DataFrame with the header's columns."""
        return self._run(name, params).df()

    def materialise(self, table: str, name: str, **params: Any) -> int:
        """Keep a query's rows in a temporary table that later queries of this frame read; returns their number."""
        query = self._query(name, params)
        return self._keep(table, f"query {name}", query.text, params)

    def materialise_matches(
        self, target: str, table: str, where: Predicate, *, evidence: str, source: str | None = None
    ) -> int:
        """Keep which root documents of a table fulfil a predicate: component, table_name, id, via.

        table     table name, or "*" for all
        evidence  temporary table of what earlier rules selected (id, rule), for `refers_to`
        source    temporary table to read instead of the documents in force
        returns   how many documents
        """
        from analyzer.store import predicates

        self.show_documents()
        selection = predicates.select_matches(table, where, evidence=evidence, source=source)
        return self._keep(target, f"a rule on {table}", selection.sql, selection.params)

    def judge_leaves(
        self, table: str, parts: Sequence[Leaf], document_id: str, *, evidence: str
    ) -> list[tuple[bool, str | None]] | None:
        """Return by leaf whether it holds for one root document, and the value found as JSON text (None: missing).

        Reduced text is found as {"$text": {"length": characters, "sha256": hex}}. None when there is no such document.
        """
        from analyzer.store import predicates

        self.show_documents()
        selection = predicates.select_leaves(table, parts, document_id, evidence=evidence)
        row = self._connection.execute(selection.sql, selection.params).fetchone()
        if row is None:
            return None
        return list(zip(row[::2], row[1::2], strict=True))

    def marks(self) -> tuple[Mark, ...]:
        """Return the mark in force for each marked document of the deployment, by id."""
        return marks.in_force(marks.history(self._connection, self.snapshot.deployment.name))

    def recall(self, rules_hash: str, *, orphans: bool, whole: bool = True) -> bool:
        """Show as `artifact` what was remembered of the snapshot, with an empty `internal_document`.

        rules_hash  of the rules, edges and marks in force
        orphans     whether a search would look for orphans; where it would not, skip the tier `orphan`
        whole       False where only messages and traces are looked at: of other tables more may be shown
        returns     False where a search may find something else: then nothing is shown
        """
        args = (self._connection, self._deployment_no, self.snapshot, rules_hash, self.at_ms)
        self._recalled = remembered.rows_at(*args, orphans=orphans, whole=whole)
        if self.recall_rule(None):
            self._show("artifact", "select component, table_name, id, tier, rules, reason, via from recalled")
            columns = "component varchar, table_name varchar, id varchar"
            self._connection.execute(f"create or replace temp table internal_document ({columns})")
            self._holds_internal = False
            return True
        return False

    def recall_rule(self, rule: str | None) -> bool:
        """Show of what was remembered only what one rule selected, None: all again; False where nothing is shown."""
        if self._recalled is None:
            return False
        self._connection.execute(f"create or replace temp view recalled as {remembered.select(self._recalled, rule)}")
        return True

    def leave_out_recalled(self, tiers: Sequence[Tier]) -> bool:
        """Show as `left_out` what was remembered of some tiers; False where `health/left_out` must be asked."""
        if self._recalled is None or self._holds_internal:
            return False
        listed = ", ".join(f"'{tier.value}'" for tier in tiers) or "null"
        self._show("left_out", remembered.LEFT_OUT.format(tiers=listed))
        return True

    def _show(self, name: str, text: str) -> None:
        self._drop(name)
        self._connection.execute(f"create temp view {name} as {text}")

    def _drop(self, name: str) -> None:
        """Drop what has a name, be it a view or a table."""
        try:
            self._connection.execute(f"drop view if exists {name}")
        except duckdb.CatalogException:  # it is a table
            self._connection.execute(f"drop table {name}")

    def _keep(self, table: str, what: str, text: str, params: dict[str, Any]) -> int:
        name = _identifier(table)
        if name in _SHOWN:
            self._drop(name)
        if name == "artifact":
            self._recalled = None
        try:
            row = self._connection.execute(f"create or replace temp table {name} as {text}", params or None).fetchone()
        except duckdb.Error as error:
            raise QueryError(f"{what} failed: {error}") from error
        assert row is not None
        if name == "internal_document":
            self._holds_internal = row[0] > 0
        return int(row[0])

    def export(self, folder: Path, derived: Sequence[sql.Derived], rules_hash: str) -> Manifest:
        """Write a frame whose `rule_evidence` is made to a new folder of Parquet files, for other engines.

        derived  what fills the tables that follow from `rule_evidence`
        raises   StoreError when the folder is there and not empty, or cannot be written
        """
        from analyzer.exported import Manifest
        from analyzer.store.export import write_parquet

        def described(tables: Mapping[str, ExportedTable]) -> Manifest:
            name, label = self.snapshot.deployment.name, self.snapshot.label
            return Manifest(
                name, self.snapshot.id, label, self._variables, rules_hash, tuple(derived), tables, SCHEMA_VERSION
            )

        self.show_documents()
        return write_parquet(self._connection, folder, described)

    def show_documents(self, views: Collection[str] = _STAGING) -> None:
        """Make these views of staging/, where they are not there yet; other names are passed over."""
        for view in _STAGING:
            if view not in views or view in self._views:
                continue
            text = sql.load_text(f"staging/{view}")
            if not self._hides:  # looking for each document among none costs a third of a scan
                text = text.replace(_NOT_HIDDEN, "")
            self._connection.execute(f"create or replace temp view {view} as {text}")
            self._views.add(view)

    def _query(self, name: str, params: Mapping[str, Any]) -> sql.Query:
        """Return a named query whose parameters fit, with the views that it reads in their place."""
        query = sql.load(name)
        query.check(params)
        self.show_documents(query.reads)
        return query

    def _run(self, name: str, params: dict[str, Any]) -> duckdb.DuckDBPyConnection:
        query = self._query(name, params)
        try:
            return self._connection.execute(query.text, params or None)
        except duckdb.Error as error:
            raise QueryError(
                f"query {name} failed: {error}", hint=f"`analyzer query {name} --help` describes it"
            ) from error

    def _prepare(self, deployment_no: int, before: Frame | None) -> None:
        at_ns = (self.at_ms + 1) * NS_PER_MS - 1  # the whole millisecond belongs to the clock
        self._variables = {
            "deployment_no": deployment_no,
            "as_of_ns": self.snapshot.as_of_ns,
            "at_ms": self.at_ms,
            "valid_at_ns": min(at_ns, self.snapshot.as_of_ns),
        }
        values = (f"set variable {name} = {int(value)}::bigint" for name, value in self._variables.items())
        self._connection.execute("; ".join(values))
        self._hides = self._keep("frame_hidden", "frame_hidden", sql.load_text("staging/frame_hidden"), {}) > 0
        is_alike = before is not None and before._hides == self._hides
        self._views: set[str] = before._views if before and is_alike else set()  # they read variables and frame_hidden


def _identifier(name: str) -> str:
    if not (name.isidentifier() and name.isascii()):
        raise QueryError(f"{name!r} is no table name")
    return name
