"""What the commands of `analyzer purge` share: their options, the deployment, and what an apply is told."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from analyzer.cli import options, output
from analyzer.cli.artifacts import account, internal_lists
from analyzer.cli.deployment import Chosen
from analyzer.config import Settings
from analyzer.errors import EXIT_BAD, EXIT_OK, NoDeployment, UsageError
from analyzer.model import DeploymentType, Tier

if TYPE_CHECKING:
    from analyzer.convex.target import Target
    from analyzer.flows.apply import Order
    from analyzer.purge.facts import Consent
    from analyzer.purge.plan import Judged
    from analyzer.purge.plan_file import Plan
    from analyzer.sources.live import LiveSource

IDLE = "15m"


def choosing_groups(command: Any) -> Any:
    """Add the options that choose groups."""
    for decorate in (
        click.option("--full", is_flag=True, help="Show every group that stays."),
        click.option(
            "--exclude",
            "excluded",
            multiple=True,
            metavar="ID",
            help="Groups with this document stay; an id that no group holds is refused.",
        ),
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


def applying(command: Any) -> Any:
    """Add the options of an apply."""
    for decorate in (
        click.option("--max-runtime", "max_runtime_ms", type=options.DURATION, help="Stop after this; go on later."),
        click.option("--pause", is_flag=True, help="Keep the app from running while documents go; see above."),
        click.option("--max-share", type=click.FloatRange(0, 100), metavar="PERCENT", help="Largest share of a table."),
        click.option("--max-docs", type=click.IntRange(min=1), help="Most documents; 500, on dev 5,000."),
        click.option("--approved-by", metavar="NAME", help="Who reviewed the plan; kept in the receipt."),
        click.option("--by", metavar="NAME", help="Who does this. Default: the name of your account."),
        click.option("--backup", type=click.Path(path_type=Path, dir_okay=False), help="Default: beside the plan."),
    ):
        command = decorate(command)
    return command


def judged(settings: Settings, given: dict[str, Any]) -> Judged:
    """Return what decides who is an artifact, and which of them are wanted."""
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
        ignored=found.edges_with("ignore") | set(settings.ignored_edges),
        scrubbed=found.edges_with("scrub") | set(settings.scrubbed_edges),
    )
    if both := sorted(choice.ignored & choice.scrubbed):
        raise UsageError(f"{both[0]} is to be ignored and to be scrubbed", hint="keep one of the two policies")
    return Judged(found, internal_lists(settings), choice)


def optional_target(chosen: Chosen, settings: Settings) -> Target | None:
    """Return the deployment; None where nothing at all says which: then there is none to ask."""
    try:
        return chosen.target(settings.deployment)
    except NoDeployment:
        if chosen.url or chosen.prod or chosen.preview_name or chosen.env_file or chosen.key_file:
            raise
        return None


def source(chosen: Chosen, settings: Settings, *, writes: bool = False) -> LiveSource:
    """Connect to the deployment; `writes` with the key for that, where there is one."""
    from analyzer.convex.connection import connect
    from analyzer.sources.live import LiveSource

    target = chosen.target(settings.deployment)
    key = target.write_key if writes else None
    connection = connect(target, chosen.options(target), key=key)
    return LiveSource(connection, flag_names=settings.flags, functions=settings.functions)


def consent(settings: Settings, deployment: str) -> Consent:
    """Return what the configuration allows for a deployment."""
    from analyzer.purge.facts import Consent

    named = settings.deployments.get(deployment)
    if named is None:
        return Consent()
    return Consent(is_named=named.purge, is_unattended=named.unattended, is_pausable=named.pause)


def order(settings: Settings, found: Plan, path: Path, given: dict[str, Any]) -> Order:
    """Return what an apply is told."""
    from analyzer import rules
    from analyzer.flows.apply import Order
    from analyzer.purge.apply import Pace
    from analyzer.purge.facts import caps_for
    from analyzer.store import Store

    marks: tuple[Any, ...] = ()
    if settings.store.exists():
        with Store.read(settings.store, wait_s=settings.wait_s) as store:
            marks = store.marks(found.deployment)
    share = given["max_share"]
    runtime_ms = given["max_runtime_ms"]
    return Order(
        rules_hash=rules.rules_hash(rules.load_all(settings.rule_files), internal_lists(settings), marks),
        caps=caps_for(deployment_type(found), given["max_docs"], None if share is None else share / 100),
        actor=given["by"] or account(),
        lock_folder=settings.store.parent if settings.store.parent.is_dir() else path.parent,
        confirm=lambda _: None,
        consent=consent(settings, found.deployment),
        reason=given["reason"],
        approved_by=given["approved_by"],
        backup=given["backup"],
        pauses=given["pause"],
        pace=Pace(
            stop_file=path.with_name(f"{path.stem}.stop"),
            max_runtime_s=None if runtime_ms is None else runtime_ms / 1000,
        ),
        names=settings.functions,
        narrate=output.narrate,
    )


def deployment_type(found: Plan) -> DeploymentType:
    """Return the type that a plan was made for."""
    try:
        return DeploymentType(found.type)
    except ValueError:
        return DeploymentType.UNKNOWN


def finish(settings: Settings, made: dict[str, Any]) -> int:
    """Keep and show a receipt; returns the exit code."""
    from analyzer.errors import StoreError
    from analyzer.flows import purge as flow
    from analyzer.report import purge_text

    try:
        flow.keep_receipt(settings.store, made, settings.wait_s)
    except StoreError as full:
        output.narrate(f"warning: the receipt is not in the store: {full}")
    output.write(purge_text.receipt_text(made))
    return EXIT_OK if made["verified"]["ok"] else EXIT_BAD
