-- Snapshots that hold another number of documents than they say.
--
-- Each revision adds a document where it begins and takes it away where it ends: running sums tell how many there were.
--
-- grain    one row per snapshot and table whose count is wrong
-- params   none
-- returns  what  VARCHAR  snapshot, table, the count that it says and the one that it holds
-- reads    snapshot, coverage, every_revision, check_ends
with step as (
    select e.deployment_no, e.component, e.table_name, e.revision_ns as at_ns, 1 as documents
    from every_revision as e
    where not e.deleted
    union all
    select e.deployment_no, e.component, e.table_name, c.valid_to_ns as at_ns, -1 as documents
    from every_revision as e
    join check_ends as c on c.revision_no = e.revision_no
    where not e.deleted
),
summed as (
    select s.deployment_no, s.component, s.table_name, s.at_ns, sum(s.documents)::bigint as documents
    from step as s
    group by all
),
running as (
    select
        s.deployment_no,
        s.component,
        s.table_name,
        s.at_ns,
        sum(s.documents) over (
            partition by s.deployment_no, s.component, s.table_name order by s.at_ns
        )::bigint as documents,
    from summed as s
),
held as (
    select
        s.snapshot_no,
        v.component,
        v.table_name,
        v.document_count,
        coalesce(max_by(r.documents, r.at_ns), 0) as documents,
    from snapshot as s
    join coverage as v on v.snapshot_no = s.snapshot_no and v.status = 'collected'
    left join running as r
        on r.deployment_no = s.deployment_no and r.component = v.component and r.table_name = v.table_name
        and r.at_ns <= s.as_of_ns
    group by s.snapshot_no, v.component, v.table_name, v.document_count
)
select
    format('snapshot {} says {} documents of {}, and holds {}',
        h.snapshot_no, coalesce(h.document_count::varchar, 'no number of'),
        if(h.component = '', h.table_name, h.component || '/' || h.table_name), h.documents) as what,
from held as h
where h.document_count is distinct from h.documents
order by what
