"""The npm package `convex`: its HTTP client and its command line."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.deployment import Deployment, FunctionError
from tests.real_clients.installing import install, run

pytestmark = [pytest.mark.external("node", "npm"), pytest.mark.timeout(600), pytest.mark.slow]
HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the package in it, and an empty app."""
    folder = tmp_path_factory.mktemp("npm")
    (folder / "package.json").write_text('{"name": "app", "private": true, "type": "module"}')
    (folder / "convex").mkdir()
    install(["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "convex"], folder)
    shutil.copy(HERE / "http_client.mjs", folder)
    return folder


@pytest.fixture
def deployment() -> Iterator[Deployment]:
    with Deployment(kind="selfHosted", name="convex-self-hosted") as running:

        def count(call: Any, args: Any) -> float:
            return float(sum(1 for _ in call.tx.scan(call.component, "users")))

        def fail(call: Any, args: Any) -> None:
            raise FunctionError("typed", {"code": "NO", "n": 1.0})

        running.functions.query("probe:echo")(lambda _, args: args)
        running.functions.query("probe:count", {})(count)
        running.functions.query("probe:fail", {})(fail)
        running.functions.action("probe:act")(lambda _, args: args["n"] * 2)
        yield running


def cli(project: Path, deployment: Deployment, *args: str, key: str | None = None) -> tuple[int, str, str]:
    """Run the package's command line; returns exit code, stdout and stderr."""
    env = {"CONVEX_SELF_HOSTED_URL": deployment.url, "CONVEX_SELF_HOSTED_ADMIN_KEY": key or deployment.admin_key}
    done = run([str(project / "node_modules" / ".bin" / "convex"), *args], cwd=project, env=env)
    return done.returncode, done.stdout, done.stderr


def test_the_http_client_reads_writes_and_understands_errors(project: Path, deployment: Deployment) -> None:
    env = {"URL": deployment.url, "KEY": deployment.admin_key}
    done = run(["node", "http_client.mjs"], cwd=project, env=env)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["flags"]["ENABLE_PROMPT_MESSAGE_ID"] is True
    assert deployment.documents("tasks")[found["task"]]["title"] == "from npm"
    assert found["action"] == 4
    assert found["echo"] == dict.fromkeys(found["echo"], True)
    assert found["error"] == {"typed": True, "data": {"code": "NO", "n": 1}}
    assert "Could not find public function for 'no:no'" in found["missing"]
    assert found["consistent"] == [1, 1, 2]
    assert set(found["mapping"].values()) >= {"users", "tasks"}
    assert json.loads(found["refused"])["code"] == "BadAdminKey"


def test_the_command_line_runs_functions(project: Path, deployment: Deployment) -> None:
    code, out, err = cli(project, deployment, "run", "monitoring/dashboard:getSystemHealth")
    assert code == 0, err
    assert json.loads(out) == deployment.call("monitoring/dashboard:getSystemHealth")
    code, out, err = cli(project, deployment, "run", "api/testHelpers:createTestTask", '{title: "from the shell"}')
    assert code == 0, err
    assert deployment.documents("tasks")[json.loads(out)["taskId"]]["title"] == "from the shell"


def test_the_command_line_prints_log_lines_to_stderr(project: Path, deployment: Deployment) -> None:
    deployment.insert("chatMessages", {"status": "streaming", "createdAt": 1.0})
    code, out, err = cli(project, deployment, "run", "monitoring/dashboard:checkAlerts")
    assert (code, json.loads(out)["status"]) == (0, "ALERT")
    assert "1 message(s) stuck streaming" in err


def test_the_command_line_fails_where_a_function_does(project: Path, deployment: Deployment) -> None:
    code, out, err = cli(project, deployment, "run", "no:no")
    assert (code, out) == (1, "")
    assert 'Failed to run function "no:no"' in err
    code, _, err = cli(project, deployment, "run", "probe:count", key="convex-self-hosted|00")
    assert code == 1
    assert "BadAdminKey" in err


def test_the_command_line_sets_variables(project: Path, deployment: Deployment) -> None:
    code, _, err = cli(project, deployment, "env", "set", "ENABLE_WORKFLOW", "true")
    assert code == 0, err
    code, out, _ = cli(project, deployment, "run", "api/testHelpers:checkWorkflowMode")
    assert (code, json.loads(out)) == (0, {"ENABLE_WORKFLOW": True, "mode": "workflow"})


def test_the_command_line_reads_variables_and_tables(project: Path, deployment: Deployment) -> None:
    deployment.set_env(ENABLE_WORKFLOW="true", OTHER="x")
    id_ = deployment.insert("users", {"name": "Ada"})
    code, out, err = cli(project, deployment, "env", "get", "ENABLE_WORKFLOW")
    assert (code, out.strip()) == (0, "true"), err
    code, out, err = cli(project, deployment, "data", "users", "--format", "jsonLines")
    assert code == 0, err
    assert id_ in out


def test_the_command_line_exports_and_imports(project: Path, deployment: Deployment, tmp_path: Path) -> None:
    deployment.insert_many("users", [{"name": "Ada", "big": 2**60}, {"name": "Bea", "n": 5.0}])
    before = deployment.at()
    path = tmp_path / "export.zip"
    code, _, err = cli(project, deployment, "export", "--path", str(path))
    assert code == 0, err
    deployment.delete("users")
    code, _, err = cli(project, deployment, "import", "--replace", "--yes", str(path))
    assert code == 0, err
    assert deployment.at() == before


def test_the_command_line_says_why_an_import_fails(project: Path, deployment: Deployment, tmp_path: Path) -> None:
    id_ = deployment.insert("users", {"name": "Ada"})
    deployment.delete("users", id_)
    (tmp_path / "users.jsonl").write_text(json.dumps({"_id": id_, "name": "Ada"}) + "\n")
    code, _, err = cli(
        project, deployment, "import", "--append", "--table", "users", "--yes", str(tmp_path / "users.jsonl")
    )
    assert code == 1
    assert "Cannot recreate document" in err
