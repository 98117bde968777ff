"""Judging a look of a rollout: options, report and exit code, shared by the commands that do it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from analyzer import clock
from analyzer.cli import options, output
from analyzer.config import Settings
from analyzer.errors import EXIT_BAD, EXIT_FAULT, EXIT_NO_DATA, EXIT_OK, EXIT_UNKNOWN

if TYPE_CHECKING:
    from analyzer.analysis.checkpoints import Judging
    from analyzer.analysis.verdict import RolloutReport, Verdict

_EXIT_CODES = {
    "PASS": EXIT_OK,
    "FAIL": EXIT_BAD,
    "INCONCLUSIVE": EXIT_UNKNOWN,
    "INVALID": EXIT_UNKNOWN,
    "NO_DATA": EXIT_NO_DATA,
    "ERROR": EXIT_FAULT,
}
rollout_id: options.Decorator[Any] = click.option(
    "--rollout",
    "rollout_id",
    type=click.IntRange(min=1),
    metavar="ID",
    help="Which rollout. Default: the newest recorded, else what flag changes between snapshots tell of.",
)
change: options.Decorator[Any] = click.option(
    "--change", "change_no", type=click.IntRange(min=1), metavar="N", help="Which change of it. Default: the last."
)
on_inconclusive: options.Decorator[Any] = click.option(
    "--on-inconclusive",
    type=click.Choice(["fail", "pass"]),
    default="fail",
    show_default=True,
    help="Whether INCONCLUSIVE stops the pipeline. Missing data always does.",
)


def judging(settings: Settings, *, full: bool = False) -> Judging:
    """Return what looks are judged with, as the settings say."""
    from analyzer import rules
    from analyzer.analysis import policy
    from analyzer.analysis.checkpoints import Judging

    return Judging(
        rules.load_all(settings.rule_files),
        rules.InternalLists(settings.tests.emails, settings.tests.users, settings.tests.repos),
        settings.health.filter,
        policy.find(settings.health.policy, settings.policies),
        clock.now_ms(),
        full,
        settings.prices,
    )


def exit_code(verdict: Verdict) -> int:
    """Return the exit code of a verdict."""
    return _EXIT_CODES[verdict.value]


def report(
    settings: Settings,
    rollout_id: int | None,
    change_no: int | None,
    label: str | None,
    fmt: str,
    *,
    full: bool = False,
    due_ms: int | None = None,
) -> RolloutReport:
    """Report on one look.

    change_no  None for the last
    label      of the look; None for the last that a snapshot reaches, or with `due_ms` the last that is due by then
    """
    from analyzer.flows import rollout_records, rollouts
    from analyzer.store import Store

    with Store.read(settings.store, wait_s=settings.wait_s) as store:
        opened = rollout_records.open_rollout(store, deployment=settings.deployment, rollout_id=rollout_id)
        if label is None and due_ms is not None:
            label = rollouts.due_label(opened, change_no, due_ms)
        return rollouts.report(
            store,
            opened,
            judging(settings, full=full),
            change_no=change_no,
            label=label,
            explains=fmt == "json",
            is_brief=fmt == "brief",
        )


def print_report(found: RolloutReport, fmt: str) -> int:
    """Print a report; returns the exit code of its verdict."""
    from analyzer.report import report_json, rollout_text

    if fmt == "json":
        output.write_json(report_json.report_json(found))
    else:
        output.write(rollout_text.look(found) if fmt == "text" else rollout_text.brief(found))
    return exit_code(found.verdict)


def decide(found: RolloutReport, on_inconclusive: str, fmt: str) -> int:
    """Print a report; returns what it is for a pipeline: the exit code of its verdict, unless that is excused."""
    code = print_report(found, fmt)
    is_excused = found.verdict.value == "INCONCLUSIVE" and on_inconclusive == "pass"
    return EXIT_OK if is_excused else code
