"""Snapshots in words: the list, and one snapshot's coverage and drift."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from analyzer.model import DriftCount, Snapshot, TableCoverage
from analyzer.units import count, instant, padded, visible, width

LISTED = ("id", "label", "deployment", "type", "source", "as_of", "as_of_ms", "time_basis", "taken_at", "documents")
_BASIS = {
    "server": "the server says",
    "taken-at": "as told with --taken-at",
    "file-name": "from the file's name",
    "answer-timestamp": "from the recorded answers",
    "newest-creation-time": "newest document: a lower bound",
    "local-clock": "when it was collected: nothing in it tells",
}
_DRIFT = {
    "unknown_field": "field the app is not known to write",
    "missing_field": "field is missing",
    "mistyped": "is of another type",
    "unknown_status": "status no one knows",
    "reduced_text": "long text was reduced to length and hash",
}


def listed(snapshot: Snapshot) -> dict[str, Any]:
    """Return the fields of one row of the list, in the order of LISTED."""
    held = [c.documents for c in snapshot.coverage if c.documents is not None]
    values = (
        snapshot.id,
        snapshot.label,
        snapshot.deployment.name,
        snapshot.deployment.type.value,
        snapshot.source_kind,
        instant(snapshot.as_of_ms),
        snapshot.as_of_ms,
        snapshot.time_basis,
        instant(snapshot.taken_at_ms),
        sum(held),
    )
    return dict(zip(LISTED, values, strict=True))


def table(snapshots: Sequence[Snapshot]) -> str:
    """Return the list of snapshots, one a line."""
    if not snapshots:
        return "no snapshot yet: `analyzer collect EXPORT`"
    header = ("id", "label", "deployment", "type", "as of", "documents", "taken")
    rows = [
        (
            str(s.id),
            visible(s.label),
            visible(s.deployment.name),
            s.deployment.type.value,
            instant(s.as_of_ms),
            count(listed(s)["documents"]),
            instant(s.taken_at_ms),
        )
        for s in snapshots
    ]
    return columns([header, *rows], right=(0, 5))


def details(snapshot: Snapshot) -> str:
    """Return one snapshot: identity, time, coverage, flags and drift."""
    deployment = snapshot.deployment
    lines = [
        f"snapshot {snapshot.id}  {visible(snapshot.label)}",
        f"deployment  {visible(deployment.name)}, type {deployment.type.value} ({visible(deployment.type_reason)})",
        f"source      {snapshot.source_kind} {visible(snapshot.source_label)}",
        f"as of       {instant(snapshot.as_of_ms)} ({_BASIS[snapshot.time_basis]})",
        f"taken       {instant(snapshot.taken_at_ms)} (local clock)",
        "",
        columns([("table", "documents", "added", "changed", "removed", ""), *map(_covered, snapshot.coverage)],
                right=(1, 2, 3, 4)),
    ]  # fmt: skip
    if snapshot.flags:
        lines += ["", "flags"]
        lines += [
            f"  {flag.name} = {'not set' if flag.value is None else visible(flag.value)}" for flag in snapshot.flags
        ]
    lines += ["", *_drift_lines(snapshot.drift)]
    lines += [f"warning: {visible(warning)}" for warning in snapshot.warnings]
    return "\n".join(lines)


def _covered(c: TableCoverage) -> tuple[str, ...]:
    name = f"{c.table.component}/{c.table.name}" if c.table.component else c.table.name
    if c.documents is None:
        return (visible(name), "–", "", "", "", f"not collected: {c.reason}")
    forgotten = f"{count(c.forgotten)} forgotten since" if c.forgotten else ""
    said = ", ".join(part for part in (c.reason, forgotten) if part)
    return (visible(name), count(c.documents), count(c.added), count(c.changed), count(c.removed), said)


def _drift_lines(drift: Sequence[DriftCount]) -> list[str]:
    if not drift:
        return ["drift: none; every document looks as the app writes it"]
    rows = [("drift in", "field", "documents", "what")]
    for d in drift:
        name = f"{d.component}/{d.table}" if d.component else d.table
        what = _DRIFT[d.kind] + (f": {visible(d.found)}" if d.found else "")
        rows.append((visible(name), visible(d.field), count(d.count), what))
    return [columns(rows, right=(2,))]


def columns(rows: Sequence[Sequence[str]], *, right: Sequence[int] = ()) -> str:
    """Lay rows out in columns, two spaces apart; `right` names the columns that are right-aligned."""
    widths = [max(width(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            padded(cell, w, right=i in right) for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )
