"""`analyzer artifacts`: what tests left behind, why, and a person's word against the rules."""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING, Literal

import click

from analyzer.cli import options, output
from analyzer.config import Settings
from analyzer.errors import EXIT_OK, UsageError
from analyzer.model import Tier

if TYPE_CHECKING:
    from analyzer.analysis.why import Why
    from analyzer.rules import InternalLists

TEXT_LIMIT = 50  # artifacts that a person is shown unless asked for more
MAX_REASON_CHARS = 500


@click.group()
def artifacts() -> None:
    """List what tests left behind, say why, correct it.

    Tiers: certain (only a test helper leaves this), likely (two independent signs), suspect (a name, or one weak
    sign), orphan (its task is gone, and nothing says whose it was).
    """


@artifacts.command("list")
@options.settings("db", "deployment", "wait")
@options.snapshot
@options.at
@click.option(
    "--tier",
    "tiers",
    type=click.Choice([tier.value for tier in Tier]),
    multiple=True,
    help="Only this tier; may be repeated.",
)
@click.option("--limit", type=click.IntRange(min=0), help=f"At most so many. Default: all; as text {TEXT_LIMIT}.")
@options.output_format("text", "json", "csv")
def list_(
    *, settings: Settings, snapshot: str | None, at_ms: int | None, tiers: tuple[str, ...], limit: int | None, fmt: str
) -> int:
    """List artifacts, strongest tier first."""
    from analyzer import rules
    from analyzer.analysis import artifacts as finding
    from analyzer.report import artifacts_text
    from analyzer.store import Store

    rule_set = rules.load_all(settings.rule_files)
    wanted = tuple(Tier(tier) for tier in tiers) or finding.TIERS
    if limit is None and fmt == "text":
        limit = TEXT_LIMIT
    with Store.read(settings.store, wait_s=settings.wait_s) as store:
        frame = store.frame(store.snapshot(snapshot, settings.deployment), at_ms)
        finding.prepare(frame, rule_set, internal_lists(settings), orphans=Tier.ORPHAN in wanted)
        found = finding.list_artifacts(frame, wanted, limit=limit)
        counts = [item for item in finding.count_artifacts(frame) if item.tier in wanted]
        silent = finding.unjudged(frame, rule_set, orphans=Tier.ORPHAN in wanted)
    if fmt == "json":
        output.write_json({"schema": "artifacts/1", "artifacts": [artifacts_text.listed(item) for item in found]})
    elif fmt == "csv":
        output.write_csv(artifacts_text.LISTED, [tuple(artifacts_text.listed(item).values()) for item in found])
    else:
        output.write(artifacts_text.table(found, counts, frame.snapshot, silent))
    for line in artifacts_text.unjudged_lines(silent):
        output.narrate(line)
    return EXIT_OK


@artifacts.command()
@click.argument("document_id", metavar="ID")
@options.settings("db", "deployment", "wait")
@options.snapshot
@options.at
@click.option("--redact", is_flag=True, help="Of values found in documents show length and hash alone.")
@options.output_format("text", "json")
def why(
    *, settings: Settings, document_id: str, snapshot: str | None, at_ms: int | None, redact: bool, fmt: str
) -> int:
    """Say which rules select the document ID, on what grounds, and which almost do.

    This alone shows what stands in a document: the values that a rule asked for, a title or an address among them.
    --redact leaves them out, for an answer that goes to others.
    """
    from analyzer.analysis import why as explaining
    from analyzer.report import artifacts_text

    found = _explained(settings, document_id, snapshot, at_ms)
    found = explaining.redacted(found) if redact else found
    if fmt == "json":
        output.write_json(artifacts_text.why_data(found))
    else:
        output.write(artifacts_text.why_text(found))
    return EXIT_OK


@artifacts.command()
@click.argument("document_id", metavar="ID")
@click.option("--test", is_flag=True, help="A test left it behind: certain, and what belongs to it too.")
@click.option("--real", is_flag=True, help="It is no artifact whatever the rules say; beats --test.")
@click.option("--clear", is_flag=True, help="Take back what was said of it.")
@click.option("--because", required=True, metavar="TEXT", help="Why; kept with the mark.")
@click.option("--by", metavar="NAME", help="Who says so. Default: the name of your account.")
@options.settings("db", "deployment", "wait")
def mark(
    *,
    settings: Settings,
    document_id: str,
    because: str,
    by: str | None,
    **said: bool,
) -> int:
    """Say of the document ID that a test left it behind, or that it is real. A mark beats every rule."""
    from analyzer import clock
    from analyzer.model import Mark
    from analyzer.report import artifacts_text
    from analyzer.store import Store

    verdicts: dict[str, Literal["test", "real", "clear"]] = {"test": "test", "real": "real", "clear": "clear"}
    chosen = [verdict for name, verdict in verdicts.items() if said[name]]
    if len(chosen) != 1:
        found = " and ".join(f"--{name}" for name in chosen) or "none"
        raise UsageError(f"mark needs one verdict, got {found}", hint="give one of --test, --real, --clear")
    if not 1 <= len(because.strip()) <= MAX_REASON_CHARS:
        raise UsageError(f"--because has not 1 to {MAX_REASON_CHARS} characters", hint="say why in a sentence")
    actor = by or account()
    _explained(settings, document_id, None, None)  # refuses an id that nobody knows
    with Store.write(settings.store, wait_s=settings.wait_s) as store:
        deployment = store.snapshot(None, settings.deployment).deployment.name
        store.add_mark(deployment, Mark(document_id, chosen[0], because.strip(), actor, clock.now_ms()))
    output.write(artifacts_text.why_text(_explained(settings, document_id, None, None)))
    return EXIT_OK


def _explained(settings: Settings, document_id: str, snapshot: str | None, at_ms: int | None) -> Why:
    from analyzer import rules
    from analyzer.analysis import artifacts as finding
    from analyzer.analysis.why import why as explain
    from analyzer.store import Store

    rule_set = rules.load_all(settings.rule_files)
    with Store.read(settings.store, wait_s=settings.wait_s) as store:
        frame = store.frame(store.snapshot(snapshot, settings.deployment), at_ms)
        finding.prepare(frame, rule_set, internal_lists(settings), orphans=True)
        return explain(frame, rule_set, document_id)


def internal_lists(settings: Settings) -> InternalLists:
    """Return the people and repositories that the configuration lists."""
    from analyzer.rules import InternalLists

    return InternalLists(settings.tests.emails, settings.tests.users, settings.tests.repos)


def account() -> str:
    """Return who runs this: the name of the account."""
    try:
        return getpass.getuser()
    except (OSError, KeyError) as nameless:
        raise UsageError("your account has no name", hint="say who you are with --by NAME") from nameless
