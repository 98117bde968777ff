-- Where an id stands: the tables that hold a document with it, or held one before.
--
-- grain    one row per component and table
-- params   $id  VARCHAR  id of a document
-- returns  component   VARCHAR  path, '' is the root
--          table_name  VARCHAR
--          is_present  BOOLEAN  whether the document exists at the clock
-- reads    stg_users, stg_tasks, stg_messages, stg_traces, stg_other, revision_users, revision_tasks,
--          revision_messages, revision_traces, revision_other, variables deployment_no, as_of_ns
with present as (
    select '' as component, 'users' as table_name
    from stg_users as u
    where u.id = $id
    union all
    select '' as component, 'tasks' as table_name
    from stg_tasks as t
    where t.id = $id
    union all
    select '' as component, 'chatMessages' as table_name
    from stg_messages as m
    where m.id = $id
    union all
    select '' as component, 'workflowTraces' as table_name
    from stg_traces as w
    where w.id = $id
    union all
    select o.component, o.table_name
    from stg_other as o
    where o.id = $id
),
revision as (
    select r.deployment_no, r.revision_ns, r.component, r.table_name, r.id
    from revision_users as r
    union all
    select r.deployment_no, r.revision_ns, r.component, r.table_name, r.id
    from revision_tasks as r
    union all
    select r.deployment_no, r.revision_ns, r.component, r.table_name, r.id
    from revision_messages as r
    union all
    select r.deployment_no, r.revision_ns, r.component, r.table_name, r.id
    from revision_traces as r
    union all
    select r.deployment_no, r.revision_ns, r.component, r.table_name, r.id
    from revision_other as r
),
seen as (
    select distinct r.component, r.table_name
    from revision as r
    where
        r.deployment_no = getvariable('deployment_no')
        and r.revision_ns <= getvariable('as_of_ns')
        and r.id = $id
)
select
    s.component,
    s.table_name,
    p.table_name is not null as is_present,
from seen as s
left join present as p on p.component = s.component and p.table_name = s.table_name
order by s.component, s.table_name
