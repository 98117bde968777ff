"""docs/security.md names a test for every answer, and those tests exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")


def test_every_threat_has_an_answer_and_names_a_test_that_exists() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| ") and not line.startswith("| threat")]
    assert len(rows) > 30
    known: dict[str, set[str]] = {}
    for row in rows:
        _, threat, answer, proof, _ = row.split("|")
        named = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", proof)
        assert threat.strip() and answer.strip() and named, row
        assert proof.count("`") == 2 * len(named), f"a name that is none: {proof}"
        for path, name in named:
            if path not in known:
                tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
                known[path] = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
            assert name in known[path], f"{path} has no {name}"
