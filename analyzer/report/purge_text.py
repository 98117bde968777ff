"""Plans and receipts of purges in words. Takes them as they stand in their files; text from documents is made safe."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from analyzer.report.snapshots_text import columns
from analyzer.units import NOTHING, byte_count, count, percent, truncated, visible

Data = Mapping[str, Any]
EXAMPLES = 2  # documents of each table, with their reasons
SHOWN_BLOCKED = 12
CELL_COLUMNS = 90
HASH = re.compile(r"[0-9a-f]{64}")


def plan_text(plan: Data, warnings: Sequence[str] = (), *, full: bool = False) -> str:
    """Return a plan for its reviewer: what would go, examples, what stays and why."""
    documents = [document for group in plan["groups"] for document in group["documents"]]
    where = f"{visible(plan['deployment'])} ({plan['type']})"
    head = f"{count(len(documents), 'document')} in {count(len(plan['groups']), 'group')} of {where} would be deleted"
    lines = [head if documents else f"nothing to delete in {where}"]
    if not documents and not plan["blocked"] and (tasks := plan["selection"].get("tasks")):
        lines += [f"no test artifact belongs to {visible(', '.join(tasks))}: `analyzer artifacts why ID` tells why"]
    if documents:
        lines += ["", columns([("table", "documents", "of the table", "bytes"), *_totals(plan["totals"])])]
        lines += ["", "for example:", *_examples(documents)]
    changed = [scrub for group in plan["groups"] for scrub in group["scrubs"]]
    if changed:
        lines += ["", f"references to them would be taken out of {count(len(changed), 'document')} (needs --pause):"]
        lines += [f"  {visible(s['table'])} {visible(s['id'])}: {visible(', '.join(s['fields']))}" for s in changed]
    if plan["blocked"]:
        lines += ["", f"{count(len(plan['blocked']), 'group')} would stay:"]
        shown = plan["blocked"] if full else plan["blocked"][:SHOWN_BLOCKED]
        lines += [f"  {visible(item['root'])}: {visible(item['reason'])}" for item in shown]
        if len(shown) < len(plan["blocked"]):
            lines.append(f"  … and {len(plan['blocked']) - len(shown)} more; --full, or the file, lists them")
    if plan["stored_files"]:
        lines += ["", f"{count(len(plan['stored_files']), 'stored file')} named by them would stay"]
    lines += [f"warning: {visible(text)}" for text in warnings]
    if plan["rehearsal"]:
        lines += ["", "A REHEARSAL from what was collected: the deployment was not asked, so this cannot be applied."]
    elif documents:
        lines += ["", f"expires {plan['expires_at']}; to confirm: {visible(plan['confirm'])}"]
    return "\n".join(lines)


def receipt_text(receipt: Data) -> str:
    """Return a receipt in a few lines."""
    pairs = _summary(receipt)
    width = max(len(name) for name, _ in pairs)
    lines = [f"{name.ljust(width)}  {visible(value)}" for name, value in pairs]
    lines += [
        f"changed  {visible(table)} {visible(id_)}: {visible(fields)}" for table, id_, fields, *_ in _changed(receipt)
    ]
    lines += [f"skipped  {visible(item['root'])}: {visible(item['reason'])}" for item in receipt["skipped"]]
    return "\n".join(lines)


def receipt_md(receipt: Data) -> str:
    """Return a receipt as a Markdown page for an auditor."""
    lines = [f"# Purge of {_md(receipt['deployment'])}", "", "| | |", "|---|---|"]
    lines += [f"| {name} | {_md(value)} |" for name, value in _summary(receipt)]
    lines += ["", "## What was deleted", "", "| table | id | tier | reason | sha256 |", "|---|---|---|---|---|"]
    lines += [f"| {' | '.join(map(_md, row))} |" for row in _deleted(receipt)]
    if changed := _changed(receipt):
        lines += ["", "## What stayed, and lost references", "", "| table | id | fields | sha256 before | after |"]
        lines += ["|---|---|---|---|---|", *(f"| {' | '.join(map(_md, row))} |" for row in changed)]
    if receipt["skipped"]:
        lines += ["", "## What stayed, although planned", "", "| group | reason |", "|---|---|"]
        lines += [f"| {_md(item['root'])} | {_md(item['reason'])} |" for item in receipt["skipped"]]
    lines += ["", "## How it was proven", "", *(f"- {_md(text)}" for text in _proof(receipt))]
    return "\n".join(lines)


def receipt_html(receipt: Data) -> str:
    """Return a receipt as one HTML page without anything from elsewhere."""
    skipped = [(item["root"], item["reason"]) for item in receipt["skipped"]]
    title = f"Purge of {html.escape(visible(str(receipt['deployment'])))}"
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        f"<title>{title}</title><style>{_STYLE}</style></head><body><h1>{title}</h1>",
        _html_table((), _summary(receipt)),
        "<h2>What was deleted</h2>",
        _html_table(("table", "id", "tier", "reason", "sha256"), _deleted(receipt)),
    ]
    if changed := _changed(receipt):
        parts += ["<h2>What stayed, and lost references</h2>"]
        parts += [_html_table(("table", "id", "fields", "sha256 before", "after"), changed)]
    if skipped:
        parts += ["<h2>What stayed, although planned</h2>", _html_table(("group", "reason"), skipped)]
    proof = "".join(f"<li>{html.escape(visible(text))}</li>" for text in _proof(receipt))
    return "".join([*parts, f"<h2>How it was proven</h2><ul>{proof}</ul></body></html>"])


def receipts_text(receipts: Sequence[Data]) -> str:
    """Return the receipts of a store, one a line."""
    if not receipts:
        return "no purge was recorded in this store"
    rows = [
        (
            visible(str(r["id"])),
            visible(str(r["deployment"])),
            str(r["finished_at"]),
            str(len(r["deleted"])),
            str(len(r["skipped"])),
            "proven" if (r["verified"] or {}).get("ok") else "NOT PROVEN",
            truncated(visible(str(r["actor"])), 24),
        )
        for r in receipts
    ]
    return columns([("receipt", "deployment", "finished", "deleted", "skipped", "proof", "by"), *rows])


def verdict_text(verdict: Data) -> str:
    """Return what a verification found."""
    lines = [f"{count(verdict['gone'], 'document')} gone as they should be"]
    lines += [f"STILL THERE: {visible(id_)}" for id_ in verdict["still_there"]]
    lines += [f"DANGLING: {visible(text)}" for text in verdict["dangling"]]
    lines += [f"OUTSIDE THE PLAN: {visible(id_)}" for id_ in verdict["outside_plan"]]
    if verdict.get("left"):
        lines.append(f"{count(verdict['left'], 'planned document')} left: the plan was not carried out to its end")
    return "\n".join(lines)


_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:64rem;padding:0 1rem}"
    "table{border-collapse:collapse;display:block;overflow-x:auto}td,th{border:1px solid #bbb;padding:.25rem .6rem;"
    "text-align:left;vertical-align:top}td:first-child{white-space:nowrap}code{word-break:break-all;font-size:.8em}"
)


def _totals(totals: Data) -> list[tuple[str, ...]]:
    return [
        (
            visible(table),
            count(total["count"]),
            percent(total["share"]),
            NOTHING if total["bytes"] is None else byte_count(total["bytes"]),
        )
        for table, total in totals.items()
    ]


def _examples(documents: Sequence[Data]) -> Iterable[str]:
    shown: dict[str, int] = {}
    for document in documents:
        shown[document["table"]] = shown.get(document["table"], 0) + 1
        if shown[document["table"]] <= EXAMPLES:
            text = f"  {document['table']} {document['id']} ({document['tier']}): {document['reason']}"
            yield truncated(visible(text), 140)


def _summary(receipt: Data) -> list[tuple[str, str]]:
    backup, verified = receipt["backup"], receipt["verified"]
    proof = "not looked at" if verified is None else ("proven" if verified["ok"] else "NOT AS IT SHOULD BE")
    return [
        ("receipt", str(receipt["id"])),
        ("deployment", f"{receipt['deployment']} ({receipt.get('type', '')})"),
        ("deleted", count(len(receipt["deleted"]), "document")),
        ("groups that stayed", str(len(receipt["skipped"]))),
        ("by", str(receipt["actor"])),
        ("because", str(receipt["reason"] or NOTHING)),
        ("approved by", str(receipt["approved_by"] or NOTHING)),
        ("time", f"{receipt['started_at']} to {receipt['finished_at']}"),
        ("key", str(receipt["key"])),
        ("plan", str(receipt["plan_hash"])),
        ("backup", f"{backup['path']}, SHA-256 {backup['sha256']}" if backup else NOTHING),
        ("paused meanwhile", {"us": "yes", "others": "it was already"}.get(str(receipt.get("paused_by")), "no")),
        ("proof", proof),
        ("health", f"{_status(receipt['health_before'])} before, {_status(receipt['health_after'])} after"),
    ]


def _proof(receipt: Data) -> list[str]:
    verified, backup = receipt["verified"], receipt["backup"]
    found = []
    if backup:
        found.append(f"a backup of {backup['documents']} documents was written and compared before any went")
    if verified is None:
        return [*found, "nothing was verified"]
    found.append(f"{verified['gone']} deleted documents were read back and are gone")
    found += [f"STILL THERE: {id_}" for id_ in verified["still_there"]]
    found += [f"DANGLING: {text}" for text in verified["dangling"]]
    found += [f"DELETED OUTSIDE THE PLAN: {id_}" for id_ in verified["outside_plan"]]
    if not verified["dangling"]:
        but = f", other than along {', '.join(receipt['ignored'])}" if receipt.get("ignored") else ""
        found.append(f"no document of the deployment refers to a deleted one{but}")
    if verified["audit_read"]:
        ours = f"the deployment's audit log was read: {len(receipt['audit'])} of its entries are of this purge"
        found.append(ours if verified["outside_plan"] else f"{ours}, and name no other document")
    else:
        found.append("the deployment's audit log could not be read")
    return found


def _deleted(receipt: Data) -> list[tuple[str, ...]]:
    return [
        (document["table"], document["id"], document["tier"], document["reason"], str(document["sha256"]))
        for document in receipt["deleted"]
    ]


def _changed(receipt: Data) -> list[tuple[str, ...]]:
    return [
        (item["table"], item["id"], ", ".join(item["fields"]), item["sha256"], item["after_sha256"])
        for item in receipt.get("scrubbed", ())
    ]


def _status(health: Any) -> str:
    found = health.get("health", {}).get("status") if isinstance(health, dict) else None
    return str(found) if found else "unknown"


def _md(text: object) -> str:
    safe = visible(str(text))
    for character in "\\`*_[]<>|":
        safe = safe.replace(character, f"\\{character}")
    return safe


def _html_cell(cell: object) -> str:
    text = html.escape(visible(str(cell)))
    return f"<code>{text}</code>" if HASH.fullmatch(text) else text


def _html_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    head = "".join(f"<th>{html.escape(name)}</th>" for name in header)
    body = "".join("<tr>" + "".join(f"<td>{_html_cell(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table>{f'<tr>{head}</tr>' if header else ''}{body}</table>"
