"""What people said about single documents. Append only; the newest word counts, but "real" beats "test"."""

from __future__ import annotations

import duckdb

from analyzer.errors import StoreError
from analyzer.model import Mark
from analyzer.store import catalog


def add(connection: duckdb.DuckDBPyConnection, deployment: str, mark: Mark) -> None:
    """Record one mark."""
    number = catalog.deployment_no(connection, deployment)
    if number is None:
        raise StoreError(f"the store holds no deployment named {deployment}", hint="`analyzer snapshots` lists them")
    connection.execute(
        """insert into mark select coalesce(max(mark_no), 0) + 1, $number, $id, $verdict, $because, $actor, $at_ms
        from mark""",
        {
            "number": number,
            "id": mark.id,
            "verdict": mark.verdict,
            "because": mark.because,
            "actor": mark.actor,
            "at_ms": mark.marked_at_ms,
        },
    )


def history(connection: duckdb.DuckDBPyConnection, deployment: str) -> tuple[Mark, ...]:
    """Return every mark of a deployment, oldest first."""
    rows = connection.execute(
        """select m.id, m.verdict, m.because, m.actor, m.marked_at_ms
        from mark as m join deployment as d on d.deployment_no = m.deployment_no
        where d.name = $name order by m.mark_no""",
        {"name": deployment},
    ).fetchall()
    return tuple(Mark(*row) for row in rows)


def in_force(marks: tuple[Mark, ...]) -> tuple[Mark, ...]:
    """Return the mark that counts for each id, sorted by id.

    "clear" takes back all that was said before it; among the rest "real" beats "test", newest first.
    """
    spoken: dict[str, list[Mark]] = {}
    for mark in marks:
        if mark.verdict == "clear":
            spoken.pop(mark.id, None)
        else:
            spoken.setdefault(mark.id, []).append(mark)
    return tuple(
        max(enumerate(said), key=lambda item: (item[1].verdict == "real", item[0]))[1]
        for _, said in sorted(spoken.items())
    )
