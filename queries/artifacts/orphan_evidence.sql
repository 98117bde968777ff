-- Documents whose task is gone and of which nothing else is known.
--
-- grain    one row per document
-- params   $wanted    BOOLEAN    whether to look; it reads every reference
--          $tables    VARCHAR[]  tables whose documents belong to the task that `taskId` names
--          $real_ids  VARCHAR[]  ids marked as real
-- returns  component   VARCHAR  always '', the root
--          table_name  VARCHAR
--          id          VARCHAR
--          rule        VARCHAR
--          tier_rank   INTEGER  always 3, orphan
--          via         VARCHAR  the task that is gone
--          is_gone     BOOLEAN  always false
-- reads    rule_evidence, owned_evidence, stg_tasks, stg_messages, stg_traces, stg_other
with owned as (
    select 'chatMessages' as table_name, m.id, m.task_id
    from stg_messages as m
    where list_contains($tables, 'chatMessages')
    union all
    select 'workflowTraces' as table_name, w.id, w.task_id
    from stg_traces as w
    where list_contains($tables, 'workflowTraces')
    union all
    select x.table_name, x.id, x.task_id
    from stg_other as x
    where x.component = '' and list_contains($tables, x.table_name)
),
orphan as (
    select d.table_name, d.id, d.task_id
    from owned as d
    anti join stg_tasks as t on t.id = d.task_id
    where $wanted and d.task_id is not null
),
known as (
    select e.table_name, e.id
    from rule_evidence as e
    where e.component = ''
    union all
    select e.table_name, e.id
    from owned_evidence as e
)
select
    '' as component,
    d.table_name,
    d.id,
    'orphan' as rule,
    3::integer as tier_rank,
    d.task_id as via,
    false as is_gone,
from orphan as d
anti join known as k on k.table_name = d.table_name and k.id = d.id
where
    d.id not in (select unnest($real_ids::varchar[]))
    and d.task_id not in (select unnest($real_ids::varchar[]))
order by d.table_name, d.id
