-- The latencies at some ranks in one window.
--
-- grain    one row per rank that exists
-- params   $side   VARCHAR   baseline or after
--          $ranks  BIGINT[]  1 is the smallest value
-- returns  rank   BIGINT
--          value  DOUBLE  milliseconds
-- reads    function_latency
with ranked as (
    select
        row_number() over (order by l.latency_ms) as rank,
        l.latency_ms as value,
    from function_latency as l
    where l.side = $side
)

select
    r.rank,
    r.value,
from ranked as r
where list_contains($ranks, r.rank)
order by r.rank
