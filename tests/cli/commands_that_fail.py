"""Commands that end in each way a command can end; listed under these names by the tests."""

from __future__ import annotations

import click

from analyzer.cli import options
from analyzer.config import Settings
from analyzer.errors import GuardRefused, NoData, SourceInvalid


@click.command()
@click.argument("how")
@options.exit_zero
def end(how: str) -> int | None:
    """End as told."""
    match how:
        case "bad-input":
            raise SourceInvalid("export.zip: users/documents.jsonl line 3 is not an object", hint="export it again")
        case "refused":
            raise GuardRefused("the deployment is another one")
        case "nothing":
            raise NoData("no message and no trace to judge")
        case "crash":
            secret_free_word = "prod:happy-animal-123|eyJ2MiI6IjEyMzQ1Njc4In0="
            raise KeyError(f"{secret_free_word} in the environment")
        case "end-of-file":
            raise EOFError("Compressed file ended")
        case "no-file":
            open("/nowhere/at/all").close()  # noqa: PTH123
        case "interrupt":
            raise KeyboardInterrupt
        case "interrupted-query":
            raise RuntimeError("Query interrupted")  # as DuckDB says it
        case "abort":
            raise click.Abort
    return int(how) if how.isdigit() else None


@click.command()
@options.settings("db", "deployment", "wait", "policy", "filter")
@options.snapshot
@options.at
@options.output_format("text", "json")
def told(settings: Settings, snapshot: str | None, at_ms: int | None, fmt: str) -> None:
    """Print what arrived."""
    click.echo(
        f"{settings.store} {settings.deployment} {settings.wait_s} {settings.health.policy} "
        f"{settings.health.filter} {snapshot} {at_ms} {fmt}"
    )


@click.command()
def endless() -> None:
    """Print until nobody listens."""
    while True:
        click.echo("y" * 1000)
