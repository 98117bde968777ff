"""What is installed is what was looked at: every version locked, by hash, from wherever it comes."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCKS = ("run", "dev", "tools", "spark")


def entries(name: str) -> dict[str, list[str]]:
    """Return the hashes of each locked version of a lock file."""
    text = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8").replace("\\\n", " ")
    found = {}
    for line in text.splitlines():
        match = re.match(r"([\w.\[\]-]+==[\w.+!]+)(?: ; [^-]*)?", line)
        assert match, line
        found[match[1]] = re.findall(r"--hash=sha256:([0-9a-f]{64})", line)
    return found


@pytest.mark.parametrize("name", LOCKS)
def test_every_version_is_locked_by_hash_and_no_place_is_named(name: str) -> None:
    assert all(hashes for hashes in entries(name).values())
    text = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
    assert "://" not in text and "--index" not in text and "@ " not in text


def test_what_runs_is_what_was_tested() -> None:
    run, dev = entries("run"), entries("dev")
    assert {name: dev.get(name) for name in run} == run


@pytest.mark.parametrize(("extra", "lock"), [("", "run"), ("dev", "dev"), ("tools", "tools"), ("spark", "spark")])
def test_every_dependency_of_the_project_is_in_its_lock(extra: str, lock: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = project["optional-dependencies"][extra] if extra else project["dependencies"]
    names = {re.split(r"[^\w-]", word)[0].lower() for word in wanted}
    locked = {entry.partition("==")[0].partition("[")[0].lower() for entry in entries(lock)}
    assert names <= locked


@pytest.mark.external("make")
@pytest.mark.slow
@pytest.mark.timeout(900)  # the first time it sets up an environment of its own
def test_the_bill_of_materials_is_the_lock_and_the_same_each_time() -> None:
    made = ROOT / "dist" / "sbom.cdx.json"
    digests = set()
    for _ in range(2):
        subprocess.run(["make", "--no-print-directory", "sbom"], cwd=ROOT, check=True, capture_output=True)
        digests.add(hashlib.sha256(made.read_bytes()).hexdigest())
    assert len(digests) == 1
    bill = json.loads(made.read_bytes())
    assert bill["bomFormat"] == "CycloneDX" and bill["metadata"]["component"]["name"] == "analyzer"
    assert {f"{c['name']}=={c['version']}" for c in bill["components"]} == set(entries("run"))
