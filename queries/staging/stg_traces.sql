-- Workflow traces in force in the frame: as of its snapshot, or as of its clock where that is earlier.
--
-- grain    one row per trace that exists at the clock
-- params   none
-- returns  revision_no        BIGINT  which revision is in force
--          id                 VARCHAR
--          creation_time_ms   DOUBLE  milliseconds since the epoch
--          task_id            VARCHAR
--          trace_id           VARCHAR
--          message_id         VARCHAR
--          workflow_type      VARCHAR
--          status             VARCHAR
--          model              VARCHAR
--          provider           VARCHAR
--          error_type         VARCHAR
--          started_at_ms      DOUBLE  milliseconds since the epoch
--          completed_at_ms    DOUBLE  milliseconds since the epoch
--          total_duration_ms  DOUBLE  milliseconds
--          retry_count        DOUBLE
--          created_at_ms      DOUBLE  milliseconds since the epoch
--          updated_at_ms      DOUBLE  milliseconds since the epoch
--          leftovers          VARCHAR  JSON object of every other field and clashing value; NULL if none
--          judged_at_ms       DOUBLE  createdAt, or the creation time where that is missing or not a number
-- reads    revision_traces, frame_hidden, variables deployment_no, as_of_ns, at_ms
select
    r.revision_no,
    r.id,
    r.creation_time_ms,
    r.task_id,
    r.trace_id,
    r.message_id,
    r.workflow_type,
    r.status,
    r.model,
    r.provider,
    r.error_type,
    r.started_at_ms,
    r.completed_at_ms,
    r.total_duration_ms,
    r.retry_count,
    r.created_at_ms,
    r.updated_at_ms,
    r.leftovers,
    coalesce(r.created_at_ms, r.creation_time_ms) as judged_at_ms,
from revision_traces as r
where
    r.deployment_no = getvariable('deployment_no')
    and r.revision_ns <= getvariable('as_of_ns')
    and not r.deleted
    and (r.creation_time_ms is null or floor(r.creation_time_ms) <= getvariable('at_ms'))
    and r.revision_no not in (select h.revision_no from frame_hidden as h)
