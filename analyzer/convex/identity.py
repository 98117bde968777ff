"""Who answers at a URL, what type it is, and what our key may do there."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit

from analyzer.convex import danger, functions, urls
from analyzer.convex.beside import Beside
from analyzer.convex.client import Client
from analyzer.convex.keys import Key
from analyzer.convex.permissions import VIEW_DATA
from analyzer.convex.target import Target
from analyzer.errors import AccessDenied, FunctionFailed, NotOffered, ServerRefused, SourceInvalid, UsageError
from analyzer.model import Deployment, DeploymentType
from analyzer.units import visible

T = TypeVar("T")
_VERSION = re.compile(r"[\w.+-]{1,80}")
_SERVER_TYPES = {
    "prod": DeploymentType.PROD,
    "dev": DeploymentType.DEV,
    "preview": DeploymentType.PREVIEW,
    "custom": DeploymentType.CUSTOM,
}


@dataclass(frozen=True, slots=True)
class Identity:
    """What a deployment says of itself."""

    origin: str
    name: str | None  # as the server says; None where it does not
    version: str | None  # of the backend
    type: DeploymentType | None = None  # None: it does not say
    reference: str | None = None  # what its team calls it, "preview/feature"
    project: str | None = None
    state: str | None = None  # "running", "paused", "disabled", "suspended"


@dataclass(frozen=True, slots=True)
class KeyPowers:
    """What the server says that a key may do."""

    operations: frozenset[str]
    is_everything: bool  # no list of operations, and not read-only
    is_read_only: bool

    def may(self, operation: str) -> bool:
        """Tell whether the key has an operation."""
        return self.is_everything or operation in self.operations


def introduce(client: Client) -> Identity:
    """Ask for what is public, with a client that has no key: who it is comes before what it may see.

    raises  SourceUnreachable; SourceInvalid when it is no Convex deployment
    """
    asked = Beside(lambda: _optional(lambda: client.text("/version")))
    name = _optional(lambda: client.text("/instance_name"))
    version = asked.result()
    if name is not None and not urls.is_name(name):
        raise client.unexpected("GET /instance_name", "a deployment's name")
    return Identity(client.origin, name or None, version if version and _VERSION.fullmatch(version) else None)


def check_key_belongs(target: Target, key: Key | None, who: Identity) -> None:
    """Refuse a key that names another deployment, before it is sent: another server could keep it.

    raises  AccessDenied; UsageError when `--deployment` names another one than answers
    """
    if target.required_name and who.name and target.required_name != who.name:
        raise UsageError(
            f"--deployment is {target.required_name}, and {who.origin} says it is {who.name}",
            hint="check the URL and the name",
        )
    if key and key.name and who.name and key.name != who.name:
        raise AccessDenied(
            f"the {key.description} is for another deployment: {who.origin} says it is {who.name}",
            hint=f"use a key of {who.name}, or the URL of {key.name}; the key was not sent",
        )


def describe(client: Client, who: Identity) -> Identity:
    """Ask for what needs the key: type, project and state.

    raises  AccessDenied
    """
    asked = Beside(lambda: _state(client))
    type_, reference, project = _type(client)
    return Identity(who.origin, who.name, who.version, type_, reference, project, asked.result())


def _state(client: Client) -> str | None:
    try:
        answer = functions.query(client, "_system/frontend/deploymentState:deploymentState", {})
    except (NotOffered, FunctionFailed):
        return None
    state = answer.get("state") if isinstance(answer, dict) else None
    return state if isinstance(state, str) else None


def powers(client: Client) -> KeyPowers | None:
    """Return what the key may do; None where this version does not tell.

    raises  AccessDenied when the key is none of this deployment
    """
    path = "/api/check_admin_key"
    answer = _optional(lambda: client.get(path))
    if answer is None:
        return None
    allowed = answer.get("allowedOps") if isinstance(answer, dict) else None
    read_only = answer.get("isReadOnly") if isinstance(answer, dict) else None
    if (
        not isinstance(allowed, list)
        or not all(isinstance(op, str) for op in allowed)
        or not isinstance(read_only, bool)
    ):
        raise client.unexpected(f"GET {path}", "the key's operations")
    return KeyPowers(frozenset(allowed), not allowed and not read_only, read_only)


def deployment(target: Target, who: Identity) -> Deployment:
    """Return the deployment under the name and type that everything goes by.

    raises  UsageError when --prod or --preview-name asked for another type than the server says
    """
    if target.required_type is not None and who.type != target.required_type:
        flag = "--prod" if target.required_type is DeploymentType.PROD else "--preview-name"
        raise UsageError(
            f"{flag} was given, and {who.origin} says it is {who.type or 'of no type it would name'}",
            hint="check the URL and the key",
        )
    if target.preview_name and who.reference and target.preview_name not in who.reference.split("/"):
        raise UsageError(
            f"--preview-name is {visible(target.preview_name)}, and {who.origin} is {visible(who.reference)}",
            hint="use the key of that preview deployment",
        )
    type_, reason = danger.combined(who.type, target.hints)
    name = who.name or target.name or urlsplit(target.origin).netloc
    return Deployment(name=name, origin=target.origin, type=type_, type_reason=reason)


def _type(client: Client) -> tuple[DeploymentType | None, str | None, str | None]:
    path = "/api/v1/deployment_info"
    try:
        info = client.get(path, permission=VIEW_DATA)
    except NotOffered:
        return None, None, None
    kind = info.get("kind") if isinstance(info, dict) else None
    if kind == "selfHosted":
        return DeploymentType.SELF_HOSTED, None, None
    if kind != "cloud":
        raise client.unexpected(f"GET {path}", "a kind of deployment", VIEW_DATA)
    found = _SERVER_TYPES.get(str(info.get("deploymentType")), DeploymentType.UNKNOWN)
    return found, _text(info.get("reference")), _text(info.get("projectSlug"))


def _text(value: Any) -> str | None:
    return value[:200] if isinstance(value, str) and value else None


def _optional(ask: Callable[[], T]) -> T | None:
    """Return an answer, or None where the server has no such endpoint; proxies in front of it hide some."""
    try:
        return ask()
    except (AccessDenied, SourceInvalid):
        raise
    except ServerRefused:
        return None
