"""Exports and imports as rows of system tables that go from state to state.

Nothing runs in the background: a job takes its next step when somebody looks at it. So whoever polls sees every state,
and no test waits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.deployment.transaction import Transaction

if TYPE_CHECKING:
    from tests.deployment.backend import Backend

Step = Callable[[], None]


@dataclass
class Job:
    """What is left to do of one row; `looks` counts down to the next step."""

    id: str
    steps: list[Step]
    looks: int


class Jobs:
    """Rows of one system table, and what they still have to do."""

    def __init__(self, backend: Backend, table: str) -> None:
        self.backend = backend
        self.table = table
        self._jobs: dict[str, Job] = {}

    def add(self, row: dict[str, Any]) -> str:
        database = self.backend.database
        with database.lock:
            tx = Transaction(database, database.latest_ts())
            id_ = tx.insert(database.components[""], self.table, row)
            tx.commit()
            return id_

    def get(self, id_: str) -> dict[str, Any] | None:
        database = self.backend.database
        with database.lock:
            tx = Transaction(database, database.latest_ts())
            table = tx.table_of(database.components[""], id_)
            return tx.get(database.components[""], id_) if table and table.name == self.table else None

    def all(self) -> list[dict[str, Any]]:
        """Return all rows, oldest first."""
        database = self.backend.database
        with database.lock:
            tablet = database.components[""].tables[self.table].tablet
            assert tablet is not None
            return [revision.document for revision in tablet.by_creation(database.latest_ts())]

    def update(self, id_: str, **fields: Any) -> None:
        database = self.backend.database
        with database.lock:
            tx = Transaction(database, database.latest_ts())
            tx.patch(database.components[""], id_, fields)
            tx.commit()

    def schedule(self, id_: str, *steps: Step) -> None:
        """Let a row take these steps, one after the other, whenever it is looked at."""
        self._jobs[id_] = Job(id_, list(steps), self.backend.settings.job_polls)

    def look(self, id_: str) -> None:
        """Let a row go on, if it has something to do and was looked at often enough."""
        job = self._jobs.get(id_)
        if job is None or not job.steps:
            return
        if job.looks > 0:
            job.looks -= 1
            return
        job.looks = self.backend.settings.job_polls
        job.steps.pop(0)()

    def cancel(self, id_: str) -> None:
        self._jobs.pop(id_, None)
