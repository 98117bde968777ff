-- How many artifacts there are of each tier and table.
--
-- grain    one row per tier, component and table that has artifacts
-- params   none
-- returns  tier            VARCHAR  certain, likely, suspect or orphan
--          component       VARCHAR  path, '' is the root
--          table_name      VARCHAR
--          document_count  BIGINT
-- reads    artifact
select
    a.tier,
    a.component,
    a.table_name,
    count(*) as document_count,
from artifact as a
group by a.tier, a.component, a.table_name
order by list_position(['certain', 'likely', 'suspect', 'orphan'], a.tier), a.component, a.table_name
