-- Every reason to take a document for a test's, of one document or of all.
--
-- grain    one row per document, rule and reference
-- params   $id  VARCHAR  the document; NULL for all
-- returns  component   VARCHAR  path, '' is the root
--          table_name  VARCHAR
--          id          VARCHAR
--          rule        VARCHAR
--          tier_rank   INTEGER  0 certain, 1 likely, 2 suspect, 3 orphan
--          via         VARCHAR  the document that the rule reached it through; NULL if none
--          is_gone     BOOLEAN  whether the document is gone
-- reads    rule_evidence, task_evidence, owned_evidence, orphan_evidence, message_evidence
with evidence as (
    from rule_evidence
    union all
    from task_evidence
    union all
    from owned_evidence
    union all
    from orphan_evidence
    union all
    from message_evidence
)
select
    e.component,
    e.table_name,
    e.id,
    e.rule,
    e.tier_rank,
    e.via,
    e.is_gone,
from evidence as e
where $id::varchar is null or e.id = $id
order by e.component, e.table_name, e.id, e.tier_rank, e.rule, e.via
