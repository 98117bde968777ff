"""Numbers of a rollout report as words: one place, so that page, chart and chat say the same."""

from __future__ import annotations

from analyzer.analysis.verdict import Direction, Measured, MetricResult, RolloutReport, Span, Verdict
from analyzer.stats import Interval
from analyzer.units import NOTHING, count, dollars, duration, instant, percent

MEANING = {
    Verdict.PASS: "no harm seen",
    Verdict.FAIL: "it got worse",
    Verdict.INCONCLUSIVE: "cannot tell yet",
    Verdict.NO_DATA: "nothing to look at",
    Verdict.ERROR: "could not be measured",
    Verdict.INVALID: "the comparison makes no sense",
}
ACTION = {
    "advance": "go on with the rollout",
    "hold": "hold: change nothing more until this is decided",
    "rollback": "roll back",
    "none": "nothing follows from this",
}


NOT_MEASURED = ("not_measured", "not_collected")  # reason codes


def value(number: float | None, unit: str) -> str:
    """Write one value of a metric in its unit."""
    if number is None:
        return NOTHING
    if unit == "share":
        return percent(number)
    if unit == "ms":
        return seconds(number)
    if unit == "usd":
        return dollars(number)
    return number_text(number)


def seconds(ms: float) -> str:
    """Write milliseconds for people: `340 ms`, `4.2 s`, `3.1 min`."""
    size = abs(ms)
    if size < 1000:
        return f"{ms:.0f} ms"
    return f"{ms / 1000:.1f} s" if size < 120_000 else f"{ms / 60_000:.1f} min"


def number_text(number: float) -> str:
    """Write a number that is no share and no time; large ones without digits after the point."""
    if number == int(number) or abs(number) >= 1000:
        return count(round(number))
    return f"{number:.2f}"


def interval(bounds: Interval | None, unit: str) -> str:
    """Write both ends of an interval."""
    return NOTHING if bounds is None else f"{value(bounds.low, unit)} to {value(bounds.high, unit)}"


def difference(number: float | None, unit: str) -> str:
    """Write a difference with its sign; of shares in percentage points."""
    if number is None:
        return NOTHING
    is_nothing = unit == "share" and abs(number) < 0.0005  # what reads as 0.0 has no direction
    sign = "\u00b1" if is_nothing or number == 0 else "+" if number > 0 else "\u2212"
    if unit == "share":
        return f"{sign}{abs(number) * 100:.1f} pp"
    return f"{sign}{value(abs(number), unit)}"


def difference_interval(bounds: Interval | None, unit: str) -> str:
    """Write both ends of the interval of a difference."""
    return NOTHING if bounds is None else f"{difference(bounds.low, unit)} to {difference(bounds.high, unit)}"


def margin(metric: MetricResult) -> str:
    """Write the largest difference that counts as no harm."""
    return f"{metric.margin * 100:g} pp" if metric.unit == "share" else f"{metric.margin * 100:g}% of the baseline"


def side(metric: MetricResult, measured: Measured) -> str:
    """Write one side of a metric with what stands behind it: `4.2% (3 of 71)`."""
    if measured.rate is None:
        nothing = "not measured" if metric.reason_code in NOT_MEASURED else "no documents"
        return nothing if measured.n == 0 else f"{NOTHING} (n = {count(measured.n)})"
    behind = f"n = {count(measured.n)}"
    if measured.k is not None:
        behind = f"{count(measured.k)} of {count(measured.n)}"
    return f"{value(measured.rate, metric.unit)} ({behind})"


def p_value(p: float | None) -> str:
    """Write a p value; a small one as a bound."""
    if p is None:
        return NOTHING
    return "< 0.0001" if p < 0.0001 else f"{p:.4f}"


def worse(direction: Direction) -> str:
    """Say which way is worse."""
    return "higher is worse" if direction == "higher_is_worse" else "lower is worse"


def span(side: Span) -> str:
    """Write when a side was."""
    if side.from_ms is None or side.to_ms is None:
        return "no window"
    length = duration(side.to_ms - side.from_ms)
    return f"{instant(side.from_ms)} to {instant(side.to_ms)} ({length})"


def code_text(code: str) -> str:
    """Write a reason code as words."""
    return code.replace("_", " ").replace("-", " ")


def sentences(report: RolloutReport) -> tuple[str, str, str]:
    """Return three plain sentences made from the verdict and nothing else: what, why, and what to do."""
    after = report.after.label or "the time after the change"
    base = report.baseline.label or "the baseline"
    meaning = MEANING[report.verdict]
    what = f"{meaning[:1].upper()}{meaning[1:]}, comparing {after} with {base}."
    why = report.reason if report.reason.endswith((".", "!", "?")) else f"{report.reason}."
    return what, why[:1].upper() + why[1:], f"What to do: {ACTION[report.action]}."
