-- Tasks that the store saw under another title before.
--
-- grain    one row per task
-- params   $ids  VARCHAR[]  tasks that exist at the clock
-- returns  id  VARCHAR
-- reads    stg_tasks, revision_tasks, variables deployment_no, as_of_ns
select t.id
from stg_tasks as t
semi join unnest($ids::varchar[]) as wanted (id) on wanted.id = t.id
where exists (
    select 1
    from revision_tasks as r
    where
        r.deployment_no = getvariable('deployment_no')
        and r.revision_ns <= getvariable('as_of_ns')
        and r.id = t.id
        and not r.deleted
        and r.title is distinct from t.title
)
order by t.id
