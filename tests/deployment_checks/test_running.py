"""The stand-in as a process of its own, moved over HTTP, and its speed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.deployment import Deployment
from tests.deployment.sample import fill
from tests.deployment_checks.client import Client, refusal

ROOT = Path(__file__).parents[2]


class Process:
    """`python -m tests.deployment`, and the way to its controls."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.key_file, self.port_file = folder / "keys.env", folder / "port"
        command = [sys.executable, "-m", "tests.deployment", "--key-file", str(self.key_file)]
        command += ["--port-file", str(self.port_file), *options]
        self.running = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self.running.stdout is not None
        self.url = self.running.stdout.readline().strip()
        lines = self.key_file.read_text().splitlines()
        self.variables = {name: value.strip("'") for name, _, value in (line.partition("=") for line in lines)}

    def control(self, verb: str, body: Any = None) -> Any:
        response = httpx.post(f"{self.url}/__control/{verb}", json=body or {})
        assert response.status_code == 200, response.text
        return response.json()

    def end(self) -> tuple[str, str]:
        self.running.send_signal(signal.SIGTERM)
        return self.running.communicate(timeout=60)


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    started = Process(tmp_path_factory.mktemp("process"), "--documents", "200", "--seed", "3", "--rate", "0")
    yield started
    started.end()


def test_the_url_is_printed_and_keys_are_not(tmp_path: Path) -> None:
    started = Process(tmp_path, "--kind", "selfHosted")
    assert started.url == f"http://127.0.0.1:{started.port_file.read_text()}"
    assert set(started.variables) == {"ANALYZER_WRITE_KEY", "CONVEX_SELF_HOSTED_URL", "CONVEX_SELF_HOSTED_ADMIN_KEY"}
    assert oct(started.key_file.stat().st_mode & 0o777) == "0o600"
    printed = "".join(started.end())
    assert started.running.returncode == 0
    assert printed == ""


def test_the_key_file_opens_the_deployment(process: Process) -> None:
    headers = {"Authorization": f"Convex {process.variables['CONVEX_DEPLOY_KEY']}"}
    answer = httpx.get(process.variables["CONVEX_URL"] + "/api/check_admin_key", headers=headers).json()
    assert answer["isReadOnly"] is True
    truth = process.control("truth")["documents"]
    assert set(truth) >= {"/users", "/tasks", "/chatMessages", "/workflowTraces"}
    assert 180 <= sum(map(len, truth.values())) <= 220


def test_documents_clock_and_variables_are_moved_from_outside(process: Process) -> None:
    now_ms = process.control("clock", {"advance_ms": 60_000})["now_ms"]
    assert process.control("clock")["now_ms"] == now_ms
    (first, second) = process.control("insert", {"table": "users", "documents": [{"n": 1}, {"n": 2}]})["ids"]
    process.control("patch", {"table": "users", "id": first, "fields": {"n": 3}})
    process.control("delete", {"table": "users", "ids": [second]})
    users = process.control("truth")["documents"]["/users"]
    assert users[first] == {"_id": first, "_creationTime": users[first]["_creationTime"], "n": 3.0}
    assert second not in users
    process.control("env", {"ENABLE_WORKFLOW": "true"})
    assert process.control("call", {"path": "api/testHelpers:checkWorkflowMode"})["value"]["mode"] == "workflow"
    process.control("replace", {"table": "todos", "documents": []})
    process.control("drop", {"table": "toolCalls"})
    documents = process.control("truth")["documents"]
    assert documents["/todos"] == {}
    assert "/toolCalls" not in documents


def test_faults_settings_and_traffic_are_set_from_outside(process: Process) -> None:
    process.control("fault", {"kind": "refuse", "status": 503, "code": "Busy", "path": "/version"})
    assert refusal(httpx.get(process.url + "/version")) == (503, "Busy")
    process.control("fault", {"kind": "answer", "status": 200, "body": "hi", "times": None})
    assert httpx.get(process.url + "/version").text == "hi"
    process.control("unfault")
    process.control("settings", {"version": "1.2.3"})
    assert httpx.get(process.url + "/version").text == "1.2.3"
    process.control("record", {"path": "a:b", "kind": "Query", "count": 2, "error": "boom"})
    headers = {"Authorization": f"Convex {process.variables['CONVEX_DEPLOY_KEY']}"}
    stream = httpx.get(process.url + "/api/stream_function_logs", params={"cursor": 0}, headers=headers).json()
    assert [entry["error"] for entry in stream["entries"] if entry["identifier"] == "a:b"] == ["boom", "boom"]
    process.control("forget")
    process.control("expire")
    assert process.control("requests")[-1]["path"] == "/api/stream_function_logs"


@pytest.mark.parametrize(("verb", "body"), [("settings", {"no": 1}), ("fault", {"no": 1}), ("patch", {})])
def test_wrong_controls_are_refused(process: Process, verb: str, body: dict[str, Any]) -> None:
    assert refusal(httpx.post(f"{process.url}/__control/{verb}", json=body)) == (400, "BadControl")
    assert httpx.post(f"{process.url}/__control/nothing").status_code == 404


def test_without_controls_there_are_none() -> None:
    with Deployment(has_control=False) as deployment:
        assert httpx.post(deployment.url + "/__control/truth").status_code == 404


def test_the_same_seed_makes_the_same_documents() -> None:
    first, second, other = Deployment(seed=5), Deployment(seed=5), Deployment(seed=6)
    for deployment, seed in ((first, 5), (second, 5), (other, 6)):
        fill(deployment, 100, seed)
    assert first.at() == second.at()
    assert first.at() != other.at()


@pytest.mark.slow
def test_a_large_table_is_served_quickly(deployment: Deployment, client: Client) -> None:
    fill(deployment, 30_000)
    before = os.times()
    page: dict[str, Any] = {"status": {}, "pagination": {"nextCursor": None}}
    rows = pages = 0
    while page["status"].get("type") != "upToDate":
        cursor = page["pagination"]["nextCursor"]
        page = client.post("/api/v1/data/sync", json={"cursor": cursor} if cursor else {}).json()
        rows, pages = rows + len(page["values"]), pages + 1
    after = os.times()
    assert rows == sum(map(len, deployment.at().values()))
    assert pages == 2
    used_s = after.user + after.system - before.user - before.system
    assert used_s < 3.0  # both sides together; 0.4 s when nothing else runs


def test_a_restart_keeps_address_and_documents(deployment: Deployment, client: Client) -> None:
    id_ = deployment.insert("users", {})
    url = deployment.url
    assert client.get("/version").status_code == 200
    deployment.stop()
    with pytest.raises(httpx.ConnectError):
        client.get("/version")
    deployment.start()
    assert deployment.url == url
    assert client.value("_system/frontend/getById", {"id": id_})["_id"] == id_
