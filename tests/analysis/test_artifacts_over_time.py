"""What earlier snapshots, marks of people, lists and rules of one's own do to the artifacts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from analyzer import rules
from analyzer.analysis import artifacts as finding
from analyzer.model import Tier
from analyzer.rules import InternalLists
from analyzer.store import Store
from tests import storing
from tests.analysis.leftovers import (
    found_in,
    helper_task,
    helper_user,
    make_id,
    message,
    placeholder,
    prompt,
    say,
    task,
    tiers_in,
    trace,
    user,
)

LATER_MS = storing.NOW_MS + 3_600_000
OWN_RULE = """
[[rule]]
id = "ping"
version = 1
table = "chatMessages"
tier = "certain"
reason = "a ping of our probe"
where = { all = [{ field = "role", equals = "USER" }, { field = "content", matches = "ping [0-9]+" }] }
"""


# ---- earlier snapshots -----------------------------------------------------------------------------------------


def deleted_later(folder: Path, tasks: list[Any], messages: list[Any], **others: Any) -> Path:
    """Collect once with these tasks, and an hour later without them."""
    kept = {"chatMessages": messages} | {k: v for k, v in others.items() if k != "users"}
    storing.put(folder, kept | {"tasks": tasks, "users": others.get("users", [])})
    return storing.put(folder, kept, at_ms=LATER_MS)


def test_what_belonged_to_a_task_that_was_an_artifact_keeps_its_tier(tmp_path: Path) -> None:
    certain, suspect, real = message(1, 1), message(2, 2), message(3, 3)
    tool = storing.document("agentTools", 1, messageId=certain["_id"])
    tasks = [helper_task(1), task(2, title="test"), task(3)]
    path = deleted_later(tmp_path, tasks, [certain, suspect, real], workflowTraces=[trace(1, 1)], agentTools=[tool])
    found = found_in(path)
    assert {id_: (a.tier.value, a.rules) for id_, a in found.items()} == {
        certain["_id"]: ("certain", ("was-artifact",)),
        suspect["_id"]: ("suspect", ("was-artifact",)),
        real["_id"]: ("orphan", ("orphan",)),
        trace(1, 1)["_id"]: ("certain", ("was-artifact",)),
        tool["_id"]: ("certain", ("owned-by-artifact",)),
    }
    assert found[certain["_id"]].via == make_id("tasks", 1)


def test_a_task_that_is_gone_is_judged_with_the_owner_it_had(tmp_path: Path) -> None:
    path = deleted_later(tmp_path, [task(1, 2)], [message(1, 1)], users=[helper_user(2)])
    assert tiers_in(path) == {message(1, 1)["_id"]: "certain"}


def test_a_task_whose_owner_is_gone_is_judged_by_itself(tmp_path: Path) -> None:
    storing.put(tmp_path, {"users": [helper_user(2)], "tasks": [task(1, 2), helper_task(3, 2)]})
    path = storing.put(tmp_path, {"tasks": [task(1, 2), helper_task(3, 2)]}, at_ms=LATER_MS)
    assert tiers_in(path) == {make_id("tasks", 3): "certain"}


def test_the_chain_deleted_down_to_the_placeholder_leaves_it_likely(tmp_path: Path) -> None:
    path = storing.put(tmp_path, {"chatMessages": [placeholder(2, 1, 1)]})
    assert tiers_in(path) == {make_id("chatMessages", 2): "likely"}


def test_the_first_snapshot_does_not_know_what_was_deleted_later(tmp_path: Path) -> None:
    path = deleted_later(tmp_path, [helper_task(1)], [message(1, 1)])
    assert set(tiers_in(path, selector=1)) == {make_id("tasks", 1), make_id("chatMessages", 1)}
    assert tiers_in(path, selector=2) == {make_id("chatMessages", 1): "certain"}


def test_an_artifact_of_a_later_snapshot_says_nothing_of_an_earlier_one(tmp_path: Path) -> None:
    storing.put(tmp_path, {"chatMessages": [message(1, 1)]})
    path = storing.put(tmp_path, {"chatMessages": [message(1, 1)], "tasks": [helper_task(1)]}, at_ms=LATER_MS)
    assert tiers_in(path, selector=1) == {make_id("chatMessages", 1): "orphan"}


def test_a_task_that_came_back_is_judged_as_it_is_now(tmp_path: Path) -> None:
    deleted_later(tmp_path, [helper_task(1)], [message(1, 1)])
    path = storing.put(tmp_path, {"chatMessages": [message(1, 1)], "tasks": [task(1)]}, at_ms=LATER_MS + 1)
    assert tiers_in(path) == {}


def test_other_deployments_say_nothing_of_this_one(tmp_path: Path) -> None:
    storing.put(tmp_path, {"tasks": [helper_task(1)]}, deployment="other-animal-456")
    storing.put(tmp_path, {}, deployment="other-animal-456", at_ms=LATER_MS)
    path = storing.put(tmp_path, {"chatMessages": [message(1, 1)]}, at_ms=LATER_MS)
    with Store.read(path) as store:
        frame = store.frame(store.snapshot(None, "happy-animal-123"))
        finding.prepare(frame, rules.load_all(), orphans=True)
        assert [a.tier for a in finding.list_artifacts(frame)] == [Tier.ORPHAN]


def test_there_are_no_orphans_where_tasks_were_not_collected(tmp_path: Path) -> None:
    path = storing.put(tmp_path, {"chatMessages": [message(1, 1), prompt(2, 1)]}, absent=["tasks"])
    assert tiers_in(path) == {make_id("chatMessages", 2): "certain"}
    with Store.read(path) as store:
        frame = store.frame(store.snapshot())
        silent = finding.unjudged(frame, rules.load_all())
        assert [item.rule for item in silent] == ["helper-task", "suite-task", "name", "orphan"]
        assert "orphan" not in [item.rule for item in finding.unjudged(frame, rules.load_all(), orphans=False)]


# ---- marks -----------------------------------------------------------------------------------------------------


def test_a_document_marked_real_is_no_artifact_and_passes_nothing_down(tmp_path: Path) -> None:
    documents = {"users": [helper_user(2)], "tasks": [helper_task(1)], "chatMessages": [message(1, 1), prompt(2, 1)]}
    path = storing.put(tmp_path, documents)
    say(path, documents["tasks"][0], "real")
    assert tiers_in(path) == {make_id("users", 2): "certain", make_id("chatMessages", 2): "certain"}


def test_a_user_marked_real_makes_no_task_a_suite_task(tmp_path: Path) -> None:
    suite = user(4, "test-1765889820000@example.com", "Test User")
    path = storing.put(tmp_path, {"users": [suite], "tasks": [task(1, 4, repoFullName="test/repo")]})
    assert tiers_in(path) == {suite["_id"]: "likely", make_id("tasks", 1): "likely"}
    say(path, suite, "real")
    assert tiers_in(path) == {make_id("tasks", 1): "suspect"}


def test_a_prompt_marked_real_gives_no_reply_away(tmp_path: Path) -> None:
    reply = placeholder(2, 1, 1, status="complete", content="hi")
    path = storing.put(tmp_path, {"tasks": [task(1)], "chatMessages": [prompt(1, 1), reply]})
    say(path, make_id("chatMessages", 1), "real")
    assert tiers_in(path) == {reply["_id"]: "suspect"}


def test_a_document_marked_test_is_certain_and_so_is_what_belongs_to_it(tmp_path: Path) -> None:
    path = storing.put(tmp_path, {"users": [user(1)], "tasks": [task(1)], "chatMessages": [message(1, 1)]})
    say(path, make_id("tasks", 1), "test")
    found = found_in(path)
    assert found[make_id("tasks", 1)].rules == ("mark",)
    assert found[make_id("chatMessages", 1)].tier is Tier.CERTAIN
    assert len(found) == 2


def test_real_beats_test_whichever_was_said_last_and_clear_takes_back_both(tmp_path: Path) -> None:
    path = storing.put(tmp_path, {"tasks": [helper_task(1)]})
    for verdict in ("real", "test"):
        say(path, make_id("tasks", 1), verdict)
    assert tiers_in(path) == {}
    say(path, make_id("tasks", 1), "clear")
    assert tiers_in(path) == {make_id("tasks", 1): "certain"}


def test_a_mark_on_a_task_that_is_gone_decides_over_what_belonged_to_it(tmp_path: Path) -> None:
    path = storing.put(tmp_path, {"chatMessages": [message(1, 1), message(2, 2)]})
    say(path, make_id("tasks", 1), "test")
    say(path, make_id("tasks", 2), "real")
    found = found_in(path)
    assert {id_: (a.tier.value, a.rules) for id_, a in found.items()} == {
        make_id("chatMessages", 1): ("certain", ("was-artifact",))
    }


def test_a_document_of_a_component_can_be_marked_and_keeps_its_component(tmp_path: Path) -> None:
    path = storing.put(tmp_path, {"billing/todos": [storing.document("todos", 1)]})
    say(path, make_id("todos", 1), "test")
    (artifact,) = found_in(path).values()
    assert (artifact.component, artifact.table, artifact.tier) == ("billing", "todos", Tier.CERTAIN)


# ---- lists of people and repositories --------------------------------------------------------------------------


def internal_in(path: Path, lists: InternalLists) -> set[str]:
    with Store.read(path) as store:
        frame = store.frame(store.snapshot())
        finding.prepare(frame, rules.load_all(), lists)
        assert finding.list_artifacts(frame) == ()
        return {row[0] for row in frame._connection.execute("select id from internal_document").fetchall()}


@pytest.mark.parametrize(
    "lists",
    [
        InternalLists(emails=("ADA@acme.example",)),
        InternalLists(users=(make_id("users", 1),)),
        InternalLists(users=("ada",)),
    ],
)
def test_listed_people_and_all_that_is_theirs_are_internal_and_no_artifacts(
    tmp_path: Path, lists: InternalLists
) -> None:
    tool = storing.document("agentTools", 1, messageId=make_id("chatMessages", 1))
    mine = [user(1), task(1), message(1, 1), trace(1, 1), tool]
    path = storing.put(
        tmp_path,
        {
            "users": [user(1, "Ada@Acme.example"), user(2, "bob@acme.example", "Bob")],
            "tasks": [task(1), task(2, 2)],
            "chatMessages": [message(1, 1), message(2, 2)],
            "workflowTraces": [trace(1, 1), trace(2, 2)],
            "agentTools": [tool],
        },
    )
    assert internal_in(path, lists) == {document["_id"] for document in mine}
    say(path, make_id("tasks", 1), "real")
    assert internal_in(path, lists) == {make_id("users", 1)}


def test_listed_repositories_are_internal_with_what_belongs_to_their_tasks(tmp_path: Path) -> None:
    path = storing.put(
        tmp_path,
        {"users": [user(1)], "tasks": [task(1), task(2, repoFullName="acme/other")], "chatMessages": [message(1, 1)]},
    )
    assert internal_in(path, InternalLists(repos=("Acme/Widgets",))) == {
        make_id("tasks", 1),
        make_id("chatMessages", 1),
    }


def test_a_listed_artifact_stays_an_artifact(tmp_path: Path) -> None:
    path = storing.put(tmp_path, {"users": [helper_user(2)]})
    assert tiers_in(path, lists=InternalLists(emails=("workflow-test@test.local",))) == {make_id("users", 2): "certain"}


# ---- rules of one's own, and what cannot be judged -------------------------------------------------------------


def test_own_rules_select_and_pass_down_like_shipped_ones(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text(
        'tables = ["probes"]\n[[rule]]\nid = "probe"\nversion = 1\ntable = "probes"\ntier = "certain"\n'
        'reason = "our probe"\nwhere = { field = "kind", equals = "canary" }\n'
    )
    path = storing.put(
        tmp_path, {"probes": [storing.document("probes", 1, kind="canary"), storing.document("probes", 2, kind="x")]}
    )
    assert tiers_in(path, own=[own]) == {make_id("probes", 1): "certain"}


def test_a_pattern_on_text_is_judged_by_what_was_checked_on_arrival(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text(OWN_RULE)
    rule_set = rules.load_all([own])
    messages = [message(1, 1, role="USER", content="ping 12"), message(2, 1, role="USER", content="ping 12 times")]
    documents = {"tasks": [task(1)], "chatMessages": messages}
    checked = storing.put(tmp_path, documents, fingerprints=rules.fingerprints(rule_set))
    assert tiers_in(checked, own=[own]) == {make_id("chatMessages", 1): "certain"}
    with Store.read(checked) as store:
        assert finding.unjudged(store.frame(store.snapshot()), rule_set) == ()


def test_a_pattern_that_text_was_not_checked_for_is_listed_not_silently_false(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text(OWN_RULE)
    path = storing.put(tmp_path, {"tasks": [task(1)], "chatMessages": [message(1, 1, role="USER", content="ping 12")]})
    assert tiers_in(path, own=[own]) == {}
    with Store.read(path) as store:
        (item,) = finding.unjudged(store.frame(store.snapshot()), rules.load_all([own]))
    assert item.rule == "ping"
    assert "content" in item.why


def test_kept_text_can_be_judged_by_a_pattern_that_came_later(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text(OWN_RULE)
    documents = {"tasks": [task(1)], "chatMessages": [message(1, 1, role="USER", content="ping 12")]}
    path = storing.put(tmp_path, documents, keep_text=True)
    assert tiers_in(path, own=[own]) == {make_id("chatMessages", 1): "certain"}
    with Store.read(path) as store:
        assert finding.unjudged(store.frame(store.snapshot()), rules.load_all([own])) == ()


def test_a_pattern_on_other_text_that_was_reduced_is_listed(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text(OWN_RULE.replace("chatMessages", "workflowTraces").replace("content", "errorMessage"))
    path = storing.put(tmp_path, {"workflowTraces": [trace(1, 1, role="USER", errorMessage="ping 12")]})
    with Store.read(path) as store:
        (item,) = finding.unjudged(store.frame(store.snapshot()), rules.load_all([own]))
    assert item.rule == "ping"
    assert "errorMessage is not stored for 1" in item.why
