"""`analyzer collect`: an export, an unpacked export or a recording into the store."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from analyzer.cli import options, output
from analyzer.config import Settings
from analyzer.errors import EXIT_OK, UsageError

if TYPE_CHECKING:
    from analyzer.model import CollectResult


@click.command()
@click.argument("source", type=click.Path(path_type=Path), required=False)
@options.settings("db", "deployment", "wait")
@click.option("--label", help="What to call the snapshot, e.g. baseline. Default: the file's name.")
@click.option("--taken-at", "taken_at_ms", type=options.INSTANT, metavar="TIME", help="When a file was exported.")
@click.option("--keep-text", is_flag=True, help="Keep message and error texts, not only their length and hash.")
@click.option("--via-cli", is_flag=True, help="Let your own `npx convex` make a recording, then read it.")
@click.option(
    "--keep", type=click.Path(path_type=Path, file_okay=False), help="With --via-cli: keep the recording here."
)
@click.option("--prod", is_flag=True, help="With --via-cli: the production deployment of this project.")
@click.option("--preview-name", metavar="NAME", help="With --via-cli: the preview deployment of this name.")
@click.option("--env-file", metavar="FILE", help="With --via-cli: choose the deployment by this file.")
@click.option("--print", "only_print", is_flag=True, help="With --via-cli: print the commands, run nothing.")
@options.output_format("text", "json")
def collect(
    *,
    settings: Settings,
    source: Path | None,
    label: str | None,
    taken_at_ms: int | None,
    keep_text: bool,
    via_cli: bool,
    keep: Path | None,
    prod: bool,
    preview_name: str | None,
    env_file: str | None,
    only_print: bool,
    fmt: str,
) -> int:
    """Add SOURCE to the store: an export ZIP, an unpacked export, or a recording (a folder of saved answers).

    One collect is one transaction. Collecting the same export twice adds nothing; a later export adds what changed
    and records what disappeared. Nothing is stored of a source that is not whole.
    """
    if via_cli == (source is not None):
        raise UsageError(
            "collect reads either a SOURCE or, with --via-cli, what `npx convex` gives",
            hint="`analyzer collect EXPORT.zip`, or `analyzer collect --via-cli`",
        )
    if source is not None:
        result = _collect(source, settings, label, taken_at_ms, keep_text)
    else:
        from analyzer.sources import via_cli as npx

        selection = _selection(prod, settings.deployment, preview_name, env_file)
        asked: dict[str, Any] = {"flag_names": settings.flags, "selection": selection, "functions": settings.functions}
        if only_print:
            folder = keep or Path("recording")
            output.write(npx.printed(folder, npx.plan(folder, **asked)))
            return EXIT_OK
        with tempfile.TemporaryDirectory(prefix="analyzer-") as temporary:
            folder = keep or Path(temporary) / "recording"
            for warning in npx.record(folder, progress=output.narrate, **asked):
                output.narrate(f"warning: {warning}")
            result = _collect(folder, settings, label, taken_at_ms, keep_text)
    _show(result, fmt)
    return EXIT_OK


def _selection(prod: bool, deployment: str | None, preview_name: str | None, env_file: str | None) -> list[str]:
    """Return what tells `npx convex` which deployment is meant; it has the last word on what may be combined."""
    named = {"--deployment": deployment, "--preview-name": preview_name, "--env-file": env_file}
    words = [word for option, value in named.items() if value for word in (option, value)]
    return [*(["--prod"] if prod else []), *words]


def _collect(
    path: Path, settings: Settings, label: str | None, taken_at_ms: int | None, keep_text: bool
) -> CollectResult:
    from analyzer import collect as collecting
    from analyzer import rules, sources

    opened = sources.open_source(
        path,
        deployment=settings.deployment,
        taken_at_ns=None if taken_at_ms is None else taken_at_ms * collecting.NS_PER_MS,
        flag_names=settings.flags,
    )
    try:
        return collecting.collect(
            opened,
            settings.store,
            label=label,
            keep_text=keep_text,
            fingerprints=rules.fingerprints(rules.load_all(settings.rule_files)),
            progress=_progress if output.is_terminal(sys.stderr) else None,
            wait_s=settings.wait_s,
        )
    finally:
        opened.close()


def _progress(table: str, documents: int, tables_left: int) -> None:
    output.narrate(f"read {table}: {documents:,} documents so far, {tables_left} tables to go")


def _show(result: CollectResult, fmt: str) -> None:
    from analyzer.report import snapshots_text
    from analyzer.units import count, visible

    snapshot = result.snapshot
    if fmt == "json":
        output.write_json(
            {
                "schema": "collect/1",
                "already_present": result.already_present,
                "snapshot": snapshots_text.listed(snapshot),
                "warnings": list(snapshot.warnings),
            }
        )
        return
    said = "already in the store as" if result.already_present else "stored as"
    totals = [sum(getattr(c, name) for c in snapshot.coverage) for name in ("added", "changed", "removed")]
    changes = "" if result.already_present else " ({} added, {} changed, {} gone)".format(*map(count, totals))
    documents = count(snapshots_text.listed(snapshot)["documents"], "document")
    output.write(f"{documents} of {visible(snapshot.deployment.name)} {said} snapshot {snapshot.id}{changes}")
    drifting = sum(d.count for d in snapshot.drift if d.kind != "reduced_text")
    if drifting:
        output.narrate(
            f"{count(drifting)} values are not as the app writes them: `analyzer snapshots show {snapshot.id}`"
        )
    for warning in snapshot.warnings:
        output.narrate(f"warning: {visible(warning)}")
