"""`analyzer purge`: remove test leftovers, and nothing else; rehearsed, confirmed, backed up, proven."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from analyzer import units
from analyzer.cli import options, output, purging
from analyzer.cli.deployment import Chosen, choosing
from analyzer.cli.purge_after import list_, restore, show, verify
from analyzer.config import Settings
from analyzer.errors import EXIT_OK

if TYPE_CHECKING:
    from analyzer.purge.plan_file import Plan


@click.group()
def purge() -> None:
    """Remove what tests left behind, with proof.

    plan writes a file and touches nothing. apply deletes what the plan says, after its confirmation was typed: there
    is no --yes. Every document is backed up first, and the backup proven. verify looks again at any time. restore
    puts documents back, with NEW ids: a deleted id never comes back.

    Between the last look at a document and its deletion lies one request. A change in that moment is lost with it,
    so plan only what is idle (--idle), or let `apply --pause` keep the app from running meanwhile.
    """


@purge.command()
@click.option("-o", "--output", "path", type=click.Path(path_type=Path, dir_okay=False), help="Write the plan here.")
@purging.choosing_groups
@choosing
@options.settings("db", "deployment", "wait")
@options.snapshot
@options.at
@click.option("--rehearse", is_flag=True, help="Use what was collected, ask no deployment; cannot be applied.")
@options.output_format("text", "json")
def plan(
    *,
    settings: Settings,
    chosen: Chosen,
    path: Path | None,
    snapshot: str | None,
    at_ms: int | None,
    rehearse: bool,
    full: bool,
    fmt: str,
    **given: Any,
) -> int:
    """Choose what to delete and write it to a file that another person can review. Changes nothing.

    With a deployment (found as `analyzer doctor` finds it) the store is brought up to date first, every document is
    asked for again, and everything is searched for references to it. Without one, this is a rehearsal on the newest
    snapshot of the store, or on --snapshot; it says so and cannot be applied.

    A group is one artifact and all that belongs to it. It goes whole or stays: it stays while a document that stays
    refers to it, and while anything in it is younger than --idle. A reference from what stays can be left dangling
    ([purge] ignore_edges = ["table.field"] in analyzer.toml) or taken out ([purge] scrub_edges, "table.field", or
    "table.field[]" in an array): then the plan lists the documents that would only be changed, and they are backed up
    like the others. Stored files are listed and never deleted. Exit code 0, also when there is nothing to do.
    """
    from analyzer.flows import purge as flow
    from analyzer.purge import checks, facts, plan_file
    from analyzer.report import purge_text

    if path is not None:
        plan_file.check_free(path)
    judged = purging.judged(settings, given)
    target = (
        None if rehearse or snapshot is not None or at_ms is not None else purging.optional_target(chosen, settings)
    )
    if target is None:
        output.narrate("rehearsal: no deployment is asked")
        found = flow.plan_offline(
            settings.store,
            judged,
            snapshot=snapshot,
            deployment=settings.deployment,
            at_ms=at_ms,
            wait_s=settings.wait_s,
        )
    else:
        from analyzer.convex.connection import connect
        from analyzer.sources.live import LiveSource

        with LiveSource(
            connect(target, chosen.options(target)), flag_names=settings.flags, functions=settings.functions
        ) as source:
            found = flow.plan_live(source, settings.store, judged, wait_s=settings.wait_s)
    if path is not None:
        plan_file.write(found, path)
    data = plan_file.as_data(found)
    if fmt == "json":
        output.write_json(data)
        return EXIT_OK
    caps = facts.caps_for(purging.deployment_type(found))
    shares = [(table, total.share) for table, total in found.totals.items()]
    output.write(purge_text.plan_text(data, checks.warnings(found, caps, shares), full=full))
    if path is not None:
        can_be_applied = found.documents and not found.rehearsal
        output.narrate(f"written to {path}" + (f"; then: analyzer purge apply {path}" if can_be_applied else ""))
    return EXIT_OK


@purge.command()
@click.argument("path", metavar="PLAN", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--confirm", metavar="STRING", help="The plan's confirmation, for scripts; else it is asked for.")
@click.option("--reason", metavar="TEXT", help="Why; kept in the receipt.")
@click.option("--dry-run", is_flag=True, help="Do everything but back up and delete.")
@purging.applying
@choosing
@options.settings("db", "deployment", "wait")
def apply(*, settings: Settings, chosen: Chosen, path: Path, confirm: str | None, dry_run: bool, **given: Any) -> int:
    """Delete what PLAN says: guards, confirmation, backup, deletion by whole groups, proof, receipt.

    Needs a key with WriteData in ANALYZER_WRITE_KEY, else the read key if it may write. A production deployment must
    be named in analyzer.toml: [deployments.NAME] with purge = true.

    Each group is read again right before it goes; one that changed, or that something new refers to, stays. What is
    written to it in the one request between that look and the deletion is lost with it.

    --pause closes that gap: the app runs no function while documents go, for everybody, and runs again afterwards,
    also after Ctrl-C or a fault. After SIGKILL or a lost machine it STAYS PAUSED until the same command is started
    again, which lets it run first of all, or somebody unpauses it on the dashboard. A deployment that somebody else
    paused stays paused. On production it needs [deployments.NAME] with pause = true. A plan that takes references out
    of documents that stay ([purge] scrub_edges) is carried out with --pause only. Other administrators, imports and
    integrations are not held back by it.

    To stop: Ctrl-C, or make a file PLAN.stop beside the plan (plan.stop for plan.json), which stops it between
    batches. Started again after a stop or a crash, it goes on where it was.

    Beside the plan lie PLAN.ledger.jsonl (each step, before it was taken), PLAN.backup.zip (every document, proven
    before the first goes; keep it: nothing else can bring them back) and PLAN.receipt.json. A deleted id cannot come
    back: restore makes new ones, and what named the old id outside the documents finds nothing.

    Of a table nothing is left: always refused for tables that rules select from and on production; elsewhere a table
    of at most 20 documents may go whole where each only belongs to something that goes.

    Exit code 1: something is not as it should be afterwards. 6: a guard refused, and nothing more was deleted.
    """
    from analyzer.flows.apply import apply_plan
    from analyzer.purge import plan_file
    from analyzer.report import purge_text

    found = plan_file.read(path)

    def ask(wanted: Plan) -> str | None:
        output.narrate(purge_text.plan_text(plan_file.as_data(wanted)))
        if confirm is not None:
            return confirm
        if not output.is_terminal(sys.stdin):
            return None
        text: str = click.prompt("type the confirmation to delete", err=True)
        return text

    order = replace(purging.order(settings, found, path, given), confirm=ask, is_dry_run=dry_run)
    with purging.source(chosen, settings, writes=True) as source:
        made = apply_plan(source, found, path, order)
    if dry_run:
        output.write(f"dry run: {len(made['deleted'])} documents would be deleted, {len(made['skipped'])} groups stay")
        return EXIT_OK
    return purging.finish(settings, made)


@purge.command()
@click.option("--reason", required=True, metavar="TEXT", help="Why; kept in the receipt.")
@click.option(
    "-o",
    "--output",
    "path",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="Write the plan here.",
)
@purging.applying
@choosing
@options.settings("db", "deployment", "wait")
def run(*, settings: Settings, chosen: Chosen, path: Path, **given: Any) -> int:
    """Plan and apply at once, with nobody watching: certain leftovers of dev and preview deployments alone.

    The server itself must say that it is one, and analyzer.toml must name it: [deployments.NAME] with
    unattended = true. Everything else is refused. All guards of `purge apply` hold, and the same files are written.
    """
    from analyzer.flows import purge as flow
    from analyzer.flows.apply import apply_plan
    from analyzer.purge import plan_file

    plan_file.check_free(path)
    usual = {"tier": "certain", "idle_ms": units.parse_duration_ms(purging.IDLE), "older_than_ms": None}
    judged = purging.judged(settings, usual | {"tasks": (), "rule_ids": (), "excluded": ()})
    with purging.source(chosen, settings, writes=True) as source:
        flow.check_unattended(source.connection, purging.consent(settings, source.connection.deployment.name))
        found = flow.plan_live(source, settings.store, judged, wait_s=settings.wait_s)
        plan_file.write(found, path)
        if not found.documents:
            output.write("nothing to delete")
            return EXIT_OK
        order = purging.order(settings, found, path, given)
        made = apply_plan(source, found, path, replace(order, is_unattended=True, confirm=lambda p: p.confirm))
    return purging.finish(settings, made)


for command in (verify, list_, show, restore):
    purge.add_command(command)
