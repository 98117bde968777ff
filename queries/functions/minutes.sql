-- Calls, errors, cache hits and latency of each function, as measured by the minute.
--
-- A minute that is not known counts nowhere. Right after an environment variable changed, every cache is empty: those
-- minutes are settling, and their hits and misses are counted apart.
--
-- grain    one row per function with a minute in the window
-- params   $from_ms    BIGINT  start of the window, a whole minute
--          $until_ms   BIGINT  its end, not included
--          $settle_ms  BIGINT  how long caches fill after a variable changed
-- returns  component            VARCHAR  path, '' is the root
--          function_path        VARCHAR
--          known_minutes        BIGINT
--          call_count           BIGINT   NULL where no minute is known, as the other counts
--          error_count          BIGINT
--          hit_count            BIGINT   of settled minutes
--          miss_count           BIGINT
--          settling_hit_count   BIGINT
--          settling_miss_count  BIGINT
--          latency_p50_ms       DOUBLE   median of the minutes' medians
--          latency_p95_ms       DOUBLE   median of the minutes' 95th percentiles
-- reads    function_minute, deployment_event, variable deployment_no
with change as (
    select e.at_ms
    from deployment_event as e
    where
        e.deployment_no = getvariable('deployment_no')
        and (e.action like '%_environment_variable' or e.action = 'variable_changed')
),

minute as (
    select
        m.*,
        exists (
            select 1
            from change as c
            where c.at_ms < m.minute_ms + 60000 and c.at_ms + $settle_ms > m.minute_ms
        ) as is_settling,
    from function_minute as m
    where
        m.deployment_no = getvariable('deployment_no')
        and m.minute_ms >= $from_ms
        and m.minute_ms < $until_ms
)

select
    m.component,
    m.function_path,
    count(m.call_count) as known_minutes,
    sum(m.call_count)::bigint as call_count,
    sum(m.error_count)::bigint as error_count,
    (sum(m.cache_hit_count) filter (where not m.is_settling))::bigint as hit_count,
    (sum(m.cache_miss_count) filter (where not m.is_settling))::bigint as miss_count,
    (sum(m.cache_hit_count) filter (where m.is_settling))::bigint as settling_hit_count,
    (sum(m.cache_miss_count) filter (where m.is_settling))::bigint as settling_miss_count,
    quantile_disc(m.latency_p50_ms, 0.5) as latency_p50_ms,
    quantile_disc(m.latency_p95_ms, 0.5) as latency_p95_ms,
from minute as m
group by m.component, m.function_path
order by m.component, m.function_path
