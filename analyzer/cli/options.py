"""Options that several commands share, each written once.

A command starts with `@options.settings(...)`, names the flags that it takes, and gets them resolved as one
`settings: Settings` argument; everything else comes as an argument of its own. It returns its exit code.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from analyzer import config, units
from analyzer.errors import EXIT_BAD, EXIT_NO_DATA, EXIT_OK, EXIT_UNKNOWN, NoData
from analyzer.model import FilterName

Command = TypeVar("Command", bound=Callable[..., Any])
Decorator = Callable[[Command], Command]


class Duration(click.ParamType):  # type: ignore[type-arg]  # generic only in newer versions of click
    """`30s`, `15m`, `1h`, `7d`: milliseconds as an int."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read what the user typed; a default may be given as typed, too."""
        try:
            return value if isinstance(value, int) else units.parse_duration_ms(str(value))
        except ValueError as problem:
            self.fail(str(problem), param, ctx)


class Instant(click.ParamType):  # type: ignore[type-arg]  # generic only in newer versions of click
    """Epoch milliseconds, or RFC 3339 with an offset: milliseconds since the epoch as an int."""

    name = "instant"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read what the user typed."""
        try:
            return value if isinstance(value, int) else units.parse_instant_ms(str(value))
        except ValueError as problem:
            self.fail(str(problem), param, ctx)


class ByteCount(click.ParamType):  # type: ignore[type-arg]  # generic only in newer versions of click
    """`512MiB`, `1.5GiB`: bytes as an int."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read what the user typed."""
        try:
            return value if isinstance(value, int) else units.parse_byte_count(str(value))
        except ValueError as problem:
            self.fail(str(problem), param, ctx)


DURATION = Duration()
BYTE_COUNT = ByteCount()
INSTANT = Instant()

_SETTINGS: dict[str, Decorator[Any]] = {
    "db": click.option(
        "--db",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="PATH",
        help="The store. Default: ANALYZER_DB, else `db` of the configuration, else data/analyzer.duckdb.",
    ),
    "deployment": click.option(
        "--deployment", metavar="NAME", help="Which deployment to read; of a file, whose it is."
    ),
    "wait": click.option(
        "--wait",
        "wait_ms",
        type=DURATION,
        metavar="DURATION",
        help="How long to wait for another process to let go of the store. Default: 10s.",
    ),
    "memory": click.option(
        "--memory-limit",
        "memory_limit_bytes",
        type=BYTE_COUNT,
        metavar="SIZE",
        help="Memory of the database, e.g. 512MiB; what does not fit waits beside the store. Default: 1.5GiB.",
    ),
    "policy": click.option(
        "--policy", metavar="NAME", help="Thresholds: deployed (default), strict, rollout, or one of your own."
    ),
    "filter": click.option(
        "--filter",
        "filter_name",
        type=click.Choice([name.value for name in FilterName]),
        help="What to leave out as tests' leftovers. Default: evidence (certain and likely ones).",
    ),
}

snapshot: Decorator[Any] = click.option(
    "--snapshot", metavar="ID|LABEL", help="Which documents. Default: the newest snapshot's."
)
at: Decorator[Any] = click.option(
    "--at",
    "at_ms",
    type=INSTANT,
    metavar="TIME",
    help="The clock: RFC 3339 with an offset, or epoch milliseconds. Default: the snapshot's own time.",
)


def settings(*flags: str) -> Decorator[Any]:
    """Add these of `db`, `deployment`, `wait`, `memory`, `policy`, `filter` as flags; hand all on as `settings`."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(command)
        def resolved(*args: Any, **given: Any) -> Any:
            wait_ms = given.pop("wait_ms", None)
            filter_name = given.pop("filter_name", None)
            found = config.load(
                db=given.pop("db", None) or click.get_current_context().find_root().params.get("db"),
                deployment=given.pop("deployment", None),
                wait_s=None if wait_ms is None else wait_ms / 1000,
                policy=given.pop("policy", None),
                filter_name=None if filter_name is None else FilterName(filter_name),
                memory_limit_bytes=given.pop("memory_limit_bytes", None),
            )
            if found.memory_limit_bytes is not None:
                from analyzer.store.connection import limit_memory

                limit_memory(found.memory_limit_bytes)
            return command(*args, settings=found, **given)

        for flag in reversed(flags):
            resolved = _SETTINGS[flag](resolved)
        return resolved

    return decorate


def output_format(*formats: str) -> Decorator[Any]:
    """Add `--format`, the first being the default; it arrives as `fmt`."""
    return click.option(
        "--format", "fmt", type=click.Choice(formats), default=formats[0], show_default=True, help="How to print it."
    )


def exit_zero(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--exit-zero`: a bad, unknown or missing answer is then no failure. Faults still are.

    Stands directly below `@click.command()`, so that it sees the exit code that the command returns.
    """

    @functools.wraps(command)
    def excused(*args: Any, **given: Any) -> Any:
        is_excused = given.pop("exit_zero")
        try:
            code = command(*args, **given)
        except NoData as nothing:
            if not is_excused:
                raise
            click.echo(str(nothing), err=True)
            return EXIT_OK
        return EXIT_OK if is_excused and code in (EXIT_BAD, EXIT_UNKNOWN, EXIT_NO_DATA) else code

    return click.option("--exit-zero", is_flag=True, help="Exit 0 whatever the answer is.")(excused)
