"""Why a document is an artifact, nearly is one, or is none."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from analyzer import rules
from analyzer.analysis import artifacts as finding
from analyzer.analysis.why import JudgedRule, Why, why
from analyzer.errors import NoData
from analyzer.model import Tier
from analyzer.report import artifacts_text
from analyzer.rules import InternalLists
from analyzer.store import Frame, Store
from tests import storing
from tests.analysis.leftovers import (
    Document,
    helper_task,
    helper_user,
    make_id,
    message,
    placeholder,
    prompt,
    say,
    task,
    user,
)

DOCUMENTS: dict[str, list[Document]] = {
    "users": [user(1), helper_user(2)],
    "tasks": [
        task(1),
        helper_task(2),
        helper_task(3, 1, isScratchpad="true", title="Login"),
        task(4, title="a \x1b[2Jtest"),
    ],
    "chatMessages": [
        message(1, 2),
        prompt(2, 1),
        placeholder(3, 1, 2),
        message(4, 1, llmModel="test-model", content="hello", promptMessageId=make_id("chatMessages", 1)),
        message(5, 1),
        message(6, 99),
    ],
    "agentTools": [storing.document("agentTools", 1, messageId=make_id("chatMessages", 1))],
    "billing/users": [helper_user(1)],
}


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return storing.put(tmp_path_factory.mktemp("world"), DOCUMENTS)


@pytest.fixture(scope="module")
def world(path: Path) -> Iterator[Frame]:
    """A prepared frame that tests share, because none of them changes it."""
    with Store.read(path) as store:
        frame = store.frame(store.snapshot())
        finding.prepare(frame, rules.load_all(), orphans=True)
        yield frame


def explained(
    where: Path | Frame, document_id: str, lists: InternalLists = finding.NO_LISTS, own: Sequence[Path] = ()
) -> Why:
    rule_set = rules.load_all(own)
    if isinstance(where, Frame):
        return why(where, rule_set, document_id)
    with Store.read(where) as store:
        frame = store.frame(store.snapshot())
        finding.prepare(frame, rule_set, lists, orphans=True)
        return why(frame, rule_set, document_id)


def signs(judged: JudgedRule) -> dict[str, str | None]:
    return {sign.leaf.field: sign.found for sign in judged.signs}


def test_a_rule_that_fired_shows_what_it_found(world: Frame) -> None:
    (place,) = explained(world, make_id("tasks", 2)).places
    assert (place.table, place.tier, place.is_present) == ("tasks", Tier.CERTAIN, True)
    assert [rule.rule for rule in place.fired] == ["helper-task", "owned-by-artifact", "name"]
    assert signs(place.fired[0]) == {
        "repoFullName": '"test/test-repo"',
        "workspacePath": '"/tmp/test"',
        "isScratchpad": "true",
    }
    assert place.fired[1].via == make_id("users", 2)
    assert signs(place.fired[2]) == {"repoFullName": '"test/test-repo"'}


def test_a_reference_shows_the_document_that_it_leads_to(world: Frame) -> None:
    (place,) = explained(world, make_id("chatMessages", 3)).places
    fired = place.fired[0]
    assert (fired.rule, fired.via) == ("helper-message", make_id("chatMessages", 2))
    assert signs(fired)["promptMessageId"] == json.dumps(make_id("chatMessages", 2))
    assert [(step.table, step.id, step.rule) for step in place.path] == [
        ("chatMessages", make_id("chatMessages", 2), "helper-prompt")
    ]


def test_the_path_leads_from_a_document_up_to_the_evidence(world: Frame) -> None:
    (place,) = explained(world, make_id("agentTools", 1)).places
    assert [(step.table, step.rule) for step in place.path] == [
        ("chatMessages", "owned-by-artifact"),
        ("tasks", "helper-task"),
    ]


def test_a_rule_that_is_one_sign_short_shows_which(world: Frame) -> None:
    (place,) = explained(world, make_id("tasks", 3)).places
    assert [rule.rule for rule in place.fired] == ["name"]
    (almost,) = place.almost
    assert almost.rule == "helper-task"
    assert signs(almost) == {"isScratchpad": '"true"'}


def test_where_either_of_two_signs_would_do_both_are_shown(world: Frame) -> None:
    (place,) = explained(world, make_id("chatMessages", 4)).places
    almost = {rule.rule: rule for rule in place.almost}
    assert set(almost) == {"helper-prompt", "helper-message"}
    assert set(signs(almost["helper-message"])) == {"content", "promptMessageId"}
    assert "reply" in almost["helper-message"].reason


def test_a_way_that_lacks_more_signs_than_another_is_not_shown(path: Path, tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text(
        """
        [[rule]]
        id = "probe"
        version = 1
        table = "chatMessages"
        tier = "suspect"
        reason = "our probe"
        where = { all = [
            { field = "llmModel", equals = "test-model" },
            { any = [
                { all = [{ field = "role", equals = "SYSTEM" }, { field = "status", equals = "failed" }] },
                { field = "finishReason", equals = "probe" },
            ] },
        ] }
        """
    )
    (place,) = explained(path, make_id("chatMessages", 4), own=[own]).places
    assert [signs(rule) for rule in place.almost if rule.rule == "probe"] == [{"finishReason": None}]


def test_a_document_that_shares_no_sign_with_a_rule_is_not_almost_anything(world: Frame) -> None:
    for document_id in (make_id("users", 1), make_id("chatMessages", 5), make_id("tasks", 1)):
        for place in explained(world, document_id).places:
            assert (place.fired, place.almost, place.tier) == ((), (), None)


def test_an_id_in_several_tables_is_explained_in_each(world: Frame) -> None:
    places = explained(world, make_id("users", 1)).places
    assert [(place.component, place.table, place.tier) for place in places] == [
        ("", "users", None),
        ("billing", "users", None),
    ]


def test_an_orphan_names_the_task_that_is_gone_and_the_task_its_documents(world: Frame) -> None:
    (place,) = explained(world, make_id("chatMessages", 6)).places
    assert [(rule.rule, rule.via) for rule in place.fired] == [("orphan", make_id("tasks", 99))]
    gone = explained(world, make_id("tasks", 99))
    assert gone.places == ()
    assert gone.belongings == (("chatMessages", 1),)


def test_an_id_that_nobody_knows_is_no_data(world: Frame) -> None:
    with pytest.raises(NoData, match="no document with the id"):
        explained(world, make_id("tasks", 1).upper())


def test_a_document_that_is_gone_tells_what_it_was(tmp_path: Path) -> None:
    storing.put(tmp_path, {"tasks": [helper_task(2), task(1)]})
    path = storing.put(tmp_path, {"chatMessages": [message(1, 2)]}, at_ms=storing.NOW_MS + 1)
    (place,) = explained(path, make_id("tasks", 2)).places
    assert (place.is_present, place.tier, place.fired[0].rule) == (False, None, "helper-task")
    (place,) = explained(path, make_id("chatMessages", 1)).places
    assert [(step.rule, step.is_gone) for step in place.path] == [("helper-task", True)]
    assert "gone since" in artifacts_text.why_text(explained(path, make_id("tasks", 1)))


def test_a_mark_is_told_and_so_are_the_rules_it_overrules(tmp_path: Path) -> None:
    path = storing.put(tmp_path, {"users": [helper_user(2)]})
    say(path, make_id("users", 2), "real")
    found = explained(path, make_id("users", 2))
    assert found.mark is not None
    assert (found.mark.verdict, found.places[0].tier) == ("real", None)
    assert [rule.rule for rule in found.places[0].fired] == ["helper-user"]
    assert "a person marked it as real" in artifacts_text.why_text(found)


def test_a_listed_person_is_internal(path: Path) -> None:
    found = explained(path, make_id("users", 1), InternalLists(emails=("ada@acme.example",)))
    assert [place.is_internal for place in found.places] == [True, False]


def test_rules_that_could_not_be_judged_are_told_where_they_concern_the_document(tmp_path: Path) -> None:
    path = storing.put(tmp_path, {"chatMessages": [message(1, 1)]}, absent=["tasks", "users"])
    assert [item.rule for item in explained(path, make_id("chatMessages", 1)).unjudged] == ["orphan"]


def test_text_from_documents_reaches_a_terminal_escaped(world: Frame) -> None:
    text = artifacts_text.why_text(explained(world, make_id("tasks", 4)))
    assert "\\x1b[2Jtest" in text.replace("\\u001b", "\\x1b")
    assert text.replace("\n", "").isprintable()


@pytest.mark.parametrize("number", range(1, 7))
def test_the_words_name_every_rule_that_the_data_names(world: Frame, number: int) -> None:
    found = explained(world, make_id("chatMessages", number))
    text, data = artifacts_text.why_text(found), artifacts_text.why_data(found)
    for place in data["places"]:
        for rule in (*place["fired"], *place["almost"]):
            assert f"{rule['rule']} ({rule['tier']})" in text
    assert json.loads(json.dumps(data)) == data
