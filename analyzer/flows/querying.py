"""Runs a named query on an engine: first the tables that it reads are made, then the query itself.

Both engines are asked in the same way; DuckDB applies the rules, Spark finds what they selected in the export.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from analyzer import sql
from analyzer.analysis import artifacts, compare, health
from analyzer.analysis.policy import RESPONSE_PERCENT, STUCK_MS, Policy
from analyzer.exported import Manifest
from analyzer.model import FilterName, Table
from analyzer.rules import InternalLists, RuleSet, rules_hash
from analyzer.store import Frame

MADE_BY = {  # table -> the query that fills it, with what artifacts.prepare makes as its basis
    "left_out": "health/left_out",
    "compare_document": "compare/document",
    "every_artifact": "explain/every_artifact",
    "function_latency": "compare/function_latency",
}


_FOLLOWS = re.compile(r"artifact|internal_document|left_out|gone_(users|tasks)|\w+_evidence|rule_match")


class Engine(Protocol):
    """A frame of either engine."""

    def table(self, name: str, **params: Any) -> Table:
        """Run a named query."""

    def materialise(self, table: str, name: str, **params: Any) -> object:
        """Let a query's rows be a table for later queries."""


@dataclass(frozen=True, slots=True)
class Judging:
    """By which rules, filter and policy documents are judged."""

    rules: RuleSet
    lists: InternalLists
    filter: FilterName
    policy: Policy

    def usual(self) -> dict[str, Any]:
        """Return the values of parameters that the commands themselves would use."""
        return {
            "window_ms": self.policy.window_ms,
            "stuck_ms": STUCK_MS,
            "running_ms": compare.RUNNING_MS,
            "percent": RESPONSE_PERCENT,
            "flip_ms": [],
            "priced_models": [],
            "input_prices": [],
            "output_prices": [],
        } | health.left_out_params(self.filter)


def chain(name: str) -> tuple[sql.Query, ...]:
    """Return a query, and before it those that fill the tables it reads, in the order in which they run."""
    query = sql.load(name)
    before = [step for word in query.reads if word in MADE_BY for step in chain(MADE_BY[word])]
    return tuple(dict.fromkeys([*before, query]))


def params(name: str) -> tuple[sql.Named, ...]:
    """Return the parameters of a query, and of the queries that fill the tables it reads."""
    return tuple({param.name: param for query in reversed(chain(name)) for param in query.params}.values())


def prepare(frame: Frame, judging: Judging, words: Iterable[str]) -> None:
    """Apply the rules to a frame of DuckDB where any of these words is a table that follows from them."""
    names = set(words)
    if any(_FOLLOWS.fullmatch(word) for word in names):
        artifacts.prepare(frame, judging.rules, judging.lists, orphans=True)
    if "left_out" in names:
        health.leave_out(frame, judging.filter)


def fill(engine: Engine, name: str, values: Mapping[str, Any]) -> None:
    """Make the tables that a query reads, on an engine that knows artifacts.

    values  of all its `params`
    """
    tables = {query: table for table, query in MADE_BY.items()}
    for query in chain(name)[:-1]:
        engine.materialise(tables[query.name], query.name, **own(query, values))


def own(query: sql.Query, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of one query's own parameters."""
    return {param.name: values[param.name] for param in query.params}


def run(engine: Engine, name: str, values: Mapping[str, Any]) -> Table:
    """Run a named query on an engine that knows artifacts."""
    fill(engine, name, values)
    return engine.table(name, **own(sql.load(name), values))


def export(frame: Frame, folder: Path, judging: Judging) -> Manifest:
    """Write a frame with its artifacts to a new folder of Parquet files.

    raises  StoreError when the folder is there and not empty, or cannot be written
    """
    artifacts.gather(frame, judging.rules)
    gone = (sql.Derived(table, f"artifacts/{table}", {}) for table in ("gone_users", "gone_tasks"))
    steps = artifacts.following(frame, judging.rules, judging.lists, orphans=True)
    return frame.export(folder, [*gone, *steps], rules_hash(judging.rules, judging.lists, frame.marks()))
