"""`analyzer query`: what the commands compute, as named queries; and read-only SQL of the user's own."""

from __future__ import annotations

import contextlib
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from analyzer.cli import options, output, query_params
from analyzer.config import Settings
from analyzer.errors import EXIT_OK, UsageError
from analyzer.model import Table
from analyzer.units import NOTHING, count, truncated, visible

if TYPE_CHECKING:
    from analyzer.sql import Query

MAX_CELL = 120  # columns of a terminal


class QueryCommand(click.Command):
    """`analyzer query NAME --help` describes that query."""

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Describe the named query where there is a name, else the command."""
        from analyzer import sql

        known = set(sql.names())
        name = next((word for word in ctx.args if word in known), None)
        if name is None:
            super().format_help(ctx, formatter)
        else:
            _describe(sql.load(name), formatter)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Keep the words of the command line where `format_help` finds them: --help ends parsing early."""
        ctx.args = list(args)
        return super().parse_args(ctx, args)


@click.command(cls=QueryCommand)
@click.argument("name", required=False)
@options.settings("db", "deployment", "wait", "policy", "filter")
@options.snapshot
@options.at
@click.option("--param", "-p", "given", multiple=True, metavar="NAME=VALUE", help="A parameter; may be repeated.")
@click.option("--sql", "own_sql", metavar="SQL", help="One SELECT of your own instead, over stg_* and all tables.")
@click.option(
    "-o", "--output", "path", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Write to a file."
)
@options.output_format("table", "csv", "json", "parquet")
@click.option(
    "--engine", type=click.Choice(["duckdb", "spark"]), default="duckdb", show_default=True, help="What runs the query."
)
@click.option(
    "--parquet", "exported", metavar="DIR", help="For spark: what `analyzer export` wrote. Default: exports the store."
)
@click.option("--master", metavar="URL", help="For spark: where it runs. Default: local[*], this machine.")
def query(settings: Settings, *, name: str | None, **given: Any) -> int:
    """Run a named query over a snapshot, or list them. `analyzer query NAME --help` describes one.

    Parameters that health has too (window_ms, stuck_ms, tiers, by_name, internal) follow --policy and --filter unless
    given. --sql runs without access to files, the network or settings.
    """
    asked = Asked(name, **given)
    asked.check()
    if asked.engine == "spark":
        table: Table | None = _on_spark(settings, asked)
    elif asked.own_sql is None and name is None:
        table = _listing()
    else:
        table = _on_duckdb(settings, asked)
    if table is not None:
        _show(table, asked.fmt, asked.path)
    return EXIT_OK


@dataclass(frozen=True, slots=True)
class Asked:
    """The flags of one call."""

    name: str | None
    snapshot: str | None
    at_ms: int | None
    given: Sequence[str]
    own_sql: str | None
    path: Path | None
    fmt: str
    engine: str
    exported: str | None
    master: str | None

    def check(self) -> None:
        """Refuse flags that do not go together.

        raises  UsageError
        """
        if self.fmt == "parquet" and self.path is None:
            raise UsageError("--format parquet needs a file", hint="name it with -o FILE.parquet")
        if self.own_sql is not None and (self.name or self.given):
            raise UsageError("--sql goes with neither a name nor --param", hint="write the values into the SQL")
        if self.engine == "duckdb":
            if self.exported or self.master:
                raise UsageError("--parquet and --master go with --engine spark", hint="add --engine spark")
            return
        if self.name is None:
            raise UsageError(
                "--engine spark runs named queries alone", hint="`analyzer query` lists them, and which run on Spark"
            )
        if self.fmt == "parquet":
            raise UsageError("--engine spark writes no Parquet file", hint="choose table, csv or json")
        if self.exported and (self.snapshot or self.at_ms is not None):
            raise UsageError(
                "--snapshot and --at were settled when the folder was exported", hint="give them to `analyzer export`"
            )


def _on_duckdb(settings: Settings, asked: Asked) -> Table | None:
    """Run a query on the store; returns no table where its rows went to a Parquet file."""
    from analyzer import sql
    from analyzer.flows import querying
    from analyzer.store import Store

    how = query_params.judging(settings)
    parquet = asked.path if asked.fmt == "parquet" else None
    with Store.read(settings.store, wait_s=settings.wait_s) as store:
        frame = store.frame(store.snapshot(asked.snapshot, settings.deployment), asked.at_ms)
        if asked.own_sql is not None:
            querying.prepare(frame, how, set(re.findall(r"\w+", asked.own_sql)))
            found = frame.user_sql(asked.own_sql, parquet=parquet)
            return None if parquet else found
        assert asked.name is not None
        values = query_params.read(asked.name, querying.params(asked.name), asked.given, how.usual())
        querying.prepare(frame, how, {word for query in querying.chain(asked.name) for word in query.reads})
        querying.fill(frame, asked.name, values)
        own = querying.own(sql.load(asked.name), values)
        if parquet is None:
            return frame.table(asked.name, **own)
        frame.save_parquet(parquet, asked.name, **own)
        return None


def _on_spark(settings: Settings, asked: Asked) -> Table:
    """Run a query on Spark: over a folder that was exported before, or over what the store is exported to now."""
    from analyzer import spark
    from analyzer.flows import querying
    from analyzer.store import Store

    assert asked.name is not None
    how, master = query_params.judging(settings), asked.master or spark.LOCAL_MASTER
    values = query_params.read(asked.name, querying.params(asked.name), asked.given, how.usual())
    spark.check(asked.name, master)
    with contextlib.ExitStack() as stack:
        folder = asked.exported
        if folder is None:
            if not spark.is_local(master):
                raise UsageError(
                    f"--master {visible(master)} reads no temporary folder of this machine",
                    hint="`analyzer export --parquet DIR` where its workers can read, then add --parquet DIR here",
                )
            folder = str(Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="analyzer-"))) / "export")
            with Store.read(settings.store, wait_s=settings.wait_s) as store:
                frame = store.frame(store.snapshot(asked.snapshot, settings.deployment), asked.at_ms)
                querying.export(frame, Path(folder), how)
        return querying.run(stack.enter_context(spark.opened(folder, master)), asked.name, values)


# ---- output ----------------------------------------------------------------------------------------------------


def _listing() -> Table:
    from analyzer import exported, sql

    queries = [sql.load(name) for name in sql.names()]
    return Table(
        ("query", "spark", "meaning"),
        [(query.name, "no" if exported.why_not(query) else "yes", query.title) for query in queries],
    )


def _describe(query: Query, formatter: click.HelpFormatter) -> None:
    """Write a query's header for reading: meaning, grain, parameters, columns, engines."""
    from analyzer import exported
    from analyzer.flows import querying

    formatter.write_usage(f"analyzer query {query.name}", "[OPTIONS]")
    formatter.write_paragraph()
    why = exported.why_not(query)
    with formatter.indentation():
        formatter.write_text(query.title)
        formatter.write_text(f"Gives {query.grain}. Reads {', '.join(query.reads)}.")
        formatter.write_text(f"Not on Spark: {why}." if why else "Runs on Spark as well: --engine spark.")
    for title, described in (("Parameters", querying.params(query.name)), ("Columns", query.returns)):
        if described:
            with formatter.section(title):
                formatter.write_dl([(f"{item.name} {item.type}", item.meaning or "as stored") for item in described])


def _show(table: Table, fmt: str, path: Path | None) -> None:
    if fmt == "json":
        rows = [dict(zip(table.columns, map(_jsonable, row), strict=True)) for row in table.rows]
        text = output.json_text({"schema": "query/1", "rows": rows}) + "\n"
    elif fmt == "csv":
        text = output.csv_table(table.columns, [tuple(map(_jsonable, row)) for row in table.rows])
    else:
        text = _text(table)
    if path is None:
        click.echo(text, nl=False)
    else:
        from analyzer.report.saving import save

        save(path, text.encode("utf-8", "backslashreplace"))
        output.narrate(f"{count(len(table.rows), 'row')}: {visible(str(path))}")


def _text(table: Table) -> str:
    from analyzer.report.snapshots_text import columns

    if not table.columns:
        return "\n"
    shown = [[truncated(_word(value), MAX_CELL) for value in row] for row in table.rows]
    is_number = [all(isinstance(row[i], int | float | None) for row in table.rows) for i in range(len(table.columns))]
    right = [i for i, number in enumerate(is_number) if number and table.rows]
    return columns([[visible(name) for name in table.columns], *shown], right=right) + "\n"


def _word(value: Any) -> str:
    if value is None:
        return NOTHING
    plain = _jsonable(value)
    return visible(
        plain if isinstance(plain, str) else output.json_text(plain) if isinstance(plain, list | dict) else str(plain)
    )


def _jsonable(value: Any) -> Any:
    """Return a value of DuckDB as JSON has it: bytes as hex, times as RFC 3339, and what fits nothing as text."""
    if value is None or isinstance(value, bool | str | float):
        return value
    if isinstance(value, int):
        return value if abs(value) < 2**63 else str(value)
    if isinstance(value, bytes | bytearray):
        return value.hex()
    if isinstance(value, list | tuple):
        return [_jsonable(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): _jsonable(item) for key, item in value.items()}
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
