"""Words of a log to values: times, states, metrics, commands, offsets of checkpoints.

Each reader gives None for a text that is not its kind; none of them raises.
"""

from __future__ import annotations

import re
import shlex
from datetime import datetime
from typing import Literal, NamedTuple
from urllib.parse import urlsplit

from analyzer.analysis.rollout_log.types import Command, State, StatusLine, Timestamp

HIDDEN = "<hidden>"
FLAG_NAME = re.compile(r"\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b")

_MINUTE_MS = 60_000
_FARTHEST_WEST, _FARTHEST_EAST = -12 * 60, 14 * 60  # minutes from UTC
_UNITS_MS = {"s": 1_000, "m": _MINUTE_MS, "h": 3_600_000, "d": 86_400_000}
_DIGITS_OF_OFFSET = r"([0-9]{1,2})(?::?([0-9]{2}))?"
_TIME = re.compile(  # a dash of print behind a time without a zone is a span, behind UTC it is a minus
    r"([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})(?:[ \t\u00a0\u202f]+|T)"
    r"([0-9]{1,2}):([0-9]{2})(?::([0-9]{2})(?:[.,]([0-9]{1,9}))?)?"
    rf"(?:\s*(\()?(?:(Z|UTC|GMT)(?![A-Za-z])(?:\s?([+\-−–‐‑]){_DIGITS_OF_OFFSET})?|([+\-−]){_DIGITS_OF_OFFSET})(?(8)\)))?"
)
_CHECKPOINT = re.compile(
    r"T\s*\+\s*([0-9]{1,6}(?:\.[0-9]{1,6})?)\s*(?!ms)(s|m|h|d)(?:ec|in|r|ay|our|econd|inute)?s?", re.I
)
_NUMBER = re.compile(r"([0-9]{1,3}(?:,[0-9]{3})+|[0-9]{1,15})(\.[0-9]{1,15})?\s*(%|[a-z]+)?", re.I)
_COUNTS = re.compile(r"([0-9]{1,15})\s*(?:/|of)\s*([0-9]{1,15})")
_DURATIONS_MS = {"ms": 1, "s": 1_000, "sec": 1_000, "seconds": 1_000, "m": _MINUTE_MS, "min": _MINUTE_MS,
                 "minutes": _MINUTE_MS, "h": 3_600_000, "hours": 3_600_000}  # fmt: skip
_STATES: dict[str, State] = {
    "completed": "completed", "complete": "completed", "done": "completed", "success": "completed",
    "successful": "completed", "succeeded": "completed", "passed": "completed", "pass": "completed",
    "ok": "completed", "skipped": "skipped", "skip": "skipped", "not applicable": "skipped",
    "pending": "pending", "todo": "pending", "to do": "pending", "not started": "pending", "waiting": "pending",
    "planned": "pending", "scheduled": "pending", "in progress": "in_progress", "running": "in_progress",
    "started": "in_progress", "ongoing": "in_progress", "monitoring": "in_progress", "failed": "failed",
    "fail": "failed", "failure": "failed", "blocked": "failed", "rolled back": "rolled_back",
    "reverted": "rolled_back",
}  # fmt: skip
_MARKS: dict[str, State] = {
    "✅": "completed", "✔": "completed", "☑": "completed", "✓": "completed", "🟢": "completed", "⏭": "skipped",
    "⏩": "skipped", "⬜": "pending", "◻": "pending", "☐": "pending", "□": "pending", "⏸": "pending",
    "🔄": "in_progress", "⏳": "in_progress", "🟡": "in_progress", "🚧": "in_progress", "❌": "failed", "✗": "failed",
    "✖": "failed", "🔴": "failed", "↩": "rolled_back", "⏪": "rolled_back",
}  # fmt: skip
_WORDS = "|".join(re.escape(word).replace(r"\ ", r"[ _-]") for word in sorted(_STATES, key=len, reverse=True))
_STATE = re.compile(rf"({_WORDS})\b(.*)", re.IGNORECASE | re.DOTALL)
_LOUD_STATE = re.compile(r"[^A-Za-z]*[A-Z]{2}[A-Z _]*\s*[-–—:;,]")  # "FAILED - timeouts", and not "Failed to answer"
_SECRETS = (
    re.compile(r"(\benv\s+set\s+(?:--\S+\s+)*[A-Z0-9_]{0,60}(?:KEY|SECRET|TOKEN|PASSWORD|CREDENTIAL)[A-Z0-9_]{0,60}(?:\s+|=))"
               r"('[^']*'|\"[^\"]*\"|\S+)"),
    re.compile(r"(\b[A-Z0-9_]{0,60}(?:KEY|SECRET|TOKEN|PASSWORD|CREDENTIAL)[A-Z0-9_]{0,60}=)('[^']*'|\"[^\"]*\"|\S+)"),
    re.compile(r"(--admin-key[ =])(\S+)"),
    re.compile(r"(\bsk-)([A-Za-z0-9_-]{16,})"),
    re.compile(r"([Aa]uthorization:\s*(?:Bearer|Convex)\s+)(\S+)"),
    re.compile(r"(\b(?:prod|dev|preview|project):[A-Za-z0-9:_-]{1,80}\|)(\S+)"),
)  # fmt: skip
_MAY_BE_SECRET = re.compile(r"KEY|SECRET|TOKEN|PASSWORD|CREDENTIAL|--admin-key|\bsk-|uthorization:|\|")
_SECRET_NAME = re.compile(r"KEY|SECRET|TOKEN|PASSWORD|CREDENTIAL")
_HARMLESS_VALUE = re.compile(r"[A-Za-z0-9_.-]{1,16}")
_OPTIONS_WITH_VALUE = frozenset(
    ("--deployment", "--deployment-name", "--preview-name", "--env-file", "--url", "--admin-key", "--component")
)


class Number(NamedTuple):
    """A metric cell as a number."""

    value: float | None
    unit: Literal["share", "count", "ms", "text"]
    k: int | None = None
    n: int | None = None


def timestamp(text: str, line: int, log_offset_minutes: int | None) -> tuple[Timestamp, str] | None:
    """Read the time at the start of a text.

    returns  (time, what stands behind it), or None when there is no such date and time
    """
    match = _TIME.match(text)
    if match is None:
        return None
    offset, has_offset = _offset_minutes(match), match[9] is not None or match[13] is not None
    if has_offset and offset is None:
        return None
    year, month, day, hour, minute = (int(part) for part in match.group(1, 2, 3, 4, 5))
    fraction = int(((match[7] or "") + "000")[:3])
    try:
        local = datetime(year, month, day, hour, minute, int(match[6] or 0))  # noqa: DTZ001 - the offset is taken off below
    except ValueError:
        return None
    ms: int | None = None
    taken = offset if has_offset else log_offset_minutes
    if taken is not None:
        since = local - datetime(1970, 1, 1)  # noqa: DTZ001 - both are in the same offset
        ms = since.days * 86_400_000 + since.seconds * 1_000 + fraction - taken * _MINUTE_MS
    precision_ms = _MINUTE_MS if match[6] is None else 1_000 if match[7] is None else 1
    return Timestamp(ms, precision_ms, has_offset, match[0].strip(), line), text[match.end() :].strip()


def offset_minutes(text: str) -> int | None:
    """Give the offset from UTC of the time at the start of a text, None when it has none."""
    match = _TIME.match(text)
    return _offset_minutes(match) if match else None


def _offset_minutes(match: re.Match[str]) -> int | None:
    """Give the offset of a time; None when it has none, or one that no place on earth keeps, such as 14:05-14:20."""
    sign, hours, rest = match.group(10, 11, 12) if match[9] else match.group(13, 14, 15)
    if sign is None:
        return 0 if match[9] else None
    minutes = int(hours) * 60 + int(rest or 0)
    if sign != "+":
        minutes = -minutes
    return minutes if minutes % 15 == 0 and _FARTHEST_WEST <= minutes <= _FARTHEST_EAST else None


def state(text: str, line: int) -> StatusLine | None:
    """Read "✅ DONE - No alerts"; a word counts more than the mark before it."""
    bare = text.strip().replace("\ufe0f", "")
    mark: State | None = None
    while bare and not bare[0].isalnum() and bare[0] not in "([":
        mark = mark or _MARKS.get(bare[0])
        bare = bare[1:].lstrip()
    match = _STATE.match(bare)
    if match is None:
        return StatusLine(mark, redact(bare), text, line) if mark else None
    word = _STATES[re.sub(r"[_-]", " ", match[1].lower())]
    return StatusLine(word, redact(match[2].strip().lstrip("-–—:,.✅ ").strip()), text, line)


def heading_state(text: str, line: int) -> tuple[str, StatusLine | None]:
    """Split "ENABLE_X (COMPLETED)", "ENABLE_X - DONE" or "ENABLE_X ✅" into the title and its state."""
    bare = text.replace("\ufe0f", "").strip()
    for opening, closing in (("(", ")"), (" - ", ""), (" – ", ""), (" — ", "")):
        title, found_opening, words = bare.rpartition(opening)
        if found_opening and words.endswith(closing):
            words = words.removesuffix(closing).strip()
            found = state(words, line)
            if found and (not found.detail or words == words.upper() or _LOUD_STATE.match(words)):
                return title.strip(), found
    if bare and bare[-1] in _MARKS:
        return bare[:-1].strip(), state(bare[-1], line)
    return bare, None


def checkpoint_offset_ms(label: str) -> int | None:
    """Read "T+1h" or "T + 30 min" as milliseconds after the change."""
    match = _CHECKPOINT.fullmatch(label.strip("*`_ "))
    return round(float(match[1]) * _UNITS_MS[match[2].lower()]) if match else None


def number(text: str) -> Number:
    """Read a metric cell: "0%", "1,204", "2.5 s", "3/120", "0% (0/120)"."""
    bare = text.strip("*`_ ")
    counts = _COUNTS.search(bare)
    k, n = (int(counts[1]), int(counts[2])) if counts else (None, None)
    if k is not None and n is not None and not 0 <= k <= n:
        k = n = None
    match = _NUMBER.match(bare)
    rest = bare[match.end() :].strip() if match else bare
    if counts and k is not None and n and counts.span() == (0, len(bare)):
        return Number(k / n, "share", k, n)
    if match is None or (rest and not (rest.startswith("(") and rest.endswith(")"))):
        return Number(None, "text", k, n)
    value = float(match[1].replace(",", "") + (match[2] or ""))
    unit = (match[3] or "").lower()
    if unit == "%":
        return Number(value / 100, "share", k, n) if value <= 100 else Number(None, "text", k, n)
    if unit in _DURATIONS_MS:
        return Number(value * _DURATIONS_MS[unit], "ms", k, n)
    return Number(None, "text", k, n) if unit else Number(value, "count", k, n)


def command(text: str, line: int) -> Command:
    """Read one command line."""
    bare = text.strip().strip("`").strip().removeprefix("$ ").strip()
    shown = redact(bare)
    match _convex_words(bare):
        case ["env", "set", name, *values]:
            name, equals, given = name.partition("=")
            value = given if equals else " ".join(values)
            if value and (_SECRET_NAME.search(name) or not _HARMLESS_VALUE.fullmatch(value)):
                shown = redact(bare.replace(value, HIDDEN)) if value in bare else f"npx convex env set {name} {HIDDEN}"
            known = value if value in ("true", "false") else None  # to the app `TRUE` is neither
            return Command(shown, "set-flag", line, name, known)
        case ["env", "remove" | "rm" | "unset", name, *_]:
            return Command(shown, "remove-flag", line, name)
        case ["run", function, *_]:
            return Command(shown, "run", line, function=function)
    return Command(shown, "other", line)


def _convex_words(text: str) -> list[str]:
    """Give the words behind `convex` of a command line, without its options."""
    try:
        words = shlex.split(text) if any(mark in text for mark in "'\"\\") else text.split()
    except ValueError:  # a quotation mark without its pair
        words = text.split()
    start = next((at for at, word in enumerate(words) if word == "convex" or word.startswith("convex@")), None)
    if start is None:
        return []
    kept: list[str] = []
    rest = iter(words[start + 1 :])
    for word in rest:
        if word in _OPTIONS_WITH_VALUE:
            next(rest, None)
        elif not word.startswith("--"):
            kept.append(word)
    return kept


def origin(text: str) -> str | None:
    """Give the origin of the deployment's URL, in lower case and without a port that says nothing."""
    link = re.search(r"https?://[^\s<>()\[\]`\"]+(?<![.,;:!?*_'])", text)
    try:
        parts = urlsplit(link[0]) if link else None
        host, port = (parts.hostname, parts.port) if parts else (None, None)
    except ValueError:
        return None
    if not parts or not host or parts.username is not None:
        return None
    return f"{parts.scheme}://{host}" + (f":{port}" if port not in (None, 80, 443) else "")


def redact(text: str) -> str:
    """Replace the values of secrets: a log may hold the command that set one, and reports quote the log."""
    if not _MAY_BE_SECRET.search(text):
        return text
    for pattern in _SECRETS:
        text = pattern.sub(rf"\g<1>{HIDDEN}", text)
    return text


def slug(text: str) -> str:
    """Give "error_rate" for "Error Rate"."""
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")
