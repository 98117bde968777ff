-- Documents that belong to a task that is an artifact, or was one before it disappeared: they share its tier.
--
-- grain    one row per document
-- params   $tables    VARCHAR[]  tables whose documents belong to the task that `taskId` names
--          $real_ids  VARCHAR[]  ids marked as real
-- returns  component   VARCHAR  always '', the root
--          table_name  VARCHAR
--          id          VARCHAR
--          rule        VARCHAR  owned-by-artifact, or was-artifact where the task is gone
--          tier_rank   INTEGER  0 certain, 1 likely, 2 suspect
--          via         VARCHAR  the task
--          is_gone     BOOLEAN  always false
-- reads    rule_evidence, task_evidence, stg_messages, stg_traces, stg_other
with evidence as (
    select e.id, e.tier_rank, e.is_gone
    from rule_evidence as e
    where e.component = '' and e.table_name = 'tasks'
    union all
    select t.id, t.tier_rank, t.is_gone
    from task_evidence as t
),
owner as (
    select
        e.id,
        min(e.tier_rank) as tier_rank,
        case when bool_and(e.is_gone) then 'was-artifact' else 'owned-by-artifact' end as rule,
    from evidence as e
    group by e.id
),
owned as (
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
)
select
    '' as component,
    d.table_name,
    d.id,
    o.rule,
    o.tier_rank::integer as tier_rank,
    d.task_id as via,
    false as is_gone,
from owned as d
join owner as o on o.id = d.task_id
where d.id not in (select unnest($real_ids::varchar[]))
order by d.table_name, d.id
