"""What was remembered of the snapshots around a clock, for frames of a later snapshot: a search of it finds the same.

At a clock, a frame shows the documents of the last snapshot before it, and those that the next one saw first and that
existed by then. So its artifacts are what the one remembered, and what the other remembered of the new documents. That
holds where nothing else tells them apart, which is looked up here; where it does not, readers must search.
"""

from __future__ import annotations

from typing import NamedTuple

import duckdb

from analyzer.model import Snapshot
from analyzer.store import catalog
from analyzer.store.columns import REVISION_TABLES

NS_PER_MS = 1_000_000
_EDGES = {  # columns by which a document may belong to another, or be told by it
    "revision_tasks": ("user_id",),
    "revision_messages": ("task_id", "prompt_message_id"),
    "revision_traces": ("task_id", "message_id"),
    "revision_other": ("task_id", "message_id", "user_id"),
}
_OF = "r.deployment_no = $number"
_OWNED = "owned-by-artifact"  # the structural rule of that name
_IS_JUDGED_OR_NAMED = "r.component = '' and r.table_name in ('users', 'tasks', 'chatMessages', 'workflowTraces')"


class Around(NamedTuple):
    """The snapshots around a clock, nanoseconds since the epoch."""

    number: int  # of the deployment
    at_ms: int  # the clock
    before_ns: int  # -1 where no snapshot is earlier
    next_ns: int
    frame_ns: int  # the snapshot whose frame it is; the next one or later
    whole: bool  # False where only messages and traces count

    @property
    def new(self) -> str:
        """Return the SQL condition of what the next snapshot remembered of documents new by the clock."""
        before_ms = self.before_ns // NS_PER_MS
        exists = f"coalesce(r.exists_ms > {before_ms} and r.exists_ms <= {self.at_ms}, {self.before_ns < 0})"
        return f"{in_force(self.number, self.next_ns)} and {exists}"

    @property
    def rows(self) -> str:
        """Return the SQL condition of all rows of `remembered_artifact` that hold at the clock."""
        return f"({in_force(self.number, self.before_ns)} or {self.new})"


def in_force(number: int, as_of_ns: int) -> str:
    """Return the SQL condition of the rows of `remembered_artifact` as r that hold for a snapshot."""
    return f"r.deployment_no = {number} and r.from_ns <= {as_of_ns} and coalesce(r.until_ns > {as_of_ns}, true)"


def matters(*, whole: bool) -> str:
    """Return the SQL condition of the rows of `remembered_artifact` as r of which messages and traces may depend.

    Nothing follows from a document of another table that is an artifact only because of its owner.

    whole  True where all documents count
    """
    return "true" if whole else f"({_IS_JUDGED_OR_NAMED} or r.rules <> ['{_OWNED}'])"


def around(
    connection: duckdb.DuckDBPyConnection,
    number: int,
    snapshot: Snapshot,
    rules_hash: str,
    at_ms: int,
    *,
    whole: bool = True,
) -> Around | None:
    """Return the snapshots around a clock before a snapshot; None where its artifacts must be searched for.

    Orphans are not told: whether a document is one depends on which tasks are there at the clock itself.

    whole  False where only messages and traces count, see `matters`
    """
    moments = [as_of_ns for as_of_ns, _ in catalog.neighbours(connection, number) if as_of_ns <= snapshot.as_of_ns]
    at_ns = (at_ms + 1) * NS_PER_MS - 1
    before_ns = max((moment for moment in moments if moment <= at_ns), default=-1)
    next_ns = min(moment for moment in moments if moment > at_ns)
    found = Around(number, at_ms, before_ns, next_ns, snapshot.as_of_ns, whole)
    is_remembered = _are_remembered(connection, found, rules_hash)
    if is_remembered and not any(_count(connection, found, doubt) for doubt in (_RELATED, _UNSEEN, _GONE, _NAMED)):
        return found
    return None


def _are_remembered(connection: duckdb.DuckDBPyConnection, found: Around, rules_hash: str) -> bool:
    """Whether both snapshots are, and the earlier one held nothing that was not to exist before its own time."""
    rows = connection.execute(
        f"""select r.as_of_ns, r.last_exists_ms from remembered as r
        where {_OF} and r.rules_hash = $hash and r.as_of_ns in ($before_ns, $next_ns)""",
        {"number": found.number, "hash": rules_hash, "before_ns": found.before_ns, "next_ns": found.next_ns},
    ).fetchall()
    last = dict(rows)
    if found.before_ns < 0:
        return found.next_ns in last
    if len(last) < 2:
        return False
    newest_ms = last[found.before_ns]
    return newest_ms is None or newest_ms <= found.before_ns // NS_PER_MS


def _count(connection: duckdb.DuckDBPyConnection, found: Around, doubt: str) -> int:
    values = {
        "number": found.number,
        "at_ms": found.at_ms,
        "before_ms": found.before_ns // NS_PER_MS,
        "before_ns": found.before_ns,
        "next_ns": found.next_ns,
        "frame_ns": found.frame_ns,
    }
    text = doubt.replace("{new}", found.new).replace("{matters}", matters(whole=found.whole))
    named = duckdb.extract_statements(text)[0].named_parameters
    row = connection.execute(text, {name: values[name] for name in named}).fetchone()
    assert row is not None
    return int(row[0])


# Old documents that became artifacts or ceased to be, or are so for another reason; new ones that are so because of a
# document that does not exist yet.
_RELATED = f"""
with changed as (
    select r.component, r.table_name, r.id, r.tier, r.rules, r.reason, r.via, r.until_ns is not null
            and r.until_ns <= $next_ns as has_ended
    from remembered_artifact as r
    where {_OF} and r.tier <> 'orphan' and (
        (r.from_ns <= $before_ns and r.until_ns > $before_ns and r.until_ns <= $next_ns)
        or ($before_ns >= 0 and r.from_ns > $before_ns and r.from_ns <= $next_ns
            and coalesce(r.until_ns > $next_ns, true) and coalesce(r.exists_ms <= $before_ms, true))
    )
),
unlike as (
    select c.id from changed as c
    group by c.component, c.table_name, c.id, c.tier, c.rules, c.reason, c.via
    having count(*) filter (where c.has_ended) <> count(*) filter (where not c.has_ended)
)
select (select count(*) from unlike)
    + (select count(*) from remembered_artifact as r where {{new}} and r.via_exists_ms > $at_ms
        and {{matters}})"""

# Documents that exist at the clock, or did before the earlier snapshot, and were first seen too late for that.
_UNSEEN = "select sum(n)::bigint from ({})".format(
    " union all ".join(
        f"""select count(*) as n from {kind.name} as r
        where {_OF} and r.revision_ns > case when $before_ns < 0 then $next_ns else $before_ns end
            and r.revision_ns <= $frame_ns and not r.deleted
            and coalesce(
                floor(r.creation_time_ms) <= case when r.revision_ns > $next_ns then $at_ms else $before_ms end, true
            )
            and r.revision_no not in (select e.next_revision_no from revision_end as e)"""
        for kind in REVISION_TABLES.values()
    )
)

# Owners that came back, or that came after the clock and have gone since: a frame takes those for gone.
_GONE = "select sum(n)::bigint from ({})".format(
    " union all ".join(
        f"""select count(*) as n from {name} as r
        where {_OF} and r.deleted and r.revision_ns <= $frame_ns and (
            r.revision_no in (select e.revision_no from revision_end as e where e.valid_to_ns > $before_ns)
            or (r.revision_ns > $before_ns and r.id in (
                select o.id from {name} as o where not o.deleted and floor(o.creation_time_ms) > $at_ms
            ))
        )"""
        for name in ("revision_users", "revision_tasks")
    )
)

# Documents that were changed since, and named a new artifact before they were: the next snapshot does not tell.
_NAMED = """
with new as (
    select r.id from remembered_artifact as r
    where {{new}} and r.component = '' and r.table_name in ('users', 'tasks', 'chatMessages')
),
ended as (
    select e.revision_no from revision_end as e where e.valid_to_ns > $before_ns and e.valid_to_ns <= $next_ns
)
select sum(n)::bigint from ({})""".format(
    " union all ".join(
        f"""select count(*) as n from {name} as r
        where r.revision_no in (select d.revision_no from ended as d) and r.{column} in (select n.id from new as n)"""
        for name, columns in _EDGES.items()
        for column in columns
    )
)
