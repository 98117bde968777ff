"""A rollout report as a page: which sections there are, in which order, and what stands in each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from analyzer.analysis.verdict import RolloutInfo, RolloutReport, Verdict
from analyzer.model import Snapshot
from analyzer.report import rollout_words as words
from analyzer.report.page import Block, Chart, Commands, Page, Points, Section, Table, Words
from analyzer.report.rollout_comparison import checkpoints, metrics, what_would_change
from analyzer.report.rollout_health import health_sections
from analyzer.units import NOTHING, count, instant

if TYPE_CHECKING:
    pass

MOST_PARTS, MOST_IDS = 24, 2  # rows of the decomposition, those that moved most first
METHOD = (
    "Harm is decided by the one-sided exact test of Fisher, its p values adjusted by Holm over the guardrails of a"
    " look. Each planned look may spend its own share of the chance of a false alarm and no other. Intervals are 95 %:"
    " of a rate by Wilson, of a difference by Newcombe, of a median or percentile by two observed values. PASS needs"
    " enough documents and the whole interval of the difference within the margin. Documents in flight are bounds and"
    " no failures; documents without a status are counted apart."
)
CONFOUNDED = (
    "What else changed at the same time is in a difference as well; a baseline of the same hours and weekdays narrows"
    " that down."
)


@dataclass(frozen=True, slots=True)
class Extras:
    """What a page shows besides the comparison: drawings over time, where the documents came from, how to repeat it."""

    charts: tuple[Chart, ...]  # over time
    snapshots: tuple[Snapshot, ...]  # whose documents were used
    log: tuple[Block, ...]  # what a log says of itself
    reproduce: str  # a command line without secrets


def build(report: RolloutReport, extras: Extras) -> Page:
    """Return the page of a report."""
    title = report.rollout.title if report.rollout and report.rollout.title else "Rollout report"
    subtitle = f"{report.deployment} · filter {report.filter.name.value} · {words.span(report.after)}"
    sections = [section for section in _sections(report, extras) if section.blocks]
    return Page(
        title=title,
        subtitle=subtitle,
        verdict=report.verdict.value,
        sentences=words.sentences(report),
        sections=tuple(sections),
    )


def brief_notes(report: RolloutReport) -> tuple[str, ...]:
    """Return what a chat should know besides the verdict, the most important first."""
    order = (Verdict.FAIL, Verdict.INVALID, Verdict.ERROR, Verdict.INCONCLUSIVE, Verdict.NO_DATA, Verdict.PASS)
    ordered = sorted(report.metrics, key=lambda metric: (metric.role != "guardrail", order.index(metric.verdict)))
    notes = [
        f"{metric.verdict.value} {metric.title}: {words.side(metric, metric.baseline)}"
        f" -> {words.side(metric, metric.after)}"
        for metric in ordered
    ]
    return tuple(notes)


def _sections(report: RolloutReport, extras: Extras) -> Iterator[Section]:
    yield Section("metrics", "Before and after", tuple(metrics(report)), 0)
    yield Section("log", "What the log says", extras.log, 1)
    yield Section("change-verdict", "What would change the verdict", tuple(what_would_change(report)), 1)
    yield Section("checkpoints", "Checkpoints", tuple(checkpoints(report.checkpoints)), 2)
    if report.rollout is not None:
        yield Section("rollout", "Phases and flags", tuple(_phases(report.rollout)), 3)
    yield Section("time", "Over time", extras.charts, 9)
    yield from health_sections(report)
    yield Section("decomposition", "What moved the rates", tuple(_decomposition(report)), 6)
    yield Section("smoke", "Smoke tests", tuple(_smoke(report)), 4)
    yield Section("rollback", "Rollback", tuple(_rollback(report)), 2)
    yield Section("filter", "What was left out, and whether that decides", tuple(_filter(report)), 5)
    yield Section("data", "Data", tuple(_data(report, extras)), 7)
    notes = tuple(dict.fromkeys((*(finding.text for finding in report.findings), *report.warnings)))
    yield Section("findings", "Findings and warnings", (Points(notes),) if notes else (), 5)
    yield Section("method", "Method", (Words(METHOD), Words(CONFOUNDED), *_alpha(report)), 8)
    yield Section("reproduce", "Make this again", (Commands((extras.reproduce,)),), 3)


# ---- the rollout -------------------------------------------------------------------------------------------------


def _phases(rollout: RolloutInfo) -> Iterator[Block]:
    rows = [
        (
            f"{phase.number} {phase.title}".strip(),
            phase.state,
            NOTHING if phase.at_ms is None else instant(phase.at_ms),
            NOTHING if phase.change is None else str(phase.change),
            "; ".join(
                part for part in (phase.reason, "not separable from other flags" if phase.not_separable else "") if part
            ),
        )
        for phase in rollout.phases
    ]
    if rows:
        yield Table("Phases", ("phase", "state", "at", "change", "remarks"), tuple(rows))
    checks = [
        (check.flag, check.expected, check.before or NOTHING, check.after or NOTHING, _ok(check.ok), check.text)
        for phase in rollout.phases
        for check in phase.flags
    ]
    if checks:
        head = ("flag", "expected", "before", "after", "as expected", "what was found")
        yield Table("Flags, held against the snapshots around each phase", head, tuple(checks))
    yield Words(f"Plan version {rollout.plan_version}, hash {rollout.plan_hash[:16]}; from: {rollout.source}.")


def _ok(ok: bool | None) -> str:
    return "not known" if ok is None else "yes" if ok else "no"


def _smoke(report: RolloutReport) -> Iterator[Block]:
    rows = [
        (
            test.title or NOTHING,
            test.task_id or NOTHING,
            test.verdict.value,
            test.claimed or NOTHING,
            test.task_status or NOTHING,
            f"{count(test.completed_messages)} of {count(test.messages)}",
            test.text,
        )
        for test in report.smoke_tests
    ]
    if rows:
        head = ("test", "task", "verdict", "the log says", "task status", "messages complete", "what was found")
        yield Table("Smoke tests", head, tuple(rows), numbers=(5,))


def _rollback(report: RolloutReport) -> Iterator[Block]:
    if report.rollback:
        yield Words("These commands undo the rollout. They are shown and were not run.")
        yield Commands(report.rollback)


def _decomposition(report: RolloutReport) -> Iterator[Block]:
    if not report.decomposition:
        return
    parts = sorted(
        report.decomposition,
        key=lambda part: (
            1.0 if part.p_adjusted is None else part.p_adjusted,
            -abs(part.mix + part.rate),
            part.metric,
            part.dimension,
            part.group,
        ),
    )
    rows = [
        (
            words.code_text(part.metric),
            words.code_text(part.dimension),
            part.group,
            f"{count(part.baseline_k)} of {count(part.baseline_n)}",
            f"{count(part.after_k)} of {count(part.after_n)}",
            words.difference(part.mix, "share"),
            words.difference(part.rate, "share"),
            words.p_value(part.p_adjusted),
            _ids(part.ids),
        )
        for part in parts[:MOST_PARTS]
    ]
    head = ("rate", "by", "group", "baseline", "after", "by its share", "by its own rate", "adjusted p", "documents")
    caption = "Groups of documents, most suspect first; the parts of one dimension sum to the change of the rate"
    yield Table(caption, head, tuple(rows), numbers=(3, 4, 5, 6, 7))
    if len(parts) > MOST_PARTS:
        yield Words(f"{count(len(parts) - MOST_PARTS, 'more group')} in the report as JSON.")


def _ids(ids: Sequence[str]) -> str:
    rest = len(ids) - MOST_IDS
    return ", ".join(ids[:MOST_IDS]) + (f" and {count(rest)} more" if rest > 0 else "")


# ---- where it comes from -----------------------------------------------------------------------------------------


def _filter(report: RolloutReport) -> Iterator[Block]:
    account = report.filter
    left_out = [(table, count(number)) for table, number in sorted(account.excluded.items())]
    yield Table(
        f"Documents left out by the filter {account.name.value}", ("table", "documents"), tuple(left_out), numbers=(1,)
    )
    rows = [(v.filter, v.verdict.value, words.code_text(v.reason_code), count(v.excluded)) for v in account.sensitivity]
    if rows:
        caption = "The verdict with other filters"
        yield Table(caption, ("filter", "verdict", "because", "left out"), tuple(rows), numbers=(3,))
        others = {v.verdict for v in account.sensitivity} - {report.verdict}
        yield Words("The filter decides the verdict." if others else "The verdict is the same with every filter.")


def _data(report: RolloutReport, extras: Extras) -> Iterator[Block]:
    rows = []
    for name, side in (("baseline", report.baseline), ("after", report.after)):
        ids = ", ".join(map(str, side.snapshot_ids)) or NOTHING
        rows.append((name, side.label or NOTHING, words.span(side), ids))
    yield Table("What was compared", ("side", "label", "time", "snapshots"), tuple(rows))
    if extras.snapshots:
        shots = [
            (
                str(shot.id),
                shot.label,
                instant(shot.as_of_ms),
                shot.time_basis,
                count(sum(c.documents or 0 for c in shot.coverage)),
                ", ".join(sorted(c.table.name for c in shot.coverage if c.status == "not_collected")) or "none",
            )
            for shot in extras.snapshots
        ]
        head = ("snapshot", "label", "as of", "time from", "documents", "tables not collected")
        yield Table("Snapshots", head, tuple(shots), numbers=(4,))


def _alpha(report: RolloutReport) -> tuple[Block, ...]:
    if report.alpha is None:
        return ()
    alpha = report.alpha
    shares = ", ".join(f"{share:g}" for share in alpha.shares)
    text = (
        f"Chance of a false alarm over all looks: {alpha.total:g}; this look spends {alpha.look:g} of {shares};"
        f" {count(alpha.looks_missed, 'look')} missed, whose share is lost."
    )
    return (Words(text),)
