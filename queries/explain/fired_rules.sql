-- Rules that selected at least one artifact.
--
-- grain    one row per rule
-- params   none
-- returns  rule            VARCHAR
--          document_count  BIGINT   artifacts
-- reads    artifact
select
    r.rule,
    count(*) as document_count,
from (select unnest(a.rules) as rule from artifact as a) as r
group by r.rule
order by r.rule
