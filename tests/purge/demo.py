"""`make demo-purge`: the demo's degraded moment on a stand-in deployment, purged and put back by the real commands."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from analyzer.convex import values
from analyzer.convex.archive import open_archive
from tests.deployment import Clock, Deployment

RECORDING = Path(__file__).parents[2] / "data/demo/06-after-tests-0658"
LATER_MS = 20 * 60_000  # the leftovers are idle by then, and still in the window of health
CONFIRMATION = re.compile(r"to confirm: (\S+)")


class Demo:
    """One run through the story."""

    def __init__(self, deployment: Deployment, folder: Path) -> None:
        self.deployment = deployment
        self.folder = folder

    def analyzer(self, *words: str, codes: tuple[int, ...] = (0,)) -> str:
        """Run a command, show it and its output, and return the output."""
        print(f"\n$ analyzer {' '.join(words)}", flush=True)
        variables = {
            "CONVEX_SELF_HOSTED_URL": self.deployment.url,
            "CONVEX_SELF_HOSTED_ADMIN_KEY": self.deployment.admin_key,
            "ANALYZER_DB": str(self.folder / "store.duckdb"),
            "PYTHONPATH": str(RECORDING.parents[2]),
            "PATH": os.environ.get("PATH", ""),
        }
        command = [sys.executable, "-m", "analyzer", *words]
        done = subprocess.run(command, cwd=self.folder, env=variables, capture_output=True, text=True, check=False)
        said = (done.stdout + done.stderr).rstrip()
        print(said, flush=True)
        if done.returncode not in codes:
            raise SystemExit(f"exit code {done.returncode}, expected {codes}")
        return said

    def status(self) -> str:
        """Ask the app how it is."""
        answer: Any = self.deployment.call("monitoring/dashboard:getSystemHealth")
        found: str = answer["health"]["status"]
        messages = answer["messages"]
        print(f"\nthe app says: {found}, {messages['completed']:.0f} of {messages['total']:.0f} messages complete")
        return found

    def run(self) -> None:
        """Tell the story; stops where it does not come true."""
        before = _plain(self.deployment)
        _expect(self.status(), "degraded")
        self.analyzer("purge", "plan", "-o", "plan.json")
        plan = json.loads((self.folder / "plan.json").read_text())
        self.analyzer("purge", "apply", "plan.json", "--dry-run")
        self.analyzer(
            "purge", "apply", "plan.json", "--confirm", plan["confirm"], "--reason", "left by the smoke tests"
        )
        _expect(self.status(), "healthy")
        self.analyzer("purge", "verify", "plan.receipt.json")
        self.analyzer("purge", "list")
        said = self.analyzer("purge", "restore", "plan.receipt.json", codes=(6,))
        found = CONFIRMATION.search(said)
        assert found
        self.analyzer("purge", "restore", "plan.receipt.json", "--confirm", found[1])
        _expect(self.status(), "degraded")
        ids = json.loads((self.folder / "plan.restore.json").read_text())["ids"]
        after = _plain(self.deployment)
        for old, new in ids.items():
            after = after.replace(new, old)
        if sorted(json.loads(before), key=_by_id) != sorted(json.loads(after), key=_by_id):
            raise SystemExit("the documents are not as before")
        print(f"\nas before, but for the ids of {len(ids)} documents")


def load(deployment: Deployment) -> None:
    """Put the recorded documents into a deployment."""
    with contextlib.closing(open_archive(next(RECORDING.glob("*.zip")))) as archive:
        for ref in archive.tables:
            with archive.open_table(ref) as stream:
                rows = [values.loads(line, "export_json") for line in stream.read().splitlines()]
            deployment.create_table(ref.name, ref.component, ref.number)
            deployment.insert_many(ref.name, rows, ref.component)


def main() -> int:
    """Run it in a folder of its own."""
    source_ns = int(next(RECORDING.glob("*.zip")).stem.rpartition("_")[2])
    with tempfile.TemporaryDirectory(prefix="analyzer-demo-") as folder:
        deployment = Deployment(clock=Clock(source_ns / 1e6), kind="dev", name="curious-heron-412", has_control=False)
        load(deployment)
        deployment.clock.advance_ms(LATER_MS)
        with deployment:
            Demo(deployment, Path(folder)).run()
    return 0


def _expect(found: str, wanted: str) -> None:
    if found != wanted:
        raise SystemExit(f"expected {wanted}")


def _plain(deployment: Deployment) -> str:
    return json.dumps([d for rows in deployment.at().values() for d in rows.values()], default=str)


def _by_id(document: dict[str, Any]) -> str:
    return str(document["_id"])


if __name__ == "__main__":
    raise SystemExit(main())
