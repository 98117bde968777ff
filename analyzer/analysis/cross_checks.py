"""Doubts about a comparison itself: the baseline against itself, other hours as baseline, methods that disagree."""

from __future__ import annotations

from dataclasses import replace

from analyzer.analysis import compare, gates, judging
from analyzer.analysis import verdict as v
from analyzer.analysis.checkpoints import Judged, Judging
from analyzer.analysis.rollout_plan import Plan
from analyzer.analysis.verdict import Verdict
from analyzer.analysis.windows import Windows
from analyzer.model import Finding
from analyzer.store import Frame
from analyzer.units import duration


def cross_checks(frame: Frame, windows: Windows, chosen: Judged, how: Judging, plan: Plan) -> tuple[Finding, ...]:
    """Judge the baseline against itself, and the same hours of the week before against the look."""
    length_ms, t0 = chosen.look.offset_ms, windows.after_from_ms
    found = []

    def decide(other: Windows) -> gates.Decision:
        counted = compare.tally(frame, other, how.filter, prices=how.prices)
        return gates.decide(judging.judge(counted, plan, chosen.look.alpha))

    if windows.base_from_ms < t0 - length_ms:
        itself = Windows(windows.base_from_ms, t0 - length_ms, t0 - length_ms, t0 - 1)
        decided = decide(itself)
        text = (
            f"A/A: the last {duration(length_ms)} before the change against the time before them: "
            f"{decided.verdict.value}. "
            + ("A false alarm: do not trust this comparison." if _is_alarm(decided) else "")
        )
        found.append(Finding("a-a", text.strip(), {"verdict": decided.verdict.value}))
    week_ms = 7 * 86_400_000
    if windows.base_from_ms <= t0 - week_ms and length_ms <= week_ms:
        same = replace(windows, base_from_ms=t0 - week_ms, base_to_ms=t0 - week_ms + length_ms + 1)
        decided = decide(same)
        text = f"Against the same hours of the week before: {decided.verdict.value}. {decided.reason}"
        found.append(Finding("same-hours", text, {"verdict": decided.verdict.value}))
    found += [
        Finding(
            "methods-disagree",
            f"{m.title}: the exact test and the interval of the difference disagree; the test decides.",
            {"metric": m.id},
        )
        for m in chosen.metrics
        if m.role == "guardrail" and _disagree(m, chosen.look.alpha)
    ]
    return tuple(found)


def _is_alarm(decided: gates.Decision) -> bool:
    return decided.verdict is Verdict.FAIL


def _disagree(metric: v.MetricResult, alpha: float) -> bool:
    ends = metric.difference.interval
    if metric.test is None or ends is None:
        return False
    is_beyond = ends.low > 0 if metric.direction == "higher_is_worse" else ends.high < 0
    return is_beyond != (metric.test.p <= alpha)
