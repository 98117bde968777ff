"""Headings: where phases, tasks, known issues, references and their parts begin."""

from __future__ import annotations

import re

from analyzer.analysis.rollout_log.context import Context, Part
from analyzer.analysis.rollout_log.drafts import Draft, IssueDraft, SmokeDraft
from analyzer.analysis.rollout_log.scan import Heading
from analyzer.analysis.rollout_log.types import StatusLine
from analyzer.analysis.rollout_log.values import heading_state

_NUMBERED = r"\s+([0-9]{1,6}(?:\.[0-9]{1,6}){0,6})(?:\s*[:.\-–—]\s*|\s+|$)(.*)"
_PHASE = re.compile("phase" + _NUMBERED, re.IGNORECASE)
_TASK = re.compile("(?:task|step)" + _NUMBERED, re.IGNORECASE)
_MARKS_BEFORE = re.compile(r"^[^\w(\"'`]+")
_AFTERWARDS = re.compile(r"verification|post-?\s?rollout|\bfinal\b", re.IGNORECASE)
_KNOWN_PART = re.compile(
    r"pre-?\s?(?:execution|flight|check)|checklist|monitor|checkpoint|flag|health|metric|alert|baseline|verif|result",
    re.IGNORECASE,
)
_SECTION_PARTS: tuple[tuple[str, Part], ...] = (
    ("known issue", "issues"),
    ("reference", "references"),
    ("rollback", "rollback"),
    ("smoke", "smoke"),
)


def read_heading(context: Context, block: Heading) -> None:
    """Open what a heading begins."""
    title, status = heading_state(_MARKS_BEFORE.sub("", block.text), block.line)
    context.heading = title
    phase, task = _PHASE.fullmatch(title), _TASK.fullmatch(title)
    if phase:
        _open(context, block, Draft("phase", phase[1], phase[2].strip(), block.line, heading=status))
        context.took(block.line, "phase", f"phase {phase[1]}: {phase[2]}" + (f", {status.state}" if status else ""))
    elif task and context.section_level:
        context.heading = task[2].strip()
        context.task = Draft("task", task[1], task[2].strip(), block.line, heading=status)
        context.section.tasks.append(context.task)
        context.task_level, context.part = block.level, ""
        context.took(block.line, "task", f"task {task[1]}: {task[2]}")
    elif block.level == 1 and not context.section_level and not context.title:
        context.title = block.text
        context.took(block.line, "title", block.text)
    elif context.section_level and block.level > context.section_level:
        _read_part(context, block, title)
    else:
        _read_section(context, block, title, status)


def _open(context: Context, block: Heading, draft: Draft, part: Part = "") -> None:
    context.sections.append(draft)
    context.task, context.section_level, context.part = None, block.level, part
    if part == "smoke":
        draft.smoke.append(SmokeDraft(block.line))


def _read_section(context: Context, block: Heading, title: str, status: StatusLine | None) -> None:
    """Open a section outside the phases."""
    words = title.lower()
    part: Part = next((part for key, part in _SECTION_PARTS if key in words), "")
    afterwards = not part and _AFTERWARDS.search(words) is not None
    kind = "verification" if afterwards else "other"
    _open(context, block, Draft("verification" if afterwards else "other", "", title, block.line, heading=status), part)
    if part or afterwards or _KNOWN_PART.search(words):
        context.took(block.line, part or kind, title)
    else:
        context.missed(block.line, "section", f"“{title}” is no kind of section that is known here")


def _read_part(context: Context, block: Heading, title: str) -> None:
    """Read a heading inside a section."""
    if context.part == "issues":
        context.issues.append(IssueDraft(block.text, block.line))
        context.took(block.line, "known-issue", title)
        return
    if context.part == "references":
        context.references.append((title, [], block.line))
        context.took(block.line, "reference", title)
        return
    if not (context.task and block.level > context.task_level):
        context.task = None
    words = title.lower()
    context.part = "rollback" if "rollback" in words else "smoke" if "smoke" in words else ""
    if context.part == "smoke":
        context.section.smoke.append(SmokeDraft(block.line))
    if context.part or _KNOWN_PART.search(words):
        context.took(block.line, "heading", title)
    else:
        context.missed(block.line, "heading", f"“{title}” is no kind of heading that is known here")
