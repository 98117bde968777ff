"""Queries that stay open over a WebSocket."""

from __future__ import annotations

import base64
import json
import os
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from tests.deployment import Deployment

FLAGS = "monitoring/dashboard:getFeatureFlags"


class Line:
    """A client's side of a connection."""

    def __init__(self, deployment: Deployment) -> None:
        host, port = deployment.url.removeprefix("http://").split(":")
        self.socket = socket.create_connection((host, int(port)), timeout=60)
        lines = ["GET /api/1.48.0/sync HTTP/1.1", f"Host: {host}", "Upgrade: websocket", "Connection: Upgrade"]
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall("\r\n".join([*lines, f"Sec-WebSocket-Key: {key}", "", ""]).encode())
        self.reader = self.socket.makefile("rb")
        assert b"101" in self.reader.readline()
        while self.reader.readline().strip():
            pass

    def send(self, kind: str, **fields: Any) -> None:
        content = json.dumps({"type": kind} | fields).encode()
        mask = os.urandom(4)
        masked = bytes(byte ^ mask[place % 4] for place, byte in enumerate(content))
        size = bytes([0x80 | len(content)]) if len(content) < 126 else b"\xfe" + len(content).to_bytes(2, "big")
        self.socket.sendall(b"\x81" + size + mask + masked)

    def receive(self) -> dict[str, Any]:
        head = self.reader.read(2)
        if len(head) < 2:
            raise ConnectionError
        size = head[1]
        if size >= 126:
            size = int.from_bytes(self.reader.read(2 if size == 126 else 8), "big")
        return dict(json.loads(self.reader.read(size)))

    def subscribe(self, path: str, args: Any = None, *, version: int = 0) -> dict[str, Any]:
        """Open a query and return the first change."""
        added = {"type": "Add", "queryId": version, "udfPath": path, "args": [args or {}]}
        self.send("ModifyQuerySet", baseVersion=version, newVersion=version + 1, modifications=[added])
        (change,) = self.receive()["modifications"]
        return dict(change)

    def close(self) -> None:
        self.reader.close()
        self.socket.close()


@pytest.fixture
def line(deployment: Deployment) -> Iterator[Line]:
    opened = Line(deployment)
    opened.send("Connect", sessionId="s", connectionCount=0, lastCloseReason=None, clientTs=0)
    yield opened
    opened.close()


def authenticate(line: Line, key: str) -> dict[str, Any]:
    line.send("Authenticate", tokenType="Admin", value=key, baseVersion=0)
    return line.receive()


def test_a_query_tells_its_result_and_every_change_of_it(deployment: Deployment, line: Line) -> None:
    assert line.subscribe(FLAGS)["value"]["ENABLE_WORKFLOW"] is False
    deployment.set_env(ENABLE_WORKFLOW="true")
    transition = line.receive()
    assert transition["modifications"][0]["value"]["ENABLE_WORKFLOW"] is True
    assert transition["startVersion"]["querySet"] == transition["endVersion"]["querySet"] == 1


def test_versions_follow_each_other(deployment: Deployment, line: Line) -> None:
    first = authenticate(line, deployment.admin_key)
    assert (first["startVersion"]["identity"], first["endVersion"]["identity"]) == (0, 1)
    line.subscribe(FLAGS)
    line.send("ModifyQuerySet", baseVersion=1, newVersion=2, modifications=[{"type": "Remove", "queryId": 0}])
    removed = line.receive()
    assert removed["modifications"] == [{"type": "QueryRemoved", "queryId": 0}]
    assert removed["startVersion"]["identity"] == 1


def test_built_in_queries_need_a_key_and_follow_jobs(deployment: Deployment, line: Line) -> None:
    assert line.subscribe("_system/cli/exports:getLatest")["type"] == "QueryFailed"
    assert authenticate(line, deployment.admin_key)["type"] == "Transition"
    states = [line.receive()["modifications"][0]["value"]]
    deployment.backend.exports.jobs.add({"state": "requested"})
    states.append(line.receive()["modifications"][0]["value"]["state"])
    assert states == [None, "requested"]


def test_a_bad_key_ends_the_connection(line: Line) -> None:
    assert authenticate(line, "dev:happy-animal-123|wrong")["type"] == "FatalError"
    with pytest.raises(ConnectionError):
        line.receive()


def test_mutations_answer_with_a_timestamp(deployment: Deployment, line: Line) -> None:
    line.send("Mutation", requestId=1, udfPath="api/testHelpers:createTestUser", args=[{}])
    answer = line.receive()
    assert (answer["type"], answer["success"]) == ("MutationResponse", True)
    assert int.from_bytes(base64.b64decode(answer["ts"]), "little") >= deployment.history[-1].ts
    line.send("Mutation", requestId=2, udfPath="no:no", args=[{}])
    assert "Could not find" in line.receive()["result"]


def test_stopping_the_deployment_ends_the_connection(deployment: Deployment, line: Line) -> None:
    line.subscribe(FLAGS)
    deployment.stop()
    with pytest.raises(ConnectionError):
        line.receive()
