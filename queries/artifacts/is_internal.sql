-- Whether a document is left out of health because of the people or repositories that are listed.
--
-- grain    one row per component and table in which the document is left out
-- params   $id  VARCHAR  id of a document
-- returns  component   VARCHAR  always '', the root
--          table_name  VARCHAR
-- reads    internal_document
select
    i.component,
    i.table_name,
from internal_document as i
where i.id = $id
order by i.component, i.table_name
