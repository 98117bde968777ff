"""Which regular expressions a rule may use: the common ground of RE2, which runs them, and Python.

RE2 takes linear time and knows neither look-around nor back references. What passes here compiles in RE2, and its
size is bounded, so that no pattern can make a collect slow.
"""

from __future__ import annotations

import re
import warnings

MAX_PATTERN_CHARS = 1000
MAX_PIECES = 1000  # characters and sets to match, with every counted repeat written out; RE2 refuses larger ones

_ESCAPES = frozenset("dDwWsSbBtnrfv")
_TOKEN = re.compile(
    r"""(?P<escape>\\(?s:.))
    |(?P<set>\[\^?\]?(?:\\(?s:.)|[^\]\\])*\])
    |(?P<flags>\(\?[is]+\))
    |(?P<open>\((?:\?[is]*:)?)
    |(?P<close>\))
    |(?P<count>\{(?P<low>[0-9]{1,4})(?:,(?P<high>[0-9]{1,4})?)?\}\??)
    |(?P<many>[*+?]\??)
    |(?P<plain>(?s:[^\\()\[\]{}*+?]))""",
    re.VERBOSE,
)
_KINDS = ("escape", "set", "flags", "open", "close", "count", "many", "plain")


def problem(pattern: str) -> str | None:
    """Say what is wrong with a pattern, or None."""
    if len(pattern) > MAX_PATTERN_CHARS:
        return f"it has more than {MAX_PATTERN_CHARS} characters"
    found = _foreign(pattern)
    if found is not None:
        return found
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # Python warns of sets that may come to mean something else
            re.compile(pattern)
    except (re.error, OverflowError, RecursionError, FutureWarning) as error:
        return str(error)
    return None


def _foreign(pattern: str) -> str | None:
    """Find what Python allows and RE2 does not, and patterns that grow too large when written out."""
    position = 0
    pieces = [0]  # pieces so far in each open group
    last = 0  # pieces that a repeat would apply to; 0 where there is nothing to repeat
    while position < len(pattern):
        token = _TOKEN.match(pattern, position)
        place = f"at character {position + 1}"
        if token is None:
            return f"{pattern[position : position + 3]!r} {place} is not supported"
        text, kind = token[0], next(kind for kind in _KINDS if token[kind] is not None)
        if (kind == "escape" and not _escape_fits(text)) or (kind == "set" and not _set_fits(text)):
            return f"{text[:20]!r} {place} is not supported"
        if kind in ("count", "many") and not last:
            return f"the repeat {place} has nothing of its own to repeat"
        if kind == "close" and len(pieces) == 1:
            return f"the parenthesis {place} closes nothing"
        if kind == "open":
            pieces.append(0)
        added = 0
        if kind == "close":
            added = max(1, pieces.pop())
        elif kind == "count":
            added = last * (max(1, int(token["low"]), int(token["high"] or 0)) - 1)
        elif kind in ("escape", "set", "plain"):
            added = 1
        pieces[-1] += added
        if sum(pieces) > MAX_PIECES:
            return f"written out it has more than {MAX_PIECES} pieces"
        repeatable = kind in ("set", "close") or (kind in ("escape", "plain") and text not in _ASSERTIONS)
        last = added if repeatable else 0
        position = token.end()
    return None


_ASSERTIONS = frozenset({"^", "$", "|", r"\b", r"\B"})


def _escape_fits(text: str) -> bool:
    char = text[1]
    return char in _ESCAPES or (char.isascii() and not char.isalnum() and char.isprintable())


def _set_fits(text: str) -> bool:
    """Whether RE2 reads a set of characters as Python does; nested sets and named classes it does not."""
    inner = text[1:-1]
    escapes = re.findall(r"\\(?s:.)", inner)
    bare = re.sub(r"\\(?s:.)", "", inner)
    return "[" not in bare and all(_escape_fits(escape) and escape not in _ASSERTIONS for escape in escapes)
