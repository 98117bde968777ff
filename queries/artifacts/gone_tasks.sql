-- Tasks that the store saw and that are gone at the clock: every revision they had while they existed.
--
-- grain    one row per earlier revision of a task that is gone
-- params   none
-- returns  revision_no       BIGINT
--          id                VARCHAR
--          creation_time_ms  DOUBLE  milliseconds since the epoch
--          title             VARCHAR
--          status            VARCHAR
--          repo_full_name    VARCHAR
--          repo_url          VARCHAR
--          main_model        VARCHAR
--          workspace_path    VARCHAR
--          init_status       VARCHAR
--          error_code        VARCHAR
--          error_source      VARCHAR
--          failed_step       VARCHAR
--          user_id           VARCHAR
--          is_scratchpad     BOOLEAN
--          created_at_ms     DOUBLE  milliseconds since the epoch
--          updated_at_ms     DOUBLE  milliseconds since the epoch
--          leftovers         VARCHAR  JSON object of every other field and clashing value; NULL if none
-- reads    revision_tasks, stg_tasks, variables deployment_no, as_of_ns
with gone as (
    select r.id
    from revision_tasks as r
    where
        r.deployment_no = getvariable('deployment_no')
        and r.revision_ns <= getvariable('as_of_ns')
        and r.deleted
)
select
    r.revision_no,
    r.id,
    r.creation_time_ms,
    r.title,
    r.status,
    r.repo_full_name,
    r.repo_url,
    r.main_model,
    r.workspace_path,
    r.init_status,
    r.error_code,
    r.error_source,
    r.failed_step,
    r.user_id,
    r.is_scratchpad,
    r.created_at_ms,
    r.updated_at_ms,
    r.leftovers,
from revision_tasks as r
where
    r.deployment_no = getvariable('deployment_no')
    and r.revision_ns <= getvariable('as_of_ns')
    and not r.deleted
    and r.id in (select g.id from gone as g)
    and r.id not in (select t.id from stg_tasks as t)
order by r.id, r.revision_no
