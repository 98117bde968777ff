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
from analyzer.purge.ledger import State
from analyzer.purge.plan_file import Plan, Planned, plain
from analyzer.purge.typed import built

SCHEMA = "receipt/1"
MAX_RECEIPT_BYTES = 256 * 1024 * 1024
HINT = "name the receipt that `analyzer purge apply` wrote"


def path_of(plan: Path) -> Path:
    """Return where the receipt of a plan lies: beside it."""
    return plan.with_name(f"{plan.stem}.receipt.json")


def id_of(plan: Plan) -> str:
    """Return the id of a plan's receipt."""
    return f"{plan.hash[:12]}-{plan.nonce[:6]}"


def make(plan: Plan, state: State, **end: Any) -> dict[str, Any]:
    """Return the receipt of a plan as far as its ledger goes.

    end  what only an apply that comes to its end can tell: finished_at, backend, key, verified, audit, health_after
    """
    noted = state.backup
    return {
        "schema": SCHEMA,
        "id": id_of(plan),
        "plan_hash": plan.hash,
        "deployment": plan.deployment,
        "actor": ", ".join(state.actors),
        "reason": state.reason,
        "approved_by": state.approved_by,
        "started_at": state.started_at,
        "finished_at": end.get("finished_at"),
        "versions": {"analyzer": __version__, "backend": end.get("backend")},
        "key": end.get("key"),
        "backup": {name: noted[name] for name in ("path", "sha256", "documents")} if noted else None,
        "deleted": plain([document for document in plan.documents if document.id in state.deleted]),
        "skipped": [{"root": root, "reason": reason} for root, reason in state.skipped.items()],
        "verified": end.get("verified"),
        "audit": end.get("audit", []),
        "health_before": state.health_before,
        "health_after": end.get("health_after"),
        "origin": plan.origin,
        "type": plan.type,
        "tables": dict(plan.tables),
        "ignored": list(plan.selection.get("ignored", ())),
        "dry_run": end.get("dry_run", False),
        "scrubbed": plain([scrub for scrub in plan.scrubs if state.scrubs.get(scrub.id) == "done"]),
        "paused_by": state.was_paused_by,
    }


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
