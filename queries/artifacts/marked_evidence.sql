-- What a person marked as a test: the documents with these ids, and the ids of which no document is left.
--
-- An id without a document is kept as a task that is gone, so that what belonged to it is known for a test's.
--
-- grain    one row per marked document
-- params   $test_ids  VARCHAR[]  ids marked as tests
-- returns  component   VARCHAR  path, '' is the root
--          table_name  VARCHAR
--          id          VARCHAR
--          rule        VARCHAR
--          tier_rank   INTEGER  0 certain, 1 likely, 2 suspect, 3 orphan
--          via         VARCHAR  NULL: it stands for itself
--          is_gone     BOOLEAN  whether no document is left
-- reads    stg_users, stg_tasks, stg_messages, stg_traces, stg_other
with marked as (
    select distinct unnest($test_ids::varchar[]) as id
),
document as (
    select '' as component, 'users' as table_name, u.id
    from stg_users as u
    semi join marked on marked.id = u.id
    union all
    select '' as component, 'tasks' as table_name, t.id
    from stg_tasks as t
    semi join marked on marked.id = t.id
    union all
    select '' as component, 'chatMessages' as table_name, m.id
    from stg_messages as m
    semi join marked on marked.id = m.id
    union all
    select '' as component, 'workflowTraces' as table_name, w.id
    from stg_traces as w
    semi join marked on marked.id = w.id
    union all
    select o.component, o.table_name, o.id
    from stg_other as o
    semi join marked on marked.id = o.id
)
select
    coalesce(d.component, '') as component,
    coalesce(d.table_name, 'tasks') as table_name,
    marked.id,
    'mark' as rule,
    0::integer as tier_rank,
    null::varchar as via,
    d.id is null as is_gone,
from marked
left join document as d on d.id = marked.id
order by component, table_name, marked.id
