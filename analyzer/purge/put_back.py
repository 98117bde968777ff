"""Undoes scrubs after a restore: documents that stayed get their references back, to the new ids.

Like a scrub it patches a real document without any condition, so it happens only while the deployment is paused, and
only to a document that is still exactly what the purge left.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analyzer.convex import values
from analyzer.convex.client import Client
from analyzer.errors import OutcomeUnknown, UsageError
from analyzer.purge import backup, scrub
from analyzer.purge import receipt as receipts
from analyzer.purge.live import Found, read_documents
from analyzer.purge.plan_file import Scrub
from analyzer.purge.typed import built
from analyzer.purge.writes import Deleting


@dataclass(frozen=True, slots=True)
class PutBack:
    """What a document would get back."""

    table: str
    id: str
    fields: Mapping[str, Any]  # with new ids
    left_sha256: str  # of the document as the purge left it


def scrubs(receipt: Mapping[str, Any]) -> list[Scrub]:
    """Return the documents that a receipt says were changed.

    raises  UsageError when it is damaged
    """
    try:
        told = receipt.get("scrubbed", [])
        return [
            built(Scrub, item | {"fields": tuple(item["fields"]), "targets": tuple(item["targets"])}) for item in told
        ]
    except (KeyError, TypeError, AttributeError):
        raise UsageError("the receipt is damaged: its changed documents cannot be read", hint=receipts.HINT) from None


def wanted(saved: Path, scrubbed: Sequence[Scrub], renamed: Callable[[Any], Any]) -> list[PutBack]:
    """Return what would be put back, from a backup.

    renamed  gives a value with its old ids replaced
    raises   GuardRefused when the backup lacks one of them
    """
    held = backup.read(saved, backup.SCRUBBED) if scrubbed else {}
    found = []
    for item in scrubbed:
        if item.id not in held:
            raise backup.refused(f"{item.table} {item.id} as it was", "none")
        before = values.loads(held[item.id][1], "export_json")
        assert isinstance(before, dict)
        fields = {name: renamed(value) for name, value in scrub.reverted(before, item.fields).items()}
        found.append(PutBack(item.table, item.id, fields, item.after_sha256))
    return found


def put_back(client: Client, items: Sequence[PutBack]) -> list[str]:
    """Put references back; returns a sentence for each document that does not have them afterwards.

    raises  SourceError
    """
    failed = []
    for item in items:
        now = _now(client, item)
        if now is not None and now.sha256 == item.left_sha256:
            with contextlib.suppress(OutcomeUnknown):  # the reading below tells
                Deleting(client).patch(item.table, item.id, item.fields)
            now = _now(client, item)
        if now is None or any(now.document.get(name) != value for name, value in item.fields.items()):
            failed.append(f"{item.table} {item.id} changed since the purge: its references were not put back")
    return failed


def _now(client: Client, item: PutBack) -> Found | None:
    return read_documents(client, [(item.table, item.id)])[item.id]
