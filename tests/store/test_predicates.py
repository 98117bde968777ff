"""Predicates as SQL select what a naive reading of them selects, over documents that went through a collect."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analyzer.convex.text import reduced
from analyzer.model import TextFingerprint
from analyzer.predicate import All, AnyOf, Leaf, Predicate, fingerprint_id, leaves
from analyzer.store import Store
from analyzer.store.predicates import select_matches
from tests import storing

MISSING = object()
EVIDENCE = "rule_evidence"
REFERRED = (storing.make_id("chatMessages", 9_001), storing.make_id("chatMessages", 9_002))
PATTERNS = ("", "test-.*", "[a-z]+", "(?s:.*b.*)", "a|ab", "[0-9]{2}", "(?i:TEST-model)", ".")
TEXTS = (
    "",
    "test-model",
    "Test-Model",
    "tеst-model",
    "pending",
    "a",
    "ab",
    "a\nb",
    "12",
    "5",
    "true",
    "null",
    "\x00b",
    "'; --",
    "x" * 300,
    "null\n" * 50,
    '{"$text": 1}',
    *REFERRED,
)
NUMBERS = (0, 5, -7, 5.0, 0.5, 2**53, 2**53 + 1, -(2**63), 1e300, -0.0)
VALUES = [MISSING, None, True, False, [], ["a"], {}, {"length": 0}, {"a": "a"}, *TEXTS, *NUMBERS]
FIELDS = {
    "chatMessages": ("llmModel", "content", "sequence", "createdAt", "taskId", "errorMessage", "clientMessageId"),
    "tasks": ("title", "isScratchpad", "updatedAt", "errorMessage", "shadowBranch", "content"),
    "todos": ("taskId", "messageId", "isDone", "position", "text", "label"),
}


def naive(predicate: Predicate, document: dict[str, Any]) -> bool:
    """Judge a document by the words of the predicates' documentation."""
    if isinstance(predicate, All):
        return all(naive(part, document) for part in predicate.parts)
    if isinstance(predicate, AnyOf):
        return any(naive(part, document) for part in predicate.parts)
    value = document.get(predicate.field, MISSING)
    if predicate.operator == "empty":
        return value is MISSING or value is None or value == ""
    if predicate.operator == "refers_to":
        return isinstance(value, str) and value in REFERRED[: len(predicate.values)]
    if predicate.operator == "matches":
        return isinstance(value, str) and re.fullmatch(str(predicate.values[0]), value) is not None
    return any(same(value, wanted) for wanted in predicate.values)


def same(value: Any, wanted: Any) -> bool:
    if isinstance(value, bool) or isinstance(wanted, bool):
        return value is wanted
    if isinstance(value, int | float) and isinstance(wanted, float):
        return float(value) == wanted
    return isinstance(value, str) and isinstance(wanted, str) and value == wanted


def is_judgeable(table: str, predicate: Predicate, document: dict[str, Any]) -> bool:
    """Whether no pattern of a predicate meets text that was reduced without being checked for it."""
    return not any(
        leaf.operator == "matches"
        and not (table == "chatMessages" and leaf.field == "content")
        and isinstance(document.get(leaf.field), str)
        and leaf.field not in ("llmModel", "title", "taskId", "messageId")
        and reduced({leaf.field: document[leaf.field]})[1]
        for leaf in leaves(predicate)
    )


def leaf_of(table: str) -> st.SearchStrategy[Leaf]:
    field = st.sampled_from(FIELDS[table])
    scalar = st.sampled_from([True, False, *TEXTS, *map(float, NUMBERS)])
    return st.one_of(
        st.builds(lambda f, v: Leaf(f, "equals", (v,)), field, scalar),
        st.builds(lambda f, v: Leaf(f, "in", tuple(v)), field, st.lists(scalar, min_size=1, max_size=4)),
        st.builds(lambda f, v: Leaf(f, "matches", (v,)), field, st.sampled_from(PATTERNS)),
        st.builds(lambda f: Leaf(f, "empty"), field),
        st.builds(lambda f, v: Leaf(f, "refers_to", v), field, st.sampled_from([("one",), ("one", "two")])),
    )


def predicate_of(table: str) -> st.SearchStrategy[Predicate]:
    return st.recursive(
        leaf_of(table),
        lambda inner: st.builds(
            lambda kind, parts: kind(tuple(parts)),
            st.sampled_from([All, AnyOf]),
            st.lists(inner, min_size=1, max_size=3),
        ),
        max_leaves=5,
    )


def documents_of(table: str) -> st.SearchStrategy[list[dict[str, Any]]]:
    fields = st.fixed_dictionaries({name: st.sampled_from(VALUES) for name in FIELDS[table]})
    return st.lists(fields, min_size=1, max_size=25).map(
        lambda found: [
            storing.document(table, number, createdAt=..., **{k: ... if v is MISSING else v for k, v in item.items()})
            if "createdAt" not in item
            else storing.document(table, number, **{k: ... if v is MISSING else v for k, v in item.items()})
            for number, item in enumerate(found)
        ]
    )


cases = st.sampled_from(sorted(FIELDS)).flatmap(
    lambda table: st.tuples(
        st.just(table), documents_of(table), st.lists(predicate_of(table), min_size=1, max_size=8), st.booleans()
    )
)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(cases)
def test_compiled_predicates_select_what_a_naive_reading_selects(
    case: tuple[str, list[dict[str, Any]], list[Predicate], bool],
) -> None:
    table, documents, predicates, is_kept = case
    known = [
        TextFingerprint(fingerprint_id("chatMessages", "content", p), "chatMessages", "content", p) for p in PATTERNS
    ]
    marked = [storing.document("chatMessages", 9_001 + n) for n in range(2)]
    everything = {"chatMessages": marked} | {table: [*(marked if table == "chatMessages" else []), *documents]}
    with tempfile.TemporaryDirectory() as folder:
        path = storing.put(Path(folder), everything, fingerprints=known, keep_text=is_kept)
        with Store.read(path) as store:
            frame = store.frame(storing.newest(store))
            evidence_of(frame)
            for predicate in predicates:
                judged = [d for d in documents if is_kept or is_judgeable(table, predicate, d)]
                frame.materialise_matches("found", table, predicate, evidence=EVIDENCE)
                found = {row[0] for row in frame._connection.execute("select id from found").fetchall()}
                wanted = {d["_id"] for d in judged if naive(predicate, d)}
                assert found & {d["_id"] for d in judged} == wanted, predicate
                for document in judged[:3]:
                    parts = list(leaves(predicate))
                    values = frame.judge_leaves(table, parts, document["_id"], evidence=EVIDENCE)
                    assert values is not None
                    assert [holds for holds, _ in values] == [naive(leaf, document) for leaf in parts]


@pytest.mark.parametrize(
    ("table", "fields"),
    [("chatMessages", ("llmModel", "content", "sequence", "clientMessageId")), ("tasks", ("isScratchpad",))],
)
def test_every_kind_of_value_meets_every_kind_of_wanted_value_as_in_a_naive_reading(
    table: str, fields: tuple[str, ...], tmp_path: Path
) -> None:
    held = (MISSING, None, True, False, "", "true", "5", "0", 5, 5.0, 0, -0.0, 2**53 + 1, "test-model", ["5"], {"a": 5})
    wanted = (True, False, "", "true", "5", 5.0, 0.0, float(2**53), "test-model")
    documents = [
        storing.document(table, number, **dict.fromkeys(fields, ... if value is MISSING else value))
        for number, value in enumerate(held)
    ]
    tests = [Leaf(field, "equals", (value,)) for field in fields for value in wanted]
    tests += [Leaf(field, "empty") for field in fields]
    path = storing.put(tmp_path, {table: documents})
    with Store.read(path) as store:
        frame = store.frame(storing.newest(store))
        evidence_of(frame)
        for document in documents:
            values = frame.judge_leaves(table, tests, document["_id"], evidence=EVIDENCE)
            assert values is not None
            wrong = [test for test, (holds, _) in zip(tests, values, strict=True) if holds != naive(test, document)]
            assert wrong == [], document


def evidence_of(frame: Any) -> None:
    """Let rule "one" select the first referred message, and rule "two" the second."""
    frame.materialise(EVIDENCE, "artifacts/marked_evidence", test_ids=[])
    for rule, number in (("one", 9_001), ("two", 9_002)):
        leaf = Leaf("_id", "equals", (storing.make_id("chatMessages", number),))
        frame.materialise_matches("rule_match", "chatMessages", leaf, evidence=EVIDENCE)
        frame.materialise(EVIDENCE, "artifacts/with_rule", rule=rule, tier_rank=0, is_gone=False, real_ids=[])


def test_a_rule_for_every_table_looks_at_the_root_of_each(tmp_path: Path) -> None:
    place = {"note": "leftover"}
    path = storing.put(
        tmp_path,
        {
            "users": [storing.document("users", 1, **place)],
            "chatMessages": [storing.document("chatMessages", 1, **place), storing.document("chatMessages", 2)],
            "todos": [storing.document("todos", 1, **place)],
            "billing/todos": [storing.document("todos", 2, **place)],
            "billing/users": [storing.document("users", 2, **place)],
        },
    )
    with Store.read(path) as store:
        frame = store.frame(storing.newest(store))
        evidence_of(frame)
        assert frame.materialise_matches("found", "*", Leaf("note", "equals", ("leftover",)), evidence=EVIDENCE) == 3
        assert (
            frame.materialise_matches("found", "todos", Leaf("note", "equals", ("leftover",)), evidence=EVIDENCE) == 1
        )


def test_a_value_found_is_given_as_json_and_reduced_text_as_length_and_hash(tmp_path: Path) -> None:
    document = storing.document("chatMessages", 1, content="héllo", llmModel=5, sequence=3.0, role="USER", status=None)
    path = storing.put(tmp_path, {"chatMessages": [document]})
    fields = ("content", "llmModel", "sequence", "role", "status", "taskId")
    with Store.read(path) as store:
        frame = store.frame(storing.newest(store))
        evidence_of(frame)
        values = frame.judge_leaves(
            "chatMessages", [Leaf(f, "empty") for f in fields], document["_id"], evidence=EVIDENCE
        )
        assert values is not None
        assert [found for _, found in values][1:] == ["5", "3.0", '"USER"', "null", None]
        assert values[0][1] is not None
        assert values[0][1].startswith('{"$text":{"length":5,"sha256":"3c48591d')
        assert frame.judge_leaves("chatMessages", [Leaf("role", "empty")], "nobody", evidence=EVIDENCE) is None


@pytest.mark.parametrize("name", ['x" or 1=1 --', "a.b", "", "x'y", "x" * 65])
def test_nothing_but_checked_names_enters_the_text_of_a_query(name: str) -> None:
    with pytest.raises(ValueError, match="is no name"):
        select_matches("todos", Leaf(name, "empty"), evidence=EVIDENCE)
    with pytest.raises(ValueError, match="is no name"):
        select_matches("todos", Leaf("label", "empty"), evidence=name)


def test_values_of_rules_are_parameters_never_text() -> None:
    hostile = "'; drop table mark; --"
    selection = select_matches(hostile, Leaf("label", "in", (hostile, 7.0, True)), evidence=EVIDENCE)
    assert "drop" not in selection.sql
    assert hostile in selection.params.values()
