"""From the verdicts of metrics to the verdict of a look: the first gate that applies wins, all are listed. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from analyzer.analysis import verdict as v
from analyzer.analysis.judging import UNMEASURED, of_role
from analyzer.analysis.verdict import Verdict

ACTIONS: dict[Verdict, v.Action] = {
    Verdict.PASS: "advance",
    Verdict.FAIL: "rollback",
    Verdict.INCONCLUSIVE: "hold",
    Verdict.NO_DATA: "hold",
    Verdict.ERROR: "hold",
    Verdict.INVALID: "hold",
}


@dataclass(frozen=True, slots=True)
class Decision:
    """The verdict of a look, and how it came about."""

    verdict: Verdict
    reason_code: str
    reason: str
    gates: tuple[v.Gate, ...]


def decide(
    metrics: Sequence[v.MetricResult],
    *,
    invalid: Sequence[str] = (),
    stale: str = "",
    failed_before: Sequence[str] = (),
) -> Decision:
    """Put the metrics of a look through the gates.

    metrics        () where there is no snapshot to count in
    invalid        sentences that say why the comparison makes no sense
    stale          why the data do not reach the look; "" where they do
    failed_before  labels of earlier looks of the same change that failed
    """
    guardrails, signals = of_role(metrics, "guardrail"), of_role(metrics, "signal")
    gates: tuple[v.Gate, ...] = (
        _gate(
            "valid-run", bool(invalid), (Verdict.INVALID, "invalid_run"), " ".join(invalid), "The comparison is valid."
        ),
        _gate("fresh-data", bool(stale), (Verdict.NO_DATA, "not_collected_yet"), stale, "The data reach the look."),
        _measured(guardrails),
        _traffic(guardrails),
        _regression(guardrails, failed_before),
        _sample(guardrails),
        _signals(signals),
    )
    harmless = not any(gate.applies for gate in gates)
    text = f"No harm seen in {len(guardrails)} guardrails; a person decides." if harmless else "A person decides."
    gates = (*gates, v.Gate("person", True, Verdict.PASS, "no_harm_seen", text))
    winner = next(gate for gate in gates if gate.applies)
    return Decision(winner.verdict, winner.reason_code, winner.text, gates)


def _gate(id_: str, applies: bool, says: tuple[Verdict, str], text: str, otherwise: str) -> v.Gate:
    return v.Gate(id_, applies, *says, text if applies else otherwise)


def _named(metrics: Sequence[v.MetricResult]) -> str:
    return ", ".join(metric.title for metric in metrics)


def _measured(guardrails: Sequence[v.MetricResult]) -> v.Gate:
    applies = all(metric.verdict is Verdict.ERROR for metric in guardrails)
    return _gate(
        "measured",
        applies,
        (Verdict.ERROR, "nothing_measured"),
        "No guardrail could be measured." if guardrails else "No guardrail was measured.",
        "Guardrails were measured.",
    )


def _traffic(guardrails: Sequence[v.MetricResult]) -> v.Gate:
    counted = [metric for metric in guardrails if metric.verdict is not Verdict.ERROR]
    applies = all(metric.after.n == 0 for metric in counted)
    running = max((metric.after.running for metric in counted), default=0)
    also = f" that has ended; {running} still running" if running else ""
    return _gate(
        "traffic",
        applies,
        (Verdict.NO_DATA, "no_traffic"),
        f"There is no document after the change{also}.",
        "There is traffic after the change.",
    )


def _regression(guardrails: Sequence[v.MetricResult], failed_before: Sequence[str]) -> v.Gate:
    worse = [metric for metric in guardrails if metric.verdict is Verdict.FAIL]
    if worse:
        text = " ".join(f"{metric.title} got worse: {metric.reason}" for metric in worse)
        return v.Gate("guardrails", True, Verdict.FAIL, "guardrail_regression", text)
    return _gate(
        "guardrails",
        bool(failed_before),
        (Verdict.FAIL, "failed_earlier_look"),
        f"A guardrail got worse at {', '.join(failed_before)}; a later look does not undo that.",
        "No guardrail got worse.",
    )


def _sample(guardrails: Sequence[v.MetricResult]) -> v.Gate:
    """Apply while any guardrail cannot tell. One without documents on either side has nothing to tell."""
    open_ = [
        metric
        for metric in guardrails
        if metric.verdict in (Verdict.INCONCLUSIVE, Verdict.ERROR)
        or (metric.verdict is Verdict.NO_DATA and (metric.baseline.n > 0 or metric.reason_code == UNMEASURED))
    ]
    codes = {metric.reason_code for metric in open_}
    code = next(iter(codes)) if len(codes) == 1 else "guardrails_open"
    text = f"Cannot tell yet: {_named(open_)}. {open_[0].title}: {open_[0].reason}" if open_ else ""
    return _gate("sample", bool(open_), (Verdict.INCONCLUSIVE, code), text, "Every guardrail is decided.")


def _signals(signals: Sequence[v.MetricResult]) -> v.Gate:
    moved = [metric for metric in signals if metric.verdict is Verdict.FAIL]
    text = " ".join(f"{metric.title} got worse: {metric.reason}" for metric in moved)
    return _gate(
        "signals",
        bool(moved),
        (Verdict.INCONCLUSIVE, "signal_moved"),
        f"A signal moved: look at it. {text}",
        f"Signals hold: {_named(signals)}." if signals else "The plan has no signals.",
    )
