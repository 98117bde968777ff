"""Environment variables of a deployment. The server sends all values; those not asked for end here."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from analyzer.convex import functions
from analyzer.convex.client import Client
from analyzer.convex.permissions import VIEW_ENVIRONMENT
from analyzer.errors import AccessDenied, FunctionFailed
from analyzer.model import Flag

LIST = "_system/cli/queryEnvironmentVariables"
_SECRET_NAME = re.compile("KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class VariableChange:
    """A variable that is no flag: that it exists, and since when with this value."""

    name: str
    changed_at_ms: float


@dataclass(frozen=True, slots=True)
class Flags:
    """What is kept of the variables."""

    flags: tuple[Flag, ...]  # the configured ones, in the order of the configuration
    others: tuple[VariableChange, ...] = ()  # by name
    warnings: tuple[str, ...] = ()


def read_flags(client: Client, names: Sequence[str], told: Callable[[], Any] = lambda: None) -> Flags:
    """Return the configured flags and when each was last set.

    names  whose values are kept; never of a name that says it is a secret
    told   gives the answer of the app's own flags function, {NAME: bool}, for when variables may not be read
    """
    try:
        return read_variables(client, names)
    except (AccessDenied, FunctionFailed) as error:
        said = told()
        found = tuple(_told(name, said) for name in names if isinstance(said, dict) and name in said)
        source = "as the flags function says" if found else "unknown"
        return Flags(found, warnings=(f"flags are {source}, and when they changed is unknown: {error}",))


def read_variables(client: Client, names: Sequence[str]) -> Flags:
    """Return the flags among the variables.

    raises  AccessDenied without ViewEnvironmentVariables; FunctionFailed on a version without the list
    """
    listed = functions.query(client, LIST, {}, permission=VIEW_ENVIRONMENT)
    if not isinstance(listed, list) or not all(_is_variable(item) for item in listed):
        raise client.unexpected(f"POST /api/query ({LIST})", "a list of variables", VIEW_ENVIRONMENT)
    asked = [name for name in names if not _SECRET_NAME.search(name)]
    kept = {item["name"]: item for item in listed if item["name"] in asked}
    others = [VariableChange(item["name"], item["_creationTime"]) for item in listed if item["name"] not in kept]
    # Setting a variable makes its row anew, so the row's creation time is the time of the last change.
    flags = [
        Flag(name, kept[name]["value"], kept[name]["_creationTime"]) if name in kept else Flag(name, None)
        for name in asked
    ]
    return Flags(tuple(flags), tuple(sorted(others, key=lambda other: other.name)))


def _is_variable(item: Any) -> bool:
    return (
        isinstance(item, dict)
        and isinstance(item.get("name"), str)
        and isinstance(item.get("value"), str)
        and isinstance(item.get("_creationTime"), int | float)
    )


def _told(name: str, told: dict[str, Any]) -> Flag:
    """Return a flag as the app judges it: on or off is all it says."""
    value = told[name]
    return Flag(name, ("true" if value else "false") if isinstance(value, bool) else None)
