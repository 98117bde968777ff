-- How many latencies each window has.
--
-- grain    one row per side that has any
-- params   none
-- returns  side           VARCHAR  baseline or after
--          latency_count  BIGINT
-- reads    function_latency
select
    l.side,
    count(*) as latency_count,
from function_latency as l
group by l.side
order by l.side
