"""`analyzer query`: what the commands compute, as named queries; and read-only SQL of the user's own."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from analyzer.cli import options, output
from analyzer.config import Settings
from analyzer.errors import EXIT_OK, UsageError
from analyzer.model import FILTER_TIERS, FilterName
from analyzer.units import NOTHING, count, truncated, visible

if TYPE_CHECKING:
    from analyzer.sql import Named, Query
    from analyzer.store import Frame
    from analyzer.store.tables import Table

MADE = re.compile(r"artifact|internal_document|left_out|gone_(users|tasks)|\w+_evidence|rule_match")  # by `_prepare`
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
def query(
    settings: Settings,
    *,
    name: str | None,
    snapshot: str | None,
    at_ms: int | None,
    given: Sequence[str],
    own_sql: str | None,
    path: Path | None,
    fmt: str,
) -> int:
    """Run a named query over a snapshot, or list them. `analyzer query NAME --help` describes one.

    Parameters that health has too (window_ms, stuck_ms, tiers, by_name, internal) follow --policy and --filter unless
    given. --sql runs without access to files, the network or settings.
    """
    parquet = path if fmt == "parquet" else None
    if fmt == "parquet" and path is None:
        raise UsageError("--format parquet needs a file", hint="name it with -o FILE.parquet")
    if own_sql is not None and (name or given):
        raise UsageError("--sql goes with neither a name nor --param", hint="write the values into the SQL")
    if own_sql is None and name is None:
        table: Table | None = _listing()
    else:
        from analyzer.store import Store

        with Store.read(settings.store, wait_s=settings.wait_s) as store:
            frame = store.frame(store.snapshot(snapshot, settings.deployment), at_ms)
            if own_sql is not None:
                _prepare(frame, settings, set(re.findall(r"\w+", own_sql)))
                table = frame.user_sql(own_sql, parquet=parquet)
            else:
                assert name is not None
                table = _named(frame, settings, name, given, parquet)
    if parquet is None and table is not None:
        _show(table, fmt, path)
    return EXIT_OK


def _named(frame: Frame, settings: Settings, name: str, given: Sequence[str], parquet: Path | None) -> Table | None:
    from analyzer import sql

    query = sql.load(name)
    params = _params(query, given, settings)
    _prepare(frame, settings, set(query.reads))
    if parquet is None:
        return frame.table(name, **params)
    frame.save_parquet(parquet, name, **params)
    return None


def _prepare(frame: Frame, settings: Settings, words: set[str]) -> None:
    """Make the temporary tables that a query reads, as far as they are those of artifacts and of the filter."""
    if not any(MADE.fullmatch(word) for word in words):
        return
    from analyzer import rules
    from analyzer.analysis import artifacts, health

    lists = rules.InternalLists(settings.tests.emails, settings.tests.users, settings.tests.repos)
    artifacts.prepare(frame, rules.load_all(settings.rule_files), lists, orphans=True)
    if "left_out" in words:
        health.leave_out(frame, settings.health.filter)


def _params(query: Query, given: Sequence[str], settings: Settings) -> dict[str, Any]:
    """Return the values of a query's parameters: those given, and what follows from policy and filter.

    raises  UsageError for a parameter that is missing, unknown or of another type
    """
    known = {param.name: param for param in query.params}
    found = {key: value for key, value in _usual(settings).items() if key in known}
    for word in given:
        key, equals, text = word.partition("=")
        if not equals or key not in known:
            valid = ", ".join(known) or "none"
            raise UsageError(
                f"--param {visible(word)} is none of {query.name}'s", hint=f"as NAME=VALUE; valid: {valid}"
            )
        found[key] = _parsed(known[key], text)
    missing = [f"--param {p.name}=… ({p.type}: {p.meaning})" for p in query.params if p.name not in found]
    if missing:
        raise UsageError(f"{query.name} needs {missing[0]}", hint=f"`analyzer query {query.name} --help` describes it")
    return found


def _usual(settings: Settings) -> dict[str, Any]:
    """Return the values that health itself would use."""
    from analyzer.analysis import policy as policies

    policy = policies.find(settings.health.policy, settings.policies)
    name = settings.health.filter
    return {
        "window_ms": policy.window_ms,
        "stuck_ms": policies.STUCK_MS,
        "percent": policies.RESPONSE_PERCENT,
        "tiers": [tier.value for tier in FILTER_TIERS[name]],
        "by_name": name is FilterName.NAME,
        "internal": name is not FilterName.NONE,
    }


def _parsed(param: Named, text: str) -> Any:
    """Read a value as its header's type wants it; items of a list stand between commas."""
    if param.type.endswith("[]"):
        return [_scalar(param, param.type[:-2], item) for item in text.split(",")] if text else []
    return _scalar(param, param.type, text)


def _scalar(param: Named, type_: str, text: str) -> Any:
    try:
        if type_ == "BOOLEAN":
            return {"true": True, "false": False}[text.lower()]
        if type_ in ("BIGINT", "INTEGER"):
            return int(text)
        return float(text) if type_ == "DOUBLE" else text
    except (ValueError, KeyError):
        raise UsageError(
            f"--param {param.name}={visible(text)} is no {type_}", hint=f"{param.name}: {param.meaning}"
        ) from None


# ---- output ----------------------------------------------------------------------------------------------------


def _listing() -> Table:
    from analyzer import sql
    from analyzer.store.tables import Table

    return Table(("query", "meaning"), [(name, sql.load(name).title) for name in sql.names()])


def _describe(query: Query, formatter: click.HelpFormatter) -> None:
    """Write a query's header for reading: meaning, grain, parameters, columns."""
    formatter.write_usage(f"analyzer query {query.name}", "[OPTIONS]")
    formatter.write_paragraph()
    with formatter.indentation():
        formatter.write_text(query.title)
        formatter.write_text(f"Gives {query.grain}. Reads {', '.join(query.reads)}.")
    for title, described in (("Parameters", query.params), ("Columns", query.returns)):
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
