"""`analyzer demo`: a rollout replayed on sample data."""

from __future__ import annotations

from pathlib import Path

import click

from analyzer import clock
from analyzer.cli import output
from analyzer.config import DEFAULT_FLAGS
from analyzer.errors import EXIT_OK

DEFAULT_OUT = Path("data/demo-out")


@click.command()
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=DEFAULT_OUT,
    show_default=True,
    help="Folder for the demo's store and chart; those of an earlier demo are replaced.",
)
def demo(*, out: Path) -> int:
    """Replay a rollout on sample data, and explain its degraded check.

    A made-up deployment: a healthy baseline, four flags switched on, test helpers that leave messages behind, and an
    evening on which a provider fails for real. Reads nothing of yours and asks no server.
    """
    from analyzer import rules
    from analyzer.flows import demo as flow
    from analyzer.report import charts, demo_text

    out.mkdir(parents=True, exist_ok=True)
    found = flow.replay(
        flow.folder(),
        out,
        flag_names=DEFAULT_FLAGS,
        rules=rules.load_all(),
        now_ms=clock.now_ms(),
        tell=output.narrate,
    )
    chart = out / "health.png"
    charts.save(charts.health_series(found.series), chart)
    output.write(demo_text.demo(found.reports, found.explained, now_ms=clock.now_ms(), store=found.store, chart=chart))
    return EXIT_OK
