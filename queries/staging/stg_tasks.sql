-- Tasks in force in the frame: as of its snapshot, or as of its clock where that is earlier.
--
-- grain    one row per task that exists at the clock
-- params   none
-- returns  revision_no       BIGINT  which revision is in force
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
-- reads    revision_tasks, frame_hidden, variables deployment_no, as_of_ns, at_ms
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
    and (r.creation_time_ms is null or floor(r.creation_time_ms) <= getvariable('at_ms'))
    and r.revision_no not in (select h.revision_no from frame_hidden as h)
