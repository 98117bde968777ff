"""Where settings come from, which of them wins, and what is said about mistakes."""

from __future__ import annotations

from pathlib import Path

import pytest

from analyzer import config
from analyzer.analysis.prices import Price
from analyzer.errors import ConfigError
from analyzer.model import DeploymentType, FilterName


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder, and an environment that says nothing."""
    for name in ("ANALYZER_DB", "CONVEX_DEPLOY_KEY", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(folder: Path, text: str, name: str = "analyzer.toml") -> None:
    (folder / name).write_text(text, encoding="utf-8")


def test_without_a_file_the_defaults_hold(folder: Path) -> None:
    settings = config.load()
    assert (settings.store, settings.wait_s, settings.config_file) == (Path("data/analyzer.duckdb"), 10.0, None)
    assert (settings.health.policy, settings.health.filter, settings.health.tolerate) == (
        "deployed",
        FilterName.EVIDENCE,
        (),
    )
    assert "ENABLE_WORKFLOW" in settings.flags


def test_every_section_of_the_file_arrives(folder: Path) -> None:
    write(
        folder,
        """
        db = "here/store.duckdb"
        wait = "1m"
        [tests]
        emails = ["qa@example.com"]
        users = ["QA Robot"]
        repos = ["acme/sandbox"]
        [health]
        policy = "ours"
        filter = "wide"
        tolerate = ["dev", "preview"]
        [policy.ours]
        window = "2h"
        max_error_rate = 0.02
        min_completion_rate = 1
        max_stuck = 0
        max_response = "5s"
        [flags]
        names = ["ENABLE_WORKFLOW"]
        [functions]
        system_health = "ops:health"
        [prices."gpt-4o"]
        input_per_million = 2.5
        output_per_million = 10
        [rules]
        files = ["rules/ours.toml"]
        """,
    )
    settings = config.load()
    assert settings.store == folder / "here/store.duckdb"
    assert settings.wait_s == 60.0
    assert settings.tests == config.TestLists(("qa@example.com",), ("QA Robot",), ("acme/sandbox",))
    assert settings.health == config.HealthSettings(
        "ours", FilterName.WIDE, (DeploymentType.DEV, DeploymentType.PREVIEW)
    )
    assert settings.policies["ours"] == {
        "window": 7_200_000,
        "max_error_rate": 0.02,
        "min_completion_rate": 1.0,
        "max_stuck": 0,
        "max_response": 5_000,
    }
    assert settings.flags == ("ENABLE_WORKFLOW",)
    assert settings.functions.system_health == "ops:health"
    assert settings.prices == {"gpt-4o": Price(2.5, 10.0)}
    assert settings.functions.alerts == "monitoring/dashboard:checkAlerts"
    assert settings.rule_files == (folder / "rules/ours.toml",)
    assert settings.config_file == folder / "analyzer.toml"


def test_a_flag_beats_the_environment_which_beats_the_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(folder, 'db = "file.duckdb"')
    assert config.load().store == folder / "file.duckdb"
    monkeypatch.setenv("ANALYZER_DB", "environment.duckdb")
    assert config.load().store == Path("environment.duckdb")
    assert config.load(db=Path("flag.duckdb")).store == Path("flag.duckdb")


def test_flags_beat_the_file_for_deployment_wait_policy_and_filter(folder: Path) -> None:
    write(folder, 'wait = "1m"\n[health]\npolicy = "strict"\nfilter = "wide"')
    settings = config.load(deployment="b", wait_s=0.0, policy="rollout", filter_name=FilterName.NONE)
    assert (settings.deployment, settings.wait_s) == ("b", 0.0)
    assert (settings.health.policy, settings.health.filter) == ("rollout", FilterName.NONE)


def test_the_nearest_file_upward_counts_and_analyzer_toml_beats_pyproject(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = folder / "app" / "src"
    inner.mkdir(parents=True)
    monkeypatch.chdir(inner)
    write(folder, 'db = "outer"')
    assert config.load().store.name == "outer"
    write(folder / "app", "[tool.other]\nx = 1", "pyproject.toml")
    assert config.load().store.name == "outer"
    write(folder / "app", '[tool.analyzer]\ndb = "middle"', "pyproject.toml")
    assert config.load().store.name == "middle"
    write(folder / "app", 'db = "own"')
    assert config.load().store.name == "own"


@pytest.mark.parametrize(
    ("text", "fact", "hint"),
    [
        ("dbb = 'x'", "dbb is not a setting", "db, wait, memory_limit, [tests]"),
        ("[helth]\npolicy = 'strict'", "helth is not a setting", "[health]"),
        ("[health]\npolcy = 'strict'", "[health] polcy is not a setting", "policy, filter, tolerate"),
        ("[health]\nfilter = 'all'", "[health] filter is 'all'", "none, name, evidence, wide"),
        ("[health]\npolicy = 'lax'", "[health] policy is 'lax'", "deployed, strict, rollout"),
        ("[health]\ntolerate = ['prod']", "[health] tolerate is ['prod']", "dev, preview"),
        ("[health]\ntolerate = 'dev'", "[health] tolerate is 'dev'", "a list"),
        ("[policy.ours]\nmax_error_rate = 5", "[policy.ours] max_error_rate is 5", "a share, 0 to 1"),
        ("[prices.gpt]\ninput_per_million = -1", '[prices."gpt"] input_per_million is -1', "US dollars"),
        ("[prices.gpt]\ninput_per_million = 1", '[prices."gpt"] has no output_per_million', "both prices"),
        ("[policy.ours]\nmax_stuck = true", "[policy.ours] max_stuck is True", "a whole number"),
        ("[policy.ours]\nwindow = '0s'", "[policy.ours] window is '0s'", "longer than 0"),
        ("[policy.ours]\nlimit = 1", "[policy.ours] limit is not a setting", "max_error_rate"),
        ("[policy.strict]\nmax_stuck = 1", "[policy.strict] would replace a built-in policy", "another name"),
        ("policy = 3", "policy is 3", "[policy]"),
        ("tests = []", "tests is []", "[tests]"),
        ("wait = 10", "wait is 10", "10s|30s"),
        ("[flags]\nnames = ['']", "[flags] names is ['']", "not empty"),
        ("x = ", "cannot be read", "TOML"),
    ],
)
def test_a_mistake_in_the_file_names_file_and_key_and_what_is_valid(
    folder: Path, text: str, fact: str, hint: str
) -> None:
    write(folder, text)
    with pytest.raises(ConfigError) as caught:
        config.load()
    assert str(folder / "analyzer.toml") in str(caught.value)
    assert fact in str(caught.value)
    assert any(part in caught.value.hint for part in hint.split("|"))


def test_a_policy_flag_that_names_nothing_says_the_valid_ones(folder: Path) -> None:
    write(folder, "[policy.ours]\nmax_stuck = 1")
    with pytest.raises(ConfigError) as caught:
        config.load(policy="lax")
    assert caught.value.hint == "valid: deployed, strict, rollout, ours"


def test_secrets_are_the_values_of_keys_and_nothing_else(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONVEX_DEPLOY_KEY", "prod:name|c2VjcmV0MTIz")
    write(folder, "CONVEX_SELF_HOSTED_ADMIN_KEY=self-hosted|0123456789\nCONVEX_DEPLOYMENT=dev:open\n", ".env.local")
    assert set(config.secrets()) == {
        "prod:name|c2VjcmV0MTIz",
        "c2VjcmV0MTIz",
        "self-hosted|0123456789",
        "0123456789",
    }


@pytest.mark.parametrize(
    ("no_color", "term", "wanted"), [("", "xterm", True), ("1", "xterm", False), ("", "dumb", False)]
)
def test_colour_is_left_out_where_the_user_says_so(
    monkeypatch: pytest.MonkeyPatch, no_color: str, term: str, wanted: bool
) -> None:
    monkeypatch.setenv("NO_COLOR", no_color)
    monkeypatch.setenv("TERM", term)
    assert config.is_colour_wanted() is wanted
