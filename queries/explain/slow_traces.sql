-- Completed traces in the window that took longer than a limit, slowest first.
--
-- grain    one row per trace
-- params   $window_ms  BIGINT  length of the window, > 0
--          $limit_ms   DOUBLE  milliseconds
-- returns  id             VARCHAR
--          duration_ms    DOUBLE     milliseconds
--          tier           VARCHAR    NULL where nothing says that a test left it
--          rules          VARCHAR[]  rules that fired; NULL without a tier
--          task_id        VARCHAR
--          task_exists    BOOLEAN
--          model          VARCHAR
--          workflow_type  VARCHAR
--          judged_at_ms   DOUBLE     milliseconds since the epoch
-- reads    stg_traces, stg_tasks, artifact, variable at_ms
select
    t.id,
    t.total_duration_ms as duration_ms,
    a.tier,
    a.rules,
    t.task_id,
    k.id is not null as task_exists,
    t.model,
    t.workflow_type,
    t.judged_at_ms,
from stg_traces as t
left join artifact as a on a.component = '' and a.table_name = 'workflowTraces' and a.id = t.id
left join stg_tasks as k on k.id = t.task_id
where
    t.status = 'COMPLETED'
    and t.total_duration_ms > $limit_ms
    and t.judged_at_ms >= getvariable('at_ms') - $window_ms
order by t.total_duration_ms desc, t.id
