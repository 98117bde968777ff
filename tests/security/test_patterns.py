"""No text, however long or odd, makes a regular expression slow, and no rule can do more than compare."""

from __future__ import annotations

import importlib
import pkgutil
import re
import time
from pathlib import Path

import pytest

import analyzer
from tests.analysis.leftovers import found_in, task, user
from tests.storing import put

LONG = 3_000  # characters; a pattern that looks at each pair of them takes a quarter of a second
MOST_S = 0.1
ODD = (
    "a", "A", "0", " ", "-", "_", ".", "/", "\\", "|", "`", "'", '"', "[", "(", "<", "&", "=", ":", ",", "\n", "\t",
    "é", "a ", "a-", "A_", "0.", "a=", "\\a", "-a:", "T+", "** ", "[a](", "0,", "aA", "a|", "KEY=", "a:", "//", "`a",
)  # fmt: skip


def patterns() -> dict[str, re.Pattern[str]]:
    """Return every compiled pattern for text that a module of the package holds."""
    found: dict[str, re.Pattern[str]] = {}
    for module in pkgutil.walk_packages(analyzer.__path__, "analyzer."):
        if module.name.endswith("__main__"):
            continue
        for name, value in vars(importlib.import_module(module.name)).items():
            each = value if isinstance(value, tuple | list) else [value]
            for number, item in enumerate(each):
                if isinstance(item, re.Pattern) and isinstance(item.pattern, str):
                    found[f"{module.name}.{name}.{number}"] = item
    return found


def test_no_pattern_of_ours_takes_long_over_any_text() -> None:
    slow = []
    root = Path(analyzer.__path__[0])
    code = {path: path.read_text(encoding="utf-8") for path in root.rglob("*.py")}
    assert len(patterns()) > 40
    for name, pattern in patterns().items():
        *folders, module, short, _ = name.split(".")[1:]
        own = code.get(root.joinpath(*folders, f"{module}.py"), "") if short.startswith("_") else "".join(code.values())
        is_searched = re.search(rf"\b{short}\.(search|sub|findall|finditer|split)\(", own)
        for odd in ODD:
            text = (odd * LONG)[:LONG] + "\x00!"
            started = time.process_time()
            pattern.match(text)
            pattern.fullmatch(text)
            if is_searched:
                pattern.search(text)
            if time.process_time() - started > MOST_S:
                slow.append(f"{name} over {odd!r}")
                break
    assert not slow


def test_a_catastrophic_pattern_in_a_rules_file_takes_no_time(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text(
        '[[rule]]\nid = "evil"\nversion = 1\ntable = "tasks"\ntier = "suspect"\nreason = "x"\n'
        'where = { field = "title", matches = "(a+)+(a|aa)+b" }\n'
    )
    store = put(tmp_path, {"users": [user(1)], "tasks": [task(1, title="a" * 100_000), task(2, title="aab")]})
    started = time.process_time()
    found = found_in(store, own=[own])
    assert time.process_time() - started < 5
    assert [artifact.id for artifact in found.values() if "evil" in artifact.rules] == [task(2)["_id"]]


@pytest.mark.parametrize(
    "value", ["'); drop table revision; --", "${HOME}", "{{ 7*7 }}", "__import__('os').system('id')", "$(id)", "%s"]
)
def test_what_a_rule_says_is_compared_and_never_run(value: str, tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text(
        '[[rule]]\nid = "evil"\nversion = 1\ntable = "tasks"\ntier = "suspect"\nreason = "x"\n'
        f'where = {{ field = "title", equals = "{value}" }}\n'
    )
    store = put(tmp_path, {"users": [user(1)], "tasks": [task(1, title=value), task(2, title="49")]})
    found = found_in(store, own=[own])
    assert [artifact.id for artifact in found.values() if "evil" in artifact.rules] == [task(1)["_id"]]
