-- Tasks whose owner is an artifact: they share its tier. A task that is there needs an owner that is there.
--
-- grain    one row per task
-- params   $real_ids  VARCHAR[]  ids marked as real
-- returns  component   VARCHAR  always '', the root
--          table_name  VARCHAR
--          id          VARCHAR
--          rule        VARCHAR
--          tier_rank   INTEGER  0 certain, 1 likely, 2 suspect
--          via         VARCHAR  the owner
--          is_gone     BOOLEAN  whether the task is gone
-- reads    rule_evidence, stg_tasks, gone_tasks
with owner as (
    select
        e.id,
        min(e.tier_rank) as tier_rank,
        bool_and(e.is_gone) as is_gone,
    from rule_evidence as e
    where e.component = '' and e.table_name = 'users'
    group by e.id
),
task as (
    select t.id, t.user_id, false as is_gone
    from stg_tasks as t
    union all
    select g.id, g.user_id, true as is_gone
    from gone_tasks as g
)
select
    '' as component,
    'tasks' as table_name,
    t.id,
    'owned-by-artifact' as rule,
    min(o.tier_rank)::integer as tier_rank,
    min(o.id) as via,
    t.is_gone,
from task as t
join owner as o on o.id = t.user_id
where
    (t.is_gone or not o.is_gone)
    and t.id not in (select unnest($real_ids::varchar[]))
group by t.id, t.is_gone
order by t.id, t.is_gone
