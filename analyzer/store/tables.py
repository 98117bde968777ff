"""Results that leave the store: as rows with column names, or as a Parquet file; and SQL that a user wrote."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from analyzer.errors import QueryError, StoreError
from analyzer.units import visible

if TYPE_CHECKING:
    from analyzer.model import Table

MAX_MESSAGE = 300  # characters of DuckDB's explanation that are shown
MAX_ROWS = 1_000_000  # that are held at once; a row of Python's takes hundreds of bytes


def fetch(result: duckdb.DuckDBPyConnection) -> Table:
    """Return all that a statement gave.

    raises  QueryError for more rows than are held at once
    """
    from analyzer.model import Table

    rows = result.fetchmany(MAX_ROWS + 1)
    if len(rows) > MAX_ROWS:
        raise QueryError(
            f"more than {MAX_ROWS:,} rows, which is the most that are shown",
            hint="write them to a file: --format parquet -o FILE, or ask for fewer: limit 1000",
        )
    return Table(tuple(column[0] for column in result.description or ()), rows)


def write_parquet(connection: duckdb.DuckDBPyConnection, path: Path, query: str, params: dict[str, Any]) -> None:
    """Write the rows of a SELECT to a file, in their order.

    raises  StoreError when the file cannot be written; duckdb.Error when the query fails
    """
    target = str(path.absolute()).replace("'", "''")
    try:
        connection.execute(f"copy (\n{query}\n) to '{target}' (format parquet)", params or None)
    except duckdb.IOException as error:
        raise StoreError(f"cannot write {path}: {explained(error)}", hint="choose another file") from None


def only_select(query: str) -> str:
    """Return a user's SQL if it is one statement that reads.

    raises  QueryError when it is no SQL, several statements, or one that does something else
    """
    try:
        statements = duckdb.extract_statements(query)
    except duckdb.Error as error:
        raise QueryError(f"this is no SQL: {explained(error)}", hint="one SELECT of DuckDB's SQL, in quotes") from None
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        kinds = ", ".join(statement.type.name for statement in statements) or "none"
        raise QueryError(
            f"one SELECT is wanted, got: {kinds}", hint="read-only SQL; the views are stg_users, stg_tasks, …"
        )
    return statements[0].query.rstrip().rstrip(";")


def interruptible(connection: duckdb.DuckDBPyConnection, run: Callable[[], Table]) -> Table:
    """Run a query so that Ctrl-C ends it at once: a thread that computes looks for signals only between its tasks."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as pool:
        found = pool.submit(run)
        try:
            return found.result()
        except KeyboardInterrupt:
            connection.interrupt()
            raise


def confine(connection: duckdb.DuckDBPyConnection, output: Path | None = None) -> None:
    """Take from a connection, for good, every way to reach files, the network or Python's variables.

    output  the one file that may still be written
    """
    if output is not None:
        target = output.absolute()
        partial = target.with_name(f"tmp_{target.name}")  # under this name DuckDB writes what replaces a file
        connection.execute("set allowed_paths = $paths", {"paths": [str(target), str(partial)]})
    connection.execute("set python_enable_replacements = false")
    connection.execute("set enable_external_access = false")
    connection.execute("set lock_configuration = true")


def explained(error: duckdb.Error) -> str:
    """Return the first line of DuckDB's explanation, safe to print: it may quote a document."""
    return visible(str(error).splitlines()[0][:MAX_MESSAGE])
