-- Revisions whose further fields are no JSON object, or that are deleted and hold something.
--
-- grain    one row per revision
-- params   none
-- returns  what  VARCHAR  which revision, and what is wrong
-- reads    every_revision
select
    format('revision {}: the further fields are no JSON object', e.revision_no) as what,
from every_revision as e
where e.leftovers is not null and case when json_valid(e.leftovers) then json_type(e.leftovers) end is distinct from 'OBJECT'
union all
select
    format('revision {} is deleted and holds fields', e.revision_no) as what,
from every_revision as e
where e.deleted and e.leftovers is not null
order by what
