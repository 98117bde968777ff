-- How late scheduled jobs ran.
--
-- grain    one row
-- params   $from_ms   BIGINT  start of the window, a whole minute
--          $until_ms  BIGINT  its end, not included
-- returns  known_minutes  BIGINT
--          lag_p50_ms     DOUBLE  median of the minutes; NULL where none is known
--          lag_max_ms     DOUBLE
-- reads    scheduler_minute, variable deployment_no
select
    count(m.lag_ms) as known_minutes,
    quantile_disc(m.lag_ms, 0.5) as lag_p50_ms,
    max(m.lag_ms) as lag_max_ms,
from scheduler_minute as m
where m.deployment_no = getvariable('deployment_no') and m.minute_ms >= $from_ms and m.minute_ms < $until_ms
order by known_minutes
