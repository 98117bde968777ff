"""`analyzer functions`: how each function of the app did."""

from __future__ import annotations

import click

from analyzer.cli import options, output
from analyzer.config import Settings
from analyzer.errors import EXIT_BAD, EXIT_OK, EXIT_UNKNOWN


@click.command()
@options.exit_zero
@options.settings("db", "deployment", "wait")
@click.option(
    "--window",
    "window_ms",
    type=options.DURATION,
    metavar="DURATION",
    default="1h",
    show_default=True,
    help="How long.",
)
@click.option(
    "--at", "at_ms", type=options.INSTANT, metavar="TIME", help="End of the window. Default: the newest minute seen."
)
@click.option(
    "--settle",
    "settle_ms",
    type=options.DURATION,
    metavar="DURATION",
    default="10m",
    show_default=True,
    help="How long caches fill again after an environment variable was set.",
)
@options.output_format("text", "json", "csv")
def functions(*, settings: Settings, window_ms: int, at_ms: int | None, settle_ms: int, fmt: str) -> int:
    """Show error rate, latency, cache hits and scheduler lag of each function, from what live collects kept.

    Attempts that lost a conflict and ran again are no failures; calls answered from the cache say nothing about
    latency; minutes that nobody collected are unknown. Caches are emptied when an environment variable is set: that
    dip is marked, and is no regression. Rates are held against the window of the same length before.

    Exit 1 when a function fails more than 5% of its calls, fails more than before, or lost its cache hits; 4 when
    nothing is known of the window or a part of it is lost, 5 when nothing was ever collected.
    """
    from analyzer.analysis.function_health import function_health
    from analyzer.report import functions_text
    from analyzer.store import Store

    with Store.read(settings.store, wait_s=settings.wait_s) as store:
        snapshot = store.snapshot(None, settings.deployment)
        report = function_health(store.frame(snapshot), window_ms=window_ms, until_ms=at_ms, settle_ms=settle_ms)
    if fmt == "json":
        output.write_json(functions_text.as_json(report))
    elif fmt == "csv":
        rows = [tuple(functions_text.row(report, function).values()) for function in report.functions]
        output.write_csv(functions_text.CSV, rows)
    else:
        output.write(functions_text.text(report))
    if report.has_signs:
        return EXIT_BAD
    is_known = (report.metric_minutes or report.log_share) and not report.has_hole
    return EXIT_OK if is_known else EXIT_UNKNOWN
