"""Opaque cursors: sealed, and tied to what they are a place in."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from typing import Any

import orjson


class Seal:
    """Makes and opens cursors of one deployment."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def close(self, purpose: str, place: Any) -> str:
        """Return a text that stands for a place."""
        body = orjson.dumps(place)
        return base64.b64encode(self._mark(purpose, body) + body).decode()

    def open(self, purpose: str, text: Any) -> Any:
        """Return the place.

        raises  ValueError for a text of another deployment, or for another purpose
        """
        try:
            raw = base64.b64decode(text, validate=True)
        except (TypeError, binascii.Error) as error:
            raise ValueError("no cursor") from error
        mark, body = raw[:16], raw[16:]
        if not hmac.compare_digest(mark, self._mark(purpose, body)):
            raise ValueError("a cursor of something else")
        return orjson.loads(body)

    def _mark(self, purpose: str, body: bytes) -> bytes:
        return hmac.digest(self._secret, purpose.encode() + b"\0" + body, hashlib.sha256)[:16]
