"""Forgetting from beginning to end: the backups of purges, their receipts, the store, what killed processes left.

Backups go first and the store last: stopped anywhere, the store still knows what is to be forgotten, and the same
command finishes it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analyzer.errors import AnalyzerError, GuardRefused
from analyzer.purge import backup, files, guards, receipt
from analyzer.rules import RuleSet
from analyzer.store import forgetting, spool
from analyzer.store.forgetting import Found, Wanted
from analyzer.store.masking import Matcher

ALWAYS_OUT_OF_REACH = (
    "exports, Parquet files, recordings and reports that were written, and every copy that somebody made",
    "what the file system or a backup of this disk keeps of files that were replaced",
)


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What forgetting would do."""

    found: Found
    backups: Mapping[Path, frozenset[str]]  # backups of purges, and the ids that would go from each
    beside: tuple[str, ...]  # files beside the store that would be removed
    out_of_reach: tuple[str, ...]  # one clause each

    @property
    def is_empty(self) -> bool:
        """Return whether there is nothing to forget."""
        return self.found.is_empty and not any(self.backups.values())


def wanted(rules: RuleSet, *, tasks: Sequence[str], users: Sequence[str], is_text: bool) -> Wanted:
    """Return what is to be forgotten, with who belongs to whom."""
    edges = [(edge.table, edge.field, edge.to) for edge in rules.edges if edge.kind != "reference"]
    return Wanted(tuple(tasks), tuple(users), is_text, tuple(edges))


def rehearse(store: Path, asked: Wanted, *, wait_s: float = 10.0) -> Rehearsal:
    """Look at everything that would be changed, and change nothing.

    raises  StoreError
    """
    found = forgetting.find(store, asked, wait_s=wait_s)
    backups: dict[Path, frozenset[str]] = {}
    unreached: list[str] = []
    for told in found.receipts:
        path = _backup_of(told)
        if path is None:
            continue
        if asked.is_text:
            unreached.append(f"{path}: holds deleted documents whole, to put them back; remove it to give that up")
            continue
        try:
            backups[path] = _going(path, told, found.ids, asked)
        except FileNotFoundError:
            unreached.append(f"{path}: a purge's backup, not there")
        except (AnalyzerError, *backup.UNREADABLE) as problem:
            unreached.append(f"{path}: a purge's backup that cannot be used: {problem}")
        unreached += _beside(path, found.ids)
    unreached += [
        f"{name}: the deployment still had {n} of them when it was last collected; the next collect brings them again"
        for name, n in found.still_there.items()
    ]
    beside = tuple(forgetting.beside(store))
    return Rehearsal(found, backups, beside, (*dict.fromkeys(unreached), *ALWAYS_OUT_OF_REACH))


def forget(store: Path, asked: Wanted, rehearsed: Rehearsal, typed: str | None, *, wait_s: float = 10.0) -> None:
    """Forget for good what was rehearsed.

    raises  GuardRefused without the confirmation; StoreError when the store is in use or changed meanwhile
    """
    if typed is None or typed.strip() != rehearsed.found.confirm:
        wanted_text = "the confirmation that the rehearsal shows, typed in full"
        raise guards.refused("confirmation", wanted_text, "another text" if typed else "nothing")
    named = {*rehearsed.found.ids, *asked.tasks, *asked.users}.union(*rehearsed.backups.values())
    matcher = Matcher(sorted(named), rehearsed.found.texts)
    changed = [
        _rewritten(path, told, rehearsed.backups[path], matcher)
        for told in rehearsed.found.receipts
        if (path := _backup_of(told)) is not None and rehearsed.backups.get(path)
    ]
    spool.sweep()
    forgetting.forget(store, asked, rehearsed.found, matcher, changed, wait_s=wait_s)


def _backup_of(told: Mapping[str, Any]) -> Path | None:
    noted = told.get("backup")
    return Path(str(noted["path"])) if isinstance(noted, Mapping) and noted.get("path") else None


def _going(path: Path, told: Mapping[str, Any], ids: Sequence[str], asked: Wanted) -> frozenset[str]:
    """Return the ids in a backup that are to be forgotten: those of the store, and what belongs to them in it."""
    is_ours = backup.manifest(path).get("forgotten")  # an earlier try may have come as far as this
    if not is_ours and files.sha256(path) != told["backup"]["sha256"]:
        raise GuardRefused("it is not the file that the receipt names")
    documents = {
        id_: (table, json.loads(line))
        for prefix in (backup.PREFIX, backup.SCRUBBED)
        for id_, (table, line) in backup.read(path, prefix).items()
    }
    going, size = {*ids, *asked.tasks, *asked.users}, -1
    while size != len(going):
        size = len(going)
        for table, field, _ in asked.edges:
            going |= {id_ for id_, (own, found) in documents.items() if own == table and found.get(field) in going}
    return frozenset(going & documents.keys())


def _rewritten(path: Path, told: Mapping[str, Any], going: frozenset[str], matcher: Matcher) -> dict[str, Any]:
    """Write a backup and the receipt beside it anew; returns the receipt."""
    content, left = backup.without(path, going)
    noted = {"path": str(path), "sha256": hashlib.sha256(content).hexdigest(), "documents": left}
    made = {**matcher.cleaned(dict(told)), "backup": noted}
    made["forgotten"] = len(told["deleted"]) - len(made["deleted"]) + told.get("forgotten", 0)
    for file in path.parent.glob("*.receipt.json"):
        try:
            is_its = receipt.read(file)["id"] == told["id"]
        except (AnalyzerError, KeyError):
            continue
        if is_its:
            receipt.write(made, file)
    files.replace(path, content)
    return made


def _beside(path: Path, ids: Sequence[str]) -> list[str]:
    """Return the plans, ledgers and maps beside a backup that name what is to be forgotten; they are left alone."""
    found = []
    for file in sorted(path.parent.glob("*.json*")):
        if file.name.endswith(".receipt.json") or not file.is_file():
            continue
        text = file.read_text(encoding="utf-8", errors="replace")
        if named := sum(id_ in text for id_ in ids):
            found.append(f"{file}: names {named} of the ids, and nothing else of them; remove it yourself")
    return found
