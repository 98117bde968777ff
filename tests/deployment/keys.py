"""Keys and who holds them: full, read-only, weak, and those of other deployments."""

from __future__ import annotations

import base64
import binascii
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from tests.deployment.errors import HttpError
from tests.deployment.settings import Settings

ACTIONS: Mapping[str, str] = {  # operation -> the name that a refusal gives it
    "Deploy": "deployment:deploy",
    "ViewEnvironmentVariables": "deployment:environmentVariables:view",
    "WriteEnvironmentVariables": "deployment:environmentVariables:write",
    "PauseDeployment": "deployment:pause",
    "UnpauseDeployment": "deployment:unpause",
    "ViewLogs": "deployment:logs:view",
    "ViewMetrics": "deployment:metrics:view",
    "ViewIntegrations": "deployment:integrations:view",
    "WriteIntegrations": "deployment:integrations:write",
    "ViewData": "deployment:data:view",
    "WriteData": "deployment:data:write",
    "ViewBackups": "deployment:backups:view",
    "CreateBackups": "deployment:backups:create",
    "DownloadBackups": "deployment:backups:download",
    "DeleteBackups": "deployment:backups:delete",
    "ImportBackups": "deployment:backups:import",
    "ActAsUser": "deployment:actAsUser",
    "RunInternalQueries": "deployment:functions:runInternalQueries",
    "RunInternalMutations": "deployment:functions:runInternalMutations",
    "RunInternalActions": "deployment:functions:runInternalActions",
    "RunTestQuery": "deployment:functions:runTestQuery",
    "ViewAuditLog": "deployment:auditLog:view",
    "ViewUsage": "deployment:usage:view",
    "ViewUsageLimits": "deployment:usageLimits:view",
    "WriteUsageLimits": "deployment:usageLimits:write",
}
ALL_OPS = tuple(ACTIONS)
READ_ONLY_OPS = (
    "ViewEnvironmentVariables",
    "ViewLogs",
    "ViewMetrics",
    "ViewIntegrations",
    "ViewData",
    "ViewBackups",
    "DownloadBackups",
    "RunInternalQueries",
    "RunTestQuery",
    "ViewAuditLog",
    "ViewUsageLimits",
    "ViewUsage",
)


@dataclass(frozen=True, slots=True)
class Identity:
    """Who asks: a key, or nobody."""

    ops: frozenset[str] = frozenset()
    is_admin: bool = False
    is_read_only: bool = False
    member_id: int | None = None
    token_id: int | None = None

    def require(self, op: str) -> None:
        """Refuse whom this operation is not permitted."""
        if not self.is_admin:
            raise HttpError(403, "BadDeployKey", "The provided deploy key was invalid for this deployment.")
        if op and op not in self.ops:
            raise HttpError(403, "OperationNotPermitted", denied(op))

    def may(self, op: str) -> bool:
        return self.is_admin and op in self.ops

    @property
    def actor(self) -> dict[str, Any]:
        """Who did it, as the audit log of version 1 says."""
        if self.token_id is not None:
            return {"kind": "token", "member_id": self.member_id, "token_id": self.token_id, "client_id": None}
        return {"kind": "system"} if self.member_id is None else {"kind": "member", "member_id": self.member_id}


NOBODY = Identity()
SYSTEM = Identity(frozenset(ALL_OPS), is_admin=True)


def denied(op: str) -> str:
    return f"You do not have permission to perform this operation ({ACTIONS[op]})."


@dataclass
class KeyRing:
    """The keys that were given out, by their secret part: what stands before the bar is for people."""

    settings: Settings
    seed: int = 0
    _identities: dict[str, Identity] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._random = random.Random(f"{self.seed}/keys")

    def mint(self, ops: tuple[str, ...] = ALL_OPS, *, is_read_only: bool = False) -> str:
        """Return a new key, in the form that this kind of deployment gives out."""
        settings = self.settings
        raw = self._random.randbytes(32)
        if settings.is_self_hosted:
            secret, prefix, token = raw.hex(), settings.name, None
        else:
            secret, prefix = base64.b64encode(raw).decode(), f"{settings.kind}:{settings.name}"
            token = len(self._identities) + 1
        member = None if settings.is_self_hosted else 7
        self._identities[secret] = Identity(frozenset(ops), True, is_read_only, member, token)
        return f"{prefix}|{secret}"

    def foreign(self) -> str:
        """Return a well-formed key of another deployment."""
        return f"{self.settings.kind}:other-animal-456|{base64.b64encode(self._random.randbytes(32)).decode()}"

    def revoke(self, key: str) -> None:
        del self._identities[key.rpartition("|")[2]]

    def identify(self, authorization: str | None, admin_key: str | None = None) -> Identity:
        """Return who asks, by the header or, without one, the query parameter."""
        if authorization is None:
            return self.of_key(admin_key) if admin_key is not None else NOBODY
        if len(authorization) < 7:
            raise HttpError(400, "InvalidHeaderFailure", "Invalid authorization header")
        scheme, rest = authorization[:7].lower(), authorization[7:].strip()
        if scheme == "convex ":
            return self.of_key(rest)
        if scheme == "bearer ":
            raise HttpError(
                401, "InvalidAuthHeader", "Could not parse JWT payload. Check that the token is a valid JWT."
            )
        raise HttpError(400, "InvalidAdminKey", "Invalid admin key header")

    def of_key(self, text: str) -> Identity:
        secret = text.rpartition("|")[2]
        secret, colon, acting_as = secret.partition(":")
        identity = self._identities.get(secret)
        if identity is None:
            raise HttpError(401, "BadAdminKey", "The provided admin key was invalid for this instance")
        if colon:
            identity.require("ActAsUser")
            try:
                orjson.loads(base64.b64decode(acting_as, validate=True))
            except (binascii.Error, ValueError) as error:
                raise HttpError(400, "InvalidAdminKey", "Invalid user identity attributes") from error
        return identity
