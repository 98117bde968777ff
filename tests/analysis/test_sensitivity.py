"""The status under a filter is the same whether it is worked out from sums or from the documents left out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from analyzer import rules
from analyzer.analysis import artifacts, health, policy
from analyzer.analysis.sensitivity import Sensitivity, sensitivity
from analyzer.model import FilterName
from analyzer.rules import InternalLists
from analyzer.store import Store
from tests.analysis.leftovers import Document, helper_task, helper_user, message, placeholder, prompt, task, trace, user
from tests.storing import NOW_MS, put

RULES = rules.load_all()
LISTS = InternalLists(emails=("ada@acme.example",))
DATED = {"createdAt": float(NOW_MS - 60_000), "_creationTime": float(NOW_MS - 60_000)}
UNFINISHED: list[Document] = [
    *({"status": status, "createdAt": "n/a"} for status in ("pending", "failed")),
    *({"status": "streaming", "createdAt": float(NOW_MS - age_ms)} for age_ms in (60_000, 3_000_000, 9_000_000)),
]
FOUND = {
    "users": [user(1), helper_user(2), user(3, email="grace@acme.example", name="Grace")],
    "tasks": [task(1), helper_task(2), task(3, 3, title="Add unit Tests for login"), task(4, 3)],
    "chatMessages": [
        *(message(n, 1 + n % 4, **DATED, **({} if n % 3 else {"status": "failed"})) for n in range(1, 25)),
        *(
            message(n, of, **left)
            for n, (left, of) in enumerate(((u, t) for u in UNFINISHED for t in (1, 2, 4, 9)), 30)
        ),
        prompt(60, 4, **DATED),
        placeholder(61, 4, 60, **DATED),
        message(62, 4, llmModel="test-model", **DATED),
    ],
    "workflowTraces": [
        *(trace(n, 1 + n % 4, **DATED, status="FAILED" if n % 5 == 0 else "STARTED") for n in range(1, 13)),
        trace(13, 9, status="COMPLETED", totalDurationMs=99_000.0, **DATED),
    ],
}


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sensitivity")
    put(folder, FOUND, fingerprints=rules.fingerprints(RULES))
    return folder / "store.duckdb"


@pytest.mark.parametrize("lists", [artifacts.NO_LISTS, LISTS], ids=["no lists", "a listed person"])
@pytest.mark.parametrize("name", ["deployed", "strict"])
def test_every_filter_and_rule_says_what_the_documents_say(path: Path, name: str, lists: InternalLists) -> None:
    strict = policy.find(name, {})
    limit_of_nothing = policy.Rule("response_p95_ms", "<=", 1e12)  # needs response times, so sums cannot answer
    by_documents = replace(strict, rules=(*strict.rules, limit_of_nothing))
    found: list[tuple[Sensitivity, ...]] = []
    with Store.read(path) as store:
        for judged in (strict, by_documents):
            frame = store.frame(store.snapshot())
            artifacts.prepare(frame, RULES, lists, orphans=True)
            report = health.assess(frame, policy=judged, filter_name=FilterName.EVIDENCE, now_ms=NOW_MS)
            found.append(sensitivity(frame, report, each_rule=True))
    from_sums, one_by_one = found
    assert from_sums == one_by_one
    assert len({judged.excluded for judged in from_sums}) >= 5
    assert {"none", "name", "evidence", "wide", "rule helper-message"} <= {judged.filter for judged in from_sums}
