"""Rules as data: what the shipped ones say, and what is refused when they are read."""

from __future__ import annotations

import re
from pathlib import Path

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer import rules
from analyzer.errors import ConfigError
from analyzer.model import Mark, Tier
from analyzer.predicate import leaves
from analyzer.rules import InternalLists
from analyzer.rules.checks import in_order
from analyzer.rules.patterns import MAX_PATTERN_CHARS, problem
from analyzer.store.columns import REVISION_TABLES

NO_LISTS = InternalLists()
GOOD = """
[[rule]]
id = "own"
version = 1
table = "tasks"
tier = "certain"
reason = "our own suite"
where = { field = "repoFullName", equals = "acme/e2e" }
"""


def own(folder: Path, text: str) -> Path:
    path = folder / "own.toml"
    path.write_text(text, encoding="utf-8")
    return path


def refusal(folder: Path, text: str) -> str:
    """Return the error that a file of rules meets, which must name the file."""
    path = own(folder, text)
    with pytest.raises(ConfigError) as caught:
        rules.load_all([path])
    assert str(path) in str(caught.value)
    assert caught.value.hint
    return str(caught.value)


def changed(**keys: str) -> str:
    """Return GOOD with the lines of these keys replaced; an empty text removes the line."""
    lines = GOOD.splitlines()
    for key, value in keys.items():
        lines = [
            f"{key} = {value}" if line.startswith(f"{key} =") else line
            for line in lines
            if value or not line.startswith(f"{key} =")
        ]
    return "\n".join(lines)


# ---- what is shipped -------------------------------------------------------------------------------------------


def test_the_shipped_rules_have_the_tiers_of_the_catalogue() -> None:
    assert {rule.id: (rule.table, rule.tier.value) for rule in rules.load_all().rules} == {
        "helper-user": ("users", "certain"),
        "helper-task": ("tasks", "certain"),
        "helper-prompt": ("chatMessages", "certain"),
        "helper-message": ("chatMessages", "certain"),
        "helper-placeholder": ("chatMessages", "likely"),
        "helper-model": ("chatMessages", "suspect"),
        "suite-user": ("users", "likely"),
        "suite-task": ("tasks", "likely"),
        "name": ("tasks", "suspect"),
    }


def test_rules_built_in_follow_the_edges_and_the_marks() -> None:
    assert [rule.id for rule in rules.STRUCTURAL] == ["mark", "owned-by-artifact", "was-artifact", "orphan"]


def test_edges_say_what_belongs_to_what() -> None:
    found = rules.load_all()
    assert found.owned_by("chatMessages") == ("agentTools", "pullRequestSnapshots", "streamingMetrics")
    assert found.owned_by("users") == ("tasks",)
    assert {"chatMessages", "workflowTraces", "toolCalls", "virtualFiles"} <= set(found.owned_by("tasks"))
    assert len(found.owned_by("tasks")) == 19


def test_the_text_fields_known_to_rules_are_those_that_the_store_reduces() -> None:
    assert set(rules.TEXT_FIELDS) == {
        (name, table.text_field) for name, table in REVISION_TABLES.items() if table.text_field
    }


def test_a_preset_that_does_not_exist_is_refused_with_those_that_do() -> None:
    with pytest.raises(ConfigError) as caught:
        rules.load_all(preset="workflow-chess")
    assert "workflow-chat" in caught.value.hint


def test_a_folder_of_ones_own_serves_as_preset(tmp_path: Path) -> None:
    (tmp_path / "rules.toml").write_text(GOOD)
    (tmp_path / "edges.toml").write_text('tables = ["tasks"]')
    assert [rule.id for rule in rules.load_all(preset=tmp_path).rules] == ["own"]


# ---- the user's own file ---------------------------------------------------------------------------------------


def test_own_rules_come_after_the_shipped_ones(tmp_path: Path) -> None:
    found = rules.load_all([own(tmp_path, GOOD)])
    assert found.rules[-1].id == "own"
    assert len(found.rules) == len(rules.load_all().rules) + 1


def test_an_own_rule_replaces_one_of_its_id_in_its_place(tmp_path: Path) -> None:
    text = changed(id='"name"', version="2", tier='"suspect"')
    found = rules.load_all([own(tmp_path, text)])
    assert [rule.id for rule in found.rules] == [rule.id for rule in rules.load_all().rules]
    assert next(leaves(found.rules[-1].where)).values == ("acme/e2e",)


def test_replacing_a_rule_needs_a_higher_version(tmp_path: Path) -> None:
    assert "rule name: version 1 does not replace version 1" in refusal(
        tmp_path, changed(id='"name"', tier='"suspect"')
    )


def test_own_edges_make_tables_known_and_owned(tmp_path: Path) -> None:
    edge = '[[edge]]\ntables = ["invoices"]\nfield = "taskId"\nto = "tasks"\nkind = "owning"\n'
    found = rules.load_all([own(tmp_path, changed(table='"invoices"') + "\n" + edge)])
    assert "invoices" in found.owned_by("tasks")


def test_rules_of_tables_that_only_the_user_knows_need_them_listed(tmp_path: Path) -> None:
    text = changed(table='"invoices"')
    assert "there is no table 'invoices'" in refusal(tmp_path, text)
    assert rules.load_all([own(tmp_path, 'tables = ["invoices"]\n' + text)]).rules[-1].table == "invoices"


def test_later_files_come_on_top_of_earlier_ones(tmp_path: Path) -> None:
    first, second = tmp_path / "1.toml", tmp_path / "2.toml"
    first.write_text(GOOD)
    second.write_text(changed(version="2", reason='"newer"'))
    assert rules.load_all([first, second]).rules[-1].reason == "newer"
    with pytest.raises(ConfigError, match="does not replace"):
        rules.load_all([second, first])


# ---- what is refused -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"id": '"Own Rule"'}, "id is no short name"),
        ({"id": "7"}, "rule 1: id is no short name"),
        ({"id": '"orphan"'}, "rule orphan: this id is built in"),
        ({"id": ""}, "'id' is missing"),
        ({"version": '"1"'}, "rule own: version"),
        ({"version": "true"}, "rule own: version"),
        ({"version": "0"}, "rule own: version"),
        ({"table": '"task"'}, "rule own: table: there is no table 'task'"),
        ({"table": '"tasks; drop table mark"'}, "rule own: table holds"),
        ({"tier": '"sure"'}, "rule own: tier is 'sure'"),
        ({"tier": '"orphan"'}, "rule own: tier is 'orphan'"),
        ({"reason": '""'}, "rule own: reason"),
        ({"reason": '"\\u001b[2J"'}, "rule own: reason"),
        ({"reason": '"x"\nsql = "select 1"'}, "rule own: unknown key 'sql'"),
        ({"where": '"title = 1"'}, "rule own: where"),
        ({"where": "{}"}, "rule own: where has nothing"),
        ({"where": "{ all = [] }"}, "rule own: all is no list"),
        ({"where": '{ all = [{ field = "x", equals = 1 }], any = [] }'}, "instead of a test"),
        ({"where": '{ not = [{ field = "x", equals = 1 }] }'}, "'not' instead of a test"),
        ({"where": '{ field = "x" }'}, "field x has not one operator"),
        ({"where": '{ field = "x", equals = 1, empty = true }'}, "field x has not one operator"),
        ({"where": '{ field = "x", like = "y" }'}, "field x: 'like' is no operator"),
        ({"where": '{ field = "x\\"y", equals = 1 }'}, "field holds"),
        ({"where": '{ field = "a.b", equals = 1 }'}, "field holds"),
        ({"where": '{ field = "x", empty = false }'}, "field x: empty is not true"),
        ({"where": '{ field = "x", in = [] }'}, "field x: in is no list"),
        ({"where": '{ field = "x", in = "abc" }'}, "field x: in is no list"),
        ({"where": '{ field = "x", equals = 1979-05-27 }'}, "is no text, number or boolean"),
        ({"where": '{ field = "x", equals = nan }'}, "is no text, number or boolean"),
        ({"where": '{ field = "x", equals = 9007199254740993 }'}, "is no text, number or boolean"),
        ({"where": '{ field = "x", matches = 5 }'}, "field x: matches is no text"),
        ({"where": '{ field = "x", matches = "a(b" }'}, "field x: bad regular expression"),
        ({"where": '{ field = "x", matches = "(?=a)b" }'}, "field x: bad regular expression"),
        ({"where": '{ field = "x", refers_to = "helper-user" }'}, "refers_to is no list"),
        ({"where": '{ field = "x", refers_to = ["helper-users"] }'}, "refers_to: there is no rule 'helper-users'"),
        ({"where": '{ field = "x", refers_to = ["own"] }'}, "refers_to runs in a circle: own -> own"),
    ],
)
def test_a_file_that_says_something_unknown_is_refused_by_file_rule_and_key(
    tmp_path: Path, keys: dict[str, str], said: str
) -> None:
    assert said in refusal(tmp_path, changed(**keys))


def test_an_unknown_key_at_the_top_is_refused(tmp_path: Path) -> None:
    assert "unknown key 'rules'" in refusal(tmp_path, "rules = 1")


def test_what_is_no_toml_is_refused(tmp_path: Path) -> None:
    assert "is no TOML" in refusal(tmp_path, "[[rule]\nid = ")


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        rules.load_all([tmp_path / "missing.toml"])


def test_the_same_id_twice_in_a_file_is_refused(tmp_path: Path) -> None:
    assert "rule id own stands there more than once" in refusal(tmp_path, GOOD + changed(version="2"))


def test_rules_that_refer_to_each_other_in_a_circle_are_refused(tmp_path: Path) -> None:
    first = changed(where='{ field = "userId", refers_to = ["other"] }')
    second = changed(id='"other"', where='{ field = "userId", refers_to = ["own"] }')
    assert "circle" in refusal(tmp_path, first + "\n" + second)


@pytest.mark.parametrize(
    ("tier", "where", "said"),
    [
        ("certain", '{ field = "title", equals = "E2E" }', "certain needs a field that is not a name"),
        ("likely", '{ field = "title", matches = "E2E.*" }', "likely needs a field that is not a name"),
        ("likely", '{ field = "repoFullName", equals = "a/b" }', "likely needs two independent signs"),
        ("likely", '{ any = [{ field = "repoUrl", equals = "a" }, { field = "repoFullName", equals = "b" }] }', "two"),
        ("likely", '{ all = [{ field = "repoUrl", equals = "a" }, { field = "repoUrl", matches = "a.*" }] }', "two"),
        (
            "certain",
            '{ any = [{ field = "repoUrl", equals = "a" }, { field = "title", equals = "b" }] }',
            "title equals has none",
        ),
        (
            "certain",
            '{ all = [{ field = "title", equals = "E2E" }, { field = "repoUrl", empty = true }] }',
            "not a name",
        ),
        (
            "certain",
            '{ all = [{ field = "title", equals = "E" }, { field = "_id", refers_to = ["name"] }] }',
            "not a name",
        ),
    ],
)
def test_certain_and_likely_have_to_be_earned_in_every_way_of_fulfilling_the_rule(
    tmp_path: Path, tier: str, where: str, said: str
) -> None:
    assert said in refusal(tmp_path, changed(tier=f'"{tier}"', where=where))
    assert rules.load_all([own(tmp_path, changed(tier='"suspect"', where=where))]).rules[-1].tier is Tier.SUSPECT


def test_the_name_of_a_user_earns_no_tier_either_and_not_for_every_table(tmp_path: Path) -> None:
    where = '{ field = "name", equals = "Test User" }'
    assert "not a name" in refusal(tmp_path, changed(table='"users"', where=where))
    assert "not a name" in refusal(tmp_path, changed(table='"*"', where=where))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (changed(where="{ all = [" + '{ field = "x", equals = 1 },' * 101 + "] }"), "more than 100 tests"),
        (changed(where="{ all = [" * 9 + '{ field = "x", equals = 1 }' + "] }" * 9), "more than 8 levels"),
        (changed(where='{ field = "x", in = [' + "1," * 1001 + "] }"), "in is no list of 1 to 1000"),
        (changed(where='{ field = "x", equals = "' + "a" * 10_001 + '" }'), "is no text"),
        (changed(where='{ field = "x", matches = "' + "a" * 1001 + '" }'), "more than 1000 characters"),
        ("#" * 1_000_001, "more than 1000000"),
        (
            changed(
                where="{ all = ["
                + ",".join(
                    "{ any = [" + ",".join(f'{{ field = "f{n}{m}", equals = 1 }}' for m in range(5)) + "] }"
                    for n in range(5)
                )
                + "] }"
            ),
            "more than 1000 ways",
        ),
    ],
    ids=["tests", "depth", "values", "text", "pattern", "file", "ways"],
)
def test_absurd_sizes_are_refused(tmp_path: Path, text: str, said: str) -> None:
    assert said in refusal(tmp_path, text)


@pytest.mark.parametrize(
    "edge",
    [
        'tables = ["a"]\nfield = "userId"\nto = "users"\nkind = "owning"',
        'tables = ["a"]\nfield = "taskId"\nto = "users"\nkind = "owning"',
        'tables = ["users"]\nfield = "taskId"\nto = "tasks"\nkind = "owning"',
        'tables = ["chatMessages"]\nfield = "messageId"\nto = "chatMessages"\nkind = "owning"',
        'tables = ["a"]\nfield = "userId"\nto = "users"\nkind = "owner"',
    ],
)
def test_an_edge_that_membership_cannot_follow_is_refused(tmp_path: Path, edge: str) -> None:
    with pytest.raises(ConfigError, match="cannot lead from there"):
        rules.load_all([own(tmp_path, "[[edge]]\n" + edge)])


def test_an_edge_of_an_unknown_kind_is_refused(tmp_path: Path) -> None:
    text = '[[edge]]\ntables = ["a"]\nfield = "b"\nto = "c"\nkind = "child"'
    assert "edge 1: kind is 'child'" in refusal(tmp_path, text)


# ---- order, hash, fingerprints ---------------------------------------------------------------------------------


def test_a_rule_is_judged_after_those_it_refers_to() -> None:
    order = [rule.id for rule in in_order(rules.load_all())]
    assert order.index("helper-prompt") < order.index("helper-message")
    assert max(order.index("helper-user"), order.index("suite-user")) < order.index("suite-task")


def test_the_hash_covers_rules_lists_and_marks(tmp_path: Path) -> None:
    shipped = rules.load_all()
    mark = Mark("k57x", "real", "ours", "Ada", 1)
    hashes = [
        rules.rules_hash(shipped, NO_LISTS, []),
        rules.rules_hash(rules.load_all([own(tmp_path, GOOD)]), NO_LISTS, []),
        rules.rules_hash(rules.load_all([own(tmp_path, changed(version="2"))]), NO_LISTS, []),
        rules.rules_hash(
            rules.load_all([own(tmp_path, changed(where='{ field = "repoUrl", equals = "x" }'))]), NO_LISTS, []
        ),
        rules.rules_hash(shipped, InternalLists(emails=("a@b.c",)), []),
        rules.rules_hash(shipped, InternalLists(repos=("a@b.c",)), []),
        rules.rules_hash(shipped, NO_LISTS, [mark]),
        rules.rules_hash(shipped, NO_LISTS, [Mark("k57x", "test", "ours", "Ada", 1)]),
    ]
    assert len(set(hashes)) == len(hashes)
    assert all(re.fullmatch("[0-9a-f]{64}", found) for found in hashes)


def test_the_hash_does_not_depend_on_order_or_on_who_said_it() -> None:
    shipped = rules.load_all()
    one, two = Mark("a", "real", "x", "Ada", 1), Mark("b", "test", "y", "Bob", 2)
    assert rules.rules_hash(shipped, InternalLists(emails=("a", "b")), [one, two]) == rules.rules_hash(
        shipped, InternalLists(emails=("b", "a")), [two, Mark("a", "real", "other", "Eve", 9)]
    )


def test_patterns_on_text_are_fingerprints_and_patterns_on_other_fields_are_not(tmp_path: Path) -> None:
    assert rules.fingerprints(rules.load_all()) == ()
    where = '{ all = [{ field = "content", matches = "ping [0-9]+" }, { field = "role", matches = "U.*" }] }'
    for table in ('"chatMessages"', '"*"'):
        (found,) = rules.fingerprints(rules.load_all([own(tmp_path, changed(table=table, where=where))]))
        assert (found.table, found.field, found.pattern) == ("chatMessages", "content", "ping [0-9]+")
    assert rules.fingerprints(rules.load_all([own(tmp_path, changed(where=where))])) == ()


# ---- patterns --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        "a|b",
        r"test-[0-9]{13}@test\.local",
        "(?i)x",
        "(?is:a.b)+?",
        r"[^\]\w-]*",
        r"\bword\b",
        "(a|(?:b*)){2,3}",
        "[]a]",
        "é+",
    ],
)
def test_common_patterns_are_accepted(pattern: str) -> None:
    assert problem(pattern) is None


@pytest.mark.parametrize(
    "pattern",
    [
        "(?=a)",
        "(?!a)",
        "(?<=a)b",
        r"(a)\1",
        "(?P<x>a)(?P=x)",
        "a*+",
        "(?>a)",
        "(?(1)a|b)",
        "(?#c)",
        r"\Z",
        r"\u0041",
        "[[:alpha:]]",
        "[a&&b]",
        "a{1001}",
        "(a{100}){100}",
        "a{,5}",
        "a**",
        "*a",
        "a)",
        "(a",
        "[z-a]",
        "(?x)a b",
        "(((a{10}){10}){10}){10}",
        "a" * (MAX_PATTERN_CHARS + 1),
    ],
)
def test_patterns_that_mean_something_else_or_explode_are_refused(pattern: str) -> None:
    assert problem(pattern) is not None


TOKENS = [
    "a",
    "b",
    ".",
    "é",
    "^",
    "$",
    "|",
    "(",
    ")",
    "(?:",
    "(?i:",
    "(?s)",
    "[ab]",
    "[^a-z]",
    "[]",
    "[^]]",
    "*",
    "+?",
    "{2}",
    "{3,}",
    "{1,40}",
    "{200}",
    r"\d",
    r"\W",
    r"\.",
    r"\b",
    r"\pL",
    r"\C",
    "-",
    "]",
    "}",
    "(?=",
    "(?",
    "{",
    "\n",
    "&&",
    "[[",
]


@settings(max_examples=400, deadline=None)
@given(st.lists(st.sampled_from(TOKENS), max_size=14).map("".join))
def test_every_accepted_pattern_compiles_where_it_is_run(pattern: str) -> None:
    if problem(pattern) is None:
        assert duckdb.execute("select regexp_full_match('', $p)", {"p": pattern}).fetchone() is not None


@pytest.mark.parametrize("piece", [r"\W", "[^a]", ".", r"(?i:\w)", "(?is:.)", "é"])
def test_the_largest_accepted_patterns_compile_where_they_are_run(piece: str) -> None:
    pattern = f"(?:{piece}){{1000}}"
    assert problem(pattern) is None
    assert duckdb.execute("select regexp_full_match('x', $p)", {"p": pattern}).fetchone() == (False,)
