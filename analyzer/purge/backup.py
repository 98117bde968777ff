"""The backup: a ZIP of exactly the documents that are about to go, proven before anything goes.

It reads like an export but for the names of its tables, `_purged_<table>`: what begins with `_` no import takes for a
table, so it cannot be imported by mistake. `purge restore` reads it.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analyzer.convex.archive_files import BROKEN_ZIP, is_absurd
from analyzer.convex.archive_writer import UNIFORM, ZIP_EPOCH
from analyzer.errors import GuardRefused
from analyzer.purge import files
from analyzer.purge.live import Found
from analyzer.purge.plan_file import Plan, Planned, Scrub, canonical

PREFIX = "_purged_"
SCRUBBED = "_scrubbed_"  # documents that are not deleted, but lose references
MANIFEST = "manifest.json"
SCHEMA = "backup/1"
UNREADABLE = (*BROKEN_ZIP, TypeError, AttributeError)  # what reading something else than a backup may raise


@dataclass(frozen=True, slots=True)
class Backup:
    """A proven backup."""

    path: Path
    sha256: str  # of the file
    documents: int


def write(
    path: Path,
    plan: Plan,
    documents: Sequence[Planned],
    found: Mapping[str, Found | None],
    scrubs: Sequence[Scrub] = (),
) -> Backup:
    """Write the documents, wait until they are on the disk, open the file again and prove it.

    raises  GuardRefused when the file exists, a document is not the planned one, or the proof fails
    """
    lines: dict[str, list[bytes]] = {}
    for prefix, wanted in ((PREFIX, documents), (SCRUBBED, scrubs)):
        for document in wanted:
            item = found.get(document.id)
            if item is None or item.sha256 != document.sha256:
                raise refused("exactly the planned documents", f"{document.table} {document.id} otherwise")
            lines.setdefault(prefix + document.table, []).append(item.line)
    try:
        files.publish(path, _archive(plan, documents, scrubs, lines))
    except FileExistsError:
        raise refused(f"{path} not to exist", "it does") from None
    proven = Backup(path, files.sha256(path), len(documents))
    prove(proven, documents, scrubs)
    return proven


def prove(backup: Backup, documents: Sequence[Planned], scrubs: Sequence[Scrub] = ()) -> None:
    """Open a backup and compare it with what it must hold, document by document.

    raises  GuardRefused when it is missing, short or altered
    """
    try:
        if files.sha256(backup.path) != backup.sha256:
            raise refused("the file that was written", "an altered one")
        held, changed = _hashes(backup.path, PREFIX), _hashes(backup.path, SCRUBBED)
    except FileNotFoundError:
        raise refused(f"{backup.path}", "no such file") from None
    except UNREADABLE as error:
        raise refused("a ZIP that can be read", f"{type(error).__name__}") from None
    if changed != {scrub.id: (scrub.table, scrub.sha256) for scrub in scrubs}:
        raise refused("each document as it was before it is changed", "others")
    wanted = {document.id: (document.table, document.sha256) for document in documents}
    if held != wanted or backup.documents != len(documents):
        missing = len(wanted.items() - held.items())
        raise refused(f"{len(wanted)} planned documents", f"{len(held)}, {missing} of the planned missing or altered")


def _hashes(path: Path, prefix: str) -> dict[str, tuple[str, str]]:
    return {id_: (table, hashlib.sha256(line).hexdigest()) for id_, (table, line) in read(path, prefix).items()}


def read(path: Path, prefix: str = PREFIX) -> dict[str, tuple[str, bytes]]:
    """Return (table, line of canonical JSON) of every document in a backup, by id.

    prefix  PREFIX for the deleted ones, SCRUBBED for those that were only changed
    raises  one of UNREADABLE when it is none
    """
    found: dict[str, tuple[str, bytes]] = {}
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            folder, _, file = name.partition("/")
            if folder.startswith(prefix) and file == "documents.jsonl":
                for line in _content(archive, name).split(b"\n")[:-1]:
                    id_ = json.loads(line)["_id"]
                    if id_ in found:
                        raise ValueError(f"{id_} twice")
                    found[id_] = (folder.removeprefix(prefix), line)
    return found


def _content(archive: zipfile.ZipFile, name: str) -> bytes:
    if is_absurd(archive.getinfo(name)):
        raise ValueError(f"{name} is compressed absurdly")
    return archive.read(name)


def manifest(path: Path) -> dict[str, Any]:
    """Return what a backup says of itself.

    raises  GuardRefused when it says nothing
    """
    try:
        with zipfile.ZipFile(path) as archive:
            data = json.loads(_content(archive, MANIFEST))
    except UNREADABLE as error:
        raise refused("a backup of this tool", f"{type(error).__name__}") from None
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        raise refused(f"a backup of schema {SCHEMA}", "another file")
    return data


def without(path: Path, going: frozenset[str]) -> tuple[bytes, int]:
    """Return what a backup is without the documents of these ids: its bytes, and how many documents are left.

    raises  GuardRefused when it is no backup; one of UNREADABLE when it is damaged
    """
    told = manifest(path)
    lines: dict[str, list[bytes]] = {}
    for prefix in (PREFIX, SCRUBBED):
        for id_, (table, line) in read(path, prefix).items():
            if id_ not in going:
                lines.setdefault(prefix + table, []).append(line)
    told["forgotten"] = told.get("forgotten", 0) + len(going & told["documents"].keys())
    for held in ("documents", "scrubbed"):
        told[held] = {id_: sha256 for id_, sha256 in told.get(held, {}).items() if id_ not in going}
    told["tables"] = {table: number for table, number in told["tables"].items() if PREFIX + table in lines}
    return _packed(told, lines), len(told["documents"])


def refused(wanted: str, found: str) -> GuardRefused:
    """Return the error of a backup that does not do."""
    return GuardRefused(
        f"guard backup: wanted {wanted}, found {found}",
        hint="without a proven backup nothing is deleted; nothing was changed",
    )


def _archive(
    plan: Plan, documents: Sequence[Planned], scrubs: Sequence[Scrub], lines: Mapping[str, Sequence[bytes]]
) -> bytes:
    numbers = {name: int(number) for number, name in plan.tables.items()}
    told = {
        "schema": SCHEMA,
        "deployment": plan.deployment,
        "origin": plan.origin,
        "plan_hash": plan.hash,
        "documents": {document.id: document.sha256 for document in documents},
        "scrubbed": {scrub.id: scrub.sha256 for scrub in scrubs},
        "tables": {table: numbers[table] for table in sorted({document.table for document in documents})},
        "restore": "`analyzer purge restore RECEIPT`; no import takes this file for tables",
    }
    return _packed(told, lines)


def _packed(told: Mapping[str, Any], lines: Mapping[str, Sequence[bytes]]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        _add(archive, MANIFEST, canonical(told) + b"\n")
        for folder, own in sorted(lines.items()):
            _add(archive, f"{folder}/documents.jsonl", b"".join(line + b"\n" for line in own))
            _add(archive, f"{folder}/generated_schema.jsonl", UNIFORM)
    return buffer.getvalue()


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    info = zipfile.ZipInfo(name, ZIP_EPOCH)
    info.compress_type = zipfile.ZIP_DEFLATED
    info.create_system = 3
    info.external_attr = 0o100600 << 16
    archive.writestr(info, content)
