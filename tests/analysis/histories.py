"""Deployments whose documents come, change, go and come back from snapshot to snapshot, at random."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from tests import storing
from tests.analysis.leftovers import Document, helper_task, helper_user, message, placeholder, prompt, task, trace, user

HOUR_MS = 3_600_000
Documents = dict[str, list[dict[str, Any]]]


class Deployment:
    """Documents by table and number. A wild one names what is not there, goes back in time and restores documents."""

    def __init__(self, seed: int, *, is_wild: bool) -> None:
        self._chance = random.Random(seed)
        self._is_wild = is_wild
        self._now: dict[tuple[str, int], dict[str, Any]] = {}
        self._gone: dict[tuple[str, int], dict[str, Any]] = {}
        self._count = 0

    def snapshots(self, count: int) -> list[Documents]:
        """Return what snapshots an hour apart hold, the first at `storing.NOW_MS`."""
        return [self._at(storing.NOW_MS + hour * HOUR_MS, is_first=hour == 0) for hour in range(count)]

    def _at(self, at_ms: int, *, is_first: bool) -> Documents:
        for _ in range(25 if is_first else self._chance.randrange(12)):
            self._add(at_ms)
        for key in list(self._now) if not is_first else []:
            if self._chance.random() < 0.1:
                self._now[key] = self._changed(*key)
            if self._chance.random() < (0.04 if self._is_wild else 0.01):
                self._gone[key] = self._now.pop(key)
        for key in list(self._gone):
            if self._is_wild and self._chance.random() < 0.2:
                self._now[key] = self._gone.pop(key)
        found: Documents = {}
        for (table, _), document in self._now.items():
            found.setdefault(table, []).append(document)
        return found

    def _add(self, until_ms: int) -> None:
        self._count += 1
        n, chance = self._count, self._chance
        of, to = self._any("tasks"), self._any("chatMessages")
        makers: dict[str, list[Callable[[int], Document]]] = {
            "users": [user, helper_user],
            "tasks": [
                lambda n: helper_task(n, self._any("users")),
                lambda n: task(n, self._any("users"), title=f"Test {n}"),
            ],
            "chatMessages": [
                lambda n: chance.choice([message, prompt])(n, of, promptMessageId=storing.make_id("chatMessages", to)),
                lambda n: placeholder(n, of, to),
            ],
            "workflowTraces": [lambda n: trace(n, of, messageId=storing.make_id("chatMessages", to))],
            "todos": [lambda n: storing.document("todos", n, taskId=storing.make_id("tasks", of))],
        }
        table = chance.choices(list(makers), (1, 3, 4, 2, 1))[0]
        at_ms = float(chance.randrange(until_ms - HOUR_MS + 1, until_ms + 1))
        if self._is_wild and chance.random() < 0.03:
            at_ms = float(storing.NOW_MS + chance.randrange(-HOUR_MS, 4 * HOUR_MS))
        self._now[table, n] = {**chance.choice(makers[table])(n), "_creationTime": at_ms, "createdAt": at_ms}

    def _any(self, table: str) -> int:
        """Return the number of a document; of a wild deployment also of one that is not there, or not yet."""
        if self._is_wild:
            return self._chance.randrange(1, self._count + 9)
        return self._chance.choice([number for of, number in self._now if of == table] or [1])

    def _changed(self, table: str, number: int) -> dict[str, Any]:
        fields: dict[str, Any] = {}
        if table in ("chatMessages", "workflowTraces", "todos") and self._is_wild and self._chance.random() < 0.5:
            fields["taskId"] = storing.make_id("tasks", self._any("tasks"))
        if table == "chatMessages":
            fields["status"] = self._chance.choice(["complete", "failed", "streaming"])
        if table == "workflowTraces":
            fields["status"] = self._chance.choice(["COMPLETED", "FAILED", "STARTED"])
        if table == "tasks":
            fields["title"] = self._chance.choice(["Test", "Refactor", "Fix"])
        return self._now[table, number] | fields
