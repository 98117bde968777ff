-- The evidence so far and what one more rule selected, without what a person marked as real.
--
-- grain    one row per document and rule
-- params   $rule       VARCHAR    id of the rule
--          $tier_rank  INTEGER    its tier: 0 certain, 1 likely, 2 suspect
--          $is_gone    BOOLEAN    whether the documents it selected are gone
--          $real_ids   VARCHAR[]  ids marked as real
-- returns  component   VARCHAR  path, '' is the root
--          table_name  VARCHAR
--          id          VARCHAR
--          rule        VARCHAR
--          tier_rank   INTEGER  0 certain, 1 likely, 2 suspect, 3 orphan
--          via         VARCHAR  the document that the rule reached it through; NULL if none
--          is_gone     BOOLEAN  whether the document is gone
-- reads    rule_evidence, rule_match
select
    e.component,
    e.table_name,
    e.id,
    e.rule,
    e.tier_rank,
    e.via,
    e.is_gone,
from rule_evidence as e
union all
select
    m.component,
    m.table_name,
    m.id,
    $rule as rule,
    $tier_rank::integer as tier_rank,
    min(m.via) as via,
    $is_gone::boolean as is_gone,
from rule_match as m
where m.id not in (select unnest($real_ids::varchar[]))
group by m.component, m.table_name, m.id
order by rule, component, table_name, id
