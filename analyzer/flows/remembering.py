"""Remembers what artifact rules find, at the end of a collect that read everything anyway."""

from __future__ import annotations

from pathlib import Path

from analyzer.analysis import artifacts
from analyzer.model import CollectResult, Snapshot
from analyzer.rules import RuleSet
from analyzer.store import Store

FEW_DOCUMENTS = 200_000  # a search of so many takes a tenth of a second
LARGE_SHARE = 0.1  # of the documents; a collect that changed so many takes far longer than the search


def remember(path: Path, result: CollectResult, rules: RuleSet, *, read_all: bool, wait_s: float = 10.0) -> None:
    """Remember the artifacts of a new snapshot, unless that would take longer than the collect itself.

    read_all  whether every document was read, as from an export, and not only what changed
    raises    StoreError when the store is in use; the snapshot is in it all the same
    """
    if result.already_present or not (read_all or _is_cheap(result.snapshot)):
        return
    with Store.write(path, wait_s=wait_s) as store:
        frame = store.frame(result.snapshot)
        artifacts.prepare(frame, rules, orphans=True)
        store.remember(frame, artifacts.search_hash(frame, rules))


def _is_cheap(snapshot: Snapshot) -> bool:
    documents = sum(covered.documents or 0 for covered in snapshot.coverage)
    changed = sum(covered.added + covered.changed + covered.removed for covered in snapshot.coverage)
    return documents <= FEW_DOCUMENTS or changed >= LARGE_SHARE * documents
