"""`analyzer health`: reported, raw and without tests, at one clock or as a series."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from analyzer import cli, clock
from analyzer.cli import options, output
from analyzer.config import Settings
from analyzer.errors import EXIT_BAD, EXIT_NO_DATA, EXIT_OK, EXIT_UNKNOWN, UsageError
from analyzer.model import FilterName, Status
from analyzer.units import MS_OF_UNIT, visible

if TYPE_CHECKING:
    from analyzer.analysis.health import HealthReport
    from analyzer.analysis.policy import Judgement, Policy
    from analyzer.analysis.series import Series
    from analyzer.rules import InternalLists
    from analyzer.store import Store

DAY_MS = MS_OF_UNIT["d"]


class Request(NamedTuple):
    """What the flags ask for."""

    snapshot: str | None
    at_ms: int | None
    window_ms: int | None
    max_age_ms: int | None
    every_ms: int | None
    since_ms: int | None
    until_ms: int | None


@click.command()
@options.exit_zero
@options.settings("db", "deployment", "wait", "policy", "filter")
@options.snapshot
@options.at
@click.option(
    "--window", "window_ms", type=options.DURATION, metavar="DURATION", help="Instead of the policy's window."
)
@click.option(
    "--max-age", "max_age_ms", type=options.DURATION, metavar="DURATION", help="An older snapshot is unknown."
)
@click.option(
    "--judge",
    type=click.Choice(["without-tests", "raw"]),
    default="without-tests",
    show_default=True,
    help="Which of the two verdicts the exit code follows.",
)
@click.option("--every", "every_ms", type=options.DURATION, metavar="DURATION", help="A series instead: a row a step.")
@click.option("--since", "since_ms", type=options.INSTANT, metavar="TIME", help="Its start. Default: a day before.")
@click.option("--until", "until_ms", type=options.INSTANT, metavar="TIME", help="Its end. Default: the clock.")
@click.option(
    "--chart",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE.png|svg",
    help="Draw the series as well.",
)
@options.output_format("text", "brief", "json", "csv")
def health(settings: Settings, *, judge: str, chart: Path | None, fmt: str, **asked: str | int | None) -> int:
    """Judge health three ways: as reported, from every document, and without what tests left behind.

    The clock is the snapshot's own time unless --at says otherwise; it is never the wall clock. Exit code: 0 healthy
    or tolerated, 1 degraded, 4 unknown, 5 nothing to judge. A series is data and no verdict: its exit code is 0.
    """
    request = Request(**asked)  # type: ignore[arg-type]  # click has checked each of them
    _check(request, chart, fmt)
    from analyzer.analysis import policy as policies
    from analyzer.store import Store

    policy = policies.find(settings.health.policy, settings.policies, window_ms=request.window_ms)
    is_last = request.every_ms is None and click.get_current_context().meta[cli.IS_OWN_PROCESS]  # it says a few lines
    with Store.read(settings.store, wait_s=settings.wait_s, is_last=is_last) as store:
        if request.every_ms is not None:
            series = _series(store, settings, request, policy)
        else:
            report = _report(store, settings, request, policy)
    if request.every_ms is not None:
        return _show_series(series, chart, fmt)
    return _show_report(report, judge, fmt)


def exit_code(judgement: Judgement, *, tolerated: bool = False) -> int:
    """Return 0 for healthy or tolerated, 1 for degraded, 5 for nothing to judge, 4 for unknown otherwise."""
    if tolerated or judgement.status is Status.HEALTHY:
        return EXIT_OK
    if judgement.status is Status.DEGRADED:
        return EXIT_BAD
    return EXIT_NO_DATA if any(reason.id == "no-data" for reason in judgement.unknown) else EXIT_UNKNOWN


def _check(request: Request, chart: Path | None, fmt: str) -> None:
    if request.every_ms is None:
        if request.since_ms is not None or request.until_ms is not None or chart is not None:
            raise UsageError("--since, --until and --chart belong to a series", hint="add --every, such as --every 1h")
    elif request.every_ms == 0:
        raise UsageError("--every 0s makes no series", hint="take a step such as 1h")
    elif request.max_age_ms is not None:
        raise UsageError("--max-age belongs to a single clock", hint="leave out --every")
    elif fmt == "brief":
        raise UsageError("a series has no brief form", hint="valid: text, json, csv")
    if request.window_ms == 0:
        raise UsageError("--window 0s holds nothing", hint="take a window such as 1h")
    if chart is not None and chart.suffix not in (".png", ".svg"):
        raise UsageError(f"--chart {chart.name} is neither PNG nor SVG", hint="name a file ending in .png or .svg")


def _report(store: Store, settings: Settings, request: Request, policy: Policy) -> HealthReport:
    from analyzer import rules
    from analyzer.analysis import artifacts, reported
    from analyzer.analysis import health as analysis

    chosen = store.snapshot(request.snapshot, settings.deployment)
    names, filter_name = settings.functions, settings.health.filter
    said = reported.reported(store, chosen, system_health=names.system_health, alerts=names.alerts)
    rule_set, orphans = rules.load_all(settings.rule_files), filter_name is FilterName.WIDE
    frame = store.frame(chosen, request.at_ms)
    artifacts.find(frame, rule_set, _lists(settings), orphans=orphans)
    return analysis.assess(
        frame,
        policy=policy,
        filter_name=filter_name,
        now_ms=clock.now_ms(),
        reported=said,
        unjudged=artifacts.unjudged(frame, rule_set, orphans=orphans),
        max_age_ms=request.max_age_ms,
        tolerate=settings.health.tolerate,
    )


def _series(store: Store, settings: Settings, request: Request, policy: Policy) -> Series:
    from analyzer import rules
    from analyzer.analysis import series

    chosen = store.snapshot(request.snapshot, settings.deployment)
    clock_ms = chosen.as_of_ms if request.at_ms is None else request.at_ms
    until_ms = clock_ms if request.until_ms is None else request.until_ms
    since_ms = until_ms - DAY_MS if request.since_ms is None else request.since_ms
    assert request.every_ms is not None
    return series.series(
        store,
        chosen,
        series.grid(since_ms, until_ms, request.every_ms),
        policy=policy,
        filter_name=settings.health.filter,
        rules=rules.load_all(settings.rule_files),
        internal=_lists(settings),
        system_health=settings.functions.system_health,
    )


def _lists(settings: Settings) -> InternalLists:
    from analyzer.rules import InternalLists

    return InternalLists(settings.tests.emails, settings.tests.users, settings.tests.repos)


def _show_report(report: HealthReport, judge: str, fmt: str) -> int:
    if fmt in ("json", "csv"):
        from analyzer.report import health_json

        if fmt == "json":
            output.write_json(health_json.document(report))
        else:
            row = health_json.csv_row(report.at_ms, report.policy, report.filter, report.raw, report.without_tests)
            output.write_csv(health_json.CSV_HEADER, [row])
    else:
        from analyzer.report import health_text

        is_brief = fmt == "brief"
        output.write(health_text.brief(report) if is_brief else health_text.text(report, colour=output.is_colourful()))
    judged = report.raw if judge == "raw" else report.without_tests
    return exit_code(judged.judgement, tolerated=report.tolerated)


def _show_series(series: Series, chart: Path | None, fmt: str) -> int:
    from analyzer.report import health_json, health_text

    if chart is not None:
        from analyzer.report import charts

        charts.save(charts.health_series(series), chart)
        output.narrate(f"chart: {visible(str(chart))}")
    if fmt == "json":
        output.write_json(health_json.series_document(series))
    elif fmt == "csv":
        rows = (
            health_json.csv_row(tick.at_ms, series.policy, series.filter, tick.raw, tick.without_tests)
            for tick in series.ticks
        )
        output.write_csv(health_json.CSV_HEADER, rows)
    else:
        output.write(health_text.series_table(series))
    return EXIT_OK
