"""Keys, and variables that nobody listed, come out of no channel: output, errors, files, programs that we start."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from analyzer import cli
from tests.deployment import Deployment
from tests.support import DEPLOYMENT

UNLISTED = "sk-unlisted-value-0001"
COMMANDS = (
    ("doctor",),
    ("collect",),
    (),
    ("snapshots", "show", "1"),
    ("explain", "--full"),
    ("functions", "--window", "60m"),
    ("query", "--sql", "from duckdb_secrets()"),
    ("report", "--baseline", "1", "--after", "1", "-o", "r.html", "-o", "r.md", "-o", "r.json"),
    ("purge", "plan", "-o", "plan.json"),
    ("purge", "apply", "plan.json", "--reason", "x", "--confirm", "x", "--debug"),
    ("collect", "--url", "https://nowhere.invalid", "--max-time", "1s", "--debug"),
    ("health", "--debug", "--snapshot", "no such"),
)


def run(*words: str) -> Result:
    return CliRunner().invoke(cli.main, words)


@pytest.mark.external
def test_no_key_and_no_unlisted_variable_comes_out_of_any_channel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    said = ""
    with Deployment(kind="dev") as d:
        d.set_env(ENABLE_WORKFLOW="true", OPENAI_API_KEY=UNLISTED, API_BASE=UNLISTED)
        keys = (d.read_key, d.admin_key)
        monkeypatch.setenv("CONVEX_SELF_HOSTED_URL", d.url)
        monkeypatch.setenv("CONVEX_SELF_HOSTED_ADMIN_KEY", d.read_key)
        monkeypatch.setenv("ANALYZER_WRITE_KEY", d.admin_key)
        monkeypatch.setenv("ANALYZER_DB", str(tmp_path / "s.duckdb"))
        d.insert("chatMessages", {"role": "USER", "status": "failed", "content": "x", "createdAt": d.clock.now_ms})
        for words in COMMANDS:
            result = run(*words)
            said += result.stdout + result.stderr
            assert "internal fault" not in result.stderr, result.stderr
    found = {"what was said": said.encode()}
    found |= {str(path): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert len(found) > 4
    for where, content in found.items():
        for secret in (UNLISTED, *(key.rpartition("|")[2] for key in keys)):
            assert secret.encode() not in content, where


def test_the_key_to_write_is_not_handed_to_the_users_own_programs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bin").mkdir()
    npx = tmp_path / "bin" / "npx"
    npx.write_text(f"#!/bin/sh\nenv >> {tmp_path}/seen\nexit 1\n")
    npx.chmod(0o755)
    monkeypatch.setenv("PATH", f"{npx.parent}:/usr/bin:/bin")
    monkeypatch.setenv("ANALYZER_WRITE_KEY", "prod:happy-animal-123|0123456789abcdef")
    monkeypatch.setenv("CONVEX_DEPLOYMENT", f"dev:{DEPLOYMENT}")
    result = run("collect", "--via-cli", "--db", "s.duckdb")
    assert result.exit_code == 3
    seen = (tmp_path / "seen").read_text()
    assert f"CONVEX_DEPLOYMENT=dev:{DEPLOYMENT}" in seen, "what the Convex CLI needs is there"
    assert "0123456789abcdef" not in seen and "ANALYZER_" not in seen


def test_a_recording_made_by_the_users_own_cli_holds_only_the_configured_flags(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bin").mkdir()
    npx = tmp_path / "bin" / "npx"
    npx.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\nexit 1\n')
    npx.chmod(0o755)
    monkeypatch.setenv("PATH", f"{npx.parent}:/usr/bin:/bin")
    run("collect", "--via-cli", "--db", "s.duckdb", "--keep", "kept")
    asked = (tmp_path / "asked").read_text()
    assert "env list" not in asked, "a list would hold every value"
    assert (tmp_path / "kept").stat().st_mode & 0o077 == 0
    assert all(path.stat().st_mode & 0o077 == 0 for path in (tmp_path / "kept").rglob("*"))
