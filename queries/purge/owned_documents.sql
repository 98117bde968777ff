-- Documents that belong to one of these documents: one step down along the owning references.
--
-- grain    one row per document that belongs, and reference
-- params   $ids             VARCHAR[]  tasks and messages whose documents are wanted
--          $task_tables     VARCHAR[]  tables whose documents belong to the task that `taskId` names
--          $message_tables  VARCHAR[]  tables whose documents belong to the message that `messageId` names
-- returns  table_name  VARCHAR  of the root
--          id          VARCHAR
--          owner       VARCHAR  the task or message
-- reads    stg_messages, stg_traces, stg_other
with owner as (
    select distinct unnest($ids::varchar[]) as id
),
referring as (
    select 'chatMessages' as table_name, m.id, m.task_id, null::varchar as message_id
    from stg_messages as m
    union all
    select 'workflowTraces' as table_name, w.id, w.task_id, w.message_id
    from stg_traces as w
    union all
    select x.table_name, x.id, x.task_id, x.message_id
    from stg_other as x
    where x.component = ''
)
select
    r.table_name,
    r.id,
    o.id as owner,
from referring as r
join owner as o on o.id = r.task_id
where list_contains($task_tables, r.table_name)
union
select
    r.table_name,
    r.id,
    o.id as owner,
from referring as r
join owner as o on o.id = r.message_id
where list_contains($message_tables, r.table_name)
order by table_name, id, owner
