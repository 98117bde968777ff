-- How many documents the filter leaves out of health, by table.
--
-- grain    one row per table of the root component that it leaves documents out of
-- params   none
-- returns  table_name      VARCHAR
--          document_count  BIGINT   documents, of any age
-- reads    left_out
select
    l.table_name,
    count(*) as document_count,
from left_out as l
group by l.table_name
order by l.table_name
