"""Parameters of a named query: as they are typed, and as the settings have them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from analyzer.config import Settings
from analyzer.errors import UsageError
from analyzer.units import visible

if TYPE_CHECKING:
    from analyzer.flows.querying import Judging
    from analyzer.sql import Named


def judging(settings: Settings) -> Judging:
    """Return by what documents are judged."""
    from analyzer import rules
    from analyzer.analysis import policy
    from analyzer.flows.querying import Judging

    return Judging(
        rules.load_all(settings.rule_files),
        rules.InternalLists(settings.tests.emails, settings.tests.users, settings.tests.repos),
        settings.health.filter,
        policy.find(settings.health.policy, settings.policies),
    )


def read(name: str, params: Sequence[Named], given: Sequence[str], usual: dict[str, Any]) -> dict[str, Any]:
    """Return the values of a query's parameters: those given as NAME=VALUE, and what follows from the settings.

    raises  UsageError for a parameter that is missing, unknown or of another type
    """
    known = {param.name: param for param in params}
    found = {key: value for key, value in usual.items() if key in known}
    for word in given:
        key, equals, text = word.partition("=")
        if not equals or key not in known:
            valid = ", ".join(known) or "none"
            raise UsageError(f"--param {visible(word)} is none of {name}'s", hint=f"as NAME=VALUE; valid: {valid}")
        found[key] = _parsed(known[key], text)
    missing = [f"--param {p.name}=… ({p.type}: {p.meaning})" for p in params if p.name not in found]
    if missing:
        raise UsageError(f"{name} needs {missing[0]}", hint=f"`analyzer query {name} --help` describes it")
    return found


def _parsed(param: Named, text: str) -> Any:
    """Read a value as its header's type wants it; items of a list stand between commas."""
    if param.type.endswith("[]"):
        return [_scalar(param, param.type[:-2], item) for item in text.split(",")] if text else []
    return _scalar(param, param.type, text)


def _scalar(param: Named, type_: str, text: str) -> Any:
    try:
        if type_ == "BOOLEAN":
            return {"true": True, "false": False}[text.lower()]
        if type_ in ("BIGINT", "INTEGER"):
            return int(text)
        return float(text) if type_ == "DOUBLE" else text
    except (ValueError, KeyError):
        raise UsageError(
            f"--param {param.name}={visible(text)} is no {type_}", hint=f"{param.name}: {param.meaning}"
        ) from None
