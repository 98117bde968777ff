"""Rollouts as text for a terminal: what a log was read as, what the data say of it, and verdicts of looks."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from analyzer.analysis import verdict as v
from analyzer.analysis.rollout_log import RolloutLog
from analyzer.model import Finding, Snapshot
from analyzer.report import rollout_words as words
from analyzer.units import count, instant, padded, truncated, visible

WIDTH = 110
BRIEF_REASON_LINES = 2


def log_lines(log: RolloutLog) -> str:
    """Write what every line of a log was read as; those that were not understood are marked `?`."""
    rows = []
    for note in log.lines:
        if note.kind == "blank":
            continue
        mark = " " if note.understood else "?"
        rows.append(f"{note.line:>5} {mark} {padded(note.kind, 11)} {truncated(visible(note.text), WIDTH)}")
    return "\n".join([*rows, "", log_summary(log)])


def log_summary(log: RolloutLog) -> str:
    """Write in a few lines what a log holds."""
    unread = len(log.unexplained)
    flips = sum(len(phase.flips) for phase in log.phases)
    skipped = [phase.number for phase in log.phases if phase.state == "skipped"]
    rows = sum(len(table.rows) for table in log.checkpoint_tables)
    open_rows = sum(row.is_open for table in log.checkpoint_tables for row in table.rows)
    lines = [
        f"{visible(log.title) or visible(log.where)}: {count(len(log.lines), 'line')}, "
        + (f"{count(unread, 'line')} not understood" if unread else "every line understood"),
        f"  {count(len(log.phases), 'phase')}, {count(flips, 'flag flip')}"
        + (f", skipped: phase {', '.join(map(visible, skipped))}" if skipped else ""),
        f"  {count(rows, 'checkpoint')} in {count(len(log.checkpoint_tables), 'table')}, {open_rows} not filled in",
        f"  {count(len(log.smoke_tests), 'smoke test')}, {count(len(log.rollback), 'rollback command')}, "
        + count(len(log.known_issues), "known issue"),
    ]
    return "\n".join(lines)


def show(
    info: v.RolloutInfo,
    deployment: str,
    snapshots: Sequence[Snapshot],
    smoke_tests: Sequence[v.SmokeResult],
    findings: Sequence[Finding],
) -> str:
    """Write a rollout with its phases held against the snapshots."""
    name = "not recorded, seen between snapshots" if info.id is None else f"rollout {info.id}"
    lines = [
        f"{visible(info.title)} ({name}, from {info.source})",
        f"  deployment {visible(deployment)}, {count(len(snapshots), 'snapshot')}",
        f"  plan {info.plan_hash[:12]}, version {info.plan_version}; {count(info.changes, 'change')}"
        + (f", first flip {instant(info.started_ms)}" if info.started_ms is not None else ", no flip has a time"),
        "",
        "Phases",
    ]
    for phase in info.phases:
        when = instant(phase.at_ms) if phase.at_ms is not None else "no time"
        reason = f": {visible(phase.reason)}" if phase.reason and phase.state == "skipped" else ""
        change = f", change {phase.change}" if phase.change is not None else ""
        shared = " (not separable)" if phase.not_separable else ""
        lines.append(
            f"  {visible(phase.number)}  {visible(phase.title)}: {phase.state}{reason}, {when}{change}{shared}"
        )
        lines += [f"     {_MARKS[check.ok]} {visible(check.text)}" for check in phase.flags]
    lines += _smoke(smoke_tests)
    lines += finding_lines(findings)
    for accepted in info.acceptances:
        lines.append(
            f"Accepted by {visible(accepted.by)} at {instant(accepted.at_ms)} (verdict {accepted.verdict}): "
            f"{visible(accepted.because)}"
        )
    return "\n".join(lines)


_MARKS = {True: "ok", False: "!!", None: "? "}


def _smoke(tests: Sequence[v.SmokeResult]) -> list[str]:
    if not tests:
        return []
    rows = [
        f"  {padded(t.verdict.value, 12)} {visible(t.title or t.task_id or '')} "
        f"({visible(t.task_id or 'no id')}): {visible(t.text)}"
        for t in tests
    ]
    return ["", "Smoke tests", *rows]


def finding_lines(findings: Sequence[Finding]) -> list[str]:
    """Write findings, one a paragraph."""
    if not findings:
        return []
    return ["", "Findings", *(line for finding in findings for line in _wrapped(visible(finding.text), "  - "))]


def rollback(commands: Sequence[str], states: Sequence[str]) -> str:
    """Write commands that undo a rollout, and how far that has happened; commands alone go to a shell."""
    lines = list(commands) or ["# nothing to undo"]
    return "\n".join([*(visible(line) for line in lines), "", *(f"# {visible(state)}" for state in states)])


def look(report: v.RolloutReport) -> str:
    """Write the verdict of one look, with everything it rests on."""
    return "\n".join(
        (
            *_banner(report),
            "",
            *_metrics(report.metrics),
            *_undecided(report.metrics),
            *_gates(report.gates),
            *_checkpoints(report.checkpoints),
            *_suspects(report.decomposition),
            *_sensitivity(report.filter),
            *_smoke(report.smoke_tests),
            *finding_lines(report.findings),
            *(["", "Warnings"] if report.warnings else []),
            *(line for warning in report.warnings for line in _wrapped(visible(warning), "  - ")),
        )
    )


def brief(report: v.RolloutReport) -> str:
    """Write the verdict in at most 12 lines of plain text."""
    reason = _wrapped(visible(report.reason), "  ")
    if len(reason) > BRIEF_REASON_LINES:
        reason = [*reason[: BRIEF_REASON_LINES - 1], truncated(f"{reason[BRIEF_REASON_LINES - 1]} …", WIDTH)]
    guardrails = [f"  {_short(metric)}" for metric in report.metrics if metric.role == "guardrail"]
    plan = f"; plan {report.rollout.plan_hash[:12]}" if report.rollout else ""
    return "\n".join((_headline(report), *reason, *_windows(report), *guardrails[:6], f"action {report.action}{plan}"))


def look_line(item: v.CheckpointResult) -> str:
    """Write what one planned look says, on one line."""
    return (
        f"{padded(item.label, 6)} change {item.change}  {padded(instant(item.at_ms), 20)}  "
        f"{padded(item.verdict.value, 12)} {item.reason_code}: {visible(item.reason)}"
    )


def _headline(report: v.RolloutReport) -> str:
    where = f"{visible(report.after.label)}  {visible(report.deployment)}"
    return f"{report.verdict.value}  {where}  ({report.reason_code.replace('_', ' ')})"


def _windows(report: v.RolloutReport) -> tuple[str, str]:
    return f"  baseline {words.span(report.baseline)}", f"  after    {words.span(report.after)}"


def _banner(report: v.RolloutReport) -> list[str]:
    return [_headline(report), *_wrapped(visible(report.reason), "  "), *_windows(report)]


def _short(metric: v.MetricResult) -> str:
    before, after = (words.side(metric, side) for side in (metric.baseline, metric.after))
    return f"{padded(metric.verdict.value, 12)} {padded(metric.title, 22)} {before} -> {after}"


def _metrics(metrics: Sequence[v.MetricResult]) -> Iterator[str]:
    for role, title in (("guardrail", "Guardrails"), ("signal", "Signals"), ("dry-run", "Measured, deciding nothing")):
        chosen = [metric for metric in metrics if metric.role == role]
        if not chosen:
            continue
        yield title
        for metric in chosen:
            yield f"  {_short(metric)}"
            difference = words.difference(metric.difference.value, metric.unit)
            bounds = words.difference_interval(metric.difference.interval, metric.unit)
            p = f", p {metric.test.p:.2g}" if metric.test else ""
            adjusted = metric.test.p_adjusted if metric.test else None
            holm = f", Holm {adjusted:.2g}" if adjusted is not None else ""
            yield f"{' ' * 15}difference {difference} {bounds}, margin {words.margin(metric)}{p}{holm}"
        yield ""


def _undecided(metrics: Sequence[v.MetricResult]) -> list[str]:
    found = []
    for metric in metrics:
        if metric.role != "guardrail" or metric.verdict is not v.Verdict.INCONCLUSIVE:
            continue
        if metric.n_needed is None:
            found.append(f"  {metric.title}: no number of documents decides while the baseline is what it is")
            continue
        when = f", about {instant(metric.decides_at_ms)} at this rate" if metric.decides_at_ms is not None else ""
        found.append(
            f"  {metric.title}: {metric.n_needed:,} after the change in all ({metric.after.n:,} now), "
            f"if no more goes wrong{when}"
        )
    return ["What would decide", *found, ""] if found else []


def _gates(gates: Sequence[v.Gate]) -> Iterator[str]:
    if not gates:
        return
    yield "Gates, in order; the first that applies decides"
    winner = next((gate for gate in gates if gate.applies), None)
    for gate in gates:
        mark = "=>" if gate is winner else "* " if gate.applies else "  "
        yield f"  {mark} {padded(gate.id, 10)} {truncated(visible(gate.text), WIDTH)}"


def _checkpoints(looks: Sequence[v.CheckpointResult]) -> Iterator[str]:
    if not looks:
        return
    yield from ("", "Checkpoints")
    for item in looks:
        source = "no snapshot" if item.snapshot_id is None else f"snapshot {item.snapshot_id}"
        how = ", reconstructed" if item.reconstructed else ""
        health = item.health or "–"
        if item.health_without_tests and item.health_without_tests != item.health:
            health += f" ({item.health_without_tests} without tests)"
        yield (
            f"  {padded(item.label, 6)} change {item.change}  {padded(item.verdict.value, 12)} "
            f"{padded(instant(item.at_ms), 20)}  health {health}, {count(item.messages, 'message')}, "
            f"{count(item.workflows, 'workflow')} ({source}{how})"
        )


def _suspects(parts: Sequence[v.Part], most: int = 8) -> Iterator[str]:
    sure = [part for part in parts if part.p_adjusted is not None and part.p_adjusted <= 0.05]
    if not sure:
        return
    yield from ("", "Suspects: groups that surely got worse, corrected for how many were looked at")
    for part in sure[:most]:
        example = f", e.g. {part.ids[0]}" if part.ids else ""
        yield (
            f"  {part.metric.replace('_', ' ')}, {part.dimension.replace('_', ' ')} {visible(part.group)}: "
            f"{part.baseline_k} of {part.baseline_n:,} -> {part.after_k} of {part.after_n:,}, "
            f"{(part.mix + part.rate) * 100:+.2f} points (p {part.p_adjusted:.2g}){example}"
        )
    if len(sure) > most:
        yield f"  … and {len(sure) - most} more: --format json"


def _sensitivity(account: v.FilterAccount) -> Iterator[str]:
    if not account.sensitivity:
        return
    left_out = ", ".join(f"{n} of {table}" for table, n in account.excluded.items()) or "nothing"
    yield from ("", f"Filter {account.name.value} leaves out {left_out}; with others:")
    for other in account.sensitivity:
        yield f"  {padded(other.filter, 26)} {other.verdict.value} ({count(other.excluded, 'document')} left out)"


def _wrapped(text: str, indent: str) -> list[str]:
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=indent,
        subsequent_indent=" " * len(indent),
        break_long_words=False,
        break_on_hyphens=False,
    )
