"""Carries out the scrubs of a group: references are taken out right before it goes, and put back when it stays.

Everything here happens while the deployment is paused, see `scrub`; the guard "scrub" sees to that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from analyzer.convex import values
from analyzer.convex.client import Client
from analyzer.errors import AccessDenied, FunctionFailed, OutcomeUnknown, ServerRefused, SourceInvalid
from analyzer.purge import backup, scrub
from analyzer.purge.ledger import Ledger
from analyzer.purge.live import Found, read_documents
from analyzer.purge.plan_file import PlannedGroup, Scrub
from analyzer.purge.writes import Executor


@dataclass
class Scrubber:
    """What an apply does to documents that stay."""

    client: Client
    ledger: Ledger
    executor: Executor

    def is_begun(self, group: PlannedGroup) -> bool:
        """Tell whether anything was done to a document of a group, or may have been."""
        return any(self._step(item) in ("intent", "done", "undo") for item in group.scrubs)

    def done(self) -> frozenset[str]:
        """Return the ids of the documents that lost their references; none where nothing is really done."""
        if not self.executor.is_real:
            return frozenset()
        return frozenset(id_ for id_, step in self.ledger.state.scrubs.items() if step == "done")

    def settle(self, group: PlannedGroup, found: Mapping[str, Found | None]) -> None:
        """Find out what became of changes whose answer nobody saw, from the documents as they are."""
        for item in group.scrubs:
            step, now = self._step(item), found.get(item.id)
            if step not in ("intent", "undo") or now is None:
                continue
            if now.sha256 == item.after_sha256:
                self.ledger.scrub(item.id, "done")
            elif now.sha256 == item.sha256:
                self.ledger.scrub(item.id, "undone" if step == "undo" else "not done")

    def take_out(self, group: PlannedGroup, found: Mapping[str, Found | None]) -> str | None:
        """Take the references to a group out; returns why one cannot be, and then all are as before.

        found   the documents as they were read just now
        raises  SourceInvalid when one becomes something else than planned: then all stops, and the backup has it
        """
        for item in group.scrubs:
            now = found.get(item.id)
            if self._step(item) == "done" or now is None:
                continue
            changed = scrub.changes(now.document, item.fields, item.targets)
            self.ledger.scrub(item.id, "intent")
            try:
                self.executor.patch(item.table, item.id, changed)
            except AccessDenied:
                self.ledger.scrub(item.id, "not done")
                raise
            except (FunctionFailed, ServerRefused) as refused:
                self.ledger.scrub(item.id, "not done")
                self.put_back(group)
                return f"the references of {item.table} {item.id} could not be taken out: {refused}"
            except OutcomeUnknown:
                pass  # the reading below tells
            if self.executor.is_real and not self._became(item, item.after_sha256):
                raise SourceInvalid(
                    f"{item.table} {item.id} did not become what was planned when its references were taken out",
                    hint="nothing more is done; what it was is in the backup",
                )
            self.ledger.scrub(item.id, "done")
        return None

    def put_back(self, group: PlannedGroup) -> None:
        """Put references back that were taken out for a group that stays, unless somebody wrote there since."""
        for item in group.scrubs:
            if self._step(item) != "done" or not self.executor.is_real:
                continue
            if not self._became(item, item.after_sha256):
                continue
            before = self._before(item)
            self.ledger.scrub(item.id, "undo")
            self.executor.patch(item.table, item.id, scrub.reverted(before, item.fields))
            if not self._became(item, item.sha256):
                raise SourceInvalid(f"{item.table} {item.id} is not as it was", hint="what it was is in the backup")
            self.ledger.scrub(item.id, "undone")

    def _became(self, item: Scrub, sha256: str) -> bool:
        now = read_documents(self.client, [(item.table, item.id)])[item.id]
        return now is not None and now.sha256 == sha256

    def _before(self, item: Scrub) -> dict[str, object]:
        noted = self.ledger.state.backup
        assert noted is not None  # nothing is changed before it is backed up
        _, line = backup.read(Path(noted["path"]), backup.SCRUBBED)[item.id]
        document = values.loads(line, "export_json")
        assert isinstance(document, dict)
        return document

    def _step(self, item: Scrub) -> str | None:
        return self.ledger.state.scrubs.get(item.id)
