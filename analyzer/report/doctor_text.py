"""What an examination of a deployment found, in words and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from analyzer.convex.diagnosis import Diagnosis, Permission
from analyzer.units import count, padded, visible, width

_WAYS = {
    "data sync": "by data sync: changes only, each collect",
    "deltas": "by snapshot and deltas: changes only, each collect",
    "paged": "table by table at one moment: everything, each collect",
}
_NEEDS = {"collect": "to collect", "purge": "to purge and restore", "pause": "to purge while paused"}


def as_json(found: Diagnosis) -> dict[str, Any]:
    """Return the diagnosis as JSON, schema doctor/1."""
    deployment = found.deployment
    return {
        "schema": "doctor/1",
        "ok": found.problem is None,
        "problem": asdict(found.problem) if found.problem else None,
        "deployment": deployment.name if deployment else None,
        "origin": found.origin,
        "found": found.found,
        "type": deployment.type if deployment else None,
        "type_reason": deployment.type_reason if deployment else None,
        "production": found.counts_as_production,
        "version": found.version,
        "reference": found.reference,
        "project": found.project,
        "state": found.state,
        "key": found.key,
        "read_only": found.is_read_only,
        "way": found.way,
        "tables": found.table_count,
        "permissions": [asdict(permission) for permission in found.permissions],
        "endpoints": [asdict(endpoint) for endpoint in found.endpoints],
        "functions": [asdict(function) for function in found.functions],
        "missing": list(found.missing),
        "notes": list(found.notes),
    }


def text(found: Diagnosis) -> str:
    """Return the diagnosis for a terminal; all foreign text is made safe to print."""
    lines = _head(found)
    for need, title in _NEEDS.items():
        lines += _section(f"key, {title}", [_permission(p) for p in found.permissions if p.needed_for == need])
    lines += _section(
        "server",
        [
            (
                _sign(endpoint.state == "there"),
                endpoint.name,
                endpoint.use if endpoint.state == "there" else endpoint.text,
            )
            for endpoint in found.endpoints
        ],
    )
    lines += _section("functions", [(_sign(f.answers), f.name, f.text or "answers") for f in found.functions])
    lines += _list("will be missing", found.missing)
    lines += _list("also", found.notes)
    return "\n".join([*lines, "", *_verdict(found)])


def _head(found: Diagnosis) -> list[str]:
    deployment = found.deployment
    rows = [("origin", f"{found.origin} ({found.found})")]
    if deployment:
        treated = "treated as production" if found.counts_as_production else "not production"
        project = " of ".join(part for part in (found.reference, found.project) if part)
        rows.insert(0, ("deployment", deployment.name + (f" ({project})" if project else "")))
        rows.append(("type", f"{deployment.type}, {treated}: {deployment.type_reason}"))
    if found.version:
        rows.append(("version", found.version))
    if found.state:
        rows.append(("state", found.state))
    rows.append(("key", _key(found)))
    if found.way:
        rows.append(("documents", f"{_WAYS[found.way]}; {count(found.table_count or 0, 'table')}"))
    return [f"{padded(name, 11)} {visible(value)}" for name, value in rows]


def _key(found: Diagnosis) -> str:
    if found.key is None:
        return "none"
    if found.is_read_only is None:
        return found.key
    return f"{found.key}, {'read-only' if found.is_read_only else 'can write'}"


def _permission(permission: Permission) -> tuple[str, str, str]:
    sign = "?" if permission.has is None else _sign(permission.has)
    return sign, permission.name, permission.use


def _section(title: str, rows: Sequence[tuple[str, str, str]]) -> list[str]:
    if not rows:
        return []
    columns = max(width(visible(name)) for _, name, _ in rows)
    return [
        "",
        f"{title}:",
        *(f"  {sign} {padded(visible(name), columns)}  {visible(what)}" for sign, name, what in rows),
    ]


def _list(title: str, sentences: Iterable[str]) -> list[str]:
    listed = [f"  - {visible(sentence)}" for sentence in sentences]
    return ["", f"{title}:", *listed] if listed else []


def _verdict(found: Diagnosis) -> list[str]:
    if found.problem is None:
        return ["`analyzer collect` will work" + (", with the above missing." if found.missing else ".")]
    hint = [f"hint: {visible(found.problem.hint)}"] if found.problem.hint else []
    return [f"`analyzer collect` will not work: {visible(found.problem.fact)}", *hint]


def _sign(is_there: bool) -> str:
    return "+" if is_there else "-"
