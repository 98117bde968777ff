-- Latencies of functions in two windows, from the log or from minutes.
--
-- Right after an environment variable changed, caches are empty and calls are slow: those times are left out of both
-- windows, and the first of the look whatever is known of variables.
--
-- grain    one row per call that no cache answered, or per function and minute
-- params   $base_from_ms   BIGINT   start of the baseline, a whole minute
--          $base_to_ms     BIGINT   its end, not included
--          $after_from_ms  BIGINT   start of the look, a whole minute
--          $after_to_ms    BIGINT   its end, not included
--          $settle_ms      BIGINT   how long caches fill after a variable changed
--          $from_log       BOOLEAN  take calls; otherwise the 95th percentile of each minute
-- returns  side        VARCHAR  baseline or after
--          latency_ms  DOUBLE
-- reads    function_call, function_minute, deployment_event, variable deployment_no
with change as (
    select e.at_ms
    from deployment_event as e
    where
        e.deployment_no = getvariable('deployment_no')
        and (e.action like '%_environment_variable' or e.action = 'variable_changed')
    union all
    select $after_from_ms as at_ms
),

latency as (
    select
        c.started_ms + c.took_ms as at_ms,
        c.took_ms as latency_ms,
    from function_call as c
    where $from_log and c.deployment_no = getvariable('deployment_no') and not c.will_retry and not c.is_cached
    union all
    select
        m.minute_ms as at_ms,
        m.latency_p95_ms as latency_ms,
    from function_minute as m
    where not $from_log and m.deployment_no = getvariable('deployment_no') and m.latency_p95_ms is not null
)

select
    case when l.at_ms < $base_to_ms then 'baseline' else 'after' end as side,
    l.latency_ms,
from latency as l
where
    ((l.at_ms >= $base_from_ms and l.at_ms < $base_to_ms) or (l.at_ms >= $after_from_ms and l.at_ms < $after_to_ms))
    and not exists (
        select 1
        from change as c
        where c.at_ms < l.at_ms + 60000 and c.at_ms + $settle_ms > l.at_ms
    )
order by side, l.latency_ms
