"""Takes what was forgotten out of what stays: ids become other ids, texts a word; in JSON, entries that tell of it go.

An id that something else refers to is replaced by a new one of the same table, the same wherever it stood: what
referred to one document still does, to one that nobody can find.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable
from typing import Any

from analyzer.convex import ids

WORD = "[forgotten]"
LONG_TEXT = 24  # characters: a text so long stands for nothing else, wherever it is found
_TOKEN = re.compile(r"[0-9A-Za-z_-]+")


class Matcher:
    """Knows what was forgotten."""

    def __init__(self, forgotten: Iterable[str], texts: Iterable[str]) -> None:
        """forgotten: ids. texts: values that only the forgotten documents had; a short one counts only as a whole."""
        self.substitutes = {id_: _substitute(id_) for id_ in forgotten}
        found = sorted(set(texts), key=lambda text: (-len(text), text))  # a longer one may hold a shorter one
        self.anywhere = [text for text in found if "@" in text or len(text) >= LONG_TEXT]
        self.whole = set(found)

    def for_documents(self) -> Matcher:
        """Return one for documents that stay: what they hold is theirs, but for ids and addresses."""
        other = Matcher((), (text for text in self.anywhere if "@" in text))
        other.substitutes = self.substitutes
        return other

    def hits(self, text: str) -> bool:
        """Return whether anything forgotten stands in a text."""
        if text in self.whole or any(known in text for known in self.anywhere):
            return True
        return any(token in self.substitutes for token in _TOKEN.findall(text))

    def masked(self, text: str) -> str:
        """Return a text with other ids, and without the texts."""
        if text in self.whole:
            return WORD
        for known in self.anywhere:
            text = text.replace(known, WORD)
        return _TOKEN.sub(lambda found: self.substitutes.get(found[0], found[0]), text)

    def masked_in(self, value: Any) -> Any:
        """Return parsed JSON with every text in it masked."""
        if isinstance(value, str):
            return self.masked(value)
        if isinstance(value, list):
            return [self.masked_in(item) for item in value]
        if isinstance(value, dict):
            return {self.masked(name): self.masked_in(item) for name, item in value.items()}
        return value

    def cleaned(self, value: Any) -> Any:
        """Return parsed JSON without the entries of lists and objects that tell of what was forgotten."""
        if isinstance(value, str):
            return self.masked(value)
        if isinstance(value, list):
            return [self.cleaned(item) for item in value if not self._tells(item)]
        if isinstance(value, dict):
            return {name: self.cleaned(item) for name, item in value.items() if not self.hits(name)}
        return value

    def _tells(self, value: Any) -> bool:
        """Return whether anything forgotten stands directly in an entry: its own fields, not what they hold in turn."""
        if isinstance(value, str):
            return self.hits(value)
        if isinstance(value, dict):
            return any(isinstance(item, str) and self.hits(item) for item in value.values())
        return False


def _substitute(id_: str) -> str:
    if not ids.is_valid(id_):
        return f"forgotten-{secrets.token_hex(ids.RANDOM_BYTES)}"
    return ids.encode(ids.decode(id_).table_number, secrets.token_bytes(ids.RANDOM_BYTES))
