-- Documents that a filter leaves out of health, with what health looks at.
--
-- grain    one row per document of the root component
-- params   $tiers     VARCHAR[]  tiers of artifacts to leave out
--          $by_name   BOOLEAN    also leave out tasks whose title contains "Test", and their messages and traces
--          $internal  BOOLEAN    also leave out documents of listed people and repositories
-- returns  table_name     VARCHAR
--          id             VARCHAR
--          revision_no    BIGINT  NULL for tables that health does not count
--          status         VARCHAR
--          exists_ms      DOUBLE  first clock at which it exists, milliseconds since the epoch
--          created_at_ms  DOUBLE  milliseconds since the epoch
--          judged_at_ms   DOUBLE  createdAt, or the creation time where that is missing or not a number
--          since_ms       DOUBLE  from when it is in flight, milliseconds since the epoch; NULL if it cannot be stuck
-- reads    artifact, internal_document, stg_tasks, stg_messages, stg_traces
with named_task as (
    select t.id
    from stg_tasks as t
    where $by_name and contains(t.title, 'Test')
),

listed as (
    select a.table_name, a.id
    from artifact as a
    where a.component = '' and list_contains($tiers, a.tier)
    union
    select i.table_name, i.id
    from internal_document as i
    where $internal and i.component = ''
    union
    select 'tasks' as table_name, n.id
    from named_task as n
    union
    select 'chatMessages' as table_name, m.id
    from stg_messages as m
    where m.task_id in (select n.id from named_task as n)
    union
    select 'workflowTraces' as table_name, t.id
    from stg_traces as t
    where t.task_id in (select n.id from named_task as n)
)

select
    'chatMessages' as table_name,
    m.id,
    m.revision_no,
    m.status,
    floor(m.creation_time_ms) as exists_ms,
    m.created_at_ms,
    m.judged_at_ms,
    case when m.status = 'streaming' then m.judged_at_ms end as since_ms,
from stg_messages as m
where m.id in (select l.id from listed as l where l.table_name = 'chatMessages')
union all
select
    'workflowTraces' as table_name,
    t.id,
    t.revision_no,
    t.status,
    floor(t.creation_time_ms) as exists_ms,
    t.created_at_ms,
    t.judged_at_ms,
    case when t.status = 'STARTED' then coalesce(t.started_at_ms, t.judged_at_ms) end as since_ms,
from stg_traces as t
where t.id in (select l.id from listed as l where l.table_name = 'workflowTraces')
union all
select
    l.table_name,
    l.id,
    null::bigint as revision_no,
    null::varchar as status,
    null::double as exists_ms,
    null::double as created_at_ms,
    null::double as judged_at_ms,
    null::double as since_ms,
from listed as l
where l.table_name not in ('chatMessages', 'workflowTraces')
order by table_name, id
