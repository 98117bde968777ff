"""Rules: which documents a test left behind, as data that people can read, extend and check.

A rule is a named, versioned predicate over the fields of one table, with a tier and a reason. Rules come from a
preset (`analyzer/presets/<name>/rules.toml`, with `edges.toml` for who belongs to whom) and from the user's own files,
which add rules or replace one by its id with a higher version. What follows from a document being an artifact for
the documents that belong to it is not data but built in: see STRUCTURAL.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from analyzer.errors import ConfigError
from analyzer.model import Mark, TextFingerprint
from analyzer.predicate import as_data, fingerprint_id, leaves
from analyzer.rules.checks import check
from analyzer.rules.reading import RulesFile, read
from analyzer.rules.types import STRUCTURAL, Edge, InternalLists, Rule, RuleSet, StructuralRule

__all__ = [
    "DEFAULT_PRESET",
    "STRUCTURAL",
    "TEXT_FIELDS",
    "Edge",
    "InternalLists",
    "Rule",
    "RuleSet",
    "StructuralRule",
    "fingerprints",
    "load_all",
    "rules_hash",
]

DEFAULT_PRESET = "workflow-chat"
# Text that is reduced on arrival: a pattern on it has to be known before, see `fingerprints`.
TEXT_FIELDS = (("chatMessages", "content"),)


def load_all(own: Sequence[Path] = (), preset: str | Path = DEFAULT_PRESET) -> RuleSet:
    """Read, combine and check the rules of a preset and of the user's own files.

    own      the user's files, later ones on top: [[rule]], [[edge]] and `tables = [names of further tables]`
    preset   name of a shipped preset, or a folder with rules.toml and edges.toml
    returns  rules in the order of the files, a replaced rule in the place of the one it replaces
    raises   ConfigError naming file, rule and key
    """
    folder = preset if isinstance(preset, Path) else _shipped(preset)
    sources = [read(path) for path in (folder / "edges.toml", folder / "rules.toml", *own)]
    rules: dict[str, Rule] = {}
    edges: dict[tuple[str, str], Edge] = {}
    for source in sources:
        _combine(rules, source)
        edges |= {(edge.table, edge.field): edge for edge in source.edges}
    tables = {name for source in sources for name in source.tables}
    tables |= {name for edge in edges.values() for name in (edge.table, edge.to)}
    found = RuleSet(tuple(rules.values()), tuple(edge for _, edge in sorted(edges.items())), frozenset(tables))
    check(found, {rule.id: source.path for source in sources for rule in source.rules})
    return found


def _shipped(name: str) -> Path:
    root = Path(__file__).resolve().parent.parent / "presets"
    known = sorted(path.name for path in root.iterdir() if path.is_dir())
    if name not in known:
        raise ConfigError(f"there is no preset named {name!r}", hint=f"choose one of {', '.join(known)}, or a folder")
    return root / name


def _combine(rules: dict[str, Rule], source: RulesFile) -> None:
    for rule in source.rules:
        known = rules.get(rule.id)
        if known is not None and rule.version <= known.version:
            raise ConfigError(
                f"{source.path}: rule {rule.id}: version {rule.version} does not replace version {known.version}",
                hint=f"set version = {known.version + 1} to replace the rule, or choose another id",
            )
        rules[rule.id] = rule


def fingerprints(rules: RuleSet) -> tuple[TextFingerprint, ...]:
    """Return the patterns to check text for on arrival, because text itself is not stored; sorted by id."""
    found = {
        (table, field, str(leaf.values[0]))
        for rule in rules.rules
        for leaf in leaves(rule.where)
        for table, field in TEXT_FIELDS
        if leaf.operator == "matches" and leaf.field == field and rule.table in (table, "*")
    }
    made = [TextFingerprint(fingerprint_id(*key), *key) for key in found]
    return tuple(sorted(made, key=lambda fingerprint: fingerprint.id))


def rules_hash(rules: RuleSet, lists: InternalLists, marks: Iterable[Mark]) -> str:
    """Return the SHA-256 (64 hex digits) of all that decides who is an artifact: rules, edges, lists and marks."""
    data = {
        "rules": [
            [rule.id, rule.version, rule.table, rule.tier.value, rule.reason, as_data(rule.where)]
            for rule in sorted(rules.rules, key=lambda rule: rule.id)
        ],
        "structural": [[rule.id, rule.version] for rule in STRUCTURAL],
        "edges": [
            [edge.table, edge.field, edge.to, edge.kind, *([] if edge.on_purge == "block" else [edge.on_purge])]
            for edge in rules.edges
        ],
        "lists": {"emails": _plain(lists.emails), "users": _plain(lists.users), "repos": _plain(lists.repos)},
        "marks": sorted([mark.id, mark.verdict] for mark in marks),
    }
    return hashlib.sha256(json.dumps(data, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _plain(names: Sequence[str]) -> list[str]:
    return sorted(set(names))
