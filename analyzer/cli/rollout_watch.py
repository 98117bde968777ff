"""`analyzer rollout watch`: the live deployment, collected and judged at each planned look."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from analyzer import clock
from analyzer.cli import looks, options, output
from analyzer.cli.deployment import Chosen, choosing
from analyzer.config import Settings
from analyzer.errors import UsageError

if TYPE_CHECKING:
    from analyzer.analysis.checkpoints import Judged


@click.command()
@options.settings("db", "deployment", "wait", "policy", "filter")
@choosing
@looks.rollout_id
@click.option(
    "--change", "change_no", type=click.IntRange(min=1), metavar="N", help="Which change of it. Default: all of them."
)
@click.option(
    "--for",
    "for_ms",
    type=options.DURATION,
    metavar="DURATION",
    help="Stop after this long. 0s: judge what is due. Default: an hour after the last look.",
)
@looks.on_inconclusive
@options.output_format("brief", "text")
def watch(
    settings: Settings,
    *,
    chosen: Chosen,
    rollout_id: int | None,
    change_no: int | None,
    for_ms: int | None,
    on_inconclusive: str,
    fmt: str,
) -> int:
    """Collect the live deployment at each planned look, judge it, and end as `rollout gate` does.

    Looks in the past are judged at once from what was collected. A collect that fails is tried again every minute; a
    look whose data never came is NO_DATA. Stopped with Ctrl-C, the next watch goes on where it was.
    """
    from analyzer.flows import watching

    watched = watching.Watched(settings.store, settings.deployment, rollout_id, change_no, settings.wait_s)
    how = watching.Watching(
        collect=_collector(settings, chosen),
        judging=lambda: looks.judging(settings),
        now_ms=clock.now_ms,
        sleep_s=clock.sleep_s,
        tell=_tell,
        complain=_complain,
    )
    watching.watch(watched, how, for_ms=for_ms)
    found = looks.report(settings, rollout_id, change_no, None, fmt, due_ms=clock.now_ms())
    output.write("")
    return looks.decide(found, on_inconclusive, fmt)


def _collector(settings: Settings, chosen: Chosen) -> Callable[[str, str], object]:
    """Return what collects the live deployment; whether it can be found at all shows before the first wait."""
    target = chosen.target(settings.deployment)
    from analyzer import rules
    from analyzer.collect.live import LiveOptions, collect_live
    from analyzer.convex.connection import connect
    from analyzer.sources.live import LiveSource
    from analyzer.units import visible

    fingerprints = rules.fingerprints(rules.load_all(settings.rule_files))

    def collect(deployment: str, label: str) -> object:
        keeping = LiveOptions(label=label or None, fingerprints=fingerprints, wait_s=settings.wait_s)
        connection = connect(target, chosen.options(target))
        with LiveSource(connection, flag_names=settings.flags, functions=settings.functions) as source:
            live = source.connection.deployment.name
            if live != deployment:
                raise UsageError(
                    f"the rollout is of {visible(deployment)}, and the key belongs to {visible(live)}",
                    hint="choose the deployment of the rollout, as for `analyzer collect`, or another --rollout",
                )
            return collect_live(source, settings.store, keeping)

    return collect


def _tell(judged: Judged) -> None:
    from analyzer.report import rollout_text

    output.write(rollout_text.look_line(judged.result))


def _complain(text: str) -> None:
    from analyzer.units import visible

    output.narrate(f"warning: {visible(text)}")
