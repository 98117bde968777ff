"""Remembers what artifact rules find, at the end of a collect that read everything anyway."""

from __future__ import annotations

from analyzer.analysis import artifacts
from analyzer.model import CollectResult, Snapshot
from analyzer.rules import RuleSet
from analyzer.store import Store

FEW_DOCUMENTS = 200_000  # a search of so many takes a tenth of a second
LARGE_SHARE = 0.1  # of the documents; a collect that changed so many takes far longer than the search


def remember(store: Store, result: CollectResult, rules: RuleSet) -> None:
    """Remember the artifacts of a new snapshot in the store that is open for it."""
    if not result.already_present:
        _remember(store, result.snapshot, rules)


def remember_live(store: Store, result: CollectResult, rules: RuleSet) -> None:
    """Remember the artifacts of a new snapshot of a deployment in the store that is open for it.

    Does nothing where that would take longer than the collect itself.
    """
    if _is_cheap(result.snapshot):
        _remember(store, result.snapshot, rules)


def _remember(store: Store, snapshot: Snapshot, rules: RuleSet) -> None:
    frame = store.frame(snapshot)
    artifacts.prepare(frame, rules, orphans=True)
    store.remember(frame, artifacts.search_hash(frame, rules))


def _is_cheap(snapshot: Snapshot) -> bool:
    documents = sum(covered.documents or 0 for covered in snapshot.coverage)
    changed = sum(covered.added + covered.changed + covered.removed for covered in snapshot.coverage)
    return documents <= FEW_DOCUMENTS or changed >= LARGE_SHARE * documents
