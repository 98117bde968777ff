-- Every artifact, kept aside while one rule after the other is tried alone.
--
-- grain    one row per artifact
-- params   none
-- returns  component   VARCHAR    path, '' is the root
--          table_name  VARCHAR
--          id          VARCHAR
--          tier        VARCHAR
--          rules       VARCHAR[]  rules that fired, strongest first
--          reason      VARCHAR
--          via         VARCHAR    NULL where no other document led to it
-- reads    artifact
select
    a.component,
    a.table_name,
    a.id,
    a.tier,
    a.rules,
    a.reason,
    a.via,
from artifact as a
order by a.component, a.table_name, a.id
