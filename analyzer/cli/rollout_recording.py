"""`analyzer rollout import` and `start`: what a rollout will be judged by, put on record."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from analyzer import clock
from analyzer.cli import options, output
from analyzer.config import Settings
from analyzer.errors import EXIT_OK, SourceInvalid, UsageError

if TYPE_CHECKING:
    from analyzer.flows.rollout_records import Amendment, Recorded

LOG = click.Path(path_type=Path, dir_okay=False)
ROLES = ("guardrail", "signal", "dry-run")
amend: options.Decorator[Any] = click.option(
    "--amend", is_flag=True, help="Change a frozen plan, on record; needs --because."
)


@click.command("import")
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
    if not (read.phases or read.checkpoint_tables or read.baseline_metrics or read.final_metrics or read.final_flags):
        raise SourceInvalid(
            f"{log.name} says nothing of a rollout: it has no phase, flag, metric or checkpoint",
            hint="name a log with headings such as `## Phase 1: ENABLE_WORKFLOW (COMPLETED)`",
        )
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


@click.command()
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

    if not all(flag.strip() for flag in flags):
        raise UsageError("--flag names nothing", hint="give the name of an environment variable")
    if margin is not None and math.isnan(margin):
        raise UsageError("--margin is no number", hint="take a share between 0 and 1, such as 0.05")
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
