-- Artifacts with what people call them, strongest tier first.
--
-- grain    one row per artifact
-- params   $tiers  VARCHAR[]  which tiers
--          $limit  BIGINT     how many at most, >= 0
-- returns  component   VARCHAR    path, '' is the root
--          table_name  VARCHAR
--          id          VARCHAR
--          tier        VARCHAR    certain, likely, suspect or orphan
--          rules       VARCHAR[]  ids of the rules that selected it, strongest first
--          reason      VARCHAR    the reason of the first
--          via         VARCHAR    the document that the first reached it through; NULL if none
--          label       VARCHAR    title of a task, email of a user; NULL for others
-- reads    artifact, stg_users, stg_tasks
select
    a.component,
    a.table_name,
    a.id,
    a.tier,
    a.rules,
    a.reason,
    a.via,
    coalesce(t.title, u.email) as label,
from artifact as a
left join stg_tasks as t on a.component = '' and a.table_name = 'tasks' and t.id = a.id
left join stg_users as u on a.component = '' and a.table_name = 'users' and u.id = a.id
where list_contains($tiers, a.tier)
order by list_position($tiers, a.tier), a.component, a.table_name, a.id
limit $limit
