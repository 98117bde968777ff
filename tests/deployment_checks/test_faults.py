"""What goes wrong on demand."""

from __future__ import annotations

import threading

import httpx
import pytest

from tests.deployment import OTHER_503, RETRIABLE_503, TOO_MANY, Deployment
from tests.deployment_checks.client import Client, refusal

HELPER = "api/testHelpers:createTestUser"
CREATE = {"path": HELPER, "args": {}}
SYNC = "/api/v1/data/sync"


@pytest.mark.parametrize(
    ("status", "code"),
    [(429, code) for code in TOO_MANY]
    + [(503, code) for code in RETRIABLE_503 + OTHER_503]
    + [(500, "InternalServerError")],
)
def test_a_refusal_comes_before_anything_is_done_and_only_so_often(
    deployment: Deployment, client: Client, status: int, code: str
) -> None:
    fault = deployment.faults.refuse(status, code, path="/api/mutation", times=2)
    answers = [client.post("/api/mutation", json=CREATE) for _ in range(3)]
    assert [refusal(answer) for answer in answers[:2]] == [(status, code)] * 2
    assert "retry-after" not in answers[0].headers
    assert answers[2].status_code == 200
    assert len(deployment.documents("users")) == 1
    assert fault.hits == 2


@pytest.mark.parametrize(("after_commit", "written"), [(False, 0), (True, 1)])
def test_a_dropped_connection_before_and_after_the_commit(
    deployment: Deployment, client: Client, after_commit: bool, written: int
) -> None:
    deployment.faults.drop(function=HELPER, after_commit=after_commit)
    with pytest.raises(httpx.RemoteProtocolError):
        client.post("/api/mutation", json=CREATE)
    assert len(deployment.documents("users")) == written
    assert deployment.requests[-1].status == 0
    assert client.post("/api/mutation", json=CREATE).status_code == 200


def test_an_error_may_come_after_the_commit_too(deployment: Deployment, client: Client) -> None:
    deployment.faults.refuse(503, "Busy", function=HELPER, after_commit=True)
    assert refusal(client.post("/api/mutation", json=CREATE)) == (503, "Busy")
    assert len(deployment.documents("users")) == 1


def test_a_truncated_body_ends_early(deployment: Deployment, client: Client) -> None:
    deployment.insert_many("users", [{}] * 50)
    deployment.faults.truncate(path=SYNC)
    with pytest.raises(httpx.RemoteProtocolError, match="without sending complete message body"):
        client.post(SYNC, json={})
    assert client.post(SYNC, json={}).status_code == 200


def test_a_slow_body_arrives_whole_in_pieces(deployment: Deployment, client: Client) -> None:
    deployment.insert_many("users", [{}] * 5)
    deployment.faults.slow(chunk_bytes=100, pause_s=0.0, path=SYNC)
    with client.stream("POST", SYNC, json={}) as response:
        pieces = list(response.iter_raw())
    assert len(b"".join(pieces)) == int(response.headers["content-length"])


def test_a_page_of_a_proxy(deployment: Deployment, client: Client) -> None:
    deployment.faults.page(path=SYNC)
    response = client.post(SYNC, json={})
    assert response.status_code == 520
    assert response.headers["content-type"].startswith("text/html")
    assert response.content.startswith(b"<!DOCTYPE html>")


def test_any_answer_at_all(deployment: Deployment, client: Client) -> None:
    deployment.faults.answer(200, b"", path=SYNC)
    deployment.faults.rewrite(lambda body: body.replace(b"upToDate", b"confused"), path=SYNC, skip=1)
    assert client.post(SYNC, json={}).content == b""
    assert client.post(SYNC, json={}).json()["status"]["type"] == "confused"
    assert client.post(SYNC, json={}).json()["status"]["type"] == "upToDate"


def test_latency_holds_every_request_until_it_is_taken_away(deployment: Deployment, client: Client) -> None:
    fault = deployment.faults.latency(0.001)
    assert [client.get("/version").status_code for _ in range(3)] == [200] * 3
    deployment.faults.clear()
    client.get("/version")
    assert fault.hits == 3


def test_a_gate_holds_a_request_with_its_work_done(deployment: Deployment) -> None:
    gate = deployment.faults.hold(function=HELPER, after_commit=True)

    def create() -> None:
        with Client(deployment) as other:
            other.mutate(HELPER)

    thread = threading.Thread(target=create)
    thread.start()
    assert gate.reached.wait(60)
    assert len(deployment.documents("users")) == 1
    assert deployment.called(HELPER) == []
    gate.open()
    thread.join()
    assert len(deployment.called(HELPER)) == 1


def test_faults_choose_by_function_verb_and_place_in_a_row(deployment: Deployment, client: Client) -> None:
    deployment.faults.refuse(500, "InternalServerError", function="monitoring/*", skip=1)
    deployment.faults.refuse(429, "TooManyWrites", path="/api/v1/*", method="GET")
    flags = {"path": "monitoring/dashboard:getFeatureFlags", "args": {}}
    assert [client.post("/api/query", json=flags).status_code for _ in range(3)] == [200, 500, 200]
    assert client.post(SYNC, json={}).status_code == 200
    assert client.get("/api/v1/deployment_info").status_code == 429


def test_chance_is_the_same_for_the_same_seed() -> None:
    def statuses(seed: int) -> list[int]:
        with Deployment(seed=seed) as deployment, Client(deployment) as client:
            deployment.faults.refuse(503, "Busy", probability=0.5, times=None)
            return [client.get("/version").status_code for _ in range(20)]

    first = statuses(1)
    assert first == statuses(1)
    assert first != statuses(2)
    assert set(first) == {200, 503}


def test_requests_are_noted_and_those_at_once_counted(deployment: Deployment, client: Client) -> None:
    client.get("/version", headers={"User-Agent": "mytool/1"})
    client.mutate(HELPER)
    assert [(noted.path, noted.status) for noted in deployment.requests] == [("/version", 200), ("/api/mutation", 200)]
    assert deployment.requests[0].user_agent == "mytool/1"
    assert deployment.requests[1].functions == (HELPER,)
    assert deployment.most_at_once == 1


def test_a_mistake_in_the_stand_in_is_not_kept_quiet() -> None:
    deployment = Deployment()
    deployment.functions.query("x:broken")(lambda *_: 1 / 0)
    with pytest.raises(RuntimeError, match="stand-in itself"), deployment, Client(deployment) as client:
        assert client.post("/api/query", json={"path": "x:broken", "args": {}}).status_code == 500
