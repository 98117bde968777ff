"""Forgetting is for good: no byte is left where this tool writes, and what is left is a whole and honest store."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NoReturn

import duckdb
import pytest
from click.testing import CliRunner, Result

from analyzer import cli, clock
from analyzer.collect.live import LiveOptions, collect_live
from analyzer.flows import purge as flow
from analyzer.model import Mark
from analyzer.purge import backup, receipt, restore
from analyzer.purge.facts import Consent
from analyzer.store import Store, spool
from analyzer.store.checking import problems_of
from analyzer.store.copies import workshop_of
from tests.killing import end_of
from tests.purge.leftovers import NOW_MS, World, world
from tests.store.test_minutes import is_counted

CANARY = "quetzalcoatlus-canary"
TEST_CANARY = "dodo-canary"  # of a task that was purged: it is in the backup too
LOG = Path(__file__).parents[1] / "recorded" / "example-rollout-log.md"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Return a world whose store holds a person with a canary in everything that one can leave behind."""
    with world(tmp_path_factory.mktemp("forget")) as w:
        w.ids["bob"] = w.add("bob", "users", name=f"Bob {CANARY}", email=f"bob@{CANARY}.example")
        for name in ("bobs", "bobs other"):
            task = w.add_task(name, w.ids["bob"], title=f"{name} {CANARY}", odd={"deep": [CANARY]}, status=f"{CANARY}!")
            w.add_message(f"{name} message", task, content=f"please {CANARY}\n", errorMessage=f"{CANARY} failed")
            w.add(f"{name} todo", "todos", taskId=task, content=CANARY, status="PENDING")
        w.add_message("reply to bob", w.ids["real"], promptMessageId=w.ids["bobs message"])
        w.add("mention", "todos", taskId=w.ids["real"], meta=[{"who": w.ids["bob"], "mail": f"bob@{CANARY}.example"}])
        helper = w.ids["helper"]
        w.add_test_task("canary test", helper, title=f"Test {TEST_CANARY}")
        w.add_test_task("other test", helper)
        w.is_pristine = False
        w.deployment.clock.advance_s(3600)
        gather(w, "before")
        plan, path = w.plan()
        assert w.ids["canary test"] in {d.id for d in plan.documents}
        flow.keep_receipt(w.store, w.apply(plan, path), 10.0)
        w.deployment.clock.advance_s(60)
        w.deployment.patch("tasks", w.ids["bobs"], {"title": f"renamed {CANARY}"})
        gather(w, "after")
        remember(w)
        w.deployment.settings.sync_rows = 2
        w.deployment.clock.advance_s(60)
        for number in range(5):
            w.add_message(f"late {number}", w.ids["bobs"], content=f"late {CANARY}")
        w.deployment.faults.page(520, path="/api/v1/data/sync", times=None, skip=1)
        with pytest.raises(Exception, match="520"):
            gather(w, "broken off")
        yield w


def gather(w: World, label: str) -> None:
    with w.source() as source:
        collect_live(source, w.store, LiveOptions(label=label, batch_documents=2, keep_text=True))


def remember(w: World) -> None:
    """Put the person into what people wrote, and into what the deployment answered."""
    log = w.folder / "rollout-log.md"
    log.write_text(LOG.read_text().replace("Reasoning", w.ids["bobs"]) + f"\nMail bob@{CANARY}.example\n")
    assert run(w.store, "rollout", "import", str(log)).exit_code == 0
    log.unlink()
    traces = [{"taskId": w.ids["bobs"], "traceId": CANARY}, {"taskId": w.ids["real"], "traceId": "stays"}]
    with Store.write(w.store) as store:
        name = w.deployment.settings.name
        store.add_mark(name, Mark(w.ids["bobs"], "real", CANARY, "ada", NOW_MS))
        store.add_mark(name, Mark(w.ids["real"], "real", f"asked bob@{CANARY}.example", "ada", NOW_MS))
        store._duck.execute("insert into answer values (2, 'a:b', 1, $v)", {"v": json.dumps(traces)})
        store._duck.execute("update snapshot set warnings = [$w]", {"w": f"task {w.ids['bobs']} is odd"})


@pytest.fixture
def copy(made: World, tmp_path: Path) -> Path:
    """Return a copy of the folder with the store, its backup and its receipt."""
    for file in made.folder.iterdir():
        if file.is_file():
            (tmp_path / file.name).write_bytes(file.read_bytes())
    with Store.write(tmp_path / "store.duckdb") as store:
        for told in store.receipts.all():
            moved = told | {"backup": told["backup"] | {"path": str(tmp_path / "plan.backup.zip")}}
            store.receipts.keep(moved)
            receipt.write(moved, tmp_path / "plan.receipt.json")
    return tmp_path / "store.duckdb"


def run(store: Path, *words: str) -> Result:
    return CliRunner().invoke(cli.main, [*words, "--db", str(store)])


def forget(store: Path, *words: str) -> Result:
    """Rehearse, and then do it with the confirmation that was shown."""
    told = run(store, "store", "forget", *words).stderr
    confirm = told.partition("to confirm: ")[2].split()[0]
    return run(store, "store", "forget", *words, "--confirm", confirm)


def files_with(folder: Path, *needles: str) -> set[str]:
    """Return the names of files under a folder whose raw bytes hold one of the needles."""
    found = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return {path.name for path, raw in found.items() if any(needle.encode() in raw for needle in needles)}


def documents(store: Path) -> list[dict[str, dict[str, Any]]]:
    """Return what each snapshot holds, by id."""
    with Store.read(store) as opened:
        found = []
        for shot in opened.snapshots():
            frame = opened.frame(shot)
            views = ("stg_users", "stg_tasks", "stg_messages", "stg_traces", "stg_other")
            found.append({row["id"]: row for view in views for row in frame.records(f"staging/{view}")})
        return found


def test_of_a_forgotten_user_no_byte_is_left_and_everything_else_is_as_before(made: World, copy: Path) -> None:
    gone = [made.ids[name] for name in made.ids if name.startswith("bob")] + [
        made.ids[f"late {number}"] for number in range(5)
    ]
    assert {"store.duckdb"} <= files_with(copy.parent, CANARY)
    before = documents(copy)
    done = forget(copy, "--user", made.ids["bob"])
    assert done.exit_code == 0, done.stderr
    assert files_with(copy.parent, CANARY) == set()
    assert files_with(copy.parent, *gone) <= {"plan.json", "plan.ledger.jsonl"}
    assert problems_of(copy) == ()
    assert is_counted(copy)
    after = documents(copy)
    masked = {made.ids["reply to bob"], made.ids["mention"]}
    for old, new in zip(before, after, strict=True):
        assert new.keys() == old.keys() - set(gone)
        for id_ in new.keys() - masked:
            assert new[id_] == old[id_] | {"revision_no": new[id_]["revision_no"]}
        assert new[made.ids["reply to bob"]]["prompt_message_id"] not in (None, made.ids["bobs message"])
    assert [path.name for path in copy.parent.iterdir() if "copying" in path.name] == []


@pytest.mark.external
def test_what_goes_and_what_is_out_of_reach_is_said_first_and_nothing_is_done(made: World, copy: Path) -> None:
    before = {path.name: path.read_bytes() for path in copy.parent.iterdir()}
    told = run(copy, "store", "forget", "--user", made.ids["bob"], "--dry-run")
    assert told.exit_code == 0
    assert "to be forgotten: 2 documents of tasks" in told.stdout
    assert "out of reach: happy-animal-123: the deployment still had" in told.stdout
    assert "exports, Parquet files" in told.stdout
    assert "to confirm: forget/" in told.stdout
    refused = run(copy, "store", "forget", "--user", made.ids["bob"], "--confirm", "yes")
    assert refused.exit_code == 6 and "guard confirmation" in refused.stderr
    assert {path.name: path.read_bytes() for path in copy.parent.iterdir()} == before


@pytest.mark.external
def test_counts_of_earlier_snapshots_say_what_was_forgotten_and_health_says_so(made: World, copy: Path) -> None:
    assert forget(copy, "--user", made.ids["bob"]).exit_code == 0
    with Store.read(copy) as store:
        shot = store.snapshot("before")
    (tasks,) = [c for c in shot.coverage if c.table.name == "tasks"]
    assert (tasks.documents, tasks.forgotten) == (4, 2)
    told = json.loads(run(copy, "health", "--snapshot", "before", "--format", "json").stdout)
    (finding,) = [f for f in told["findings"] if f["id"] == "forgotten"]
    assert "2 of tasks" in finding["text"]
    assert "2 forgotten since" in run(copy, "snapshots", "show", "before").stdout


@pytest.mark.external
def test_the_next_collect_reads_everything_again_and_is_whole(made: World, copy: Path) -> None:
    assert forget(copy, "--user", made.ids["bob"]).exit_code == 0
    made.deployment.faults.clear()
    made.deployment.settings.sync_rows = 1_000
    with made.source() as source:
        collect_live(source, copy, LiveOptions(label="again"))
    assert made.ids["bobs"] in documents(copy)[-1]
    assert problems_of(copy) == ()


@pytest.mark.external
def test_a_backup_loses_what_was_forgotten_and_still_restores_the_rest(made: World, copy: Path) -> None:
    saved = copy.with_name("plan.backup.zip")
    assert made.ids["canary test"] in backup.read(saved)
    assert files_with(copy.parent, TEST_CANARY) == {"store.duckdb"}  # the backup is compressed
    assert forget(copy, "--task", made.ids["canary test"]).exit_code == 0
    assert files_with(copy.parent, TEST_CANARY) == set()
    held = backup.read(saved)
    with zipfile.ZipFile(saved) as archive:
        assert not any(TEST_CANARY.encode() in archive.read(name) for name in archive.namelist())
    assert made.ids["canary test"] not in held and made.ids["other test"] in held
    told = receipt.read(copy.with_name("plan.receipt.json"))
    assert {d.id for d in receipt.deleted(told)} == held.keys()
    with made.source() as source:
        rehearsed = restore.rehearse(source.connection, copy.with_name("plan.receipt.json"), Consent())
    assert {item.old_id for item in rehearsed.documents} == held.keys()
    assert told["forgotten"] == 1 and told["backup"]["documents"] == len(held)
    with Store.read(copy) as store:
        assert store.receipts.all() == [told]


@pytest.mark.external
def test_a_backup_that_was_altered_is_left_alone_and_named(made: World, copy: Path) -> None:
    saved = copy.with_name("plan.backup.zip")
    saved.write_bytes(saved.read_bytes() + b"more")
    done = forget(copy, "--task", made.ids["canary test"])
    assert done.exit_code == 0 and f"out of reach: {saved}: a purge's backup that cannot be used" in done.stdout
    assert saved.read_bytes().endswith(b"more")


@pytest.mark.external
def test_forgetting_text_leaves_documents_and_reduces_what_was_kept(made: World, copy: Path) -> None:
    with Store.write(copy) as store:  # titles are no text, so this test's canary is in texts alone
        store._duck.execute("update revision_tasks set title = 'x' where title is not null")
    done = forget(copy, "--text")
    assert done.exit_code == 0, done.stderr
    assert f"please {CANARY}".encode() not in copy.read_bytes()
    assert f"{CANARY} failed".encode() not in copy.read_bytes()
    assert problems_of(copy) == ()
    messages = documents(copy)[0][made.ids["bobs message"]]
    assert messages["content_text"] is None and messages["content_length"] == len(f"please {CANARY}\n")
    assert '"$text"' in messages["leftovers"]
    assert "nothing of it is in the store" in run(copy, "store", "forget", "--text").stdout


def test_what_is_not_there_or_not_said_is_told(made: World, copy: Path) -> None:
    assert "nothing of it is in the store" in run(copy, "store", "forget", "--task", "nonsense").stdout
    assert run(copy, "store", "forget").exit_code == 2
    assert run(copy, "store", "forget", "--text", "--task", "x").exit_code == 2


CHILD = """
import sys
from click.testing import CliRunner
from analyzer import cli, clock
print("ready", flush=True)
sys.argv = ["analyzer", *sys.argv[1:]]
cli.main()
"""


@pytest.mark.external
def test_killed_anywhere_the_store_is_the_old_one_or_the_new_and_the_command_finishes_it(
    made: World, copy: Path
) -> None:
    random_ = random.Random(3)
    words = ["store", "forget", "--task", made.ids["canary test"], "--db", str(copy)]
    confirm = run(copy, *words[:-2]).stderr.partition("to confirm: ")[2].split()[0]
    whole = {path.name: path.read_bytes() for path in copy.parent.iterdir() if path.is_file()}
    ended = set()
    for _ in range(10):
        for name, content in whole.items():
            copy.with_name(name).write_bytes(content)
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, *words, "--confirm", confirm],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert child.stdout is not None and child.stdout.readline()
        ended.add(end_of(child, killed_after_s=0.2 + random_.random() * 1.6))
        assert not [p for p in problems_of(copy) if p.check != "files"]
        held = documents(copy)[0]
        assert child.returncode != 0 or made.ids["canary test"] not in held
        done = forget(copy, *words[2:-2]) if made.ids["canary test"] in held else None
        assert done is None or done.exit_code == 0, done.stderr
        run(copy, "store", "repair")
        assert files_with(copy.parent, TEST_CANARY) == set()
        assert not workshop_of(copy).exists()
    assert -signal.SIGKILL in ended


def test_when_the_store_no_longer_knows_what_to_forget_no_copy_of_it_does_either(
    made: World, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    older = copy.with_name(f"{copy.name}.before-schema-3")
    older.write_bytes(copy.read_bytes())

    def killed(_: float) -> NoReturn:  # between giving the new file its name and letting go of it
        raise KeyboardInterrupt

    monkeypatch.setattr(clock, "sleep_s", killed)
    words = ("--task", made.ids["canary test"])
    confirm = run(copy, "store", "forget", *words).stderr.partition("to confirm: ")[2].split()[0]
    assert run(copy, "store", "forget", *words, "--confirm", confirm).exit_code == 130
    assert made.ids["canary test"] not in documents(copy)[0]
    assert not older.exists()


@pytest.mark.external
def test_a_store_that_changed_since_the_rehearsal_is_left_alone(made: World, copy: Path) -> None:
    from analyzer.errors import StoreError
    from analyzer.flows import forgetting
    from analyzer.rules import load_all

    asked = forgetting.wanted(load_all(), tasks=[made.ids["real"]], users=[], is_text=False)
    rehearsed = forgetting.rehearse(copy, asked)
    with duckdb.connect(str(copy)) as duck:
        for table in ("revision_messages", "staged_messages"):
            duck.execute(f"delete from {table} where id = $id", {"id": made.ids["real message 0"]})
    before = copy.read_bytes()
    with pytest.raises(StoreError, match="changed meanwhile"):
        forgetting.forget(copy, asked, rehearsed, rehearsed.found.confirm)
    assert copy.read_bytes() == before


def test_a_spool_that_a_killed_collect_left_is_swept_and_one_in_use_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with spool.folder() as used:
        (used / "documents.jsonl").write_text(CANARY)
        left = tmp_path / f"{spool.PREFIX}left"
        left.mkdir()
        (left / spool.LOCK).write_text("")
        (left / "documents.jsonl").write_text(CANARY)
        for folder in (left, used):
            os.utime(folder, (0, 0))
        assert spool.sweep() == 1
        assert used.exists() and not left.exists()
    assert list(tmp_path.iterdir()) == []


def test_folders_that_vanish_while_others_are_swept_trouble_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def come_and_go() -> None:
        for _ in range(100):
            with spool.folder() as used:
                (used / "documents.jsonl").write_text("")

    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(come_and_go) for _ in range(4)]:
            done.result()
    assert list(tmp_path.iterdir()) == []
