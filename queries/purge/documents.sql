-- Where documents stand and when they were last touched, as far as the store can tell.
--
-- grain    one row per document that exists at the clock
-- params   $ids  VARCHAR[]  of documents
-- returns  component    VARCHAR  path, '' is the root
--          table_name   VARCHAR
--          id           VARCHAR
--          revision_ns  BIGINT   when the revision in force was written, or first seen where the source does not tell
--          is_exact     BOOLEAN  whether it is when it was written: it is the time of no snapshot
--          is_changed   BOOLEAN  whether the store saw the document as it was before
--          stamped_ms   DOUBLE   the latest of the times that it carries; NULL if none
--          leftovers    VARCHAR  JSON object of the fields without a column; NULL if none
-- reads    stg_users, stg_tasks, stg_messages, stg_traces, stg_other, revision_users, revision_tasks,
--          revision_messages, revision_traces, revision_other, snapshot, variables deployment_no, as_of_ns
with wanted as (
    select distinct unnest($ids::varchar[]) as id
),
present as (
    select '' as component, 'users' as table_name, u.id, u.revision_no, u.leftovers,
        greatest(u.creation_time_ms, u.created_at_ms) as stamped_ms
    from stg_users as u
    semi join wanted as n on n.id = u.id
    union all
    select '' as component, 'tasks' as table_name, t.id, t.revision_no, t.leftovers,
        greatest(t.creation_time_ms, t.created_at_ms, t.updated_at_ms) as stamped_ms
    from stg_tasks as t
    semi join wanted as n on n.id = t.id
    union all
    select '' as component, 'chatMessages' as table_name, m.id, m.revision_no, m.leftovers,
        greatest(m.creation_time_ms, m.created_at_ms, m.edited_at_ms) as stamped_ms
    from stg_messages as m
    semi join wanted as n on n.id = m.id
    union all
    select '' as component, 'workflowTraces' as table_name, w.id, w.revision_no, w.leftovers,
        greatest(w.creation_time_ms, w.created_at_ms, w.updated_at_ms, w.started_at_ms, w.completed_at_ms) as stamped_ms
    from stg_traces as w
    semi join wanted as n on n.id = w.id
    union all
    select o.component, o.table_name, o.id, o.revision_no, o.leftovers,
        greatest(
            o.creation_time_ms,
            try_cast((o.leftovers->>'$.createdAt') as double),
            try_cast((o.leftovers->>'$.updatedAt') as double),
            try_cast((o.leftovers->>'$.lastSeenAt') as double)
        ) as stamped_ms
    from stg_other as o
    semi join wanted as n on n.id = o.id
),
written as (
    select r.revision_no, r.id, r.revision_ns, r.component, r.table_name, r.deployment_no, r.deleted
    from revision_users as r
    union all
    select r.revision_no, r.id, r.revision_ns, r.component, r.table_name, r.deployment_no, r.deleted
    from revision_tasks as r
    union all
    select r.revision_no, r.id, r.revision_ns, r.component, r.table_name, r.deployment_no, r.deleted
    from revision_messages as r
    union all
    select r.revision_no, r.id, r.revision_ns, r.component, r.table_name, r.deployment_no, r.deleted
    from revision_traces as r
    union all
    select r.revision_no, r.id, r.revision_ns, r.component, r.table_name, r.deployment_no, r.deleted
    from revision_other as r
),
revision as (
    select w.revision_no, w.id, w.revision_ns, w.component, w.table_name
    from written as w
    semi join wanted as n on n.id = w.id
    where w.deployment_no = getvariable('deployment_no') and w.revision_ns <= getvariable('as_of_ns') and not w.deleted
),
known as (
    select
        r.component,
        r.table_name,
        r.id,
        min(r.revision_no) as first_no,
    from revision as r
    group by r.component, r.table_name, r.id
)
select
    p.component,
    p.table_name,
    p.id,
    r.revision_ns,
    s.as_of_ns is null as is_exact,
    k.first_no < p.revision_no as is_changed,
    p.stamped_ms,
    p.leftovers,
from present as p
join revision as r on r.revision_no = p.revision_no
join known as k on k.component = p.component and k.table_name = p.table_name and k.id = p.id
left join snapshot as s on s.deployment_no = getvariable('deployment_no') and s.as_of_ns = r.revision_ns
order by p.component, p.table_name, p.id
