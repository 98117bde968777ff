-- References in columns from or to some documents.
--
-- grain    one row per document and reference
-- params   $ids  VARCHAR[]  of documents: those that refer, and those referred to
-- returns  component   VARCHAR  of the document that refers; path, '' is the root
--          table_name  VARCHAR
--          id          VARCHAR
--          field       VARCHAR  as the document names it
--          target      VARCHAR  the id that stands there, of a document or not
-- reads    stg_tasks, stg_messages, stg_traces, stg_other
with wanted as (
    select distinct unnest($ids::varchar[]) as id
),
reference as (
    select '' as component, 'tasks' as table_name, t.id, 'userId' as field, t.user_id as target
    from stg_tasks as t
    union all
    select '' as component, 'chatMessages' as table_name, m.id, 'taskId' as field, m.task_id as target
    from stg_messages as m
    union all
    select '' as component, 'chatMessages' as table_name, m.id, 'stackedTaskId' as field, m.stacked_task_id as target
    from stg_messages as m
    union all
    select '' as component, 'chatMessages' as table_name, m.id, 'promptMessageId' as field, m.prompt_message_id as target
    from stg_messages as m
    union all
    select '' as component, 'workflowTraces' as table_name, w.id, 'taskId' as field, w.task_id as target
    from stg_traces as w
    union all
    select '' as component, 'workflowTraces' as table_name, w.id, 'messageId' as field, w.message_id as target
    from stg_traces as w
    union all
    select '' as component, 'workflowTraces' as table_name, w.id, 'traceId' as field, w.trace_id as target
    from stg_traces as w
    union all
    select o.component, o.table_name, o.id, 'taskId' as field, o.task_id as target
    from stg_other as o
    union all
    select o.component, o.table_name, o.id, 'messageId' as field, o.message_id as target
    from stg_other as o
    union all
    select o.component, o.table_name, o.id, 'userId' as field, o.user_id as target
    from stg_other as o
)
select
    r.component,
    r.table_name,
    r.id,
    r.field,
    r.target,
from reference as r
where
    r.target is not null
    and r.target <> r.id
    and (r.id in (select n.id from wanted as n) or r.target in (select n.id from wanted as n))
order by r.component, r.table_name, r.id, r.field, r.target
