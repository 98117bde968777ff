"""Artifacts in words: the list, and why one document is an artifact or is none."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from analyzer.analysis.artifacts import Artifact, TierCount, Unjudged
from analyzer.analysis.why import JudgedRule, Place, Sign, Why
from analyzer.model import Snapshot
from analyzer.predicate import Leaf
from analyzer.report.snapshots_text import columns
from analyzer.units import count, instant, truncated, visible

LISTED = ("table", "id", "tier", "rules", "reason", "via")
NAME_COLUMNS = 40
FOUND_COLUMNS = 80


def listed(artifact: Artifact) -> dict[str, Any]:
    """Return one artifact with the fields of `artifacts/1`."""
    values = (
        table_name(artifact.component, artifact.table),
        artifact.id,
        artifact.tier.value,
        list(artifact.rules),
        artifact.reason,
        artifact.via,
    )
    return dict(zip(LISTED, values, strict=True))


def table_name(component: str, table: str) -> str:
    """Return a table's name, with the path of its component unless that is the root."""
    return f"{component}/{table}" if component else table


def table(
    artifacts: Sequence[Artifact], counts: Sequence[TierCount], snapshot: Snapshot, unjudged: Sequence[Unjudged] = ()
) -> str:
    """Return the list of artifacts, one a line under a line of totals.

    unjudged  rules whose silence means nothing: where there are any, what was found may not be all
    """
    silent = len({item.rule for item in unjudged})
    caveat = f"; {count(silent, 'rule')} could not be judged" if silent else ""
    lines = [f"{totals(counts)} in {visible(snapshot.deployment.name)} as of {instant(snapshot.as_of_ms)}{caveat}"]
    if artifacts:
        rows = [("tier", "table", "id", "name", "because"), *map(_row, artifacts)]
        lines += ["", columns(rows)]
    all_of_them = sum(item.documents for item in counts)
    if len(artifacts) < all_of_them:
        lines += ["", f"{count(all_of_them - len(artifacts))} more: choose with --tier, or raise --limit"]
    return "\n".join(lines)


def totals(counts: Sequence[TierCount]) -> str:
    """Return how many artifacts there are of each tier."""
    sums: dict[str, int] = {}
    for item in counts:
        sums[item.tier.value] = sums.get(item.tier.value, 0) + item.documents
    if not sums:
        return "no artifact"
    return f"{count(sum(sums.values()), 'artifact')} ({', '.join(f'{count(n)} {tier}' for tier, n in sums.items())})"


def _row(artifact: Artifact) -> tuple[str, ...]:
    name = "" if artifact.label is None else truncated(visible(artifact.label), NAME_COLUMNS)
    where = visible(table_name(artifact.component, artifact.table))
    return (artifact.tier.value, where, visible(artifact.id), name, visible(artifact.reason))


def why_data(found: Why) -> dict[str, Any]:
    """Return everything known of one id as JSON data."""
    return {
        "schema": "artifacts-why/1",
        "id": found.id,
        "mark": None
        if found.mark is None
        else {
            "verdict": found.mark.verdict,
            "because": found.mark.because,
            "by": found.mark.actor,
            "at": instant(found.mark.marked_at_ms),
        },
        "places": [
            {
                "table": table_name(place.component, place.table),
                "present": place.is_present,
                "tier": None if place.tier is None else place.tier.value,
                "internal": place.is_internal,
                "fired": [_rule_data(rule) for rule in place.fired],
                "almost": [_rule_data(rule) for rule in place.almost],
                "path": [
                    {
                        "table": step.table,
                        "id": step.id,
                        "rule": step.rule,
                        "tier": step.tier.value,
                        "gone": step.is_gone,
                    }
                    for step in place.path
                ],
            }
            for place in found.places
        ],
        "belongings": dict(found.belongings),
        "not_judged": [{"rule": item.rule, "why": item.why} for item in found.unjudged],
    }


def _rule_data(rule: JudgedRule) -> dict[str, Any]:
    return {
        "rule": rule.rule,
        "tier": rule.tier.value,
        "reason": rule.reason,
        "via": rule.via,
        "signs": [
            {
                "field": sign.leaf.field,
                "operator": sign.leaf.operator,
                "wanted": list(sign.leaf.values),
                "found": None if sign.found is None else json.loads(sign.found),
                "missing": sign.found is None,
            }
            for sign in rule.signs
        ],
    }


def why_text(found: Why) -> str:
    """Return everything known of one id, a paragraph a table."""
    lines: list[str] = []
    for place in found.places:
        lines += [*_place_lines(found, place), ""]
    if not found.places:
        lines += [f"{visible(found.id)}: the store never saw this document, but others belong to it", ""]
    if found.mark is not None:
        mark = found.mark
        said = f"marked as {mark.verdict} by {visible(mark.actor)}, {instant(mark.marked_at_ms)}"
        lines += [f"{said}: {visible(mark.because)}", ""]
    if found.belongings:
        lines += [f"belongs to it: {', '.join(f'{count(n)} {visible(name)}' for name, n in found.belongings)}", ""]
    lines += unjudged_lines(found.unjudged)
    return "\n".join(lines).rstrip("\n")


def unjudged_lines(items: Iterable[Unjudged]) -> list[str]:
    """Return one line for each rule that could not be judged."""
    return [f"not judged: {item.rule}: {visible(item.why)}" for item in items]


def _place_lines(found: Why, place: Place) -> list[str]:
    name = f"{visible(table_name(place.component, place.table))} {visible(found.id)}"
    if not place.is_present:
        verdict = "gone since; the store saw it earlier" + (" as an artifact" if place.fired else "")
    elif place.tier is not None:
        verdict = f"artifact, {place.tier.value}: {visible(place.fired[0].reason)}"
    elif place.fired:
        verdict = "no artifact: a person marked it as real"
    else:
        verdict = "no artifact: no rule selects it, and it belongs to none"
    lines = [f"{name}: {verdict}"]
    if place.is_internal:
        lines.append("  left out of health as internal: a listed person or repository")
    for rule in place.fired:
        lines.append(f"  fired   {rule.rule} ({rule.tier.value}): {visible(rule.reason)}{_through(rule)}")
        lines += [f"            {_held(sign)}" for sign in rule.signs]
    for rule in place.almost:
        lines.append(f"  almost  {rule.rule} ({rule.tier.value}): {visible(rule.reason)}")
        lines += [f"            {'or ' if number else ''}{_lacked(sign)}" for number, sign in enumerate(rule.signs)]
    for step in place.path:
        gone = ", gone" if step.is_gone else ""
        lines.append(f"  through {visible(step.table)} {visible(step.id)}{gone}: {step.rule} ({step.tier.value})")
    return lines


def _through(rule: JudgedRule) -> str:
    return "" if rule.via is None else f" (through {visible(rule.via)})"


def _held(sign: Sign) -> str:
    if sign.leaf.operator == "refers_to":
        return f"{sign.leaf.field} is {_found(sign)}, selected by {_or(sign.leaf)}"
    return f"{sign.leaf.field} is {_found(sign)}"


def _lacked(sign: Sign) -> str:
    wanted = {
        "equals": f"is not {_or(sign.leaf)}",
        "in": f"is none of {_or(sign.leaf)}",
        "matches": f"does not match {_or(sign.leaf)}",
        "empty": "is not empty",
        "refers_to": f"is no document that {_or(sign.leaf)} selects",
    }[sign.leaf.operator]
    return f"{sign.leaf.field} {wanted}: it is {_found(sign)}"


def _or(leaf: Leaf) -> str:
    if leaf.operator in ("matches", "refers_to"):
        return " or ".join(visible(str(value)) for value in leaf.values)
    return " or ".join(visible(json.dumps(value, ensure_ascii=False)) for value in leaf.values)


def _found(sign: Sign) -> str:
    if sign.found is None:
        return "missing"
    value = json.loads(sign.found)
    text = value.get("$text") if isinstance(value, dict) else None
    if isinstance(text, dict):
        return f"a text of {count(text['length'], 'character')}, SHA-256 {text['sha256'][:12]}…"
    return truncated(visible(json.dumps(value, ensure_ascii=False)), FOUND_COLUMNS)
