"""Files that arrive in parts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.deployment.errors import HttpError

MOST_PARTS = 10_000


@dataclass
class Upload:
    parts: dict[int, bytes] = field(default_factory=dict)
    tokens: dict[str, int] = field(default_factory=dict)


@dataclass
class Uploads:
    """Uploads by token."""

    random_bytes: Callable[[int], bytes]
    _by_token: dict[str, Upload] = field(default_factory=dict)

    def start(self) -> str:
        token = self.random_bytes(16).hex()
        self._by_token[token] = Upload()
        return token

    def add(self, token: Any, number: str, content: bytes) -> str:
        """Keep a part and return its token.

        raises  HttpError
        """
        upload = self._find(token)
        if not number.isdecimal() or not 1 <= int(number) < MOST_PARTS:
            raise HttpError(400, "BadQueryArgs", "Failed to deserialize query string: partNumber")
        upload.parts[int(number)] = content
        part = self.random_bytes(12).hex()
        upload.tokens[part] = int(number)
        return part

    def content(self, token: Any, parts: list[Any], least_bytes: int) -> bytes:
        """Return the file that these parts make.

        raises  HttpError for a part of another upload, or one that is too small and not the last
        """
        upload = self._find(token)
        if any(part not in upload.tokens for part in parts):
            raise HttpError(400, "ImportFailed", "a part token is not one of this upload")
        found = [upload.parts[upload.tokens[part]] for part in parts]
        if any(len(part) < least_bytes for part in found[:-1]):
            raise HttpError(400, "ImportFailed", "a part that is not the last is too small")
        return b"".join(found)

    def _find(self, token: Any) -> Upload:
        if token not in self._by_token:
            raise HttpError(400, "ImportFailed", "the upload token is not known")
        return self._by_token[token]
