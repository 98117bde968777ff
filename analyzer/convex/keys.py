"""Deploy and admin keys: what can be read off them, and the one type that holds them.

A key never shows itself: not in repr, str, an f-string, a pickle or a copy. Only `Key.header()` gives it away, and
only the client asks for that. What stands before the bar is cosmetic (the server strips it) and no secret.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import NoReturn

from analyzer.errors import UsageError
from analyzer.model import DeploymentType

SHORTEST_SECRET = 8  # characters; shorter texts after the bar are nobody's secret and would be struck out of everything
_PRINTABLE = re.compile(r"[!-~]+")  # a header value without blanks; anything else is a slip, or an injected header
_DASHBOARD = "make a deploy key on the dashboard (Settings, Deploy Keys) of the deployment"
_REMOVED = "[key]"


class KeyKind(StrEnum):
    """What the text before the bar says."""

    PROD = "prod"
    DEV = "dev"
    PREVIEW = "preview"  # of one preview deployment
    CUSTOM = "custom"
    ADMIN = "admin"  # `name|...`: self-hosted, local, or printed by a backend; tells no type
    LEGACY = "legacy"  # no bar at all


KIND_TYPES = {
    KeyKind.PROD: DeploymentType.PROD,
    KeyKind.DEV: DeploymentType.DEV,
    KeyKind.PREVIEW: DeploymentType.PREVIEW,
    KeyKind.CUSTOM: DeploymentType.CUSTOM,
    KeyKind.LEGACY: DeploymentType.PROD,  # as the Convex CLI takes it
}


class Key:
    """A key of one deployment. Not a dataclass, so that nothing can list its fields."""

    __slots__ = ("__text", "kind", "name")

    def __init__(self, text: str, kind: KeyKind, name: str | None) -> None:
        self.__text = text
        self.kind = kind
        self.name = name  # of the deployment; None where the key does not say

    def header(self) -> str:
        """Return the value of the Authorization header."""
        return f"Convex {self.__text}"

    def removed_from(self, text: str) -> str:
        """Return a text, such as a server's answer, without this key."""
        return self.removed_from_bytes(text.encode("utf-8", "surrogatepass")).decode("utf-8", "surrogatepass")

    def removed_from_bytes(self, body: bytes) -> bytes:
        """Return a body without this key, and without the part behind the bar alone."""
        secret = self.__text.rpartition("|")[2]
        if len(secret) < SHORTEST_SECRET:
            return body
        return body.replace(secret.encode(), _REMOVED.encode()) if secret.encode() in body else body

    def is_same(self, other: Key) -> bool:
        """Tell whether two keys are one."""
        return self.header() == other.header()

    @property
    def type_hint(self) -> DeploymentType | None:
        """What the key claims of its deployment; None when it claims nothing."""
        return KIND_TYPES.get(self.kind)

    @property
    def description(self) -> str:
        """Say for people which key this is: "prod key of happy-animal-123"."""
        return f"{self.kind} key of {self.name}" if self.name else f"{self.kind} key"

    def __repr__(self) -> str:
        return f"<{self.description}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a key is not written anywhere")


def parse(text: str, where: str) -> Key:
    """Read a key.

    text    as it stands in a variable or file; blanks around it do not count
    where   names the variable or file for errors, which never show the text
    raises  UsageError: empty, broken by a shell, or a key that is not of one deployment
    """
    text = text.strip()
    if not text:
        raise UsageError(f"{where} holds no key", hint=_DASHBOARD)
    if not _PRINTABLE.fullmatch(text):
        raise UsageError(f"{where} holds blanks or characters that no key has", hint="copy the key again, on one line")
    prefix, bar, secret = text.rpartition("|")
    if bar and not secret:
        raise UsageError(f"{where} ends at the bar: the key is not complete", hint="copy the key again, on one line")
    parts = prefix.split(":")
    if not bar:
        if ":" in text:
            raise UsageError(
                f"{where} holds a key that was cut off at the bar", hint="put the key in quotes: the shell ends it at |"
            )
        return Key(text, KeyKind.LEGACY, None)
    if parts[0] == "project" or (parts[0] == "preview" and len(parts) > 2):
        what = "project token" if parts[0] == "project" else "preview key of a whole project"
        raise UsageError(f"{where} holds a {what}, which opens no deployment by itself", hint=_DASHBOARD)
    if len(parts) == 1:
        return Key(text, KeyKind.ADMIN, prefix or None)
    if parts[0] in (KeyKind.PROD, KeyKind.DEV, KeyKind.PREVIEW, KeyKind.CUSTOM) and len(parts) == 2 and parts[1]:
        return Key(text, KeyKind(parts[0]), parts[1])
    raise UsageError(
        f"{where} holds a key of an unknown kind", hint="known: prod:NAME|…, dev:NAME|…, preview:NAME|…, NAME|…"
    )
