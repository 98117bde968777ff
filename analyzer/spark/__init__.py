"""Runs the named queries on Spark, over what `analyzer export --parquet` wrote: for what one machine cannot hold.

The queries are the very files of queries/. They are translated when they are run; what has
no translation of the same meaning is refused by name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from analyzer import sql
from analyzer.errors import QueryError, StoreError
from analyzer.exported import MANIFEST, Manifest, read_manifest, why_not
from analyzer.model import Table
from analyzer.spark.session import LOCAL_MASTER, Session, is_local, not_installed, spark_type, started

if TYPE_CHECKING:
    from analyzer.spark.dialect import Translator

__all__ = ["LOCAL_MASTER", "SparkFrame", "check", "is_local", "opened", "started"]

ON_DUCKDB = "leave --engine out: DuckDB runs every query"
STAGING = ("stg_users", "stg_tasks", "stg_messages", "stg_traces", "stg_other")
IN_FORCE = "r.is_in_force"  # of the export: whether a staging view shows the revision


def check(name: str, master: str) -> None:
    """Refuse, before anything is started, a query that no export can answer, and what is no master.

    raises  QueryError, UsageError
    """
    _refuse(sql.load(name))
    is_local(master)


def _refuse(query: sql.Query) -> None:
    if why := why_not(query):
        raise QueryError(f"query {query.name} does not run on Spark: {why}", hint=ON_DUCKDB)


@contextmanager
def opened(folder: str, master: str = LOCAL_MASTER) -> Iterator[SparkFrame]:
    """Start Spark over an exported folder.

    folder  a path of this machine, or a URL that Spark reads, e.g. hdfs://… or s3a://…
    raises  StoreError when it holds no export of this version; UsageError when Spark is not installed;
            EngineError when it does not start or cannot read the folder
    """
    if "://" not in folder:
        _local_manifest(Path(folder))  # before Java is started for nothing
    with started(master) as session:
        yield SparkFrame.over(session, folder)


def _local_manifest(folder: Path) -> Manifest:
    try:
        return read_manifest((folder / MANIFEST).read_text(encoding="utf-8"), str(folder))
    except OSError:
        raise StoreError(f"{folder} holds no export", hint="make one: analyzer export --parquet DIR") from None


class SparkFrame:
    """The documents of one export, and the only way to run a query over them on Spark."""

    def __init__(self, session: Session, manifest: Manifest, folder: str) -> None:
        self.manifest = manifest
        self._session = session
        self._translator = _translator(manifest)
        self._derived = {step.table: step for step in manifest.derived}  # until a query needs them
        for name, table in manifest.tables.items():
            session.read(name, folder, table.columns, is_empty=table.row_count == 0)
        for name in STAGING:
            query = sql.parse(f"staging/{name}", sql.load_text(f"staging/{name}"))
            self._define(name, query, {}, where=IN_FORCE)

    @classmethod
    def over(cls, session: Session, folder: str) -> Self:
        """Open a folder in a Spark that runs already; see `opened`."""
        if "://" in folder:
            return cls(session, read_manifest(session.manifest(folder), folder), folder)
        return cls(session, _local_manifest(Path(folder)), Path(folder).absolute().as_uri())

    def table(self, name: str, **params: Any) -> Table:
        """Run a named query; returns its rows in the query's own order.

        raises  QueryError when it does not exist, its parameters are wrong, or Spark cannot run it as it is meant
        """
        query = self._ready(name, params)
        types, rows = self._session.run(self._translator.spark_sql(query, params))
        _check_types(query, types)
        return Table(tuple(types), list(rows))

    def materialise(self, table: str, name: str, **params: Any) -> None:
        """Keep a query's rows as a table for later queries."""
        self._define(table, self._ready(name, params), params)
        self._derived.pop(table, None)

    def _ready(self, name: str, params: Mapping[str, Any]) -> sql.Query:
        """Return a query when it can run: its parameters are complete, and the tables that it reads are made."""
        query = sql.load(name)
        query.check(params)
        _refuse(query)
        for word in query.reads:
            if step := self._derived.get(word):
                self.materialise(step.table, step.query, **step.params)
        return query

    def _define(self, table: str, query: sql.Query, params: Mapping[str, Any], *, where: str | None = None) -> None:
        text = self._translator.spark_sql(query, params, ordered=False, where=where)
        _check_types(query, self._session.define(table, text, keep=where is None))
        self._translator.schema[table] = {column.name: column.type for column in query.returns}


def _translator(manifest: Manifest) -> Translator:
    try:
        from analyzer.spark.dialect import Translator
    except ImportError:
        raise not_installed() from None
    return Translator(manifest.variables, {name: dict(table.columns) for name, table in manifest.tables.items()})


def _check_types(query: sql.Query, found: dict[str, str]) -> None:
    """Refuse a result that is not what the query's header promises: then something was understood differently."""
    wanted = {column.name: spark_type(column.type).lower() for column in query.returns}
    if list(wanted.items()) != list(found.items()):
        differing = [f"{name} {type_}" for name, type_ in found.items() if wanted.get(name) != type_] or list(found)
        raise QueryError(
            f"query {query.name} does not run on Spark: there it gives {', '.join(differing)}", hint=ON_DUCKDB
        )
