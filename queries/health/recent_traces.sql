-- Traces as the app's getRecentTraces lists them: by status, then createdAt, both descending; not the newest ones.
--
-- grain    one row per trace
-- params   $limit  BIGINT  how many at most, >= 0; the app shows 20
-- returns  id               VARCHAR
--          trace_id         VARCHAR
--          status           VARCHAR
--          model            VARCHAR  NULL if the trace has none
--          created_at_ms    DOUBLE   milliseconds since the epoch
--          completed_at_ms  DOUBLE   milliseconds since the epoch; NULL if it has not completed
--          duration_ms      DOUBLE   milliseconds; NULL if it has not completed
--          error_message    VARCHAR  NULL if there is none, or its text was not kept
-- reads    stg_traces
select
    t.id,
    t.trace_id,
    t.status,
    t.model,
    t.created_at_ms,
    t.completed_at_ms,
    t.total_duration_ms as duration_ms,
    case when json_type(t.leftovers, '$.errorMessage') = 'VARCHAR' then (t.leftovers->>'$.errorMessage') end
        as error_message,
from stg_traces as t
order by t.status desc nulls last, t.created_at_ms desc nulls last, t.creation_time_ms desc nulls last, t.id desc
limit $limit
