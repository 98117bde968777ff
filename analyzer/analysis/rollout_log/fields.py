"""Fields, list items and prose: `**Status:** DONE`, `- [x] Rollback ready`, what stands below a known issue."""

from __future__ import annotations

import re
from collections.abc import Callable

from analyzer.analysis.rollout_log.context import Context
from analyzer.analysis.rollout_log.drafts import IssueDraft, SmokeDraft
from analyzer.analysis.rollout_log.scan import Field, Item, Text
from analyzer.analysis.rollout_log.types import ChecklistItem, Command, Timestamp
from analyzer.analysis.rollout_log.values import command, origin, redact, slug, state, timestamp

_PAIR = re.compile(r"\**([A-Za-z][\w /-]{0,40}?)\s?:\**\s*(.*)")
_TIME_INSIDE = re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}[ \tT\u00a0\u202f]")
_ZONE = re.compile(r"[^\W\d_]|\((?:UTC|GMT|AM|PM|[A-Z]{1,3}[SD]?T)\b")  # by name, or half of the day: CST, (PDT), PM
_CODE_SPAN = re.compile(r"`([^`]+)`")
_AT = frozenset(("timestamp", "time", "date", "executed", "executed_at", "started", "started_at"))
_FINISHED = frozenset(("completed", "completed_at", "finished", "finished_at", "ended", "ended_at"))
_NOTES = frozenset(("note", "notes", "result", "results", "output", "response", "verification", "comment"))
LONGEST_PARAGRAPH = 10_000  # characters that are kept of one
_ISSUE_FIELDS = {
    "cause": "cause",
    "root_cause": "cause",
    "impact": "impact",
    "verification": "verification",
    "resolution": "resolutions",
    "resolutions": "resolutions",
    "resolution_options": "resolutions",
    "workaround": "resolutions",
    "workarounds": "resolutions",
}


def read_field(context: Context, block: Field) -> None:
    """Read `**Key:** value` in the place where it stands."""
    key = slug(block.key)
    if context.part == "issues":
        _issue_field(context, block, key)
    elif not context.section_level and key in _LOG_FIELDS:
        _LOG_FIELDS[key](context, block)
    elif context.part == "smoke" and _smoke_pair(context, block.line, key, block.value):
        pass
    elif key in _AT:
        context.holder.at = _once(context, block, context.holder.at)
    elif key in _FINISHED:
        context.holder.finished = _once(context, block, context.holder.finished)
    elif key in ("status", "state"):
        _status(context, block)
    elif key in ("command", "commands"):
        texts = _CODE_SPAN.findall(block.value) or [block.value]
        commands = [command(text, block.line) for text in texts if text]
        add_commands(context, commands)
        context.took(block.line, "command", "; ".join(found.text for found in commands) or "commands follow")
    elif key in _NOTES or key == "reason":
        _keep(context, context.holder.reasons if key == "reason" else context.holder.notes, block.value)
        context.took(block.line, "note", redact(f"{block.key}: {block.value}"))
    else:
        _keep(context, context.holder.notes, f"{block.key}: {block.value}")
        context.missed(block.line, "field", f"the field “{block.key}” has no meaning here")


def add_commands(context: Context, commands: list[Command]) -> None:
    """Put commands where the place says: rollback, quick reference, or the task or phase."""
    title = context.heading.lower()
    if context.part == "references" and context.references:
        context.references[-1][1].extend(commands)
    if context.part == "rollback" and context.section.kind == "phase":
        context.section.rollback.extend(commands)
    elif "rollback" in title and context.part in ("rollback", "references"):
        context.rollback.extend(commands)
    elif context.part != "references":
        context.holder.commands.extend(commands)


def read_item(context: Context, block: Item) -> None:
    """Read a list item: a known issue's, a smoke test's, a box of a checklist, a field, or a command."""
    pair = _PAIR.fullmatch(block.text)
    if context.part == "issues":
        issue = _issue(context, block.line)
        target = issue.resolutions if issue.listing == "resolutions" else issue.text
        _keep(context, target, block.text.replace("**", ""))
        context.took(block.line, "known-issue", redact(block.text))
    elif context.part == "smoke" and pair and _smoke_pair(context, block.line, slug(pair[1]), pair[2]):
        pass
    elif block.checked is not None:
        match = _TIME_INSIDE.search(block.text)
        found = timestamp(block.text[match.start() :], block.line, context.offset_minutes) if match else None
        item = ChecklistItem(redact(block.text), block.checked, found[0] if found else None, block.line)
        context.holder.checklist.append(item)
        context.took(block.line, "checklist", ("done: " if block.checked else "open: ") + item.text)
    elif pair and block.text.startswith("**"):
        read_field(context, Field(block.line, pair[1], pair[2]))
    elif (span := _CODE_SPAN.fullmatch(block.text)) and command(span[1], block.line).kind != "other":
        add_commands(context, [command(span[1], block.line)])
        context.took(block.line, "command", redact(span[1]))
    else:
        _keep(context, context.holder.notes, block.text)
        context.missed(
            block.line, "item", "a list item outside checklists, smoke tests and known issues; kept as a note"
        )


def read_text(context: Context, block: Text) -> None:
    """Read a line of prose: it belongs to the field before it, or to a known issue, else it is only kept."""
    if block.continues and context.flow:
        if not context.flow(block.text):
            context.missed(block.line, "text", f"a paragraph of more than {LONGEST_PARAGRAPH:,} characters; cut here")
            return
        context.took(block.line, "text", redact(block.text))
    elif context.part == "issues":
        _keep(context, _issue(context, block.line).text, block.text)
        context.took(block.line, "known-issue", redact(block.text))
    else:
        context.flow = None
        context.holder.notes.append(redact(block.text))
        context.missed(block.line, "text", "free text; kept as a note, nothing was read from it")


def _keep(context: Context, target: list[str], text: str) -> None:
    """Keep a text, and what the next lines of its paragraph add to it."""

    def flow(more: str) -> bool:
        if len(target[-1]) > LONGEST_PARAGRAPH:
            return False
        target[-1] = f"{target[-1]} {redact(more)}".strip()
        return True

    target.append(redact(text))
    context.flow = flow


def _issue(context: Context, line: int) -> IssueDraft:
    if not context.issues:
        context.issues.append(IssueDraft("", line))
    return context.issues[-1]


def _issue_field(context: Context, block: Field, key: str) -> None:
    issue = _issue(context, block.line)
    name = _ISSUE_FIELDS.get(key)
    issue.listing = name or ""
    if name is None:
        _keep(context, issue.text, f"{block.key}: {block.value}")
        context.missed(block.line, "field", f"the field “{block.key}” has no meaning in a known issue; kept as text")
        return
    _keep(context, getattr(issue, name), block.value)
    context.took(block.line, "known-issue", redact(f"{block.key}: {block.value}"))


def _smoke_pair(context: Context, line: int, key: str, value: str) -> bool:
    """Read one line of a smoke test; False when it says nothing that is known."""
    tests = context.section.smoke
    bare = value.strip("`* ")
    if key in ("task_created", "task", "title", "test") and tests[-1].title:
        tests.append(SmokeDraft(line))
    test = tests[-1]
    if key in ("task_created", "task", "title", "test"):
        test.title = bare
    elif key in ("task_id", "id"):
        test.task_id = bare or None
    elif key in ("status", "result", "outcome") and (found := state(value, line)):
        test.status = found
    elif key in _AT and (when := timestamp(bare, line, context.offset_minutes)) and not when[1]:
        test.at = when[0]
    else:
        return False
    context.took(line, "smoke-test", redact(f"{key.replace('_', ' ')}: {bare}"))
    return True


def _status(context: Context, block: Field) -> None:
    found = state(block.value, block.line)
    if found is None:
        context.missed(
            block.line, "status", f"“{redact(block.value)}” is no state such as DONE, SKIPPED, PENDING or FAILED"
        )
    elif context.holder.status:
        context.missed(block.line, "status", "a second status in the same place; the first one counts")
    else:
        context.holder.status = found
        context.took(block.line, "status", found.state + (f": {found.detail}" if found.detail else ""))


def _once(context: Context, block: Field, earlier: Timestamp | None) -> Timestamp | None:
    """Read a time into a place that takes one."""
    found = _time(context, block)
    if earlier and found:
        context.missed(block.line, "timestamp", "a second time in the same place; the first one counts")
    return earlier or found


def _time(context: Context, block: Field) -> Timestamp | None:
    found = timestamp(block.value, block.line, context.offset_minutes)
    if found is None:
        context.missed(block.line, "timestamp", f"“{redact(block.value)}” is no date and time")
        return None
    when, rest = found
    if _ZONE.match(rest):  # the moment would be wrong without it
        context.missed(block.line, "timestamp", f"“{rest[:20]}” is no offset such as UTC-06:00")
        return None
    if rest:
        context.missed(block.line, "timestamp", f"the time was read, “{redact(rest)}” behind it was not")
    elif when.ms is None:
        context.missed(block.line, "timestamp", "a time without offset in a log without one; write one behind Started")
    else:
        context.took(block.line, "timestamp", when.text + ("" if when.has_offset else ", with the log's own offset"))
    return when


def _deployment(context: Context, block: Field) -> None:
    url = origin(block.value)
    if url is None:
        context.missed(block.line, "metadata", f"“{redact(block.value)}” is no URL of a deployment")
    else:
        context.url = context.url or url
        context.took(block.line, "metadata", f"deployment {url}")


def _started(context: Context, block: Field) -> None:
    context.started = _once(context, block, context.started)


def _total_phases(context: Context, block: Field) -> None:
    if re.fullmatch(r"[0-9]{1,6}", block.value):
        context.total_phases = int(block.value)
        context.took(block.line, "metadata", f"{block.value} phases planned")
    else:
        context.missed(block.line, "metadata", f"“{redact(block.value)}” is no number of phases")


_LOG_FIELDS: dict[str, Callable[[Context, Field], None]] = {
    "deployment_url": _deployment,
    "deployment": _deployment,
    "url": _deployment,
    "started": _started,
    "start": _started,
    "total_phases": _total_phases,
    "phases": _total_phases,
}
