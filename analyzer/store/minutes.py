"""Messages and traces counted by the minute, so that a series of health over months need not read all of them.

It is derived: dropping it costs time and nothing else. What is counted is all revisions of a deployment up to some
time; each collect adds its own. What a later one replaces stays counted, as its revision stays: readers look at the
few that were replaced one by one.
"""

from __future__ import annotations

import duckdb

from analyzer import sql


def extend(connection: duckdb.DuckDBPyConnection, number: int) -> None:
    """Count the revisions of a deployment that are later than those that are counted; reads no others."""
    counted = connection.execute(
        "select coalesce(max(c.revision_ns), -1) from counted_minute as c where c.deployment_no = $number",
        {"number": number},
    ).fetchone()
    assert counted is not None
    connection.execute(
        f"""insert into counted_minute by name select m.* from ({sql.load_text("check/minutes")}) as m
        where m.deployment_no = $number and m.revision_ns > $counted_ns""",
        {"number": number, "counted_ns": counted[0]},
    )


def recount(connection: duckdb.DuckDBPyConnection) -> None:
    """Count the revisions of every deployment anew."""
    forget(connection)
    for (number,) in connection.execute("select deployment_no from deployment order by all").fetchall():
        extend(connection, number)


def forget(connection: duckdb.DuckDBPyConnection, number: int | None = None) -> None:
    """Drop what is counted of a deployment, None: of all; readers look at every document again."""
    connection.execute(
        "delete from counted_minute where $number::integer is null or deployment_no = $number", {"number": number}
    )
