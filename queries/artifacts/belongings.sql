-- What names one document as its task or its message.
--
-- grain    one row per table of the root that has such documents
-- params   $id  VARCHAR  id of a task or a message
-- returns  table_name      VARCHAR
--          document_count  BIGINT
-- reads    stg_messages, stg_traces, stg_other
with belonging as (
    select 'chatMessages' as table_name
    from stg_messages as m
    where m.task_id = $id
    union all
    select 'workflowTraces' as table_name
    from stg_traces as w
    where w.task_id = $id or w.message_id = $id
    union all
    select o.table_name
    from stg_other as o
    where o.component = '' and (o.task_id = $id or o.message_id = $id)
)
select
    b.table_name,
    count(*) as document_count,
from belonging as b
group by b.table_name
order by b.table_name
