-- How many documents each table holds.
--
-- grain    one row per component and table that has documents
-- params   none
-- returns  component       VARCHAR  path, '' is the root
--          table_name      VARCHAR
--          document_count  BIGINT
-- reads    stg_users, stg_tasks, stg_messages, stg_traces, stg_other
with document as (
    select '' as component, 'users' as table_name
    from stg_users
    union all
    select '' as component, 'tasks' as table_name
    from stg_tasks
    union all
    select '' as component, 'chatMessages' as table_name
    from stg_messages
    union all
    select '' as component, 'workflowTraces' as table_name
    from stg_traces
    union all
    select o.component, o.table_name
    from stg_other as o
)
select
    d.component,
    d.table_name,
    count(*) as document_count,
from document as d
group by d.component, d.table_name
order by d.component, d.table_name
