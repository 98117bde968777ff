"""Why a document is an artifact, or is none: which rules fired on what, which almost did, and what a person said."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from analyzer.analysis.artifacts import EVIDENCE, TIERS, Unjudged, unjudged
from analyzer.errors import NoData
from analyzer.model import ROOT, Mark, Tier
from analyzer.predicate import All, Leaf, Predicate, leaves
from analyzer.rules import STRUCTURAL, Rule, RuleSet
from analyzer.store import Frame

MAX_STEPS = 8  # references followed upwards; the longest path of owning edges has three


@dataclass(frozen=True, slots=True)
class Sign:
    """One test of a rule and what the document holds there."""

    leaf: Leaf
    holds: bool
    found: str | None  # JSON text; reduced text as {"$text": {"length", "sha256"}}; None: the field is missing


@dataclass(frozen=True, slots=True)
class JudgedRule:
    """A rule as it stands to a document."""

    rule: str
    tier: Tier  # the tier that it gives this document
    reason: str
    signs: tuple[Sign, ...]  # of a rule that fired: those that hold; of one that almost did: those it lacks
    via: str | None = None  # the document that it reached this one through


@dataclass(frozen=True, slots=True)
class Step:
    """A document on the way from this one to the root of the evidence."""

    table: str
    id: str
    rule: str  # why that document is an artifact itself
    tier: Tier
    is_gone: bool


@dataclass(frozen=True, slots=True)
class Place:
    """One table that holds, or held, a document with the id."""

    component: str
    table: str
    is_present: bool
    is_internal: bool  # of a listed person or repository
    tier: Tier | None  # None: no artifact
    fired: tuple[JudgedRule, ...]  # strongest first
    almost: tuple[JudgedRule, ...]  # one sign short, and any of `signs` would do
    path: tuple[Step, ...]  # from what the first rule reached it through, upwards


@dataclass(frozen=True, slots=True)
class Why:
    """Everything that can be said about one id."""

    id: str
    places: tuple[Place, ...]  # none where only other documents speak of the id
    belongings: tuple[tuple[str, int], ...]  # (table, documents) that name it as their task or message
    mark: Mark | None
    unjudged: tuple[Unjudged, ...]  # rules for its tables whose silence means nothing


def redacted(told: Why) -> Why:
    """Return the same without the texts that were found in documents: each is its length and its hash, as kept text is.

    What a person wrote in a mark goes as well.
    """
    mark = None if told.mark is None else replace(told.mark, because="")
    return replace(told, places=tuple(map(_redacted_place, told.places)), mark=mark)


def _redacted_place(place: Place) -> Place:
    fired, almost = (
        tuple(replace(rule, signs=tuple(map(_redacted_sign, rule.signs))) for rule in rules)
        for rules in (place.fired, place.almost)
    )
    return replace(place, fired=fired, almost=almost)


def _redacted_sign(sign: Sign) -> Sign:
    value = None if sign.found is None else json.loads(sign.found)
    if not isinstance(value, str):
        return sign
    digest = {"length": len(value), "sha256": hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()}
    return replace(sign, found=json.dumps({"$text": digest}))


def why(frame: Frame, rules: RuleSet, document_id: str) -> Why:
    """Explain what is known of one document; the frame must be prepared, with orphans.

    raises  NoData when the store never saw a document with this id, and none belongs to it
    """
    found = frame.rows("artifacts/places", id=document_id)
    belongings = frame.rows("artifacts/belongings", id=document_id)
    if not found and not belongings:
        raise NoData(
            f"the store holds no document with the id {document_id[:80]!r}",
            hint="`analyzer artifacts list` shows the ids of artifacts; ids are exact, case included",
        )
    internal = set(frame.rows("artifacts/is_internal", id=document_id))
    places = tuple(_place(frame, rules, document_id, row, internal) for row in found)
    tables = {place.table for place in places if place.component == ROOT}
    concerned = {rule.id for rule in rules.rules if rule.table in tables or rule.table == "*"}
    concerned |= {rule.id for rule in STRUCTURAL}
    return Why(
        id=document_id,
        places=places,
        belongings=tuple((table, documents) for table, documents in belongings),
        mark=next((mark for mark in frame.marks() if mark.id == document_id), None),
        unjudged=tuple(item for item in unjudged(frame, rules) if item.rule in concerned),
    )


def _place(
    frame: Frame, rules: RuleSet, document_id: str, row: tuple[Any, ...], internal: Container[tuple[Any, ...]]
) -> Place:
    component, table, is_present = row
    judged: list[JudgedRule] = []
    almost: list[JudgedRule] = []
    if is_present and component == ROOT:
        judged, almost = _judge(frame, rules, document_id, table)
    by_rule = {item.rule: item for item in judged}
    fired = []
    for rule_id, tier, via, _ in _evidence(frame, rules, document_id, (component, table)):
        signs = by_rule.pop(rule_id).signs if rule_id in by_rule else ()
        rule = rules.rule(rule_id)
        assert rule is not None
        fired.append(JudgedRule(rule_id, tier, rule.reason, signs, via))
    overruled = by_rule.values()  # fulfilled, but a person marked the document as real
    return Place(
        component=component,
        table=table,
        is_present=is_present,
        is_internal=(component, table) in internal,
        tier=fired[0].tier if fired and is_present else None,
        fired=(*fired, *overruled),
        almost=tuple(almost),
        path=_path(frame, rules, fired[0].via if fired else None),
    )


def _evidence(
    frame: Frame, rules: RuleSet, document_id: str, place: tuple[str, str] | None = None
) -> list[tuple[str, Tier, str | None, bool]]:
    """Return (rule, tier, via, is_gone) of a document, what decides first; of every table where none is given."""
    order = [STRUCTURAL[0].id, *(rule.id for rule in rules.rules), *(rule.id for rule in STRUCTURAL[1:])]
    rows = [
        (rank, order.index(rule), rule, via or "", is_gone)
        for found_in, name, _, rule, rank, via, is_gone in frame.rows("artifacts/evidence", id=document_id)
        if place is None or (found_in, name) == place
    ]
    return [(rule, TIERS[rank], via or None, is_gone) for rank, _, rule, via, is_gone in sorted(rows)]


def _judge(frame: Frame, rules: RuleSet, document_id: str, table: str) -> tuple[list[JudgedRule], list[JudgedRule]]:
    """Judge every rule of a table on one document; returns those that fire and those one sign short."""
    concerned = [rule for rule in rules.rules if rule.table in (table, "*")]
    tests = [leaf for rule in concerned for leaf in leaves(rule.where)]
    values = frame.judge_leaves(table, tests, document_id, evidence=EVIDENCE) if tests else None
    if values is None:
        return [], []
    signs = iter([Sign(leaf, holds, found) for leaf, (holds, found) in zip(tests, values, strict=True)])
    fired, almost = [], []
    for rule in concerned:
        own = [next(signs) for _ in leaves(rule.where)]
        lacking, options = _lacking(rule.where, iter(own))
        if lacking == 0:
            fired.append(_judged(rule, [sign for sign in own if sign.holds]))
        elif lacking == 1 and any(sign.holds and sign.leaf.operator != "empty" for sign in own):
            almost.append(_judged(rule, options))
    return fired, almost


def _judged(rule: Rule, signs: Sequence[Sign]) -> JudgedRule:
    return JudgedRule(rule.id, rule.tier, rule.reason, tuple(signs))


def _lacking(predicate: Predicate, signs: Iterator[Sign]) -> tuple[int, list[Sign]]:
    """Return how many signs a predicate lacks at least, and which; where that is one, any of them would do."""
    if isinstance(predicate, Leaf):
        sign = next(signs)
        return (0, []) if sign.holds else (1, [sign])
    parts = [_lacking(part, signs) for part in predicate.parts]
    if isinstance(predicate, All):
        return sum(count for count, _ in parts), [sign for _, options in parts for sign in options]
    least = min(count for count, _ in parts)
    return least, [sign for count, options in parts if count == least for sign in options]


def _path(frame: Frame, rules: RuleSet, via: str | None) -> tuple[Step, ...]:
    """Follow references upwards from a document to where the evidence is."""
    steps: list[Step] = []
    while via is not None and len(steps) < MAX_STEPS and via not in {step.id for step in steps}:
        evidence = _evidence(frame, rules, via)
        if not evidence:  # the task of an orphan
            break
        rule, tier, following, is_gone = evidence[0]
        places = frame.rows("artifacts/places", id=via)
        steps.append(Step(places[0][1] if places else "", via, rule, tier, is_gone))
        via = following
    return tuple(steps)
