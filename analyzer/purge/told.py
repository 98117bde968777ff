"""What a purge deleted: as its receipt tells, or, while there is none, as plan and ledger do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analyzer.errors import UsageError
from analyzer.purge import ledger, plan_file, receipt
from analyzer.purge.ledger import State
from analyzer.purge.plan_file import Plan, Planned

NEEDED = ("id", "deployment", "plan_hash", "backup")  # of a receipt, besides what was deleted


@dataclass(frozen=True, slots=True)
class Told:
    """What is known of a purge."""

    receipt: Mapping[str, Any]  # or as much of one as there would be
    deleted: tuple[Planned, ...]
    unsettled: tuple[Planned, ...] = ()  # sent to be deleted, and nobody saw the answer
    left: int = 0  # documents that were not deleted although their groups do not stay: it did not come to its end


def read(path: Path) -> Told:
    """Read a receipt; or a plan, whose receipt counts if it lies beside it.

    raises  UsageError when it is neither; GuardRefused for a plan or a ledger that somebody touched
    """
    try:
        found = receipt.read(path)
    except UsageError:
        plan = plan_file.read(path)
        if (beside := receipt.path_of(path)).is_file():
            return read(beside)
        return _of_plan(plan, ledger.read(ledger.path_of(path), plan.hash))
    if lacking := [name for name in NEEDED if name not in found]:
        raise UsageError(f"{path} is damaged: it has no {lacking[0]}", hint=receipt.HINT)
    return Told(found, tuple(receipt.deleted(found)))


def _of_plan(plan: Plan, state: State) -> Told:
    lost = {id_ for ids in state.unsettled.values() for id_ in ids}
    waiting = [d for group in plan.groups if group.root not in state.skipped for d in group.documents]
    return Told(
        receipt.make(plan, state),
        tuple(document for document in plan.documents if document.id in state.deleted),
        tuple(document for document in plan.documents if document.id in lost),
        sum(document.id not in state.deleted and document.id not in lost for document in waiting),
    )
