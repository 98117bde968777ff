-- Completed traces in the window that took longer than a limit, slowest first.
--
-- grain    one row per trace
-- params   $window_ms  BIGINT  length of the window, > 0
--          $limit_ms   DOUBLE  milliseconds
-- returns  id           VARCHAR
--          duration_ms  DOUBLE   milliseconds
--          tier         VARCHAR  NULL where nothing says that a test left it
-- reads    stg_traces, artifact, variable at_ms
select
    t.id,
    t.total_duration_ms as duration_ms,
    a.tier,
from stg_traces as t
left join artifact as a on a.component = '' and a.table_name = 'workflowTraces' and a.id = t.id
where
    t.status = 'COMPLETED'
    and t.total_duration_ms > $limit_ms
    and t.judged_at_ms >= getvariable('at_ms') - $window_ms
order by t.total_duration_ms desc, t.id
