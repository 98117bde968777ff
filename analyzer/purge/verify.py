"""Proof afterwards, by reading alone: what was deleted is gone, nothing refers to it, and nothing else was touched."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from analyzer.purge import audit
from analyzer.purge.live import Watch, read_documents
from analyzer.purge.plan_file import Planned
from analyzer.sources.live import LiveSource

WRITES = ("delete_documents", "update_documents")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found. Nothing in any of the first three is how it should be."""

    still_there: tuple[str, ...]  # ids that should be gone
    dangling: tuple[str, ...]  # "table.field of ID refers to ID": documents that name what is gone
    outside_plan: tuple[str, ...]  # ids that our requests deleted and no plan named
    gone: int  # ids that are gone, as they should
    is_audit_read: bool  # whether the deployment let us see what it noted
    audit: tuple[Mapping[str, Any], ...] = ()  # its entries on our deletions

    @property
    def is_good(self) -> bool:
        """Tell whether everything is as it should be."""
        return not (self.still_there or self.dangling or self.outside_plan)

    def as_data(self) -> dict[str, Any]:
        """Return it as it stands in a receipt."""
        return {
            "ok": self.is_good,
            "gone": self.gone,
            "still_there": list(self.still_there),
            "dangling": list(self.dangling),
            "outside_plan": list(self.outside_plan),
            "audit_read": self.is_audit_read,
        }


def verify(
    source: LiveSource,
    deleted: Sequence[Planned],
    *,
    ignored: Collection[str] = (),
    watch: Watch | None = None,
    since_ms: int | None = None,
    changed: Collection[str] = (),
) -> Verdict:
    """Look whether documents are gone for good, and what still names them.

    ignored   edges whose references may dangle
    watch     that knows who refers to them; None: everything is read
    since_ms  by the deployment's clock: what our requests wrote from then on must be among `deleted` and `changed`;
              None: not asked
    changed   ids of documents that stay and lost references
    raises    SourceError when the deployment does not answer in full
    """
    client = source.connection.client
    ids = {document.id for document in deleted}
    found = read_documents(client, [(document.table, document.id) for document in deleted])
    watch = watch or Watch(source, frozenset(ids))
    if ids:
        watch.refresh()
    dangling = [
        f"{r.edge} of {r.id} refers to {r.target}"
        for r in watch.references()
        if r.target in ids and r.id not in ids and r.edge not in ignored
    ]
    noted = audit.entries(client, since_ms, WRITES) if since_ms is not None else None
    ours = [entry for entry in noted or () if audit.is_ours(client, entry)]
    touched = {id_ for entry in ours for id_ in audit.ids(entry)}
    return Verdict(
        still_there=tuple(sorted(id_ for id_, item in found.items() if item is not None)),
        dangling=tuple(dangling),
        outside_plan=tuple(sorted(touched - ids - set(changed))),
        gone=sum(item is None for item in found.values()),
        is_audit_read=noted is not None,
        audit=tuple(ours),
    )
