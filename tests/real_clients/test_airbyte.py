"""The connector `airbyte-source-convex`, in an environment of its own: check, discover, read."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.deployment import Deployment
from tests.deployment.sample import fill
from tests.real_clients.installing import install, run

pytestmark = [pytest.mark.external, pytest.mark.timeout(900), pytest.mark.slow]


@pytest.fixture(scope="module")
def connector(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the connector's program."""
    folder = tmp_path_factory.mktemp("airbyte")
    install([sys.executable, "-m", "venv", "environment"], folder)
    python = folder / "environment" / "bin" / "python"
    quiet = ["--disable-pip-version-check", "--quiet", "--no-input"]
    install([str(python), "-m", "pip", "install", *quiet, "airbyte-source-convex"], folder)
    return folder / "environment" / "bin" / "source-convex"


@pytest.fixture
def deployment() -> Iterator[Deployment]:
    with Deployment(kind="prod", snapshot_rows=40, delta_rows=8) as running:
        fill(running, 300)
        yield running


class Connector:
    """Runs the connector against a deployment and reads its messages."""

    def __init__(self, program: Path, folder: Path, deployment: Deployment, key: str | None = None) -> None:
        self._program, self._folder = program, folder
        config = {"deployment_url": deployment.url, "access_key": key or deployment.read_key}
        (folder / "config.json").write_text(json.dumps(config))

    def messages(self, verb: str, *options: str) -> list[dict[str, Any]]:
        command = [str(self._program), verb, "--config", "config.json", *options]
        done = run(command, cwd=self._folder, patience_s=200)
        assert done.returncode == 0, done.stderr or done.stdout
        return [json.loads(line) for line in done.stdout.splitlines()]

    def status(self) -> str:
        return str(next(m["connectionStatus"]["status"] for m in self.messages("check") if "connectionStatus" in m))

    def catalog(self) -> list[dict[str, Any]]:
        return list(next(m["catalog"]["streams"] for m in self.messages("discover") if "catalog" in m))

    def read(self, mode: str, state: list[Any] | None = None) -> tuple[list[dict[str, Any]], list[Any]]:
        """Return the records and the last state of every stream."""
        streams = [{"stream": s, "sync_mode": mode, "destination_sync_mode": "append"} for s in self.catalog()]
        (self._folder / "catalog.json").write_text(json.dumps({"streams": streams}))
        (self._folder / "state.json").write_text(json.dumps(state or []))
        messages = self.messages("read", "--catalog", "catalog.json", "--state", "state.json")
        states = {m["state"]["stream"]["stream_descriptor"]["name"]: m["state"] for m in messages if "state" in m}
        return [m["record"] for m in messages if "record" in m], list(states.values())


def test_check_tells_a_good_key_from_a_bad_one(connector: Path, deployment: Deployment, tmp_path: Path) -> None:
    assert Connector(connector, tmp_path, deployment).status() == "SUCCEEDED"
    assert Connector(connector, tmp_path, deployment, deployment.foreign_key()).status() == "FAILED"
    deployment.settings.has_streaming_export = False
    assert Connector(connector, tmp_path, deployment).status() == "FAILED"


def test_read_brings_every_document_as_it_is(connector: Path, deployment: Deployment, tmp_path: Path) -> None:
    records, _ = Connector(connector, tmp_path, deployment).read("full_refresh")
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for record in records:
        document = {k: v for k, v in record["data"].items() if k in ("_id", "_creationTime") or k[0] != "_"}
        found.setdefault(("", record["stream"]), {})[document["_id"]] = document
    assert found == deployment.at()


def test_a_second_read_brings_changes_and_deletions_alone(
    connector: Path, deployment: Deployment, tmp_path: Path
) -> None:
    source = Connector(connector, tmp_path, deployment)
    first, state = source.read("incremental")
    assert len(first) == sum(map(len, deployment.at().values()))
    changed, gone = sorted(deployment.documents("chatMessages"))[:2]
    deployment.patch("chatMessages", changed, {"status": "failed"})
    deployment.delete("chatMessages", gone)
    added = deployment.insert("users", {"name": "New"})
    records, _ = source.read("incremental", state)
    assert {(r["data"]["_id"], r["data"]["_deleted"]) for r in records} == {
        (changed, False),
        (gone, True),
        (added, False),
    }
