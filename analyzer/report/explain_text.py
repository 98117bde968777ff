"""An explanation in words: twelve lines for a chat, or everything."""

from __future__ import annotations

import textwrap

from analyzer.analysis.explain import Explanation, Impact
from analyzer.analysis.policy import RuleResult
from analyzer.model import Status
from analyzer.report.snapshots_text import columns
from analyzer.units import age, count, instant, percent, truncated, visible, width

BRIEF_LINES = 12
BRIEF_COLUMNS = 80
_NAMES = {
    "workflow_error_rate": "workflow error rate",
    "message_error_rate": "message error rate",
    "workflow_completion_rate": "workflow completion",
    "message_completion_rate": "message completion",
    "stuck_messages": "stuck messages",
    "stuck_workflows": "stuck workflows",
    "response_p95_ms": "response time (p95)",
}


def brief(explanation: Explanation, now_ms: int) -> str:
    """Return at most 12 lines of at most 80 columns.

    now_ms  the local clock, to tell how old the data is
    """
    e = explanation
    judged = f"  {e.deployment.type.value}  filter {e.filter.value}  policy {visible(e.policy.name)}"
    lines = [
        truncated(visible(e.deployment.name), max(BRIEF_COLUMNS - width(judged), 10)) + judged,
        f"as of {instant(e.at_ms)}, collected {age(now_ms - e.snapshot.taken_at_ms)} ago as snapshot {e.snapshot.id}",
        _verdict(e),
        *textwrap.wrap(e.summary, BRIEF_COLUMNS),
    ]
    if e.symptom is not None:
        lines += [_sentence(e.symptom), _times(e)]
    causes = [f"{count(c.count)} {visible(c.cause)}" for c in e.diagnosis]
    actions = [f"> {visible(action)}" for action in _actions(e)]
    notes = [f"! {visible(finding.text)}" for finding in e.findings]
    room = BRIEF_LINES - len(lines) - len(actions)
    shown = (causes + notes)[:room]
    if len(causes + notes) > room:
        shown = [*shown[:-1], f"and {len(causes + notes) - room + 1} more: `analyzer explain --full`"]
    return "\n".join(truncated(line, BRIEF_COLUMNS) for line in [*lines, *shown, *actions])


def _verdict(e: Explanation) -> str:
    said = e.report.reported
    reported = "–"
    if said is not None and said.system_health is not None:
        reported = visible(str((said.system_health.get("health") or {}).get("status", "–")))
    tolerated = ", tolerated" if e.tolerated else ""
    return f"raw {e.raw_status.value.upper()}, reported {reported}, without tests {e.status.value.upper()}{tolerated}"


def _sentence(rule: RuleResult) -> str:
    name = _NAMES[rule.id]
    return (
        f"{name} is {_value(rule, rule.value)} of {count(rule.n)}, must be {rule.operator} {_value(rule, rule.limit)}"
    )


def _value(rule: RuleResult, value: float | None) -> str:
    if value is None:
        return "–"
    if rule.unit == "share":
        return percent(value)
    return age(value) if rule.unit == "ms" else count(round(value))


def _times(e: Explanation) -> str:
    since = "" if e.since_ms is None else f"since {instant(e.since_ms // 1000 * 1000)}; "
    if e.clears_at_ms is not None:
        return f"{since}clears {_whole(e.clears_at_ms)} if nothing new comes"
    if e.empties_at_ms is not None:
        return f"{since}nothing left to judge from {_whole(e.empties_at_ms)}"
    return f"{since}does not clear by itself"


def _whole(ms: int) -> str:
    """Round a clock up to the second: at that second it is true."""
    return instant(-(-ms // 1000) * 1000)


def _actions(e: Explanation) -> list[str]:
    """Return up to three actions: the ways out of what tests caused, else what the causes ask for."""
    asked = [cause.action for cause in e.diagnosis if cause.blame != "test"]
    if e.raw_status is Status.UNKNOWN:
        asked = [unknown.action for unknown in e.unknown]
    return list(dict.fromkeys((*e.resolutions, *asked)))[:3]


def full(explanation: Explanation, now_ms: int) -> str:
    """Return everything, section by section."""
    e = explanation
    sections = [brief(e, now_ms), "", "rules (on every document)", _rules(e)]
    interval = e.certainty.interval
    if interval is not None:
        sure = "conclusive" if e.certainty.conclusive else "not conclusive at this n"
        sections += ["", f"certainty   95% interval {percent(interval.low)} to {percent(interval.high)}: {sure}"]
    if e.symptom is not None:
        sections += ["", _recovery(e)]
    sections += _list("impacts", [_impact(i) for i in e.impacts])
    for cause in e.diagnosis:
        sections += ["", f"{count(cause.count, 'document')}: {visible(cause.cause)}", f"  id      {visible(cause.id)}"]
        sections += [f"  action  {visible(cause.action)}"]
        sections += [
            textwrap.fill(
                f"{visible(table)}: {' '.join(map(visible, ids))}", 110, initial_indent="  ", subsequent_indent="    "
            )
            for table, ids in cause.affected.items()
        ]
    table = [("filter", "status", "left out"), *((s.filter, s.status.value, count(s.excluded)) for s in e.sensitivity)]
    sections += ["", "what the filter changes", columns([tuple(map(visible, row)) for row in table], right=(2,))]
    sections += _list("findings", [visible(f.text) for f in e.findings])
    sections += _list("cannot be told", [f"{u.what}: {u.cause}; {u.action}" for u in e.unknown])
    sections += _list("ways out", [visible(way) for way in e.resolutions])
    return "\n".join(sections)


def _list(title: str, lines: list[str]) -> list[str]:
    return ["", title, *(f"  {line}" for line in lines)] if lines else []


def _rules(e: Explanation) -> str:
    rows = [("rule", "value", "limit", "n", "slack", "")]
    for rule in e.rules:
        slack = "–" if rule.slack is None else f"{rule.slack:+.4g}"
        limit = f"{rule.operator} {_value(rule, rule.limit)}"
        verdict = "ok" if rule.ok else "BROKEN"
        rows.append((_NAMES[rule.id], _value(rule, rule.value), limit, count(rule.n), slack, verdict))
    return columns(rows, right=(1, 2, 3, 4))


def _impact(impact: Impact) -> str:
    return f"{impact.severity}: {impact.description} ({', '.join(impact.areas)})"


def _recovery(e: Explanation) -> str:
    found = e.recovery
    if found.removals is None:
        removal = "removal would leave nothing to judge"
    else:
        tests = f"{count(found.removals_that_are_tests)} of them left by tests"
        removal = f"healthy without {count(len(found.removals), 'document')}, {tests}"
    completion = "–" if found.completions is None else f"healthy if {count(found.completions, 'document')} completed"
    return f"recovery    {removal}; {completion}"
