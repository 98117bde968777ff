"""Makes the store that the test of upgrades opens. Run it with the code of a release, once, before the next begins:

    python -m tests.store.released.make

It holds something of everything, and little of it: two recordings, a rollout, marks, a live read that was finished
and one that broke off, a purge with its receipt.
"""

from __future__ import annotations

import gzip
import json
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from click.testing import CliRunner

from analyzer import __version__, cli
from analyzer.collect.live import LiveOptions, collect_live
from analyzer.errors import AnalyzerError
from analyzer.flows.purge import keep_receipt
from analyzer.model import Mark
from analyzer.store import Store
from tests.purge.leftovers import HOUR_MS, NOW_MS, world
from tests.store.released.answers import answers
from tests.support import export, golden_cases

FOLDER = Path(__file__).parent
DEMO = FOLDER.parents[2] / "data" / "demo"


def _run(*words: str) -> None:
    done = CliRunner().invoke(cli.main, list(words))
    assert done.exit_code == 0, done.stderr


def _recording(folder: Path, case: str, hour: int) -> Path:
    """Make a recording of one of the recorded cases; returns its folder."""
    found = golden_cases()[case]
    folder.mkdir()
    (folder / "flags.json").write_text(json.dumps({"ENABLE_WORKFLOW": "true"}))
    answer = json.dumps(found["expected"]["getSystemHealth"])
    (folder / "monitoring.dashboard.getSystemHealth.json").write_text(answer)
    export(folder / f"snapshot_curious-heron-412_{NOW_MS + hour * HOUR_MS}000000.zip", found["documents"])
    return folder


def fill(store: Path, folder: Path) -> None:
    """Put something of everything into a new store."""
    for number, case in enumerate(("artifact_smoke_final_verification_test", "artifact_deleted_task_orphans")):
        _run("collect", str(_recording(folder / case, case, number)), "--label", case, "--db", str(store))
    shutil.copy(DEMO / "rollout-log.md", folder)
    _run("rollout", "import", str(folder / "rollout-log.md"), "--db", str(store))
    with world(folder) as w:
        with w.source() as source:
            collect_live(source, store, LiveOptions(label="before", batch_documents=4))
        plan, path = w.plan()
        keep_receipt(store, w.apply(plan, path), 10.0)
        w.deployment.clock.advance_s(60)
        with w.source() as source:
            collect_live(source, store, LiveOptions(label="after the purge", batch_documents=4, keep_text=True))
        for number in range(9):
            w.add_message(f"late {number}", w.ids["real"])
        w.deployment.clock.advance_s(60)
        w.deployment.settings.sync_rows = 4
        w.deployment.faults.page(520, path="/api/v1/data/sync", times=None, skip=1)
        with w.source() as source, suppress(AnalyzerError):
            collect_live(source, store, LiveOptions(label="broken off", batch_documents=4))
        with Store.write(store) as opened:
            mark = Mark(w.ids["real"], "real", "a customer's", "a tester", NOW_MS)
            opened.add_mark(w.deployment.settings.name, mark)
            assert opened._duck.execute("select count(*) from staged_messages").fetchone() != (0,)


def main() -> None:
    """Write the store and its answers beside this file."""
    with tempfile.TemporaryDirectory(prefix="analyzer-") as temporary:
        folder = Path(temporary)
        store = folder / "released.duckdb"
        fill(store, folder)
        packed = gzip.compress(store.read_bytes(), 9, mtime=0)
        (FOLDER / f"{__version__}.duckdb.gz").write_bytes(packed)
        text = json.dumps(answers(store), sort_keys=True).encode()
        (FOLDER / f"{__version__}.answers.json.gz").write_bytes(gzip.compress(text, 9, mtime=0))
        print(len(packed), len(text))


if __name__ == "__main__":
    main()
