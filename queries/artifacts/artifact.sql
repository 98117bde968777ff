-- Artifacts: every document that a test left behind, with its tier and the reason for it.
--
-- grain    one row per artifact
-- params   $rules    VARCHAR[]  ids of all rules, in the order in which reasons are preferred; fewer than 1000
--          $reasons  VARCHAR[]  their reasons
-- returns  component   VARCHAR    path, '' is the root
--          table_name  VARCHAR
--          id          VARCHAR
--          tier        VARCHAR    certain, likely, suspect or orphan: the strongest of its rules
--          rules       VARCHAR[]  ids of the rules that selected it, strongest first
--          reason      VARCHAR    the reason of the first
--          via         VARCHAR    the document that the first reached it through; NULL if none
-- reads    rule_evidence, task_evidence, owned_evidence, orphan_evidence, message_evidence
with evidence as (
    from rule_evidence
    where not is_gone
    union all
    from task_evidence
    where not is_gone
    union all
    from owned_evidence
    union all
    from orphan_evidence
    union all
    from message_evidence
),
document as (
    select
        e.component,
        e.table_name,
        e.id,
        min(e.tier_rank * 1000 + list_position($rules, e.rule)) as best,
        list_sort(list(e.tier_rank * 1000 + list_position($rules, e.rule))) as found,
        arg_min(coalesce(e.via, ''), e.tier_rank * 1000 + list_position($rules, e.rule)) as via,
    from evidence as e
    group by e.component, e.table_name, e.id
),
named as (
    select
        d.component,
        d.table_name,
        d.id,
        d.best // 1000 as tier_rank,
        $reasons[d.best % 1000] as reason,
        nullif(d.via, '') as via,
        case
            when array_length(d.found) = 1 then [$rules[d.best % 1000]]
            else list_transform(d.found, lambda f: $rules[f % 1000])
        end as rules,
    from document as d
)
select
    n.component,
    n.table_name,
    n.id,
    ['certain', 'likely', 'suspect', 'orphan'][n.tier_rank + 1] as tier,
    case
        when array_length(n.rules) = 1 then n.rules
        else list_filter(n.rules, lambda rule, i: list_position(n.rules, rule) = i)
    end as rules,
    n.reason,
    n.via,
from named as n
order by n.tier_rank, n.component, n.table_name, n.id
