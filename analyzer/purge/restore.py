"""Puts deleted documents back, under new ids: a deleted id can never be used again in the same table.

The map from old to new ids is on the disk before anything is sent, so a restore that was interrupted goes on with the
same ids, and nothing comes twice. Creation times are kept; references among the restored are rewritten.
"""

from __future__ import annotations

import contextlib
import io
import json
import secrets
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analyzer import clock, units
from analyzer.convex import danger, functions, ids, values
from analyzer.convex.archive_writer import UNIFORM
from analyzer.convex.client import Client
from analyzer.convex.connection import Connection
from analyzer.convex.permissions import IMPORT, VIEW_BACKUPS
from analyzer.errors import SourceInvalid, UsageError
from analyzer.model import DeploymentType
from analyzer.purge import backup, files, guards, live, put_back, told, writes
from analyzer.purge.facts import Consent
from analyzer.purge.plan_file import Planned
from analyzer.purge.put_back import PutBack
from analyzer.purge.references import in_value

SCHEMA = "restore/1"
QUERY_IMPORT = "_system/cli/queryImport"
MOST_POLLS = 3_600


@dataclass(frozen=True, slots=True)
class Restored:
    """One document under its new id."""

    table: str
    old_id: str
    id: str
    document: Mapping[str, Any]  # Convex values, references rewritten


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What a restore would do."""

    deployment: str
    documents: tuple[Restored, ...]
    present: frozenset[str]  # new ids that are there already, from an earlier try
    lost: tuple[str, ...]  # "table.field of OLD refers to ID": what the documents name is not there any more
    confirm: str  # what has to be typed
    put_backs: tuple[PutBack, ...] = ()  # documents that stayed, and would get their references back

    @property
    def missing(self) -> tuple[Restored, ...]:
        """Return what would be sent."""
        return tuple(item for item in self.documents if item.id not in self.present)


def path_of(receipt_path: Path) -> Path:
    """Return where the map of a restore lies: beside the receipt."""
    return receipt_path.with_name(f"{receipt_path.name.removesuffix('.json').removesuffix('.receipt')}.restore.json")


def ledger_of(receipt_path: Path) -> Path:
    """Return where a restore notes that it paused the deployment."""
    return path_of(receipt_path).with_suffix(".ledger.jsonl")


def rehearse(connection: Connection, path: Path, consent: Consent) -> Rehearsal:
    """Look at everything a restore needs, and choose the new ids; sends nothing.

    path    of the receipt; of the plan where the apply did not come to its end
    raises  GuardRefused; UsageError for a damaged receipt
    """
    purge = told.read(path)
    known = purge.receipt
    _check_deployment(connection, known, consent)
    wanted = [*purge.deleted, *_gone(connection.client, purge.unsettled)]
    if not wanted or known["backup"] is None:
        raise UsageError(f"{path} tells of nothing that was deleted: there is nothing to put back")
    noted = known["backup"]
    saved = Path(noted["path"])
    if not saved.is_file():
        saved = path.with_name(saved.name)  # all files of a purge may have been moved together
    held = _held(saved, noted["sha256"])
    if missing := [document.id for document in wanted if document.id not in held]:
        raise backup.refused("every deleted document", f"{len(missing)} that it does not hold")
    with _locked(path):
        new_ids = _new_ids(path, known, [document.id for document in wanted])
    restored = tuple(
        Restored(document.table, document.id, new_ids[document.id], _rewritten(held[document.id][1], new_ids))
        for document in wanted
    )
    _check_tables(connection.client, restored)
    found = live.read_documents(connection.client, [(item.table, item.id) for item in restored])
    confirm = f"{known['deployment']}/{len(restored)}/{known['plan_hash'][:6]}"
    present = frozenset(id_ for id_, item in found.items() if item is not None)
    put_backs = put_back.wanted(saved, put_back.scrubs(known), lambda value: _replaced(value, new_ids))
    lost = _lost(connection.client, restored)
    return Rehearsal(known["deployment"], restored, present, lost, confirm, tuple(put_backs))


def restore(
    connection: Connection,
    path: Path,
    rehearsed: Rehearsal,
    typed: str | None,
    *,
    poll_s: float = 1.0,
    barrier: contextlib.AbstractContextManager[object] | None = None,
) -> dict[str, Any]:
    """Send what is missing by one import that appends, and prove that it is there.

    barrier  keeps the app from writing while documents that stayed get their references back; None: they do not
    returns  what was done, written beside the receipt
    raises   GuardRefused without the confirmation; SourceError when the import fails: start again, nothing doubles
    """
    if typed is None or typed.strip() != rehearsed.confirm:
        raise guards.refused(
            "confirmation", "this restore's confirmation, typed in full", "another text" if typed else "nothing"
        )
    client, missing = connection.client, rehearsed.missing
    with _locked(path):
        if missing:
            import_id = writes.start_import(client, _archive(missing))
            _await(client, import_id, ("waiting_for_confirmation",), poll_s)
            writes.perform_import(client, import_id)
            _await(client, import_id, ("completed",), poll_s)
        everything = live.read_documents(client, [(item.table, item.id) for item in rehearsed.documents])
        wrong = [
            item.id
            for item in rehearsed.documents
            if (found := everything[item.id]) is None or found.line != live.canonical(item.document)
        ]
        not_put_back = [
            f"{item.table} {item.id} got no references back: that needs --pause" for item in rehearsed.put_backs
        ]
        if barrier is not None:
            with barrier:
                not_put_back = put_back.put_back(client, rehearsed.put_backs)
        made = _map(path) | {
            "finished_at": units.instant(clock.now_ms()),
            "sent": len(missing),
            "present_before": len(rehearsed.present),
            "lost_references": [*rehearsed.lost, *not_put_back],
            "verified": {"ok": not wrong, "not_as_before": wrong},
        }
        files.replace(path_of(path), json.dumps(made, indent=1).encode() + b"\n")
    return made


def _locked(path: Path) -> contextlib.AbstractContextManager[None]:
    """Hold the lock of the plan: meanwhile neither its apply runs, nor another restore."""
    plan = path.name.replace(".receipt.json", ".json")
    return files.locked(path.with_name(f".{plan}.lock"), plan)


def _check_deployment(connection: Connection, known: Mapping[str, Any], consent: Consent) -> None:
    deployment, powers = connection.deployment, connection.powers
    if (deployment.name, deployment.origin) != (known["deployment"], known.get("origin")):
        found = f"{deployment.name} at {deployment.origin}"
        raise guards.refused("deployment", "the deployment that the receipt is of", found)
    if deployment.type is DeploymentType.UNKNOWN:
        raise guards.refused("unknown type", "a server that says which type it is", deployment.type_reason)
    if danger.counts_as_production(deployment.type) and not consent.is_named:
        raise guards.refused("production named", "it to be named in the configuration", deployment.type.value)
    if powers is None or powers.is_read_only or not (powers.may(IMPORT) and powers.may(VIEW_BACKUPS)):
        raise guards.refused("key", f"a key with {IMPORT} and {VIEW_BACKUPS}", "another", "set ANALYZER_WRITE_KEY")


def _gone(client: Client, documents: Sequence[Planned]) -> list[Planned]:
    """Return the documents that are not there any more."""
    found = live.read_documents(client, [(document.table, document.id) for document in documents])
    return [document for document in documents if found[document.id] is None]


def _held(path: Path, sha256: str) -> dict[str, tuple[str, bytes]]:
    try:
        if files.sha256(path) != sha256:
            raise backup.refused("the file that the receipt names", "an altered one")
        return backup.read(path)
    except backup.UNREADABLE as error:
        raise backup.refused(f"{path.name}", type(error).__name__) from None


def _check_tables(client: Client, restored: Sequence[Restored]) -> None:
    mapping = live.table_mapping(client)
    for item in restored:
        if mapping.get(str(ids.decode(item.id).table_number)) != item.table:
            raise guards.refused("table mapping", f"the number of {item.table} as it was", "another")


def _new_ids(path: Path, known: Mapping[str, Any], old: Sequence[str]) -> dict[str, str]:
    """Return the new id of each document: those of an earlier try, else fresh ones that are on the disk first."""
    where = path_of(path)
    found = _map(path) if where.exists() else {"schema": SCHEMA, "receipt": known["id"], "ids": {}}
    if found.get("receipt") != known["id"]:
        raise guards.refused("restore map", f"{where.name} to be of this receipt", "one of another")
    fresh = {id_: _new_id(id_) for id_ in old if id_ not in found["ids"]}
    if fresh:  # also where an apply went on after what it had deleted was put back
        found = found | {"deployment": known["deployment"], "ids": found["ids"] | fresh}
        files.replace(where, json.dumps(found, indent=1).encode() + b"\n")
    return {id_: found["ids"][id_] for id_ in old}


def _new_id(old: str) -> str:
    return ids.encode(ids.decode(old).table_number, secrets.token_bytes(ids.RANDOM_BYTES))


def _map(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path_of(path).read_bytes())
        if data["schema"] == SCHEMA and all(ids.is_valid(new) for new in data["ids"].values()):
            return dict(data)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        pass
    raise guards.refused("restore map", f"{path_of(path).name} to be whole", "a damaged one")


def _rewritten(line: bytes, new_ids: Mapping[str, str]) -> dict[str, Any]:
    document = _replaced(values.loads(line, "export_json"), new_ids)
    assert isinstance(document, dict)
    return document


def _replaced(value: Any, new_ids: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        for found in ids.find(value):
            value = value.replace(found, new_ids.get(found, found))
        return value
    if isinstance(value, list):
        return [_replaced(item, new_ids) for item in value]
    if isinstance(value, dict):
        return {new_ids.get(name, name): _replaced(item, new_ids) for name, item in value.items()}
    return value


def _lost(client: Client, restored: Sequence[Restored]) -> tuple[str, ...]:
    """Return references of restored documents to documents that are not there, nor restored."""
    mapping = live.table_mapping(client)
    new = {item.id for item in restored}
    outward: list[tuple[str, str, str]] = []
    for item in restored:
        for field, value in item.document.items():
            for found_at, target in in_value(field, value) if field not in ("_id", "_creationTime") else ():
                name = mapping.get(str(ids.decode(target).table_number))
                if target not in new and name and not name.startswith("_"):
                    outward.append((f"{item.table}.{found_at} of {item.old_id}", name, target))
    found = live.read_documents(client, sorted({(table, target) for _, table, target in outward}))
    return tuple(f"{what} refers to {target}, which is gone" for what, _, target in outward if found[target] is None)


def _archive(restored: Sequence[Restored]) -> bytes:
    tables: dict[str, list[bytes]] = {}
    for item in restored:
        tables.setdefault(item.table, []).append(live.canonical(item.document))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for table, lines in sorted(tables.items()):
            archive.writestr(f"{table}/documents.jsonl", b"".join(line + b"\n" for line in lines))
            archive.writestr(f"{table}/generated_schema.jsonl", UNIFORM)
    return buffer.getvalue()


def _await(client: Client, import_id: str, wanted: Sequence[str], poll_s: float) -> None:
    """Wait for a state of an import.

    raises  SourceInvalid when it fails, wants to delete something, or takes more than an hour
    """
    for _ in range(MOST_POLLS):
        row = functions.query(client, QUERY_IMPORT, {"importId": import_id}, permission=VIEW_BACKUPS)
        state = row.get("state") if isinstance(row, dict) else None
        name = state.get("state") if isinstance(state, dict) else None
        if name == "failed":
            said = client.asked("the import").quote(state.get("error_message")) if state else ""
            raise SourceInvalid(f"the import failed: {said}", hint="start the restore again: nothing comes twice")
        if state and state.get("require_manual_confirmation"):
            raise SourceInvalid("the import would delete documents, so it was not confirmed")
        if name in wanted:
            return
        clock.sleep_s(poll_s)
    raise SourceInvalid("the import does not end", hint="start the restore again later: nothing comes twice")
