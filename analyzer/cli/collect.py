"""`analyzer collect`: an export, an unpacked export, a recording or a live deployment into the store."""

from __future__ import annotations

import contextlib
import functools
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from analyzer import config
from analyzer.cli import collect_flags, options, output
from analyzer.cli.deployment import Chosen, choosing
from analyzer.config import Settings
from analyzer.errors import EXIT_OK

if TYPE_CHECKING:
    from analyzer.collect.live import LiveOptions
    from analyzer.model import CollectResult
    from analyzer.rules import RuleSet
    from analyzer.sources.live import LiveSource
    from analyzer.store import Store

LONGEST_TICK_MS = 300_000  # of a watch, unless --max-time says otherwise: then the next one continues


@click.command()
@click.argument("source", type=click.Path(path_type=Path), required=False)
@choosing
@options.settings("db", "deployment", "wait", "memory")
@click.option("--label", help="What to call the snapshot, e.g. baseline. Default: the file's or the deployment's name.")
@click.option("--taken-at", "taken_at_ms", type=options.INSTANT, metavar="TIME", help="When a file was exported.")
@click.option("--keep-text", is_flag=True, help="Keep message and error texts, not only their length and hash.")
@click.option("--via-cli", is_flag=True, help="Let your own `npx convex` make a recording, then read it.")
@click.option(
    "--keep", type=click.Path(path_type=Path, file_okay=False), help="With --via-cli: keep the recording here."
)
@click.option("--print", "only_print", is_flag=True, help="With --via-cli: print the commands, run nothing.")
@click.option(
    "--max-time", "max_time_ms", type=options.DURATION, metavar="DURATION", help="Give up a live read after this long."
)
@click.option("--every", "every_ms", type=options.DURATION, metavar="DURATION", help="Collect again and again: watch.")
@click.option(
    "--for", "for_ms", type=options.DURATION, metavar="DURATION", help="With --every: how long. Default: until stopped."
)
@options.output_format("text", "json")
def collect(
    *,
    settings: Settings,
    chosen: Chosen,
    source: Path | None,
    label: str | None,
    taken_at_ms: int | None,
    keep_text: bool,
    via_cli: bool,
    keep: Path | None,
    only_print: bool,
    max_time_ms: int | None,
    every_ms: int | None,
    for_ms: int | None,
    fmt: str,
) -> int:
    """Add SOURCE to the store: an export ZIP, an unpacked export, or a recording (a folder of saved answers).

    Without SOURCE, read the live deployment: URL and key are found as the Convex CLI finds them (`analyzer doctor`
    tells). A key that can only read is enough, and nothing is ever written there. The second collect reads what
    changed since the first; one that was stopped goes on where it was.

    Collecting the same export twice adds nothing; a later export adds what changed and records what disappeared.
    Nothing is stored of a source that is not whole.

    With --every it goes on: a deployment forgets its metrics after an hour and its log after about 1,000 calls, and
    the store does not. Other commands can be used all the while; Ctrl-C ends it, and the next collect continues.
    """
    is_live = source is None and not via_cli
    collect_flags.check_source(
        source,
        via_cli=via_cli,
        is_for_cli=keep is not None or only_print,
        is_for_live=chosen.is_given or max_time_ms is not None,
    )
    collect_flags.check_rhythm(every_ms, for_ms, is_live=is_live)
    collect_flags.check_names(label, taken_at_ms, is_live=is_live)
    how = _Keeping(label, taken_at_ms, keep_text)
    if every_ms is not None:
        return _watch(settings, chosen, how, (every_ms, for_ms, max_time_ms), fmt)
    if is_live:
        _show(_live(settings, chosen, how, max_time_ms), fmt)
        return EXIT_OK
    result = _recorded(settings, chosen, how, keep, only_print) if source is None else _file(source, settings, how)
    if result is not None:
        _show(result, fmt)
    return EXIT_OK


@dataclass(frozen=True, slots=True)
class _Keeping:
    """How to keep what is collected."""

    label: str | None
    taken_at_ms: int | None
    keep_text: bool


def _live(settings: Settings, chosen: Chosen, how: _Keeping, max_time_ms: int | None) -> CollectResult:
    from analyzer.convex.beside import Beside

    connecting = Beside(_opener(settings, chosen, max_time_ms))  # what is needed then is imported meanwhile
    from analyzer import rules
    from analyzer.collect.live import collect_live
    from analyzer.flows.remembering import remember_live

    known = rules.load_all(settings.rule_files)
    progress = _live_progress() if output.is_terminal(sys.stderr) else None
    then = functools.partial(remember_live, rules=known)
    with connecting.result() as source:
        return collect_live(source, settings.store, _live_options(settings, how, known, progress, then))


def _watch(
    settings: Settings, chosen: Chosen, how: _Keeping, times: tuple[int, int | None, int | None], fmt: str
) -> int:
    from analyzer import rules
    from analyzer.collect import watch as watching

    every_ms, for_ms, max_time_ms = times
    watched = watching.watch(
        _opener(settings, chosen, max_time_ms or max(LONGEST_TICK_MS, 2 * every_ms)),
        settings.store,
        _live_options(settings, how, rules.load_all(settings.rule_files)),
        watching.Rhythm(every_ms, for_ms),
        tell=output.narrate,
    )
    assert watched.last is not None
    if fmt == "text":
        output.narrate(f"{watched.ticks} ticks, {watched.failed} failed, {len(watched.gaps)} gaps")
        _show(watched.last, fmt)
        return EXIT_OK
    from analyzer.report import snapshots_text

    counts = {"ticks": watched.ticks, "failed": watched.failed, "gaps": watched.gaps}
    output.write_json({"schema": "watch/1"} | counts | {"snapshot": snapshots_text.listed(watched.last.snapshot)})
    return EXIT_OK


def _opener(settings: Settings, chosen: Chosen, max_time_ms: int | None) -> Callable[[], LiveSource]:
    """Return what connects to the deployment; keys are read once."""
    target = chosen.target(settings.deployment)
    from analyzer.convex.connection import connect

    talking = chosen.options(target, total_s=None if max_time_ms is None else max_time_ms / 1000)

    def opened() -> LiveSource:
        connection = connect(target, talking)
        from analyzer.sources.live import LiveSource  # not before: whoever asks first waits less

        return LiveSource(connection, flag_names=settings.flags, functions=settings.functions)

    return opened


def _live_options(
    settings: Settings,
    how: _Keeping,
    known: RuleSet,
    progress: Callable[[int], None] | None = None,
    then: Callable[[Store, CollectResult], None] | None = None,
) -> LiveOptions:
    from analyzer import rules
    from analyzer.collect.live import LiveOptions

    return LiveOptions(
        label=how.label,
        keep_text=how.keep_text,
        fingerprints=rules.fingerprints(known),
        progress=progress,
        wait_s=settings.wait_s,
        then=then,
    )


def _live_progress() -> Callable[[int], None]:
    from analyzer import clock

    started_s = clock.monotonic_s()

    def tell(changes: int) -> None:
        rate = changes / max(clock.monotonic_s() - started_s, 1e-3)
        output.narrate(f"read {changes:,} changes, {rate:,.0f} a second")

    return tell


def _recorded(
    settings: Settings, chosen: Chosen, how: _Keeping, keep: Path | None, only_print: bool
) -> CollectResult | None:
    """Let the user's own Convex CLI make a recording and read it; None when the commands were only to be printed."""
    from analyzer.sources import via_cli as npx
    from analyzer.store import spool

    env_file = None if chosen.env_file is None else str(chosen.env_file)
    selection = _selection(chosen.prod, settings.deployment, chosen.preview_name, env_file)
    asked: dict[str, Any] = {"flag_names": settings.flags, "selection": selection, "functions": settings.functions}
    if only_print:
        folder = keep or Path("recording")
        output.write(npx.printed(folder, npx.plan(folder, **asked)))
        return None
    with spool.folder() as temporary:
        folder = keep or temporary / "recording"
        for warning in npx.record(folder, progress=output.narrate, environment=config.for_programs(), **asked):
            output.narrate(f"warning: {warning}")
        return _file(folder, settings, how)


def _selection(prod: bool, deployment: str | None, preview_name: str | None, env_file: str | None) -> list[str]:
    """Return what tells `npx convex` which deployment is meant; it has the last word on what may be combined."""
    named = {"--deployment": deployment, "--preview-name": preview_name, "--env-file": env_file}
    words = [word for option, value in named.items() if value for word in (option, value)]
    return [*(["--prod"] if prod else []), *words]


def _file(path: Path, settings: Settings, how: _Keeping) -> CollectResult:
    from analyzer import collect as collecting
    from analyzer import rules, sources
    from analyzer.flows.remembering import remember

    opened = sources.open_source(
        path,
        deployment=settings.deployment,
        taken_at_ns=None if how.taken_at_ms is None else how.taken_at_ms * collecting.NS_PER_MS,
        flag_names=settings.flags,
        functions=settings.functions,
    )
    known = rules.load_all(settings.rule_files)
    with contextlib.closing(opened):
        return collecting.collect(
            opened,
            settings.store,
            label=how.label,
            keep_text=how.keep_text,
            fingerprints=rules.fingerprints(known),
            progress=_progress if output.is_terminal(sys.stderr) else None,
            wait_s=settings.wait_s,
            then=functools.partial(remember, rules=known),
        )


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
