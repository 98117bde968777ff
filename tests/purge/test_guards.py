"""Every guard refuses what it is there for, and is the one that does."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from analyzer.convex import ids
from analyzer.convex.identity import KeyPowers
from analyzer.convex.permissions import PAUSE, UNPAUSE
from analyzer.errors import GuardRefused
from analyzer.model import Deployment, DeploymentType, Snapshot, TableCoverage, TableRef
from analyzer.purge import backup, checks, guards, plan_file
from analyzer.purge.facts import Caps, Consent, Facts, caps_for
from analyzer.purge.live import Found, canonical
from analyzer.purge.plan_file import Evidence, Plan, Planned, PlannedGroup, Scrub, TableTotal
from analyzer.purge.references import Reference

NOW_MS = 1_765_889_880_000
TABLES = {"10001": "users", "10002": "tasks", "10003": "chatMessages", "5": "_file_storage"}
ORIGIN = "https://happy-animal-123.convex.cloud"


def made_id(table: str, number: int) -> str:
    numbers = {name: int(number) for number, name in TABLES.items()}
    return ids.encode(numbers.get(table, 20_000), number.to_bytes(16, "big"))


def found(table: str, number: int, **fields: object) -> Found:
    document = {"_id": made_id(table, number), "_creationTime": float(NOW_MS)} | fields
    line = canonical(document)
    return Found(document, line, hashlib.sha256(line).hexdigest())


def planned(table: str, number: int, **changed: object) -> Planned:
    item = found(table, number)
    size = len(item.line)
    base = Planned("", table, made_id(table, number), 1, item.sha256, "certain", ("helper-task",), "it is", None, size)
    return replace(base, **changed)  # type: ignore[arg-type]


TASK, MESSAGE = planned("tasks", 1), planned("chatMessages", 1)
GROUP = PlannedGroup(TASK.id, (MESSAGE, TASK))


def plan_of(*groups: PlannedGroup) -> Plan:
    return Plan(
        deployment="happy-animal-123",
        type="dev",
        origin=ORIGIN,
        snapshot_ts=NOW_MS * 10**6,
        created_at="2025-12-16T12:58:00Z",
        expires_at="2025-12-17T12:58:00Z",
        nonce="00",
        rules_hash="r",
        groups=groups,
        blocked=(),
        totals={"tasks": TableTotal(1, 0.1, 1)},
        rehearsal=False,
        tables=TABLES,
    )


PLAN = plan_of(GROUP)
GOOD = Facts(
    plan=PLAN,
    deployment=Deployment("happy-animal-123", ORIGIN, DeploymentType.DEV, "the server says dev"),
    server_type=DeploymentType.DEV,
    powers=KeyPowers(frozenset({"ViewData", "WriteData"}), is_everything=False, is_read_only=False),
    tables=TABLES,
    counts={"tasks": 10, "chatMessages": 10},
    documents={TASK.id: found("tasks", 1), MESSAGE.id: found("chatMessages", 1)},
    deleted=(),
    rules_hash="r",
    now_ms=NOW_MS,
    caps=caps_for(DeploymentType.DEV),
)


def with_documents(*documents: Planned) -> Facts:
    group = PlannedGroup(documents[-1].id, documents)
    read = {d.id: GOOD.documents[TASK.id] for d in documents}
    return replace(GOOD, plan=plan_of(group), documents=read)


def typed(type_: DeploymentType, **more: object) -> Facts:
    deployment = replace(GOOD.deployment, type=type_)
    plan = replace(PLAN, type=type_.value)
    facts = replace(GOOD, deployment=deployment, server_type=type_, plan=plan, caps=caps_for(type_))
    return replace(facts, **more)  # type: ignore[arg-type]


NAMED = Consent(is_named=True)
PAUSING = KeyPowers(frozenset({"ViewData", "WriteData", PAUSE, UNPAUSE}), is_everything=False, is_read_only=False)
SURVIVOR = found("chatMessages", 9, promptMessageId=MESSAGE.id)
AFTER = found("chatMessages", 9)
SCRUB = Scrub(
    "", "chatMessages", made_id("chatMessages", 9), SURVIVOR.sha256, AFTER.sha256, ("promptMessageId",), (MESSAGE.id,)
)
SCRUBBED_GROUP = replace(GROUP, scrubs=(SCRUB,))
SCRUBBING = plan_of(SCRUBBED_GROUP)
SYSTEM = Planned("", "_file_storage", made_id("_file_storage", 1), 1, "x", "certain", (), "", None, 1)
BAD: dict[str, list[Facts]] = {
    "plan version": [
        replace(GOOD, plan=replace(PLAN, rehearsal=True)),
        with_documents(replace(TASK, sha256=None)),
        replace(GOOD, plan=replace(PLAN, schema="plan/2")),
    ],
    "plan used": [replace(GOOD, is_used=True)],
    "plan expired": [replace(GOOD, now_ms=PLAN.expires_ms), replace(GOOD, now_ms=PLAN.created_ms - 120_000)],
    "zero rows": [replace(GOOD, plan=plan_of())],
    "deployment": [replace(GOOD, deployment=replace(GOOD.deployment, name="other-one-2"))],
    "origin": [replace(GOOD, deployment=replace(GOOD.deployment, origin="https://elsewhere.example"))],
    "unknown type": [
        typed(DeploymentType.UNKNOWN, consent=NAMED),
        typed(DeploymentType.PROD, server_type=None, consent=NAMED),
    ],
    "type": [replace(GOOD, plan=replace(PLAN, type="preview"))],
    "production named": [typed(type_) for type_ in DeploymentType if type_.value not in ("dev", "preview", "unknown")],
    "unattended": [
        replace(GOOD, is_unattended=True),
        typed(DeploymentType.PROD, is_unattended=True, consent=Consent(True, True)),
        replace(with_documents(replace(TASK, tier="likely")), is_unattended=True, consent=Consent(True, True)),
        # the server says dev, and the key that it is production's: the most dangerous counts
        typed(DeploymentType.PROD, server_type=DeploymentType.DEV, is_unattended=True, consent=Consent(True, True)),
    ],
    "key": [
        replace(GOOD, powers=None),
        replace(GOOD, powers=KeyPowers(frozenset({"ViewData"}), is_everything=False, is_read_only=True)),
        replace(GOOD, powers=KeyPowers(frozenset({"WriteData"}), is_everything=False, is_read_only=True)),
    ],
    "pause": [
        typed(DeploymentType.PROD, consent=NAMED, pauses=True, powers=PAUSING),
        replace(GOOD, pauses=True),
        *(
            replace(GOOD, pauses=True, powers=replace(PAUSING, operations=PAUSING.operations - {op}))
            for op in (PAUSE, UNPAUSE)
        ),
        replace(GOOD, pauses=True, powers=PAUSING, state="suspended"),
    ],
    "scrub": [
        replace(GOOD, plan=SCRUBBING),
        replace(GOOD, plan=SCRUBBING, state="disabled"),
    ],
    "rules": [replace(GOOD, rules_hash="other")],
    "tier": [with_documents(replace(TASK, tier="suspect")), with_documents(replace(TASK, tier="orphan"))],
    "id twice": [
        with_documents(TASK, TASK),
        replace(GOOD, plan=plan_of(GROUP, GROUP)),
        replace(GOOD, state="paused", plan=plan_of(replace(GROUP, scrubs=(SCRUB, SCRUB)))),
        replace(GOOD, state="paused", plan=plan_of(replace(GROUP, scrubs=(replace(SCRUB, id=TASK.id),)))),
        replace(GOOD, plan=plan_of(GROUP, replace(GROUP, documents=()))),
    ],
    "table of id": [
        with_documents(replace(TASK, table="users")),
        with_documents(replace(TASK, component="workflow")),
        with_documents(SYSTEM),
        with_documents(replace(SYSTEM, table="tasks")),
        with_documents(replace(TASK, table="_storage")),
        with_documents(replace(TASK, id="no id at all")),
        with_documents(replace(TASK, id=made_id("another", 1))),
        replace(GOOD, state="paused", plan=plan_of(replace(GROUP, scrubs=(replace(SCRUB, table="tasks"),)))),
    ],
    "table mapping": [replace(GOOD, plan=replace(PLAN, tables=TABLES | {"10009": "gone"}))],
    "cap": [
        replace(GOOD, caps=Caps(1, 1.0, False)),
        replace(GOOD, plan=SCRUBBING, state="paused", caps=Caps(2, 1.0, False)),
    ],
    "share": [
        typed(DeploymentType.PROD, consent=NAMED, counts={"tasks": 4, "chatMessages": 10}),
        replace(GOOD, counts={"tasks": 10, "chatMessages": 2}, caps=caps_for(DeploymentType.DEV, share=0.2)),
    ],
    "whole table": [replace(GOOD, counts={"tasks": 1, "chatMessages": 10}), replace(GOOD, counts={})],
    "empty read": [replace(GOOD, documents=dict.fromkeys(GOOD.documents)), replace(GOOD, documents={})],
    "stop file": [replace(GOOD, has_stop_file=True)],
}


def test_each_guard_of_the_list_is_tested_here() -> None:
    assert [guard.name for guard in guards.GUARDS] == list(BAD)


def test_a_good_plan_passes_all_guards() -> None:
    guards.check_all(GOOD)
    guards.check_all(typed(DeploymentType.PROD, consent=NAMED))
    guards.check_all(replace(GOOD, is_unattended=True, consent=Consent(True, True)))
    guards.check_all(replace(GOOD, caps=Caps(2, 0.0, False), now_ms=PLAN.created_ms - 60_000))
    guards.check_all(replace(GOOD, pauses=True, powers=PAUSING, plan=SCRUBBING))
    guards.check_all(replace(GOOD, plan=SCRUBBING, state="paused", caps=Caps(3, 1.0, False)))
    everything = replace(PAUSING, is_everything=True, operations=frozenset())
    guards.check_all(replace(GOOD, pauses=True, powers=everything, state="paused"))
    may = Consent(is_named=True, is_pausable=True)
    guards.check_all(typed(DeploymentType.PROD, consent=may, pauses=True, powers=PAUSING))


@pytest.mark.parametrize("name", list(BAD))
def test_a_guard_refuses(name: str) -> None:
    for facts in BAD[name]:
        with pytest.raises(GuardRefused, match=rf"^guard {name}: wanted .*, found .+") as refused:
            guards.check_all(facts)
        assert refused.value.exit_code == 6
        assert refused.value.hint


def test_production_may_lose_500_documents_and_a_fifth_of_a_table_and_dev_5000() -> None:
    production, dev = caps_for(DeploymentType.SELF_HOSTED), caps_for(DeploymentType.PREVIEW)
    assert (production.documents, production.share, production.is_share_binding) == (500, 0.2, True)
    assert (dev.documents, dev.is_share_binding) == (5_000, False)
    guards.check_all(typed(DeploymentType.PROD, consent=NAMED, counts={"tasks": 5, "chatMessages": 5}))


def test_a_small_table_of_dependants_may_become_empty_and_a_large_one_not() -> None:
    guards.check_all(replace(GOOD, counts={"tasks": 10, "chatMessages": 1}))
    many = tuple(planned("chatMessages", n) for n in range(guards.SMALL_TABLE + 1))
    facts = replace(with_documents(*many, TASK), counts={"tasks": 10, "chatMessages": len(many)})
    with pytest.raises(GuardRefused, match=f"guard whole table.*all {guards.SMALL_TABLE + 1} documents of chatMess"):
        guards.check_all(facts)
    few = replace(with_documents(*many[1:], TASK), counts={"tasks": 10, "chatMessages": len(many) - 1})
    guards.check_all(few)
    caps = Caps(500, 1.0, True)
    with pytest.raises(GuardRefused, match="guard whole table"):  # on production none may
        guards.check_all(typed(DeploymentType.PROD, consent=NAMED, counts={"tasks": 9, "chatMessages": 1}, caps=caps))


def test_documents_that_an_earlier_run_deleted_still_count_against_the_share() -> None:
    facts = typed(DeploymentType.PROD, consent=NAMED, deleted={TASK.id}, counts={"tasks": 3, "chatMessages": 10})
    with pytest.raises(GuardRefused, match="guard share"):
        guards.check_all(facts)
    guards.check_all(replace(facts, counts={"tasks": 4, "chatMessages": 10}))
    plan = plan_of(PlannedGroup(TASK.id, (planned("tasks", 2), planned("tasks", 3), TASK)))
    gone = {made_id("tasks", 2), made_id("tasks", 3)}
    assert guards.shares(plan, {"tasks": 4}, gone) == {"tasks": 0.5}
    assert guards.shares(plan, {}, gone) == {"tasks": 1.0}


# ---- before a plan ---------------------------------------------------------------------------------------------


def snapshot(**changed: object) -> Snapshot:
    coverage = (TableCoverage(TableRef("", "tasks"), "collected", 1),)
    base = Snapshot(1, "a", GOOD.deployment, "live", "b", NOW_MS * 10**6, "server", NOW_MS, coverage)
    return replace(base, **changed)  # type: ignore[arg-type]


def test_a_view_with_holes_is_no_view() -> None:
    checks.check_coverage(snapshot())
    hole = TableCoverage(TableRef("", "users"), "not_collected", None)
    for coverage in ((), (hole,), (*snapshot().coverage, hole)):
        with pytest.raises(GuardRefused, match="guard whole view"):
            checks.check_coverage(snapshot(coverage=coverage))


def test_a_snapshot_is_of_this_deployment_and_at_most_15_minutes_old() -> None:
    quarter_ns = 15 * 60 * 10**9
    checks.check_snapshot(snapshot(), "happy-animal-123", NOW_MS * 10**6 + quarter_ns)
    checks.check_snapshot(snapshot(), "happy-animal-123", NOW_MS * 10**6 - quarter_ns)
    for late_ns in (quarter_ns + 1, -quarter_ns - 1):
        with pytest.raises(GuardRefused, match="guard snapshot age"):
            checks.check_snapshot(snapshot(), "happy-animal-123", NOW_MS * 10**6 + late_ns)
    with pytest.raises(GuardRefused, match="guard deployment"):
        checks.check_snapshot(snapshot(), "other-one-2", NOW_MS * 10**6)


# ---- before each group -----------------------------------------------------------------------------------------

NOW = dict(GOOD.documents)
FOREIGN = Reference("", "chatMessages", made_id("chatMessages", 9), "promptMessageId", MESSAGE.id)


def problem(**changed: object) -> str | None:
    given = {"group": GROUP, "found": NOW, "references": (), "going": (), "ignored": (), "scrubbed": ()} | changed
    return checks.group_problem(**given)  # type: ignore[arg-type]


def test_a_group_goes_only_as_it_was_planned() -> None:
    assert problem() is None
    assert "is gone" in str(problem(found=NOW | {TASK.id: None}))
    assert "is gone" in str(problem(found={TASK.id: NOW[TASK.id]}))
    assert "changed since the plan" in str(problem(found=NOW | {TASK.id: found("tasks", 1, title="mine now")}))


def test_a_group_stays_when_the_reason_for_it_changed() -> None:
    prompt = found("chatMessages", 5)
    group = replace(GROUP, evidence=(Evidence("", "chatMessages", made_id("chatMessages", 5), prompt.sha256),))
    other = found("chatMessages", 5, content="other")
    assert problem(group=group, found=NOW | {group.evidence[0].id: prompt}) is None
    for item in (other, None):
        assert "the reason for it" in str(problem(group=group, found=NOW | {group.evidence[0].id: item}))


def test_a_group_stays_when_something_that_stays_refers_to_it() -> None:
    inside = Reference("", "chatMessages", MESSAGE.id, "taskId", TASK.id)
    assert problem(references=(inside,)) is None
    assert "chatMessages.promptMessageId" in str(problem(references=(FOREIGN,)))
    assert problem(references=(FOREIGN,), going={FOREIGN.id}) is None
    assert problem(references=(FOREIGN,), ignored={"chatMessages.promptMessageId"}) is None
    assert problem(references=(FOREIGN,), ignored={"chatMessages.taskId"}) is not None


def test_a_group_whose_referrer_is_scrubbed_goes_while_that_one_is_as_planned() -> None:
    now = NOW | {SCRUB.id: SURVIVOR}
    assert problem(group=SCRUBBED_GROUP, found=now, references=(FOREIGN,)) is None
    assert problem(group=SCRUBBED_GROUP, found=NOW | {SCRUB.id: AFTER}, scrubbed={SCRUB.id}) is None
    for changed in ({"found": NOW}, {"found": NOW | {SCRUB.id: AFTER}}, {"found": now, "scrubbed": {SCRUB.id}}):
        assert "which refers to it, changed since the plan" in str(problem(group=SCRUBBED_GROUP, **changed))
    other = FOREIGN._replace(target=TASK.id)  # from the same document, but not planned
    assert "refers to" in str(problem(group=SCRUBBED_GROUP, found=now, references=(other,)))


# ---- consent and proof -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [None, "", "y", "yes", PLAN.confirm[:-1], PLAN.confirm.upper() + "x"])
def test_only_the_plans_own_confirmation_will_do(text: str | None) -> None:
    checks.check_confirmation(PLAN, f" {PLAN.confirm}\n")
    with pytest.raises(GuardRefused, match="guard confirmation"):
        checks.check_confirmation(PLAN, text)


def test_the_confirmation_of_another_plan_will_not_do() -> None:
    with pytest.raises(GuardRefused, match="guard confirmation"):
        checks.check_confirmation(PLAN, replace(PLAN, nonce="01").confirm)


def edits() -> dict[str, Callable[[bytes], bytes]]:
    return {
        "another id": lambda raw: raw.replace(TASK.id.encode(), made_id("tasks", 7).encode()),
        "another deployment": lambda raw: raw.replace(b"happy-animal-123", b"other-one-2"),
        "another hash": lambda raw: raw.replace(PLAN.hash.encode(), b"0" * 64),
        "a field more": lambda raw: raw.replace(b'"nonce"', b'"more": 1,\n "nonce"'),
        "a key twice": lambda raw: raw.replace(b'"nonce"', b'"nonce": "00",\n "nonce"'),
        "cut off": lambda raw: raw[: len(raw) // 2],
        "another version": lambda raw: raw.replace(b"plan/1", b"plan/2"),
        "nothing": lambda _: b"",
    }


@pytest.mark.parametrize("name", list(edits()))
def test_an_edited_plan_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "plan.json"
    plan_file.write(PLAN, path)
    assert plan_file.read(path) == PLAN
    path.write_bytes(edits()[name](path.read_bytes()))
    with pytest.raises(GuardRefused, match=r"guard plan (edited|version)"):
        plan_file.read(path)


def test_a_backup_is_proven_by_what_is_in_the_file(tmp_path: Path) -> None:
    made = backup.write(tmp_path / "b.zip", PLAN, PLAN.documents, NOW)
    backup.prove(made, PLAN.documents)
    with pytest.raises(GuardRefused, match="guard backup"):  # of more documents than it holds
        backup.prove(made, [*PLAN.documents, planned("tasks", 2)])
    whole = made.path.read_bytes()
    for content in (whole[:-40], whole.replace(b"_purged_tasks", b"_purged_taskz"), b""):
        made.path.write_bytes(content)
        with pytest.raises(GuardRefused, match="guard backup"):
            backup.prove(made, PLAN.documents)
        with pytest.raises(GuardRefused, match="guard backup"):  # even where the hash of the file was never taken
            backup.prove(replace(made, sha256=hashlib.sha256(content).hexdigest()), PLAN.documents)
    made.path.unlink()
    with pytest.raises(GuardRefused, match="guard backup"):
        backup.prove(made, PLAN.documents)


def test_a_backup_is_never_of_something_else_and_replaces_nothing(tmp_path: Path) -> None:
    for item in (None, found("tasks", 1, title="changed")):
        with pytest.raises(GuardRefused, match="guard backup"):
            backup.write(tmp_path / "b.zip", PLAN, PLAN.documents, NOW | {TASK.id: item})
    (tmp_path / "b.zip").write_text("somebody's")
    with pytest.raises(GuardRefused, match="guard backup"):
        backup.write(tmp_path / "b.zip", PLAN, PLAN.documents, NOW)
    assert (tmp_path / "b.zip").read_text() == "somebody's"


def test_that_failing_functions_go_unseen_is_said_of_plans_that_would_delete_and_of_no_others() -> None:
    def said(**changed: object) -> int:
        return len(checks.warnings(replace(PLAN, **changed), Caps(2, 1.0, False), []))  # type: ignore[arg-type]

    assert said(functions=None, rehearsal=False) == 1
    assert said(functions={}, rehearsal=False) == 0
    assert said(functions=None, rehearsal=True) == 0
    assert said(functions=None, rehearsal=False, groups=()) == 0
    assert said(functions={}, rehearsal=False, groups=()) == 0
