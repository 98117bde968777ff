"""Targets: what a user or a repository brings along: rules, configuration, environment files, keys and URLs."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from analyzer import config, rules
from analyzer.convex import dotenv, target
from analyzer.predicate import as_data, leaves
from analyzer.rules import InternalLists
from analyzer.rules.reading import read
from tests.fuzz.target import Target, saved, scratch

ROOT = Path(__file__).parents[2]


def read_rules(data: bytes) -> None:
    """Read a file of rules, and lay it on top of the shipped ones."""
    path = saved("rules.toml", data)
    found = read(path)
    for rule in found.rules:
        assert as_data(rule.where) and list(leaves(rule.where)), "a rule tests something"
    combined = rules.load_all([path])
    rules.fingerprints(combined)
    assert len(rules.rules_hash(combined, InternalLists(), ())) == 64


def rules_seeds() -> list[bytes]:
    shipped = (ROOT / "analyzer/presets/workflow-chat/rules.toml").read_bytes()
    own = b"""[[rule]]
id = "my-rule"
version = 1
table = "tasks"
tier = "certain"
reason = "made by our own script"
where = { all = [{ field = "repoFullName", equals = "acme/x" }, { field = "title", matches = "(?i)probe [0-9]{3}.*" }] }
"""
    edges = (ROOT / "analyzer/presets/workflow-chat/edges.toml").read_bytes()
    return [own, edges, b"[[rule]]" + shipped.split(b"[[rule]]")[1]]


@contextlib.contextmanager
def _inside(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def read_config(data: bytes) -> None:
    """Load the settings from a folder whose analyzer.toml this is."""
    folder = scratch() / "configured"
    folder.mkdir(exist_ok=True)
    (folder / "analyzer.toml").write_bytes(data)
    with _inside(folder):
        found = config.load()
    assert found.wait_s > 0
    assert found.config_file == folder / "analyzer.toml"
    hash(found.flags)


def config_seeds() -> list[bytes]:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = readme.split("```toml\n")[1].split("```")[0]
    return [shown.encode(), b'[deployments.happy-animal-123]\npurge = true\n[purge]\nignore_edges = ["a.b"]\n']


def read_environment(data: bytes) -> None:
    """Find the deployment that an environment file names."""
    found = target.find(
        target.Choice(), [target.Variables(".env.local", dotenv.parse(data.decode("utf-8", "replace")))]
    )
    if not found.origin.startswith("https://"):
        host = urlsplit(found.origin).hostname or ""
        assert host == "localhost" or ip_address(host).is_loopback, found.origin
    shown = repr(found)
    if found.key is not None:
        secret = found.key.header().rpartition("|")[2]
        assert len(secret) < 20 or secret not in shown, "a key does not show itself"


def environment_seeds() -> list[bytes]:
    return [
        b"CONVEX_DEPLOY_KEY='prod:happy-animal-123|eyJ2MiI6IjRhYmNkZWZnaGlqa2xtbm9w'\nCONVEX_DEPLOYMENT=dev:b # x\n",
        b"CONVEX_SELF_HOSTED_URL=http://127.0.0.1:3210\nCONVEX_SELF_HOSTED_ADMIN_KEY=name|0123456789abcdef\n",
        b'export CONVEX_DEPLOYMENT="dev:happy-animal-123"\nNEXT_PUBLIC_CONVEX_URL=https://happy-animal-123.convex.cloud\n',
    ]


TARGETS = (
    Target("rules TOML", read_rules, rules_seeds, ("rules", "predicate.py")),
    Target("configuration TOML", read_config, config_seeds, ("config",)),
    Target(
        "environment file",
        read_environment,
        environment_seeds,
        ("convex/dotenv.py", "convex/keys.py", "convex/target.py", "convex/urls.py"),
    ),
)
