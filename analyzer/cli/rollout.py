"""`analyzer rollout`: logs, frozen plans, looks, verdicts, and a gate for CI."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from analyzer import clock
from analyzer.cli import looks, options, output
from analyzer.cli.rollout_watch import watch
from analyzer.config import Settings
from analyzer.errors import EXIT_OK, UsageError

if TYPE_CHECKING:
    from analyzer.flows.rollout_records import Amendment, Recorded
    from analyzer.flows.rollouts import Opened

LOG = click.Path(path_type=Path, dir_okay=False)
ROLES = ("guardrail", "signal", "dry-run")
amend: options.Decorator[Any] = click.option(
    "--amend", is_flag=True, help="Change a frozen plan, on record; needs --because."
)


@click.group()
def rollout() -> None:
    """Judge a rollout: did the flags change anything, and can we tell yet?

    A rollout comes from a log (import), from a plan (start), or from flags that changed between snapshots.
    """


@rollout.command("import")
@options.settings("db", "deployment", "wait")
@click.argument("log", type=LOG)
@amend
@click.option("--because", metavar="REASON", help="Why the plan changes.")
@click.option("--by", "actor", default="", metavar="NAME", help="Who records it.")
@options.output_format("text", "brief", "json")
def import_(settings: Settings, *, log: Path, amend: bool, because: str | None, actor: str, fmt: str) -> int:
    """Read a rollout log, say line by line what it was read as, and record it with the plan it lays down."""
    from analyzer.analysis.rollout_log import log_findings, read_log
    from analyzer.flows import rollout_records
    from analyzer.report import rollout_text
    from analyzer.store import Store

    read = read_log(log)
    amendment = _amendment(amend, because, actor)
    with Store.write(settings.store, wait_s=settings.wait_s) as store:
        name = rollout_records.deployment_of(store, read, settings.deployment)
        recorded = rollout_records.import_log(
            store, read, name, now_ms=clock.now_ms(), actor=actor, amendment=amendment
        )
    if fmt == "json":
        notes = [{"line": n.line, "kind": n.kind, "understood": n.understood, "text": n.text} for n in read.lines]
        found = [{"id": f.id, "text": f.text, "details": dict(f.details)} for f in log_findings(read)]
        output.write_json(_recorded(recorded, name) | {"findings": found, "lines": notes})
        return EXIT_OK
    lines = [rollout_text.log_lines(read) if fmt == "text" else rollout_text.log_summary(read)]
    lines += rollout_text.finding_lines(log_findings(read))
    output.write("\n".join(lines))
    output.narrate(_said(recorded, name))
    return EXIT_OK


@rollout.command()
@options.settings("db", "deployment", "wait")
@looks.rollout_id
@click.option("--rollback", is_flag=True, help="Print the commands that undo it, and whether that has been done.")
@click.option("--phase", metavar="NUMBER", help="With --rollback: undo this phase alone.")
@options.output_format("text", "json")
def show(settings: Settings, *, rollout_id: int | None, rollback: bool, phase: str | None, fmt: str) -> int:
    """Show a rollout held against the snapshots: flags, smoke tests, contradictions."""
    from analyzer.flows import rollouts
    from analyzer.report import report_json, rollout_text
    from analyzer.store import Store

    if phase is not None and not rollback:
        raise UsageError("--phase belongs to --rollback", hint="add --rollback")
    with Store.read(settings.store, wait_s=settings.wait_s) as store:
        opened = rollouts.open_rollout(store, deployment=settings.deployment, rollout_id=rollout_id)
        if rollback:
            return _show_rollback(opened, phase, fmt)
        info = rollouts.info(opened)
        tests, found = rollouts.smoke_tests(store, opened), rollouts.findings(store, opened)
    if fmt == "json":
        output.write_json(report_json.rollout_json(info, opened.rollout.deployment, tests, found))
    else:
        output.write(rollout_text.show(info, opened.rollout.deployment, opened.snapshots, tests, found))
    return EXIT_OK


def _show_rollback(opened: Opened, phase: str | None, fmt: str) -> int:
    from analyzer.analysis import rollout as rollouts
    from analyzer.report import rollout_text

    known = {flip.phase for flip in opened.rollout.flips}
    if phase is not None and phase not in known:
        raise UsageError(f"no flag was flipped in phase {phase}", hint=f"valid: {', '.join(sorted(known - {''}))}")
    commands = rollouts.undo_commands(opened.rollout, opened.snapshots, phase)
    states = rollouts.undo_states(opened.rollout, opened.snapshots, phase)
    if fmt == "json":
        shown = [{"flag": s.flag, "undone": s.undone, "text": s.text} for s in states]
        output.write_json({"schema": "rollback/1", "commands": list(commands), "flags": shown})
    else:
        output.write(rollout_text.rollback(commands, [state.text for state in states]))
    return EXIT_OK


@rollout.command()
@options.settings("db", "deployment", "wait", "policy", "filter")
@click.argument("log", type=LOG)
@click.option("-o", "--output", "out", type=LOG, metavar="FILE", help="Where to write it. Default: stdout.")
def fill(settings: Settings, *, log: Path, out: Path | None) -> int:
    """Write a log back with its empty checkpoint cells filled in, everything else untouched to the byte.

    Looks without a snapshot of their own are reconstructed from a later one, and say so.
    """
    from analyzer.analysis.rollout_log import read_log
    from analyzer.flows import rollout_fill, rollout_records
    from analyzer.store import Store
    from analyzer.units import count

    read = read_log(log)
    if settings.store.is_file():
        with Store.read(settings.store, wait_s=settings.wait_s) as store:
            opened = rollout_records.open_log(store, read, settings.deployment)
            filled = rollout_fill.fill_log(store, opened, read, looks.judging(settings))
    else:
        open_rows = sum(row.is_open for table in read.checkpoint_tables for row in table.rows)
        filled = rollout_fill.Filled(read.source, 0, open_rows)
        output.narrate(f"there is no store at {settings.store}: nothing to fill in")
    if out is None:
        click.echo(filled.content, nl=False)  # bytes, as they are
    else:
        from analyzer.report.saving import save

        save(out, filled.content)
    left = f"; no snapshot reaches {count(filled.open_rows, 'checkpoint')}" if filled.open_rows else ""
    output.narrate(f"filled in {count(filled.cells, 'cell')}{left}")
    return EXIT_OK


@rollout.command()
@options.settings("db", "deployment", "wait")
@click.option(
    "--flag", "flags", multiple=True, required=True, metavar="NAME", help="A flag that is turned on; repeats."
)
@click.option("--at", "starts_ms", type=options.INSTANT, metavar="TIME", help="When. Default: as snapshots show it.")
@click.option(
    "--checkpoint", "checkpoints_ms", multiple=True, type=options.DURATION, metavar="DURATION", help="A look; repeats."
)
@click.option("--margin", type=click.FloatRange(0, 1, min_open=True), help="Largest harmless difference of a rate.")
@click.option("--min-n", type=click.IntRange(min=1), help="Fewest documents for a PASS.")
@click.option("--role", "roles", multiple=True, metavar="METRIC=ROLE", help="guardrail, signal or dry-run; repeats.")
@click.option("--smoke-task", "smoke_tests", multiple=True, metavar="ID", help="A task run as a smoke test; repeats.")
@amend
@click.option("--because", metavar="REASON", help="Why the plan changes.")
@click.option("--by", "actor", default="", metavar="NAME", help="Who freezes it.")
@options.output_format("text", "json")
def start(
    settings: Settings, *, starts_ms: int | None, amend: bool, because: str | None, actor: str, fmt: str, **given: Any
) -> int:
    """Freeze what a rollout will be judged by, before its flags are flipped. A frozen plan changes only on record."""
    from analyzer.flows import rollout_records
    from analyzer.store import Store

    plan = _plan(**given)
    amendment = _amendment(amend, because, actor)
    with Store.write(settings.store, wait_s=settings.wait_s) as store:
        name = rollout_records.deployment_of(store, None, settings.deployment)
        recorded = rollout_records.start(
            store, plan, name, starts_ms=starts_ms, now_ms=clock.now_ms(), actor=actor, amendment=amendment
        )
    if fmt == "json":
        output.write_json(_recorded(recorded, name))
    else:
        output.write(_said(recorded, name))
    return EXIT_OK


@rollout.command()
@options.exit_zero
@options.settings("db", "deployment", "wait", "policy", "filter")
@click.argument("label", metavar="T+1h")
@looks.rollout_id
@looks.change
@click.option("--full", is_flag=True, help="Also A/A, the same hours a week before, and each artifact rule alone.")
@options.output_format("text", "brief", "json")
def checkpoint(
    settings: Settings, *, label: str, rollout_id: int | None, change_no: int | None, full: bool, fmt: str
) -> int:
    """Judge one planned look at a change; a late one is reconstructed from a later snapshot."""
    return looks.print_report(looks.report(settings, rollout_id, change_no, label, fmt, full=full), fmt)


@rollout.command()
@options.settings("db", "deployment", "wait", "policy", "filter")
@click.option("--by", "actor", required=True, metavar="NAME", help="Who decides.")
@click.option("--because", required=True, metavar="REASON", help="Why.")
@click.option("--checkpoint", "label", metavar="T+1h", help="Which look. Default: the last that a snapshot reaches.")
@looks.rollout_id
@looks.change
def accept(
    settings: Settings, *, actor: str, because: str, label: str | None, rollout_id: int | None, change_no: int | None
) -> int:
    """Record that a person accepts the rollout as it stands. It never changes the verdict."""
    from analyzer.store import Store
    from analyzer.store.rollouts import StoredAcceptance

    found = looks.report(settings, rollout_id, change_no, label, "brief")
    if found.rollout is None or found.rollout.id is None:
        raise UsageError("only a recorded rollout can be accepted", hint="record it with `analyzer rollout import`")
    with Store.write(settings.store, wait_s=settings.wait_s) as store:
        said = StoredAcceptance(found.verdict.value, because, actor, clock.now_ms())
        store.rollouts.accept(found.rollout.id, said)
    output.write(f"accepted rollout {found.rollout.id}; its verdict stays {found.verdict.value} ({found.reason_code})")
    return EXIT_OK


@rollout.command()
@options.settings("db", "deployment", "wait", "policy", "filter")
@looks.rollout_id
@looks.change
@click.option("--checkpoint", "label", metavar="T+1h", help="Which look. Default: the last one that is due by now.")
@looks.on_inconclusive
@options.output_format("brief", "text", "json")
def gate(
    settings: Settings,
    *,
    rollout_id: int | None,
    change_no: int | None,
    label: str | None,
    on_inconclusive: str,
    fmt: str,
) -> int:
    """Decide for a pipeline: 0 PASS, 1 FAIL, 3 ERROR, 4 INCONCLUSIVE or INVALID, 5 NO_DATA.

    A look that is due but that no snapshot reaches is NO_DATA, however good the look before it was.
    """
    found = looks.report(settings, rollout_id, change_no, label, fmt, due_ms=clock.now_ms())
    return looks.decide(found, on_inconclusive, fmt)


rollout.add_command(watch)


# ---- shared by the commands --------------------------------------------------------------------------------------


def _plan(
    *,
    flags: tuple[str, ...],
    checkpoints_ms: tuple[int, ...],
    margin: float | None,
    min_n: int | None,
    roles: tuple[str, ...],
    smoke_tests: tuple[str, ...],
) -> Any:
    from analyzer.analysis import rollout_plan

    if 0 in checkpoints_ms:
        raise UsageError("a checkpoint lies after its change", hint="take a duration such as 1h")
    chosen: dict[str, Any] = {}
    for text in roles:
        metric, _, role = text.partition("=")
        if metric not in rollout_plan.KINDS or role not in ROLES:
            valid = ", ".join(rollout_plan.KINDS)
            raise UsageError(f"--role {text!r} is no METRIC=ROLE", hint=f"metrics: {valid}; roles: {', '.join(ROLES)}")
        chosen[metric] = role
    return rollout_plan.make_plan(
        flags=flags,
        checkpoints_ms=checkpoints_ms,
        margin=rollout_plan.MARGIN if margin is None else margin,
        min_n=rollout_plan.MIN_N if min_n is None else min_n,
        roles=chosen,
        smoke_tests=smoke_tests,
    )


def _amendment(is_wanted: bool, because: str | None, actor: str) -> Amendment | None:
    from analyzer.flows.rollout_records import Amendment

    if is_wanted != (because is not None):
        raise UsageError("--amend and --because belong together", hint="give both, or neither")
    return Amendment(because, actor) if because is not None else None


def _recorded(recorded: Recorded, deployment: str) -> dict[str, Any]:
    return {
        "schema": "rollout/1",
        "id": recorded.id,
        "deployment": deployment,
        "outcome": recorded.outcome,
        "plan_hash": recorded.plan_hash,
        "plan_version": recorded.plan_version,
    }


def _said(recorded: Recorded, deployment: str) -> str:
    from analyzer.units import visible

    return (
        f"rollout {recorded.id} of {visible(deployment)}: {recorded.outcome}; "
        f"plan {recorded.plan_hash[:12]}, version {recorded.plan_version}"
    )
