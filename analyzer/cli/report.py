"""`analyzer report`: did the rollout change anything, as a page, Markdown, text, JSON or a chart."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from analyzer.cli import looks, options, output
from analyzer.config import Settings
from analyzer.errors import NoData, UsageError
from analyzer.units import visible

if TYPE_CHECKING:
    from analyzer.flows.reporting import Made
    from analyzer.flows.reporting_charts import Lens
    from analyzer.store import Store

FORMATS = ("text", "brief", "md", "html", "json")
FORMAT_OF = {".html": "html", ".htm": "html", ".md": "md", ".json": "json", ".txt": "text"}
CHARTS = (".png", ".svg")


@dataclass(frozen=True, slots=True)
class Request:
    """What the flags ask for."""

    baseline: str | None
    after: str | None
    rollout_id: int | None
    change_no: int | None
    look: str | None
    log: Path | None
    full: bool


@click.command()
@options.exit_zero
@options.settings("db", "deployment", "wait", "policy", "filter")
@click.option("--baseline", metavar="ID|LABEL", help="Compare snapshots: the time up to this one is the baseline.")
@click.option("--after", metavar="ID|LABEL", help="The later snapshot: the time from the first to this one.")
@click.option("--rollout", "rollout_id", type=int, metavar="ID", help="A recorded rollout. Default: the newest.")
@click.option("--change", "change_no", type=int, metavar="N", help="Which change of the rollout. Default: the last.")
@click.option("--look", metavar="T+1h", help="Which planned look. Default: the last that a snapshot reaches.")
@click.option(
    "--log",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="LOG.md",
    help="A rollout log that is not recorded; it is enough by itself.",
)
@click.option("--full", is_flag=True, help="Also the baseline against itself, and each artifact rule alone.")
@click.option(
    "-o",
    "--output",
    "outputs",
    type=click.Path(path_type=Path, dir_okay=False),
    multiple=True,
    metavar="FILE",
    help="Write .html, .md, .json, .txt, or the first chart as .png or .svg. May be repeated.",
)
@click.option(
    "--format",
    "fmt",
    type=click.Choice(FORMATS),
    help="How to print it. Default: text, or brief where files are written.",
)
def report(settings: Settings, *, outputs: tuple[Path, ...], fmt: str | None, **asked: str | int | Path | None) -> int:
    """Tell whether a rollout changed anything: metric by metric, with the uncertainty of small counts.

    Without --baseline and --after it reports on a rollout: the newest recorded one, or what flag changes between
    snapshots tell of. Exit code: 0 no harm seen, 1 harm, 4 cannot tell yet, 5 nothing to look at.
    """
    request = Request(**asked)  # type: ignore[arg-type]  # click has checked each of them
    _check(request, outputs)
    shown = fmt or ("brief" if outputs else "text")
    formats = {shown, *(FORMAT_OF.get(path.suffix, "chart") for path in outputs)}
    made = _make(settings, request, _reproduce(settings, request), with_charts="html" in formats)
    for path in outputs:
        _write(made, path)
        output.narrate(f"wrote {visible(str(path))}")
    output.write(_rendered(made, shown))
    return looks.exit_code(made.report.verdict)


def _check(request: Request, outputs: tuple[Path, ...]) -> None:
    if (request.baseline is None) != (request.after is None):
        raise UsageError("--baseline and --after belong together", hint="name both snapshots: see `analyzer snapshots`")
    of_rollout = (request.rollout_id, request.change_no, request.look, request.log)
    if request.baseline is not None and any(given is not None for given in of_rollout):
        raise UsageError("two snapshots are compared without a rollout", hint="leave out --rollout, --log and the like")
    if request.rollout_id is not None and request.log is not None:
        raise UsageError("--rollout and --log both name a rollout", hint="give one of them")
    for path in outputs:
        if path.suffix not in (*FORMAT_OF, *CHARTS):
            raise UsageError(
                f"cannot tell what to write to {visible(path.name)}", hint=f"valid: {', '.join((*FORMAT_OF, *CHARTS))}"
            )


def _make(settings: Settings, request: Request, reproduce: str, *, with_charts: bool) -> Made:
    from analyzer.analysis.rollout_log import read_log
    from analyzer.flows import reporting
    from analyzer.store import Store

    log = None if request.log is None else read_log(request.log)
    if log is not None and not settings.store.exists():
        return reporting.of_log_alone(log, reproduce)
    lens = _lens(settings, full=request.full, with_charts=with_charts)
    with Store.read(settings.store, wait_s=settings.wait_s) as store:
        if log is not None:
            return reporting.of_unrecorded(
                store,
                log,
                lens,
                reproduce,
                deployment=settings.deployment,
                change_no=request.change_no,
                look=request.look,
            )
        if request.baseline is not None and request.after is not None:
            baseline = store.snapshot(request.baseline, settings.deployment)
            after = store.snapshot(request.after, settings.deployment)
            return reporting.of_snapshots(store, baseline, after, lens, reproduce)
        return _of_rollout(store, settings, request, lens, reproduce)


def _of_rollout(store: Store, settings: Settings, request: Request, lens: Lens, reproduce: str) -> Made:
    from analyzer.flows import reporting, rollout_records

    try:
        opened = rollout_records.open_rollout(store, deployment=settings.deployment, rollout_id=request.rollout_id)
    except NoData:
        newest = store.snapshot(None, settings.deployment)
        oldest = store.snapshots(newest.deployment.name)[0]
        if oldest.as_of_ms >= newest.as_of_ms:
            raise
        return reporting.of_snapshots(store, oldest, newest, lens, reproduce)
    return reporting.of_rollout(store, opened, lens, reproduce, change_no=request.change_no, look=request.look)


def _lens(settings: Settings, *, full: bool, with_charts: bool) -> Lens:
    from analyzer.flows.reporting_charts import Lens

    return Lens(looks.judging(settings, full=full), settings.functions.system_health, with_charts)


def _reproduce(settings: Settings, request: Request) -> str:
    """Return the command line that makes this report again; no flag of this command can hold a secret."""
    given = {
        "--db": settings.store,
        "--deployment": settings.deployment,
        "--baseline": request.baseline,
        "--after": request.after,
        "--rollout": request.rollout_id,
        "--change": request.change_no,
        "--look": request.look,
        "--log": request.log,
        "--policy": settings.health.policy,
        "--filter": settings.health.filter.value,
    }
    words = [word for flag, value in given.items() if value is not None for word in (flag, str(value))]
    return shlex.join(["analyzer", "report", *words, *(["--full"] if request.full else []), "-o", "report.html"])


def _rendered(made: Made, fmt: str) -> str:
    from analyzer.report import html, markdown, plain, report_json, rollout_page

    if fmt == "json":
        return output.json_text(report_json.report_json(made.report)) + "\n"
    if fmt == "html":
        return html.page(made.page)
    if fmt == "md":
        return markdown.page(made.page)
    if fmt == "brief":
        return plain.brief(made.page, rollout_page.brief_notes(made.report)) + "\n"
    return plain.page(made.page) + "\n"


def _write(made: Made, path: Path) -> None:
    if path.suffix in CHARTS:
        from analyzer.report import charts, charts_rollout

        charts.save(charts_rollout.metric_values(made.report), path)
        return
    from analyzer.report.saving import save

    save(path, _rendered(made, FORMAT_OF[path.suffix]).encode("utf-8", "backslashreplace"))
