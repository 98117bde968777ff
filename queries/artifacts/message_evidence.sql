-- Documents that belong to a message that is an artifact: they share its tier.
--
-- Left out are those that belong to a task of the same tier, or a stronger one: see owned_evidence.
--
-- grain    one row per document
-- params   $tables    VARCHAR[]  tables whose documents belong to the message that `messageId` names
--          $real_ids  VARCHAR[]  ids marked as real
-- returns  component   VARCHAR  always '', the root
--          table_name  VARCHAR
--          id          VARCHAR
--          rule        VARCHAR
--          tier_rank   INTEGER  0 certain, 1 likely, 2 suspect, 3 orphan
--          via         VARCHAR  the message
--          is_gone     BOOLEAN  always false
-- reads    rule_evidence, owned_evidence, orphan_evidence, stg_traces, stg_other
with evidence as (
    select e.id, e.tier_rank
    from rule_evidence as e
    where e.component = '' and e.table_name = 'chatMessages'
    union all
    select e.id, e.tier_rank
    from owned_evidence as e
    where e.table_name = 'chatMessages'
    union all
    select e.id, e.tier_rank
    from orphan_evidence as e
    where e.table_name = 'chatMessages'
),
owner as (
    select
        e.id,
        min(e.tier_rank) as tier_rank,
    from evidence as e
    group by e.id
),
owned as (
    select 'workflowTraces' as table_name, w.id, w.message_id
    from stg_traces as w
    where list_contains($tables, 'workflowTraces')
    union all
    select x.table_name, x.id, x.message_id
    from stg_other as x
    where x.component = '' and list_contains($tables, x.table_name)
)
select
    '' as component,
    d.table_name,
    d.id,
    'owned-by-artifact' as rule,
    o.tier_rank::integer as tier_rank,
    d.message_id as via,
    false as is_gone,
from owned as d
join owner as o on o.id = d.message_id
left join owned_evidence as k on k.table_name = d.table_name and k.id = d.id
where
    (k.id is null or o.tier_rank < k.tier_rank)
    and d.id not in (select unnest($real_ids::varchar[]))
order by d.table_name, d.id
