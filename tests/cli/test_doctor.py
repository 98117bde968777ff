"""`analyzer doctor`: a sentence and an exit code for each set-up, and never a key."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from analyzer import cli
from tests.cli.answering import DEV_KEY, KEY, NAME, PAUSED, SECRET, answering, function_error, plain
from tests.convex.scripted import Reply, ScriptedServer, ok, refusal, serving
from tests.deployment import Deployment


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run in an empty folder, without variables that name a deployment."""
    monkeypatch.chdir(tmp_path)
    for name in ("CONVEX_DEPLOY_KEY", "CONVEX_DEPLOYMENT", "CONVEX_SELF_HOSTED_URL", "CONVEX_SELF_HOSTED_ADMIN_KEY"):
        monkeypatch.delenv(name, raising=False)


def doctor(*words: str, key: str | None = KEY) -> Result:
    words = ("doctor", *words, *(("--key-file", "-") if key else ()))
    result = CliRunner().invoke(cli.main, words, input=key)
    assert SECRET not in result.output
    assert "sk-very-private" not in result.output
    return result


def examined(changed: Mapping[str, Reply] | None = None, *words: str, key: str | None = KEY) -> dict[str, Any]:
    """Return the JSON of an examination, with its exit code."""
    with serving(answering(changed)) as server:
        result = doctor("--url", server.url, "--format", "json", *words, key=key)
    assert result.stdout, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found | {"exit": result.exit_code}


def test_a_good_set_up_is_described_and_exits_0() -> None:
    found = examined()
    assert found["exit"] == 0
    assert found["schema"] == "doctor/1"
    assert (found["ok"], found["problem"]) == (True, None)
    assert (found["deployment"], found["type"], found["production"]) == (NAME, "prod", True)
    assert found["type_reason"] == "the server and the key in standard input say prod"
    assert (found["way"], found["tables"], found["read_only"]) == ("data sync", 2, True)
    assert all(permission["has"] for permission in found["permissions"] if permission["needed_for"] == "collect")
    assert not any(permission["has"] for permission in found["permissions"] if permission["needed_for"] == "purge")
    assert {endpoint["state"] for endpoint in found["endpoints"]} == {"there"}
    assert all(function["answers"] for function in found["functions"])
    assert found["missing"] == []


def test_the_text_names_who_it_is_and_why_and_ends_with_the_verdict() -> None:
    with serving(answering()) as server:
        lines = doctor("--url", server.url).stdout.splitlines()
    assert lines[0] == f"deployment  {NAME} (production of chat)"
    assert lines[1] == f"origin      {server.url} (--url)"
    assert lines[2] == "type        prod, treated as production: the server and the key in standard input say prod"
    assert "key         prod key of happy-animal-123, read-only" in lines
    assert "  + ViewData                  documents, tables and the deployment's own description" in lines
    assert lines[-1] == "`analyzer collect` will work."


def test_a_key_that_can_write_is_said_to_be_more_than_needed() -> None:
    everything = ok({"success": True, "allowedOps": [], "isReadOnly": False})
    found = examined({"/api/check_admin_key": everything})
    assert found["read_only"] is False
    assert all(permission["has"] for permission in found["permissions"])
    assert "this key can write; a read-only key is enough to collect" in found["notes"]


def test_a_key_that_lacks_one_permission_is_told_what_will_be_missing() -> None:
    weak = ok({"success": True, "allowedOps": ["ViewData", "ViewEnvironmentVariables"], "isReadOnly": True})
    denied = refusal(403, "OperationNotPermitted", "You do not have permission (deployment:metrics:view).")
    found = examined({"/api/check_admin_key": weak, "/api/app_metrics/function_call_count_top_k": denied})
    assert found["exit"] == 0
    assert [p["name"] for p in found["permissions"] if p["needed_for"] == "collect" and not p["has"]] == [
        "RunInternalQueries",
        "ViewMetrics",
        "ViewLogs",
        "ViewAuditLog",
    ]
    assert any(
        "error rate, latency and cache hits" in missing and "ViewMetrics" in missing for missing in found["missing"]
    )
    assert any("single function calls (the key lacks ViewLogs)" in missing for missing in found["missing"])


def problem(found: dict[str, Any]) -> str:
    assert found["ok"] is False
    return str(found["problem"]["fact"])


def test_a_key_without_any_data_is_no_way_to_collect() -> None:
    denied = refusal(403, "OperationNotPermitted", "You do not have permission (deployment:data:view).")
    found = examined({"/api/query": denied})
    assert found["exit"] == 3
    assert "it lacks ViewData (deployment:data:view), needed for documents" in problem(found)
    assert found["way"] is None


def test_a_wrong_key_is_no_key_of_this_deployment() -> None:
    found = examined(key=f"prod:{NAME}|{SECRET}x")
    assert found["exit"] == 3
    assert "does not accept the prod key of happy-animal-123 (BadAdminKey" in problem(found)


def test_a_key_of_another_deployment_is_named_and_never_sent() -> None:
    with serving(answering()) as server:
        result = doctor("--url", server.url, "--format", "json", key=f"prod:other-one-2|{SECRET}")
    found = json.loads(result.stdout)
    assert result.exit_code == 3
    assert f"the prod key of other-one-2 is for another deployment: {server.url} says it is {NAME}" == problem(found)
    assert not any("Authorization" in request.headers for request in server.requests)


def test_no_key_at_all_is_a_matter_of_configuration() -> None:
    found = examined(key=None)
    assert found["exit"] == 2
    assert "is read with a key, and none was given" in problem(found)
    assert found["deployment"] == NAME
    assert found["permissions"] == []


def test_a_plan_without_streaming_export_costs_the_increments_only() -> None:
    no_plan = refusal(403, "StreamingExportNotEnabled")
    found = examined({"/api/test_streaming_export_connection": no_plan, "/api/v1/data/list_active_syncs": no_plan})
    assert (found["exit"], found["way"]) == (0, "paged")
    assert [e["state"] for e in found["endpoints"][:3]] == ["not in the plan", "not in the plan", "there"]
    (missing,) = [text for text in found["missing"] if "every collect reads all documents" in text]
    assert "streaming export is not in the deployment's plan" in missing


def test_an_older_version_without_data_sync_is_read_by_deltas() -> None:
    found = examined({"/api/v1/data/list_active_syncs": Reply(status=404, body=b"")})
    assert (found["exit"], found["way"]) == (0, "deltas")
    assert found["endpoints"][0]["state"] == "missing"
    assert any("replaced as a whole" in missing for missing in found["missing"])


def test_a_paused_deployment_can_be_read_but_does_not_answer() -> None:
    names = ("getSystemHealth", "checkAlerts", "getFeatureFlags", "getRecentTraces")
    paused = {f"monitoring/dashboard:{name}": function_error(PAUSED) for name in names}
    state = ok({"status": "success", "value": {"state": "paused"}})
    found = examined(paused | {"_system/frontend/deploymentState:deploymentState": state})
    assert found["exit"] == 0
    assert any("the deployment is paused" in note for note in found["notes"])
    assert any("is paused: its functions do not answer" in function["text"] for function in found["functions"])


def test_a_function_that_does_not_exist_is_named_with_what_will_be_missing() -> None:
    with serving(answering()) as server:
        Path("analyzer.toml").write_text('[functions]\nalerts = "health:alerts"\n')
        result = doctor("--url", server.url)
    assert result.exit_code == 0
    assert "  - health:alerts" in result.stdout
    assert "no answer from health:alerts" in result.stdout
    assert result.stdout.splitlines()[-1] == "`analyzer collect` will work, with the above missing."


def test_self_hosted_is_treated_as_production() -> None:
    found = examined({"/api/v1/deployment_info": ok({"kind": "selfHosted"})})
    assert found["production"] is True
    assert "the server says selfHosted" in found["type_reason"]


def test_a_dev_key_alone_does_not_make_a_deployment_dev() -> None:
    no_info = {"/api/v1/deployment_info": Reply(status=404, body=b"")}
    with serving(answering(no_info, key=DEV_KEY)) as server:
        found = json.loads(doctor("--url", server.url, "--format", "json", key=DEV_KEY).stdout)
    assert (found["type"], found["production"]) == ("unknown", True)
    assert found["type_reason"].endswith("the key in standard input says dev, which is no proof")


def test_a_dev_deployment_that_the_server_confirms_is_not_production() -> None:
    dev = {"/api/v1/deployment_info": ok({"kind": "cloud", "deploymentType": "dev"})}
    with serving(answering(dev, key=DEV_KEY)) as server:
        found = json.loads(doctor("--url", server.url, "--format", "json", key=DEV_KEY).stdout)
    assert (found["type"], found["production"]) == ("dev", False)


def test_a_flag_that_asks_for_another_type_than_the_server_says_is_refused() -> None:
    dev = {"/api/v1/deployment_info": ok({"kind": "cloud", "deploymentType": "dev"})}
    found = examined(dev, "--prod")
    assert found["exit"] == 2
    assert "--prod was given, and" in problem(found)
    assert problem(found).endswith("says it is dev")


def test_a_name_that_is_not_the_servers_is_refused() -> None:
    found = examined(None, "--deployment", NAME)
    assert found["exit"] == 0
    with serving(answering({"/instance_name": plain("other-one-2")})) as server:
        result = doctor("--url", server.url, "--deployment", NAME, "--format", "json")
    assert result.exit_code == 2
    assert f"--deployment is {NAME}, and {server.url} says it is other-one-2" in problem(json.loads(result.stdout))


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"/instance_name": Reply(body=b"<html>hello", content_type="text/html")}, "with a web page"),
        ({"/instance_name": plain("Welcome to nginx!")}, "without a deployment's name"),
        ({"/api/check_admin_key": ok({"allowedOps": "all"})}, "without the key's operations"),
        ({"/api/v1/deployment_info": ok([])}, "without a kind of deployment"),
        ({"_system/frontend/getTableMapping": ok({"status": "success", "value": 7})}, "without a table mapping"),
        ({"/api/check_admin_key": Reply(status=302, body=b"", headers={"Location": "https://evil.org"})}, "redirects"),
    ],
)
def test_a_server_that_is_no_deployment_is_told_apart(changed: Mapping[str, Reply], says: str) -> None:
    found = examined(changed)
    assert found["exit"] == 3
    assert says in problem(found)


def test_a_server_that_is_not_there_is_unreachable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    result = doctor("--url", f"http://127.0.0.1:{port}", "--format", "json")
    assert result.exit_code == 3
    assert "cannot be reached" in problem(json.loads(result.stdout))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--url", "https://a-b-1.convex.site"), "serves HTTP actions only"),
        (("--url", "http://192.0.2.1:3210"), "everyone on the way can read the key"),
        (("--url", "https://a-b-1.convex.cloud"), "is for happy-animal-123, and https://a-b-1.convex.cloud is a-b-1"),
        (("--prod", "--preview-name", "x"), "exclude each other"),
        (("--env-file", "none.env"), "does not exist"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_sent(words: tuple[str, ...], says: str) -> None:
    result = doctor(*words)
    assert result.exit_code == 2
    assert says in result.stderr
    assert result.stdout == ""


def test_nothing_chosen_says_what_to_set() -> None:
    result = doctor(key=None)
    assert result.exit_code == 2
    assert "nothing says which deployment is meant" in result.stderr
    assert "CONVEX_DEPLOY_KEY" in result.stderr


def test_variables_are_found_in_env_local_and_an_env_file_stands_alone(server_files: ScriptedServer) -> None:
    Path(".env.local").write_text(
        f"CONVEX_SELF_HOSTED_URL={server_files.url}\nCONVEX_SELF_HOSTED_ADMIN_KEY='{KEY}' # mine\n"
    )
    found = doctor("--format", "json", key=None)
    assert json.loads(found.stdout)["found"] == "CONVEX_SELF_HOSTED_URL of .env.local"
    Path("other.env").write_text("CONVEX_DEPLOYMENT=local:local-team-chat\n")
    alone = doctor("--env-file", "other.env", key=None)
    assert alone.exit_code == 2
    assert "CONVEX_DEPLOYMENT of other.env names local-team-chat, a local deployment" in alone.stderr


@pytest.fixture
def server_files() -> Any:
    with serving(answering()) as server:
        yield server


def test_a_key_file_that_others_can_read_is_warned_about(server_files: ScriptedServer) -> None:
    path = Path("key.txt")
    path.write_text(KEY)
    path.chmod(0o644)
    result = doctor("--url", server_files.url, "--key-file", "key.txt", key=None)
    assert result.exit_code == 0
    assert "key.txt can be read by others" in result.stderr
    path.chmod(0o600)
    assert doctor("--url", server_files.url, "--key-file", "key.txt", key=None).stderr == ""


def test_no_key_is_in_the_process_list_output_or_debug_traceback(server_files: ScriptedServer, tmp_path: Path) -> None:
    """The one way that looks at everything at once: a real process, told to show its traceback."""
    environment = {"CONVEX_DEPLOY_KEY": KEY, "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    command = [sys.executable, "-X", "dev", "-m", "analyzer", "--debug", "doctor", "--url", server_files.url + "/path"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 2
    assert "Traceback" in done.stderr
    assert SECRET not in done.stdout + done.stderr + " ".join(command)


# ---- against a deployment that keeps to the protocol -------------------------------------------------------------


def examined_at(deployment: Deployment, key: str) -> dict[str, Any]:
    result = CliRunner().invoke(
        cli.main, ["doctor", "--url", deployment.url, "--key-file", "-", "--format", "json"], input=key
    )
    assert key.rpartition("|")[2] not in result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found | {"exit": result.exit_code}


@pytest.mark.parametrize("kind", ["prod", "dev", "preview", "selfHosted"])
def test_a_read_only_key_is_enough_on_every_kind_of_deployment(kind: Any) -> None:
    with Deployment(kind=kind) as d:
        d.insert("users", {"name": "Ann"})
        found = examined_at(d, d.read_key)
        assert [noted.path for noted in d.requests if noted.path == "/api/v1/data/sync"] == []
    assert (found["exit"], found["way"], found["tables"]) == (0, "data sync", 1)
    assert (found["type"], found["production"]) == (kind, kind not in ("dev", "preview"))
    assert found["read_only"] is True
    assert all(permission["has"] for permission in found["permissions"] if permission["needed_for"] == "collect")
    assert all(function["answers"] for function in found["functions"])
    assert [e["name"] for e in found["endpoints"] if e["state"] != "there"] == (
        ["audit log"] if kind == "selfHosted" else []
    )


def test_keys_are_told_apart_by_a_real_protocol() -> None:
    with Deployment(kind="prod") as d:
        assert "this key can write; a read-only key is enough to collect" in examined_at(d, d.admin_key)["notes"]
        foreign = examined_at(d, d.foreign_key())
        weak = examined_at(d, d.key_without("ViewData"))
        revoked = d.mint_key("ViewData")
        d.backend.keys.revoke(revoked)
        bad = examined_at(d, revoked)
    assert "is for another deployment" in problem(foreign)
    assert "it lacks ViewData (deployment:data:view)" in problem(weak)
    assert "BadAdminKey" in problem(bad)
    assert {foreign["exit"], weak["exit"], bad["exit"]} == {3}


def test_examining_a_deployment_writes_nothing_to_its_audit_log() -> None:
    with Deployment() as d:
        before = d.now_ts()
        examined_at(d, d.admin_key)
        assert d.now_ts() == before
