"""`analyzer purge`: remove test leftovers, and nothing else; rehearsed, confirmed, backed up, proven."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from analyzer.cli import options, output
from analyzer.cli.artifacts import _account, _lists
from analyzer.cli.deployment import Chosen, choosing
from analyzer.config import Settings
from analyzer.errors import EXIT_BAD, EXIT_OK, UsageError
from analyzer.model import Tier

if TYPE_CHECKING:
    from analyzer.convex.target import Target
    from analyzer.flows.purge import Order
    from analyzer.purge.plan import Judged
    from analyzer.purge.plan_file import Plan

IDLE = "15m"


@click.group()
def purge() -> None:
    """Remove what tests left behind, with proof.

    plan writes a file and touches nothing. apply deletes what the plan says, after its confirmation was typed: there
    is no --yes. Every document is backed up first, and the backup proven. verify looks again at any time. restore
    puts documents back, with NEW ids: a deleted id never comes back.

    Between the last look at a document and its deletion lies one request. A change in that moment is lost with it,
    so plan only what is idle (--idle), and pause the deployment on its dashboard if even that is too much.
    """


def _choosing(command: Any) -> Any:
    for decorate in (
        click.option("--full", is_flag=True, help="Show every group that stays."),
        click.option("--exclude", "excluded", multiple=True, metavar="ID", help="Groups with this document stay."),
        click.option("--rule", "rule_ids", multiple=True, metavar="RULE", help="Only groups that this rule selected."),
        click.option("--task", "tasks", multiple=True, metavar="ID", help="Only what belongs to this task."),
        click.option("--older-than", "older_than_ms", type=options.DURATION, help="Only groups older than this."),
        click.option(
            "--idle",
            "idle_ms",
            type=options.DURATION,
            default=IDLE,
            show_default=True,
            help="Groups in which anything was created or changed since then stay.",
        ),
        click.option(
            "--tier",
            type=click.Choice(["certain", "likely"]),
            default="certain",
            show_default=True,
            help="likely: also what has two independent signs.",
        ),
    ):
        command = decorate(command)
    return command


@purge.command()
@click.option("-o", "--output", "path", type=click.Path(path_type=Path, dir_okay=False), help="Write the plan here.")
@_choosing
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
    refers to it, and while anything in it is younger than --idle. Exit code 0, also when there is nothing to do.
    """
    from analyzer.flows import purge as flow
    from analyzer.purge import facts, guards, plan_file
    from analyzer.report import purge_text

    judged = _judged(settings, given)
    target = None if rehearse or snapshot is not None or at_ms is not None else _target(chosen, settings)
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
    caps = facts.caps_for(_type(found))
    shares = [(table, total.share) for table, total in found.totals.items()]
    output.write(purge_text.plan_text(data, guards.warnings(found, caps, shares), full=full))
    if path is not None:
        output.narrate(f"written to {path}" + ("" if found.rehearsal else f"; then: analyzer purge apply {path}"))
    return EXIT_OK


def _applying(command: Any) -> Any:
    for decorate in (
        click.option("--max-runtime", "max_runtime_ms", type=options.DURATION, help="Stop after this; go on later."),
        click.option("--max-share", type=click.FloatRange(0, 100), metavar="PERCENT", help="Largest share of a table."),
        click.option(
            "--max-docs", type=click.IntRange(min=1), help="Most documents; 500, on dev 5,000."
        ),
        click.option("--approved-by", metavar="NAME", help="Who reviewed the plan; kept in the receipt."),
        click.option("--by", metavar="NAME", help="Who does this. Default: the name of your account."),
        click.option(
            "--backup", type=click.Path(path_type=Path, dir_okay=False), help="Default: beside the plan."
        ),
    ):
        command = decorate(command)
    return command


@purge.command()
@click.argument("path", metavar="PLAN", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--confirm", metavar="STRING", help="The plan's confirmation, for scripts; else it is asked for.")
@click.option("--reason", metavar="TEXT", help="Why; kept in the receipt.")
@click.option("--dry-run", is_flag=True, help="Do everything but back up and delete.")
@_applying
@choosing
@options.settings("db", "deployment", "wait")
def apply(*, settings: Settings, chosen: Chosen, path: Path, confirm: str | None, dry_run: bool, **given: Any) -> int:
    """Delete what PLAN says: guards, confirmation, backup, deletion by whole groups, proof, receipt.

    Needs a key with WriteData in ANALYZER_WRITE_KEY, else the read key if it may write. A production deployment must
    be named in analyzer.toml: [deployments.NAME] with purge = true.

    Each group is read again right before it goes; one that changed, or that something new refers to, stays. Started
    again after a crash or a stop, it goes on where it was. A file PLAN.stop beside the plan stops it between batches.

    Ledger, backup and receipt lie beside the plan. A deleted id cannot come back: restore makes new ones.
    Exit code 1: something is not as it should be afterwards. 6: a guard refused, and nothing more was deleted.
    """
    from analyzer.flows import purge as flow
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

    order = replace(_order(settings, found, path, given), confirm=ask, is_dry_run=dry_run)
    with _source(chosen, settings, writes=True) as source:
        made = flow.apply_plan(source, found, path, order)
    if dry_run:
        output.write(f"dry run: {len(made['deleted'])} documents would be deleted, {len(made['skipped'])} groups stay")
        return EXIT_OK
    return _finish(settings, made)


@purge.command()
@click.argument("path", metavar="PLAN_OR_RECEIPT", type=click.Path(path_type=Path, dir_okay=False))
@choosing
@options.settings("deployment")
@options.output_format("text", "json")
def verify(*, settings: Settings, chosen: Chosen, path: Path, fmt: str) -> int:
    """Look whether everything that was deleted is gone, and nothing refers to it. Reads only. Exit code 1: no."""
    from analyzer.purge import ledger, plan_file, receipt
    from analyzer.purge import verify as proof
    from analyzer.report import purge_text

    try:
        told = receipt.read(path)
        deleted, ignored, name = receipt.deleted(told), told.get("ignored", []), str(told["deployment"])
    except UsageError:
        found = plan_file.read(path)
        state = ledger.read(ledger.path_of(path), found.hash)
        deleted = [document for document in found.documents if document.id in state.deleted]
        ignored, name = found.selection.get("ignored", []), found.deployment
    with _source(chosen, settings) as source:
        if source.connection.deployment.name != name:
            raise UsageError(f"{path} is of {name}, and {source.connection.deployment.name} answers")
        verdict = proof.verify(source, deleted, ignored=ignored)
    data = verdict.as_data()
    if fmt == "json":
        output.write_json({"schema": "verify/1", "deployment": name} | data)
    else:
        output.write(purge_text.verdict_text(data))
    return EXIT_OK if verdict.is_good else EXIT_BAD


@purge.command("list")
@options.settings("db", "deployment", "wait")
@options.output_format("text", "json")
def list_(*, settings: Settings, fmt: str) -> int:
    """List the purges that this store knows of."""
    from analyzer.report import purge_text
    from analyzer.store import Store

    with Store.read(settings.store, wait_s=settings.wait_s) as store:
        found = store.receipts.all(settings.deployment)
    if fmt == "json":
        output.write_json({"schema": "receipts/1", "receipts": found})
    else:
        output.write(purge_text.receipts_text(found))
    return EXIT_OK


@purge.command()
@click.argument("receipt_id", metavar="RECEIPT")
@options.settings("db", "wait")
@options.output_format("text", "md", "html", "json")
def show(*, settings: Settings, receipt_id: str, fmt: str) -> int:
    """Show a receipt, by its id in the store or by its file: what was deleted, by whom, why, and how it was proven."""
    from analyzer.purge import receipt
    from analyzer.report import purge_text
    from analyzer.store import Store

    if Path(receipt_id).is_file():
        found = receipt.read(Path(receipt_id))
    else:
        with Store.read(settings.store, wait_s=settings.wait_s) as store:
            found = store.receipts.get(receipt_id)
    if fmt == "json":
        output.write_json(found)
    else:
        render = {"text": purge_text.receipt_text, "md": purge_text.receipt_md, "html": purge_text.receipt_html}[fmt]
        output.write(render(found))
    return EXIT_OK


# ---- shared ----------------------------------------------------------------------------------------------------


def _judged(settings: Settings, given: dict[str, Any]) -> Judged:
    from analyzer import rules
    from analyzer.purge.plan import Judged
    from analyzer.purge.select import Choice

    found = rules.load_all(settings.rule_files)
    unknown = [rule for rule in given["rule_ids"] if found.rule(rule) is None]
    if unknown:
        raise UsageError(f"there is no rule {unknown[0]!r}", hint=", ".join(rule.id for rule in found.rules))
    tiers = (Tier.CERTAIN,) if given["tier"] == "certain" else (Tier.CERTAIN, Tier.LIKELY)
    choice = Choice(
        tiers=tiers,
        idle_ms=given["idle_ms"],
        older_than_ms=given["older_than_ms"],
        tasks=given["tasks"],
        rules=given["rule_ids"],
        excluded=frozenset(given["excluded"]),
        ignored=frozenset(settings.ignored_edges),
    )
    return Judged(found, _lists(settings), choice)


def _target(chosen: Chosen, settings: Settings) -> Target | None:
    """Return the deployment; None where nothing at all says which: then there is none to ask."""
    try:
        return chosen.target(settings.deployment)
    except UsageError as missing:
        named = chosen.url or chosen.prod or chosen.preview_name or chosen.env_file or chosen.key_file
        if named or "nothing says which deployment" not in str(missing):
            raise
        return None


def _source(chosen: Chosen, settings: Settings, *, writes: bool = False) -> Any:
    from analyzer.convex.connection import connect
    from analyzer.sources.live import LiveSource

    target = chosen.target(settings.deployment)
    key = target.write_key if writes else None
    connection = connect(target, chosen.options(target), key=key)
    return LiveSource(connection, flag_names=settings.flags, functions=settings.functions)


def _order(settings: Settings, found: Plan, path: Path, given: dict[str, Any]) -> Order:
    from analyzer import rules
    from analyzer.flows.purge import Order
    from analyzer.purge.apply import Pace
    from analyzer.purge.facts import Consent, caps_for
    from analyzer.store import Store

    marks: tuple[Any, ...] = ()
    if settings.store.exists():
        with Store.read(settings.store, wait_s=settings.wait_s) as store:
            marks = store.marks(found.deployment)
    named = settings.deployments.get(found.deployment)
    share = given["max_share"]
    runtime_ms = given["max_runtime_ms"]
    return Order(
        rules_hash=rules.rules_hash(rules.load_all(settings.rule_files), _lists(settings), marks),
        caps=caps_for(_type(found), given["max_docs"], None if share is None else share / 100),
        actor=given["by"] or _account(),
        lock_folder=settings.store.parent if settings.store.parent.is_dir() else path.parent,
        confirm=lambda _: None,
        consent=Consent(bool(named and named.purge), bool(named and named.unattended)),
        reason=given["reason"],
        approved_by=given["approved_by"],
        backup=given["backup"],
        pace=Pace(
            stop_file=path.with_name(f"{path.stem}.stop"),
            max_runtime_s=None if runtime_ms is None else runtime_ms / 1000,
        ),
        names=settings.functions,
        narrate=output.narrate,
    )


def _type(found: Plan) -> Any:
    from analyzer.model import DeploymentType

    try:
        return DeploymentType(found.type)
    except ValueError:
        return DeploymentType.UNKNOWN


def _finish(settings: Settings, made: dict[str, Any]) -> int:
    from analyzer.errors import StoreError
    from analyzer.flows import purge as flow
    from analyzer.report import purge_text

    try:
        flow.keep_receipt(settings.store, made, settings.wait_s)
    except StoreError as full:
        output.narrate(f"warning: the receipt is not in the store: {full}")
    output.write(purge_text.receipt_text(made))
    return EXIT_OK if made["verified"]["ok"] else EXIT_BAD
