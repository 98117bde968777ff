"""`analyzer explain`: why health is what it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from analyzer import clock
from analyzer.cli import options, output
from analyzer.config import Settings
from analyzer.errors import EXIT_BAD, EXIT_NO_DATA, EXIT_OK, EXIT_UNKNOWN

if TYPE_CHECKING:
    from analyzer.analysis.explain import Explanation


@click.command()
@options.exit_zero
@options.settings("db", "deployment", "wait", "policy", "filter")
@options.snapshot
@options.at
@click.option("--full", is_flag=True, help="Say everything, also each artifact rule alone.")
@options.output_format("text", "brief", "json")
def explain(settings: Settings, *, snapshot: str | None, at_ms: int | None, full: bool, fmt: str) -> int:
    """Say why health is degraded: the product, or leftovers of tests; since when, until when, and what to do.

    Explains raw health, the status that the deployment itself would report. Text is 12 lines unless --full.
    """
    from analyzer.report import explain_json, explain_text

    found = explanation(settings, snapshot=snapshot, at_ms=at_ms, full=full)
    if fmt == "json":
        output.write_json(explain_json.explain_json(found))
    elif full and fmt == "text":
        output.write(explain_text.full(found, clock.now_ms()))
    else:
        output.write(explain_text.brief(found, clock.now_ms()))
    return exit_code(found)


def brief_text(settings: Settings) -> str:
    """Return the 12 lines about the newest snapshot."""
    from analyzer.report import explain_text

    return explain_text.brief(explanation(settings), clock.now_ms())


def explanation(
    settings: Settings, *, snapshot: str | None = None, at_ms: int | None = None, full: bool = False
) -> Explanation:
    """Explain a snapshot of the store that the settings name."""
    from analyzer import rules
    from analyzer.analysis import policy
    from analyzer.flows.explaining import explain_snapshot
    from analyzer.store import Store

    with Store.read(settings.store, wait_s=settings.wait_s) as store:
        return explain_snapshot(
            store,
            store.snapshot(snapshot, settings.deployment),
            at_ms=at_ms,
            policy=policy.find(settings.health.policy, settings.policies),
            filter_name=settings.health.filter,
            rules=rules.load_all(settings.rule_files),
            lists=rules.InternalLists(settings.tests.emails, settings.tests.users, settings.tests.repos),
            now_ms=clock.now_ms(),
            tolerate=settings.health.tolerate,
            claims=(settings.functions.system_health, settings.functions.alerts),
            full=full,
        )


def exit_code(found: Explanation) -> int:
    """Return 0 for healthy or tolerated, 1 for degraded, 5 for nothing to judge, 4 for unknown otherwise."""
    status = found.status.value
    if status == "healthy" or found.tolerated:
        return EXIT_OK
    if status == "degraded":
        return EXIT_BAD
    return EXIT_NO_DATA if any(u.id == "no-data" for u in found.unknown) else EXIT_UNKNOWN
