"""Every refusal word for word, as `said.txt` shows it; `python -m tests.purge.test_sayings` writes that anew."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from analyzer.errors import GuardRefused
from analyzer.model import TableCoverage, TableRef
from analyzer.purge import backup, checks, guards, ledger
from analyzer.purge.facts import Caps
from analyzer.purge.plan_file import Evidence, Planned
from tests.purge.test_guards import (
    BAD,
    FOREIGN,
    GOOD,
    GROUP,
    MESSAGE,
    NOW,
    NOW_MS,
    PLAN,
    SCRUB,
    SCRUBBED_GROUP,
    SCRUBBING,
    SURVIVOR,
    TASK,
    found,
    planned,
    problem,
    snapshot,
)

SAID = Path(__file__).parent / "said.txt"


def refusal(call: Callable[[], object]) -> str:
    """Return error and hint of a call that a guard refuses."""
    try:
        call()
    except GuardRefused as refused:
        return f"{refused}\n    {refused.hint}"
    raise AssertionError("not refused")


def of_the_list() -> Iterator[str]:
    for name, bad in BAD.items():
        guard = next(guard for guard in guards.GUARDS if guard.name == name)
        for facts in bad:
            yield refusal(partial(guards.check_all, facts))
            assert guard.finds(facts)
    yield refusal(lambda: (_ for _ in ()).throw(guards.refused("a name", "this", "that\x1b[2J")))


def of_moments() -> Iterator[str]:
    holes = [TableCoverage(TableRef("", name), "not_collected", None) for name in ("users", "tasks")]
    yield refusal(lambda: checks.check_coverage(snapshot(coverage=())))
    yield refusal(lambda: checks.check_coverage(snapshot(coverage=(*holes, *snapshot().coverage))))
    yield refusal(lambda: checks.check_snapshot(snapshot(), "other-one-2", NOW_MS * 10**6))
    for minutes in (16, -16):
        late_ns = NOW_MS * 10**6 + minutes * 60 * 10**9
        yield refusal(partial(checks.check_snapshot, snapshot(), GOOD.deployment.name, late_ns))
    for typed in (None, "", "yes"):
        yield refusal(partial(checks.check_confirmation, PLAN, typed))
    evidence = replace(GROUP, evidence=(Evidence("", "chatMessages", FOREIGN.id, "0" * 64),))
    unread = replace(GROUP, evidence=(Evidence("", "chatMessages", FOREIGN.id, None),))
    for group, changed in (
        (GROUP, {"found": NOW | {TASK.id: None}}),
        (GROUP, {"found": {}}),
        (GROUP, {"found": NOW | {MESSAGE.id: found("chatMessages", 1, content="mine")}}),
        (evidence, {"found": NOW | {FOREIGN.id: SURVIVOR}}),
        (evidence, {}),
        (unread, {}),
        (GROUP, {"references": (FOREIGN,)}),
        (SCRUBBED_GROUP, {}),
        (SCRUBBED_GROUP, {"found": NOW | {SCRUB.id: SURVIVOR}, "references": (FOREIGN._replace(target=TASK.id),)}),
    ):
        yield str(problem(group=group, **changed))
    totals = [("tasks", 0.5), ("users", 0.2), ("todos", 0.21)]
    yield str(checks.warnings(PLAN, Caps(1, 0.2, False), totals))
    yield str(checks.warnings(PLAN, Caps(2, 0.5, False), totals))


def of_backups(folder: Path) -> Iterator[str]:
    path = folder / "b.zip"
    yield refusal(lambda: backup.write(path, PLAN, PLAN.documents, NOW | {TASK.id: None}))
    yield refusal(lambda: backup.write(path, PLAN, PLAN.documents, NOW | {TASK.id: found("tasks", 1, title="x")}))
    yield refusal(lambda: backup.write(path, SCRUBBING, PLAN.documents, NOW, SCRUBBING.scrubs))
    made = backup.write(path, SCRUBBING, PLAN.documents, NOW | {SCRUB.id: SURVIVOR}, SCRUBBING.scrubs)
    assert made == backup.Backup(path, hashlib.sha256(path.read_bytes()).hexdigest(), 2)
    yield refusal(lambda: backup.write(path, PLAN, PLAN.documents, NOW))
    yield refusal(lambda: backup.prove(made, PLAN.documents))
    yield refusal(lambda: backup.prove(made, PLAN.documents[:1], SCRUBBING.scrubs))
    yield refusal(lambda: backup.prove(made, [*PLAN.documents, planned("tasks", 2)], SCRUBBING.scrubs))
    yield refusal(lambda: backup.prove(replace(made, documents=3), PLAN.documents, SCRUBBING.scrubs))
    yield refusal(lambda: backup.prove(replace(made, sha256="0" * 64), PLAN.documents, SCRUBBING.scrubs))
    yield refusal(lambda: backup.prove(replace(made, path=folder / "none.zip"), PLAN.documents))
    other = folder / "other.zip"
    other.write_bytes(b"no zip")
    as_it_is = backup.Backup(other, hashlib.sha256(b"no zip").hexdigest(), 2)
    yield refusal(lambda: backup.prove(as_it_is, PLAN.documents))
    yield refusal(lambda: backup.manifest(other))
    for content in ("[]", '{"schema": "backup/2"}'):
        with zipfile.ZipFile(other, "w") as archive:
            archive.writestr(backup.MANIFEST, content)
        yield refusal(lambda: backup.manifest(other))


def of_ledgers(folder: Path) -> Iterator[str]:
    path = folder / "plan.ledger.jsonl"
    path.write_bytes(b"nonsense\n")
    yield refusal(lambda: ledger.read(path, "1" * 64))
    path.write_bytes(b'{"event": "begin", "plan_hash": "2", "at": "x", "server_ms": 1}\n')
    yield refusal(lambda: ledger.read(path, "1" * 64))


def everything(folder: Path) -> str:
    said = [*of_the_list(), *of_moments(), *of_backups(folder), *of_ledgers(folder)]
    return "\n".join(said).replace(str(folder), "FOLDER") + "\n"


def test_every_refusal_reads_as_it_was_reviewed(tmp_path: Path) -> None:
    assert everything(tmp_path) == SAID.read_text(encoding="utf-8")


def line_of(document: Planned) -> bytes:
    now = NOW[document.id]
    assert now is not None
    return now.line


def test_a_backup_is_made_byte_for_byte_the_same_and_says_what_it_is(tmp_path: Path) -> None:
    now = NOW | {SCRUB.id: SURVIVOR}
    for name in ("a.zip", "b.zip"):
        backup.write(tmp_path / name, SCRUBBING, PLAN.documents, now, SCRUBBING.scrubs)
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["a.zip", "b.zip"]
    told = backup.manifest(tmp_path / "a.zip")
    assert told == {
        "schema": "backup/1",
        "deployment": PLAN.deployment,
        "origin": PLAN.origin,
        "plan_hash": SCRUBBING.hash,
        "documents": {MESSAGE.id: MESSAGE.sha256, TASK.id: TASK.sha256},
        "scrubbed": {SCRUB.id: SCRUB.sha256},
        "tables": {"chatMessages": 10003, "tasks": 10002},
        "restore": "`analyzer purge restore RECEIPT`; no import takes this file for tables",
    }
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert archive.namelist() == [
            "manifest.json",
            "_purged_chatMessages/documents.jsonl",
            "_purged_chatMessages/generated_schema.jsonl",
            "_purged_tasks/documents.jsonl",
            "_purged_tasks/generated_schema.jsonl",
            "_scrubbed_chatMessages/documents.jsonl",
            "_scrubbed_chatMessages/generated_schema.jsonl",
        ]
        for info in archive.infolist():
            assert (info.external_attr >> 16, info.create_system) == (0o100600, 3)
            assert (info.compress_type, info.date_time) == (zipfile.ZIP_DEFLATED, (1980, 1, 1, 0, 0, 0))
        assert archive.read("_purged_tasks/generated_schema.jsonl") == b'"uniform"\n'
        assert archive.read("_purged_tasks/documents.jsonl") == line_of(TASK) + b"\n"
        manifest = archive.read("manifest.json")
    assert manifest == json.dumps(told, sort_keys=True, separators=(",", ":")).encode() + b"\n"
    held = backup.read(tmp_path / "a.zip")
    assert held == {MESSAGE.id: ("chatMessages", line_of(MESSAGE)), TASK.id: ("tasks", line_of(TASK))}
    two = [TASK, planned("tasks", 2)]
    backup.write(tmp_path / "two.zip", PLAN, two, NOW | {two[1].id: found("tasks", 2)})
    assert set(backup.read(tmp_path / "two.zip")) == {document.id for document in two}
    assert backup.read(tmp_path / "a.zip", backup.SCRUBBED) == {SCRUB.id: ("chatMessages", SURVIVOR.line)}


def test_a_backup_without_some_documents_says_so_and_holds_the_others_as_they_were(tmp_path: Path) -> None:
    made = backup.write(tmp_path / "a.zip", SCRUBBING, PLAN.documents, NOW | {SCRUB.id: SURVIVOR}, SCRUBBING.scrubs)
    told = backup.manifest(made.path)
    content, left = backup.without(made.path, frozenset({TASK.id, "another"}))
    made.path.write_bytes(content)
    assert left == 1
    assert backup.read(made.path) == {MESSAGE.id: ("chatMessages", line_of(MESSAGE))}
    assert backup.read(made.path, backup.SCRUBBED) == {SCRUB.id: ("chatMessages", SURVIVOR.line)}
    assert backup.manifest(made.path) == told | {
        "documents": {MESSAGE.id: MESSAGE.sha256},
        "tables": {"chatMessages": 10003},
        "forgotten": 1,
    }
    content, left = backup.without(made.path, frozenset({MESSAGE.id, SCRUB.id}))
    made.path.write_bytes(content)
    told = backup.manifest(made.path)
    assert (left, told["forgotten"], told["documents"], told["scrubbed"], told["tables"]) == (0, 2, {}, {}, {})


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        SAID.write_text(everything(Path(name)), encoding="utf-8")
