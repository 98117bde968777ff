"""Pages of which each says where the next one begins: that one is asked for before this one is parsed.

A page holds thousands of documents, and its end says where the next one begins. So the end is read by itself, and the
page is parsed, checked and kept while the next one is waited for. What the end seems to say is only a guess until the
page was parsed: a page that was asked for by any other place than the one it names then is thrown away.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from analyzer.convex.beside import Beside
from analyzer.convex.client import Client, Unread
from analyzer.convex.permissions import VIEW_DATA

Asking = Callable[[Mapping[str, Any]], dict[str, Any] | None]
EDGE_BYTES = 65_536  # of a page, before its first list and behind its last one; more is no cursor
SENT_S = 0.02  # a page waits so long to be parsed for the request after it: others may have to be answered first


class Chain:
    """One request after the other; the next one is under way while an answer is parsed and used."""

    def __init__(self, client: Client, path: str, following: Asking) -> None:
        """Prepare; nothing is asked yet.

        following  tells the body of the request after a page by the page's fields, of which some may be missing: None
                   where there is none, or where they do not tell
        """
        self._client, self._path, self._following = client, path, following
        self._asked: _Asked | None = None

    def ask(self, body: dict[str, Any]) -> None:
        """Ask for a page, unless just this one was asked for already."""
        if self._asked is None or self._asked.content != orjson.dumps(body):
            self._asked = _Asked(self._client, self._path, body)

    def answer(self) -> Any:
        """Wait for the page that was asked for last, and return it parsed; see `Client.post`."""
        assert self._asked is not None
        unread = self._asked.answer.result()
        self._asked = None
        body = self._following(edges(unread.body))
        if body is not None:
            self._asked = following = _Asked(self._client, self._path, body)
            following.sent.wait(SENT_S)  # parsing holds Python, and whoever sends would wait for it
        return unread.value()


class _Asked:
    """A request under way."""

    def __init__(self, client: Client, path: str, body: dict[str, Any]) -> None:
        self.content = orjson.dumps(body)
        self.sent = sent = threading.Event()

        def answer() -> Unread:  # knows nothing of `self`: nobody seeks cycles while pages come, and each would stay
            try:
                return client.unread(path, body, permission=VIEW_DATA, sent=sent.set)
            finally:
                sent.set()

        self.answer = Beside(answer)


def edges(body: bytes) -> dict[str, Any]:
    """Return the fields of a JSON object that stand before its first list and behind its last one; a guess.

    Right for every object whose fields before and behind hold no bracket. For any other text there is no telling what
    comes back: most often nothing, never an error.
    """
    found: dict[str, Any] = {}
    first, last = body.find(b"[", 0, EDGE_BYTES), body.rfind(b"]", max(0, len(body) - EDGE_BYTES))
    for text in (body[:first] + b"[]}" if first >= 0 else b"", b'{"":[' + body[last:] if last >= 0 else b""):
        try:
            fields = orjson.loads(text)
        except orjson.JSONDecodeError:
            continue
        if isinstance(fields, dict):
            found |= fields
    return found
