"""Import and export: checklist rows 9 and 11."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from analyzer.convex.archive_writer import write_export
from tests.deployment import Deployment
from tests.deployment_checks.client import Client, refusal

QUERY = "_system/cli/queryImport"
LATEST = "_system/cli/exports:getLatest"


def upload(client: Client, content: bytes, **wanted: Any) -> str:
    """Send a file as one part and return the import's id."""
    token = client.post("/api/import/start_upload").json()["uploadToken"]
    params = {"uploadToken": token, "partNumber": 1}
    part = client.post("/api/import/upload_part", params=params, content=content).json()
    body = {"import": {"format": "jsonLines", "tableName": "users"} | wanted, "uploadToken": token}
    id_: str = client.post("/api/import/finish_upload", json=body | {"partTokens": [part]}).json()["importId"]
    return id_


def state(client: Client, import_id: str) -> dict[str, Any]:
    found: dict[str, Any] = client.value(QUERY, {"importId": import_id})["state"]
    return found


def settle(client: Client, import_id: str) -> dict[str, Any]:
    """Poll until the import waits or is over."""
    for _ in range(20):
        found = state(client, import_id)
        if found["state"] not in ("uploaded", "in_progress"):
            return found
    raise AssertionError(found)


def carry_out(client: Client, content: bytes, **wanted: Any) -> dict[str, Any]:
    """Upload, confirm, and return the last state."""
    import_id = upload(client, content, **wanted)
    found = settle(client, import_id)
    if found["state"] == "waiting_for_confirmation":
        assert client.post("/api/perform_import", json={"importId": import_id}).json() is None
        found = settle(client, import_id)
    return found


def lines(*documents: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(document).encode() + b"\n" for document in documents)


def test_an_import_passes_through_its_states_and_waits_to_be_confirmed(deployment: Deployment, client: Client) -> None:
    old = deployment.insert("users", {"name": "old"})
    import_id = upload(client, lines({"name": "Ada"}), mode="replace")
    seen = [state(client, import_id)["state"] for _ in range(3)]
    assert seen == ["uploaded", "waiting_for_confirmation", "waiting_for_confirmation"]
    waiting = state(client, import_id)
    assert waiting["require_manual_confirmation"] is True
    assert set(deployment.documents("users")) == {old}
    client.post("/api/perform_import", json={"importId": import_id})
    seen = [state(client, import_id)["state"] for _ in range(4)]
    assert seen[0] == "in_progress"
    done = settle(client, import_id)
    assert (done["state"], done["num_rows_written"]) == ("completed", "1")
    assert [document["name"] for document in deployment.documents("users").values()] == ["Ada"]
    assert refusal(client.post("/api/perform_import", json={"importId": import_id})) == (400, "ImportNotWaiting")


def test_a_part_token_is_a_bare_json_string_and_perform_import_answers_null(client: Client) -> None:
    token = client.post("/api/import/start_upload").json()["uploadToken"]
    params = {"uploadToken": token, "partNumber": 1}
    part = client.post("/api/import/upload_part", params=params, content=b"x")
    assert part.text.startswith('"')
    assert refusal(client.post("/api/import/perform_import", json={}))[0] == 404


def test_parts_are_put_together_in_the_order_of_their_tokens(deployment: Deployment, client: Client) -> None:
    deployment.settings.part_bytes = 4
    token = client.post("/api/import/start_upload").json()["uploadToken"]
    parts = []
    for number, content in ((2, b'"Ada"}'), (1, b'{"name":')):
        params = {"uploadToken": token, "partNumber": number}
        parts.append(client.post("/api/import/upload_part", params=params, content=content).json())
    body = {"import": {"format": "jsonLines", "tableName": "users", "mode": "append"}, "uploadToken": token}
    import_id = client.post("/api/import/finish_upload", json=body | {"partTokens": parts[::-1]}).json()["importId"]
    settle(client, import_id)
    client.post("/api/perform_import", json={"importId": import_id})
    assert settle(client, import_id)["state"] == "completed"
    assert [document["name"] for document in deployment.documents("users").values()] == ["Ada"]
    deployment.settings.part_bytes = 100
    assert refusal(client.post("/api/import/finish_upload", json=body | {"partTokens": parts})) == (400, "ImportFailed")


def test_a_deleted_id_cannot_be_appended_again(deployment: Deployment, client: Client) -> None:
    kept, gone = deployment.insert_many("users", [{"name": "kept"}, {"name": "gone"}])
    before = deployment.documents("users")
    deployment.delete("users", gone)
    failed = carry_out(client, lines(before[gone]), mode="append")
    assert failed["state"] == "failed"
    assert failed["error_message"].startswith(f"DocumentDeleted: Cannot recreate document with _id {gone}")
    assert set(deployment.documents("users")) == {kept}
    exists = carry_out(client, lines(before[kept]), mode="append")
    assert exists["error_message"].startswith("DocumentExists")


def test_replacing_the_whole_table_brings_deleted_ids_back_with_their_creation_times(
    deployment: Deployment, client: Client
) -> None:
    _, gone = deployment.insert_many("users", [{"name": "kept"}, {"name": "gone"}])
    before = deployment.documents("users")
    deployment.delete("users", gone)
    assert carry_out(client, lines(*before.values()), mode="replace")["state"] == "completed"
    assert deployment.documents("users") == before


def test_appending_without_ids_gives_new_ones_and_keeps_creation_times(deployment: Deployment, client: Client) -> None:
    deployment.insert("users", {"name": "there"})
    assert (
        carry_out(client, lines({"name": "Ada", "_creationTime": 1.5, "n": 5}), mode="append")["state"] == "completed"
    )
    (added,) = (document for document in deployment.documents("users").values() if document["name"] == "Ada")
    assert (added["_creationTime"], type(added["n"])) == (1.5, float)


def test_only_an_import_that_takes_documents_away_must_be_confirmed_by_hand(
    deployment: Deployment, client: Client
) -> None:
    deployment.insert("users", {"name": "there"})
    for mode, wanted in (("append", False), ("replace", True)):
        waiting = settle(client, upload(client, lines({}), mode=mode))
        assert waiting["require_manual_confirmation"] is wanted


def test_appending_is_not_atomic(deployment: Deployment, client: Client) -> None:
    deployment.settings.import_rows = 2
    there = deployment.insert("users", {"name": "there"})
    again = deployment.documents("users")[there]
    failed = carry_out(client, lines({"name": "a"}, {"name": "b"}, again), mode="append")
    assert failed["state"] == "failed"
    assert sorted(document["name"] for document in deployment.documents("users").values()) == ["a", "b", "there"]


@pytest.mark.parametrize(
    ("mode", "wanted"), [("requireEmpty", "failed"), ("append", "completed"), ("replace", "completed")]
)
def test_modes_on_a_table_with_rows(deployment: Deployment, client: Client, mode: str, wanted: str) -> None:
    deployment.insert("users", {"name": "there"})
    other = deployment.insert("tasks", {})
    assert carry_out(client, lines({"name": "Ada"}), mode=mode)["state"] == wanted
    names = sorted(document["name"] for document in deployment.documents("users").values())
    assert names == {"requireEmpty": ["there"], "append": ["Ada", "there"], "replace": ["Ada"]}[mode]
    assert set(deployment.documents("tasks")) == {other}


def test_replace_all_empties_the_other_tables(deployment: Deployment, client: Client) -> None:
    deployment.insert("tasks", {})
    import_id = upload(client, lines({"name": "Ada"}), mode="replaceAll")
    assert settle(client, import_id)["require_manual_confirmation"] is True
    client.post("/api/perform_import", json={"importId": import_id})
    settle(client, import_id)
    assert deployment.documents("tasks") == {}
    row = deployment.backend.audit.rows()[-1]
    assert (row["action"], row["metadata"]["table_count_deleted"]) == ("snapshot_import", 1)


@pytest.mark.parametrize(
    ("document", "code"),
    [({"_id": "nonsense"}, "InvalidId"), ({"_id": "other"}, "ImportConflict"), ({"_id": "twice"}, "DuplicateId")],
)
def test_ids_that_do_not_belong_fail_the_import(
    deployment: Deployment, client: Client, document: dict[str, Any], code: str
) -> None:
    known = {"other": deployment.insert("tasks", {}), "twice": deployment.insert("users", {})}
    id_ = known.get(document["_id"], document["_id"])
    failed = carry_out(client, lines(*[{"_id": id_}] * (2 if document["_id"] == "twice" else 1)), mode="replace")
    assert failed["error_message"].startswith(code)


def test_a_zip_is_lossless_with_its_marker_and_all_float_without(
    deployment: Deployment, client: Client, tmp_path: Path
) -> None:
    path = tmp_path / "export.zip"
    id_ = deployment.backend.database.new_id(10_001)
    row = {"big": 2**60, "whole": 5.0, "_id": id_, "_creationTime": 1.0}
    write_export(path, {("", "users"): [row]}, table_numbers={("", "users"): 10_001})
    assert carry_out(client, path.read_bytes(), format="zip", tableName=None, mode="replace")["state"] == "completed"
    assert deployment.documents("users")[id_] == row
    plain = io.BytesIO()
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(plain, "w") as new:
        for name in old.namelist():
            if "generated_schema" not in name:
                new.writestr(f"snapshot/{name}", old.read(name))
    assert carry_out(client, plain.getvalue(), format="zip", tableName=None, mode="replace")["state"] == "completed"
    assert type(deployment.documents("users")[id_]["big"]) is float


def test_tables_whose_name_begins_with_an_underscore_are_passed_over(
    deployment: Deployment, client: Client, tmp_path: Path
) -> None:
    path = tmp_path / "backup.zip"
    write_export(path, {("", "_purged_users"): [{"_id": "x"}]}, table_numbers={("", "_purged_users"): 10_001})
    done = carry_out(client, path.read_bytes(), format="zip", tableName=None, mode="append")
    assert (done["state"], done["num_rows_written"]) == ("completed", "0")
    assert deployment.at() == {}


def test_imports_into_components_as_arrays_as_csv_and_in_one_shot(deployment: Deployment, client: Client) -> None:
    deployment.insert("locks", {}, component="limits")
    carry_out(client, lines({"a": 1}), tableName="locks", componentPath="limits", mode="append")
    assert len(deployment.documents("locks", "limits")) == 2
    carry_out(client, b'[{"a":1},{"a":2}]', format="jsonArray")
    params = {"tableName": "users", "format": "csv", "mode": "append"}
    assert client.post("/api/import", params=params, content=b"a,name\n3,Ada\n").json() == {"numWritten": 1}
    assert sorted(document["a"] for document in deployment.documents("users").values()) == [1.0, 2.0, 3.0]
    wrong = client.post("/api/import", params=params | {"format": "jsonLines"}, content=b"{")
    assert refusal(wrong) == (400, "ImportFailed")


def test_names_formats_and_ids_of_imports_are_checked(deployment: Deployment, client: Client) -> None:
    body = {"import": {"format": "zip", "tableName": "users"}, "uploadToken": "x", "partTokens": []}
    assert refusal(client.post("/api/import/finish_upload", json=body)) == (400, "ImportFailed")
    params = {"format": "jsonLines", "mode": "append"}
    assert refusal(client.post("/api/import", params=params, content=b"")) == (400, "InvalidName")
    assert refusal(client.post("/api/perform_import", json={"importId": "x"})) == (400, "InvalidImport")
    missing = deployment.backend.database.new_id(23)
    assert refusal(client.post("/api/cancel_import", json={"importId": missing})) == (404, "ImportNotFound")


def test_an_import_can_be_cancelled_and_grows_too_old(deployment: Deployment, client: Client) -> None:
    first, second = upload(client, lines({}), mode="append"), upload(client, lines({}), mode="append")
    client.post("/api/cancel_import", json={"importId": first})
    assert state(client, first)["state"] == "failed"
    settle(client, second)
    deployment.clock.advance_s(8 * 86_400)
    client.post("/api/perform_import", json={"importId": second})
    assert state(client, second)["state"] == "failed"
    assert [row["_id"] for row in client.value(f"{QUERY}:list")] == [second, first]


# ---- export ------------------------------------------------------------------------------------------------------


def export(client: Client, **params: Any) -> dict[str, Any]:
    assert client.post("/api/export/request/zip", params=params).content == b""
    for _ in range(20):
        row: dict[str, Any] = client.value(LATEST)
        if row["state"] == "completed":
            return row
    raise AssertionError(row)


def test_an_export_is_asked_for_without_an_answer_and_polled(deployment: Deployment, client: Client) -> None:
    assert client.value(LATEST) is None
    deployment.insert("users", {"name": "Ada"})
    first = export(client)
    client.post("/api/export/request/zip")
    assert refusal(client.post("/api/export/request/zip")) == (400, "ExportInProgress")
    states = [client.value(LATEST) for _ in range(5)]
    assert [row["state"] for row in states[:2]] == ["requested", "in_progress"]
    assert all(row["_id"] != first["_id"] for row in states)
    assert isinstance(first["start_ts"], str)


def test_the_zip_is_as_the_platform_writes_it(deployment: Deployment, client: Client) -> None:
    deployment.insert("users", {"name": "Ada", "big": 7})
    deployment.create_table("tasks")
    deployment.insert("locks", {"a": 1.0}, component="limits")
    row = export(client)
    deployment.insert("users", {"name": "later"})
    response = client.get(f"/api/export/zip/{row['start_ts']}")
    name = f"snapshot_happy-animal-123_{row['start_ts']}.zip"
    assert response.headers["content-disposition"] == f"attachment; filename={name}"
    assert client.get(f"/api/export/zip/{row['_id']}").content == response.content
    with zipfile.ZipFile(io.BytesIO(response.content)) as archive:
        names = archive.namelist()
        assert names[:3] == ["README.md", "_tables/documents.jsonl", "_components/limits/_tables/documents.jsonl"]
        assert archive.read("_tables/documents.jsonl") == b'{"name":"users","id":10001}\n{"name":"tasks","id":10002}\n'
        assert archive.read("tasks/documents.jsonl") == b""
        assert archive.read("users/generated_schema.jsonl") == b'"uniform"\n'
        (line,) = archive.read("users/documents.jsonl").splitlines()
        assert list(json.loads(line)) == ["_creationTime", "_id", "big", "name"]
        assert b'"big":7,' in line


def test_files_are_in_the_zip_only_when_asked_for(deployment: Deployment, client: Client) -> None:
    id_ = deployment.store_file(b"picture", "image/png")
    for wanted in (True, False):
        row = export(client, includeStorage=str(wanted).lower())
        content = client.get(f"/api/export/zip/{row['start_ts']}").content
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            assert (f"_storage/{id_}.png" in archive.namelist()) is wanted
            if wanted:
                assert archive.read(f"_storage/{id_}.png") == b"picture"
                assert json.loads(archive.read("_storage/documents.jsonl"))["size"] == 7


def test_exports_that_are_not_there_or_not_done_are_refused(deployment: Deployment, client: Client) -> None:
    assert refusal(client.get("/api/export/zip/123")) == (404, "ExportNotFound")
    assert refusal(client.get("/api/export/zip/soon")) == (400, "BadSnapshotId")
    client.post("/api/export/request/zip")
    assert refusal(client.get(f"/api/export/zip/{client.value(LATEST)['_id']}")) == (400, "ExportNotComplete")
    id_ = client.value(LATEST)["_id"]
    assert client.post(f"/api/export/cancel/{id_}").content == b""
    assert client.value(LATEST)["state"] == "canceled"
    assert client.post(f"/api/export/set_expiration/{id_}", json={"expirationTsNs": 5}).status_code == 200


def test_a_read_only_key_may_fetch_an_export_but_not_ask_for_one(deployment: Deployment, client: Client) -> None:
    row = export(client, includeStorage="true")
    with Client(deployment, deployment.read_key) as reader:
        assert reader.get(f"/api/export/zip/{row['start_ts']}").status_code == 200
        assert refusal(reader.post("/api/export/request/zip")) == (403, "OperationNotPermitted")


def test_an_export_goes_back_in_by_import(deployment: Deployment, client: Client) -> None:
    deployment.insert_many("users", [{"n": float(n), "big": n} for n in range(3)])
    deployment.insert("locks", {"a": None}, component="limits")
    before = deployment.at()
    content = client.get(f"/api/export/zip/{export(client)['start_ts']}").content
    deployment.delete("users")
    assert carry_out(client, content, format="zip", tableName=None, mode="replace")["state"] == "completed"
    assert deployment.at() == before
