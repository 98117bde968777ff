"""Numbers and foreign text into words, and words into numbers. Pure; knows nothing of where they come from."""

from __future__ import annotations

import math
import re
import unicodedata
from datetime import UTC, datetime, timedelta

MS_OF_UNIT = {"d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1}
MAX_DURATION_MS = 100 * 366 * MS_OF_UNIT["d"]  # a century: more is a slip of the keyboard
NOTHING = "–"  # what stands for a value that does not exist

_DURATION_PART = re.compile(r"(?<!\d)(\d+)(ms|[dhms])", re.ASCII)
_DURATION = re.compile(r"(?:\d+(?:ms|[dhms]))+", re.ASCII)
_RFC_3339 = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d)(:\d\d)?(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:\d\d)?", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_MS = 253_402_300_799_999  # 9999-12-31T23:59:59.999Z
# Control, format (bidi, zero width), unassigned, private use, lone surrogates, line ends.
_HIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})
# DEL, C1 and the format characters of all planes, as in _HIDDEN_CATEGORIES; JSON escapes the rest by itself.
_STEERS = re.compile(
    "[\x7f-\x9f\u00ad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    "\ufff9-\ufffb\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0001-\U000e007f]"
)
_SHORT_ESCAPES = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


_BYTE_COUNT = re.compile(r"(?P<number>\d{1,9}(?:\.\d{1,3})?) ?(?P<unit>[KMGTkmgt])(?P<binary>[iI]?)[bB]?")


def parse_duration_ms(text: str) -> int:
    """Read `30s`, `15m`, `1h`, `7d`, `250ms` or a chain of them, largest first: `1h30m`.

    returns  milliseconds, 0 to a century
    raises   ValueError with one sentence that says what is expected
    """
    is_duration = _DURATION.fullmatch(text) is not None
    parts = [(int(number), unit) for number, unit in _DURATION_PART.findall(text)] if is_duration else []
    sizes = [MS_OF_UNIT[unit] for _, unit in parts]
    if not is_duration or sizes != sorted(set(sizes), reverse=True):
        raise ValueError(f"{visible(text)!r} is no duration; write it like 30s, 15m, 1h or 7d")
    total_ms = sum(number * MS_OF_UNIT[unit] for number, unit in parts)
    if total_ms > MAX_DURATION_MS:
        raise ValueError(f"{visible(text)!r} is longer than a century")
    return total_ms


def duration(ms: int) -> str:
    """Write milliseconds (>= 0) so that `parse_duration_ms` reads them back: 5400000 -> `1h30m`."""
    words: list[str] = []
    for unit, size in MS_OF_UNIT.items():
        number, ms = divmod(ms, size)
        if number:
            words.append(f"{number}{unit}")
    return "".join(words) or "0s"


def age(ms: float) -> str:
    """Write a length of time for people, rounded down to its two largest units: `3d 4h`, `12m 5s`, `0s`."""
    seconds = math.floor(abs(ms) / 1000)
    words: list[str] = []
    for unit in ("d", "h", "m", "s"):
        number, seconds = divmod(seconds, MS_OF_UNIT[unit] // 1000)
        if number or words:
            words.append(f"{number}{unit}")
    shown = [word for word in words[:2] if not word.startswith("0")]
    return ("-" if ms < 0 else "") + (" ".join(shown) or "0s")


def parse_instant_ms(text: str) -> int:
    """Read an instant: whole milliseconds since the epoch, or RFC 3339 with an offset.

    returns  milliseconds since the epoch; digits past the millisecond are cut off
    raises   ValueError with one sentence that says what is expected
    """
    if re.fullmatch(r"\d{1,15}", text, re.ASCII) and int(text) <= _LAST_MS:
        return int(text)
    match = _RFC_3339.fullmatch(text)
    if match is None:
        raise ValueError(
            f"{visible(text)!r} is no instant; write 2025-12-16T12:58:00Z, another offset like -06:00,"
            " or milliseconds since the epoch"
        )
    day, minute, second, fraction, offset = match.groups()
    if offset is None:
        raise ValueError(f"{visible(text)!r} has no offset; add Z for UTC, or one like -06:00")
    iso_offset = "+00:00" if offset in "Zz" else offset
    try:
        moment = datetime.fromisoformat(f"{day}T{minute}{second or ':00'}{iso_offset}")
        whole_ms = (moment - _EPOCH) // timedelta(milliseconds=1)
    except (ValueError, OverflowError) as problem:
        raise ValueError(f"{visible(text)!r} is not on the calendar: {problem}") from problem
    ms = whole_ms + int((fraction or "0").ljust(3, "0")[:3])
    if not 0 <= ms <= _LAST_MS:
        raise ValueError(f"{visible(text)!r} lies outside the years 1970 to 9999")
    return ms


def instant(ms: float) -> str:
    """Write milliseconds since the epoch as RFC 3339 UTC, rounded down to the millisecond.

    `2025-12-16T12:58:00Z`, or `2025-12-16T12:58:00.250Z` where the milliseconds are not zero. What lies outside the
    years 1970 to 9999 comes from a broken document and is written as the number that it is.
    """
    if not 0 <= ms <= _LAST_MS:  # NaN as well
        return f"{ms} ms"
    whole_s, rest_ms = divmod(math.floor(ms), 1000)
    text = (_EPOCH + timedelta(seconds=whole_s)).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{rest_ms:03d}Z" if rest_ms else f"{text}Z"


def percent(share: float | None, digits: int = 1) -> str:
    """Write a share of 0..1 as a percentage. What is not all, or not nothing, never reads as 100 or 0."""
    if share is None or math.isnan(share):
        return NOTHING
    step = 10.0**-digits
    if 0 < share * 100 < step / 2:
        return f"<{step:.{digits}f}%"
    if 100 - step / 2 <= share * 100 < 100:
        return f">{100 - step:.{digits}f}%"
    return f"{share * 100:.{digits}f}%"


def dollars(amount: float) -> str:
    """Write US dollars, with as many digits as the cost of one workflow needs: `$12.50`, `$0.0312`, `$0.000415`."""
    digits = 2 if abs(amount) >= 10 else 4 if abs(amount) >= 0.01 or amount == 0 else 6
    return f"${amount:,.{digits}f}"


def byte_count(size_bytes: int) -> str:
    """Write a number of bytes in powers of 1024: `512 B`, `1.4 MiB`."""
    size = float(size_bytes)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(size) < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"


def parse_byte_count(text: str) -> int:
    """Read a number of bytes with its unit: `512MiB`, `1.5 GiB`, `2GB`.

    raises  ValueError
    """
    match = _BYTE_COUNT.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is no amount of memory: write it as 512MiB, 1.5GiB or 2GB")
    base = 1024 if match["binary"] else 1000
    return int(float(match["number"]) * base ** "KMGT".index(match["unit"].upper()) * base)


def count(number: int, noun: str = "", plural: str = "") -> str:
    """Write a count with its noun: `1 message`, `5,000 messages`, or just `5,000`."""
    if not noun:
        return f"{number:,}"
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def n_of_m(part: int, whole: int) -> str:
    """Write a part of a whole: `3 of 8`."""
    return f"{part:,} of {whole:,}"


def visible(text: str) -> str:
    """Make foreign text safe to print on one line of a terminal or a report.

    Control and format characters (escape sequences, line breaks, text direction, zero width), lone surrogates and
    characters that stand for nothing are shown as escapes instead of being obeyed. A backslash is doubled, so that no
    text can pretend to be an escape.
    """
    if text.isascii() and text.isprintable() and "\\" not in text:
        return text
    return "".join(_visible_character(character) for character in text)


def _visible_character(character: str) -> str:
    if character == "\\":
        return "\\\\"
    if unicodedata.category(character) not in _HIDDEN_CATEGORIES:
        return character
    if character in _SHORT_ESCAPES:
        return _SHORT_ESCAPES[character]
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def defused(text: str) -> str:
    """Show what a terminal would obey as escapes, but let line breaks and tabs be, and backslashes as they are.

    The last door of text of several lines: what is safe already stays as it is.
    """
    if text.isprintable():
        return text
    return "".join(c if c in "\n\t" or c.isprintable() else _visible_character(c) for c in text)


def json_defused(text: str) -> str:
    """Write the same JSON with escapes for all that a terminal would obey; what is written so reads as it was."""
    if text.isascii() and "\x7f" not in text:
        return text
    return _STEERS.sub(lambda found: "".join(f"\\u{unit:04x}" for unit in _utf16(found[0])), text)


def _utf16(character: str) -> tuple[int, ...]:
    raw = character.encode("utf-16-be", "surrogatepass")
    return tuple(int.from_bytes(raw[at : at + 2], "big") for at in range(0, len(raw), 2))


def width(text: str) -> int:
    """Return the columns of a terminal that visible text takes: wide East Asian two, combining marks none."""
    if text.isascii():
        return len(text)
    return sum(_columns(character) for character in text)


def _columns(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1


def truncated(text: str, columns: int) -> str:
    """Cut visible text to at most this many columns (>= 1); what is cut ends in `…`."""
    if width(text) <= columns:
        return text
    kept, room = [], columns - 1
    for character in text:
        room -= _columns(character)
        if room < 0:
            break
        kept.append(character)
    return "".join(kept) + "…"


def padded(text: str, columns: int, *, right: bool = False) -> str:
    """Fill visible text with spaces up to this many columns, at the left if `right`-aligned."""
    filling = " " * max(0, columns - width(text))
    return filling + text if right else text + filling


def csv_text(text: str) -> str:
    """Make foreign text safe in a cell of CSV: no formula for a spreadsheet, nothing that a terminal obeys."""
    text = defused(text)
    return "'" + text if text.lstrip(" \u00a0").startswith(_FORMULA_STARTS) else text
