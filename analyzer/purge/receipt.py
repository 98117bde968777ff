"""The receipt: what was deleted, by whom, why, and how it was proven. A file beside the plan, for an auditor."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from analyzer import __version__
from analyzer.errors import UsageError
from analyzer.purge import files
from analyzer.purge.plan_file import Planned
from analyzer.purge.typed import built

SCHEMA = "receipt/1"
MAX_RECEIPT_BYTES = 256 * 1024 * 1024
HINT = "name the receipt that `analyzer purge apply` wrote"


def path_of(plan: Path) -> Path:
    """Return where the receipt of a plan lies: beside it."""
    return plan.with_name(f"{plan.stem}.receipt.json")


def make(**fields: Any) -> dict[str, Any]:
    """Return a receipt; the fields are those of the design, in its order."""
    names = (
        "id", "plan_hash", "deployment", "actor", "reason", "approved_by", "started_at", "finished_at", "versions",
        "key", "backup", "deleted", "skipped", "verified", "audit", "health_before", "health_after",
    )  # fmt: skip
    versions = {"analyzer": __version__} | fields.pop("versions", {})
    return {"schema": SCHEMA} | {name: (fields | {"versions": versions})[name] for name in names} | fields


def write(receipt: Mapping[str, Any], path: Path) -> None:
    """Write a receipt, or its newer version, at once."""
    files.replace(path, orjson.dumps(receipt, option=orjson.OPT_INDENT_2) + b"\n")


def read(path: Path) -> dict[str, Any]:
    """Read a receipt.

    raises  UsageError when it is none
    """
    try:
        raw = path.read_bytes()
        data = json.loads(raw) if len(raw) <= MAX_RECEIPT_BYTES else None
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}", hint=HINT) from None
    except (ValueError, RecursionError):
        data = None
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        raise UsageError(f"{path} is no receipt of schema {SCHEMA}", hint=HINT)
    return data


def deleted(receipt: Mapping[str, Any]) -> list[Planned]:
    """Return the documents that a receipt says are gone.

    raises  UsageError when it is damaged
    """
    try:
        return [built(Planned, item | {"rules": tuple(item["rules"])}) for item in receipt["deleted"]]
    except (KeyError, TypeError, AttributeError):
        raise UsageError("the receipt is damaged: its deleted documents cannot be read", hint=HINT) from None
