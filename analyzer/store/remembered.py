"""What artifact rules found at the end of a collect, kept so that readers need not search again.

It is derived: dropping it costs time and nothing else. A set is kept for each snapshot, as rows that hold from one
snapshot until another, under a hash of all that the search depended on beside the documents: rules, edges and marks.
Readers who come with another hash, and clocks for which documents are missing that others refer to, must search.
"""

from __future__ import annotations

import duckdb

from analyzer.model import Snapshot
from analyzer.store import catalog
from analyzer.store.columns import REVISION_TABLES
from analyzer.store.remembered_between import around, in_force, matters

# One document that a test left behind, with what health looks at: readers then need no join with the large tables.
_FACTS = """
with wanted as (
    select a.id from artifact as a
    union
    select a.via as id from artifact as a where a.via is not null
),
document as (
    select '' as component, 'users' as table_name, d.id, floor(d.creation_time_ms) as exists_ms,
        null::bigint as revision_no, null::varchar as status, null::double as created_at_ms,
        null::double as judged_at_ms, null::double as since_ms
    from stg_users as d where d.id in (select w.id from wanted as w)
    union all
    select '', 'tasks', d.id, floor(d.creation_time_ms), null, null, null, null, null
    from stg_tasks as d where d.id in (select w.id from wanted as w)
    union all
    select d.component, d.table_name, d.id, floor(d.creation_time_ms), null, null, null, null, null
    from stg_other as d where d.id in (select w.id from wanted as w)
    union all
    select '', 'chatMessages', d.id, floor(d.creation_time_ms), d.revision_no, d.status, d.created_at_ms,
        d.judged_at_ms, case when d.status = 'streaming' then d.judged_at_ms end
    from stg_messages as d where d.id in (select w.id from wanted as w)
    union all
    select '', 'workflowTraces', d.id, floor(d.creation_time_ms), d.revision_no, d.status, d.created_at_ms,
        d.judged_at_ms, case when d.status = 'STARTED' then coalesce(d.started_at_ms, d.judged_at_ms) end
    from stg_traces as d where d.id in (select w.id from wanted as w)
),
referred as (
    select d.id, max(d.exists_ms) as exists_ms from document as d where d.component = '' group by d.id
)
select a.component, a.table_name, a.id, a.tier, a.rules, a.reason, a.via, v.exists_ms as via_exists_ms, d.exists_ms,
    d.revision_no, d.status, d.created_at_ms, d.judged_at_ms, d.since_ms
from artifact as a
left join document as d on d.component = a.component and d.table_name = a.table_name and d.id = a.id
left join referred as v on v.id = a.via
"""
_COLUMNS = """component, table_name, id, tier, rules, reason, via, via_exists_ms, exists_ms, revision_no, status,
    created_at_ms, judged_at_ms, since_ms"""


def remember(connection: duckdb.DuckDBPyConnection, number: int, snapshot: Snapshot, rules_hash: str) -> None:
    """Keep what stands in the temporary table `artifact`. Runs inside the caller's transaction.

    number  the deployment's; its frame of this snapshot, at the snapshot's own clock, was searched with orphans
    """
    at = {"number": number, "as_of_ns": snapshot.as_of_ns}
    row = connection.execute(
        """select count(*) from remembered as r
        where r.deployment_no = $number and (r.as_of_ns >= $as_of_ns or r.rules_hash <> $hash)""",
        {**at, "hash": rules_hash},
    ).fetchone()
    if row and row[0]:  # another search, or a snapshot slipped in between: intervals would not say what they say
        forget(connection, number)
    connection.execute(f"create or replace temp table found as {_FACTS}")
    still = f"select {_COLUMNS} from remembered_artifact as r where r.deployment_no = $number and r.until_ns is null"
    connection.execute(
        f"create or replace temp table ending as {still} except select {_COLUMNS} from found", {"number": number}
    )
    connection.execute(
        f"create or replace temp table beginning as select {_COLUMNS} from found except {still}", {"number": number}
    )
    connection.execute(
        """update remembered_artifact as r set until_ns = $as_of_ns
        where r.deployment_no = $number and r.until_ns is null
            and (r.component, r.table_name, r.id) in (select (e.component, e.table_name, e.id) from ending as e)""",
        at,
    )
    connection.execute(
        f"""insert into remembered_artifact by name
        select $number as deployment_no, $as_of_ns as from_ns, {_COLUMNS} from beginning""",
        at,
    )
    connection.execute(
        f"insert into remembered select $number, $snapshot_no, $as_of_ns, $hash, ({_LAST})",
        {**at, "snapshot_no": snapshot.id, "hash": rules_hash},
    )
    connection.execute("drop table found; drop table ending; drop table beginning")


_LAST = "select max(last) from ({})".format(
    " union all ".join(
        f"""select max(floor(r.creation_time_ms)) as last from {kind.name} as r
        where r.deployment_no = $number and r.revision_ns <= $as_of_ns"""
        for kind in REVISION_TABLES.values()
    )
)


def forget(connection: duckdb.DuckDBPyConnection, number: int | None = None) -> None:
    """Drop what is remembered of a deployment, None: of all; readers search again."""
    for table in ("remembered", "remembered_artifact"):
        connection.execute(
            f"delete from {table} where $number::integer is null or deployment_no = $number", {"number": number}
        )


def rows_at(
    connection: duckdb.DuckDBPyConnection,
    number: int,
    snapshot: Snapshot,
    rules_hash: str,
    at_ms: int,
    *,
    orphans: bool,
    whole: bool,
) -> str | None:
    """Return the SQL condition of what was remembered and is what a search of a snapshot at a clock would find.

    orphans  whether the search would look for orphans too; where it does not, they differ by their tier
    whole    False where only messages and traces count: of other tables it may then tell more than a search would find
    returns  a condition on `remembered_artifact` as r; None where a search may find something else
    """
    row = connection.execute(
        """select r.last_exists_ms from remembered as r
        where r.deployment_no = $number and r.snapshot_no = $snapshot_no and r.rules_hash = $hash""",
        {"number": number, "snapshot_no": snapshot.id, "hash": rules_hash},
    ).fetchone()
    if row is None:
        return None
    (last_exists_ms,) = row
    own = in_force(number, snapshot.as_of_ns)
    if at_ms >= snapshot.as_of_ms:
        is_all = at_ms == snapshot.as_of_ms or last_exists_ms is None or last_exists_ms <= snapshot.as_of_ms
        return own if is_all else None
    if orphans:  # what is an orphan depends on the clock
        return None
    if any(as_of_ns < snapshot.as_of_ns for as_of_ns, _ in catalog.neighbours(connection, number)):
        found = around(connection, number, snapshot, rules_hash, at_ms, whole=whole)
        return None if found is None else found.rows
    existing = f"{own} and coalesce(r.exists_ms <= {int(at_ms)}, true)"
    dangling = connection.execute(  # it exists at the clock, and what makes it an artifact does not
        f"""select count(*) from remembered_artifact as r
        where {existing} and r.via_exists_ms > {int(at_ms)} and {matters(whole=whole)}"""
    ).fetchone()
    return existing if dangling is not None and dangling[0] == 0 else None


def select(condition: str, rule: str | None = None) -> str:
    """Return the SELECT of what was remembered and fulfils a condition: the columns of `artifact`, and health's.

    condition  from `rows_at`
    rule       only what this rule selected; None for all
    """
    selected = ""
    if rule is not None:
        assert rule.replace("-", "").isalnum()  # ids of rules are checked when they are read
        selected = f" and list_contains(r.rules, '{rule}')"
    return f"select {_COLUMNS} from remembered_artifact as r where {condition}{selected}"


# The columns of health/left_out; what health does not count is left out as well, and has no facts.
LEFT_OUT = """select a.table_name, a.id, a.revision_no, a.status,
    case when a.table_name in ('chatMessages', 'workflowTraces') then a.exists_ms end as exists_ms,
    a.created_at_ms, a.judged_at_ms, a.since_ms
from recalled as a
where a.component = '' and a.tier in ({tiers})"""
