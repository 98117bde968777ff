-- Calls, failures and latency of each function, from the log.
--
-- An attempt that lost a conflict and runs again is no call and no failure. A query that was answered from the cache
-- took no time, and says nothing about latency.
--
-- grain    one row per function with an attempt that ended in the window
-- params   $from_ms   BIGINT  start of the window
--          $until_ms  BIGINT  its end, not included
-- returns  component       VARCHAR  path, '' is the root
--          function_path   VARCHAR
--          call_count      BIGINT   without attempts that run again
--          error_count     BIGINT
--          retry_count     BIGINT   attempts that run again
--          timed_count     BIGINT   calls that latency is of
--          latency_p50_ms  DOUBLE
--          latency_p95_ms  DOUBLE
-- reads    function_call, variable deployment_no
select
    c.component,
    c.function_path,
    count(*) filter (where not c.will_retry) as call_count,
    count(*) filter (where not c.will_retry and c.error_class is not null) as error_count,
    count(*) filter (where c.will_retry) as retry_count,
    count(*) filter (where not c.will_retry and not c.is_cached) as timed_count,
    quantile_disc(c.took_ms, 0.5) filter (where not c.will_retry and not c.is_cached) as latency_p50_ms,
    quantile_disc(c.took_ms, 0.95) filter (where not c.will_retry and not c.is_cached) as latency_p95_ms,
from function_call as c
where
    c.deployment_no = getvariable('deployment_no')
    and c.started_ms + c.took_ms >= $from_ms
    and c.started_ms + c.took_ms < $until_ms
group by c.component, c.function_path
order by c.component, c.function_path
