-- Artifacts that were selected by one of some rules.
--
-- grain    one row per artifact
-- params   $rules  VARCHAR[]  ids of rules
-- returns  component   VARCHAR    path, '' is the root
--          table_name  VARCHAR
--          id          VARCHAR
--          tier        VARCHAR
--          rules       VARCHAR[]  rules that fired, strongest first
--          reason      VARCHAR
--          via         VARCHAR    NULL where no other document led to it
-- reads    every_artifact
select
    a.component,
    a.table_name,
    a.id,
    a.tier,
    a.rules,
    a.reason,
    a.via,
from every_artifact as a
where list_has_any(a.rules, $rules)
order by a.component, a.table_name, a.id
