-- The values at some ranks of one measure in one window.
--
-- grain    one row per rank that exists
-- params   $side     VARCHAR   baseline or after
--          $measure  VARCHAR   duration_ms, total_tokens or cost_usd
--          $ranks    BIGINT[]  1 is the smallest value
-- returns  rank   BIGINT
--          value  DOUBLE  in the unit of the measure
-- reads    compare_document
with value as (
    select
        d.id,
        case $measure when 'duration_ms' then d.duration_ms when 'total_tokens' then d.total_tokens else d.cost_usd end as value,
    from compare_document as d
    where d.side = $side
),

ranked as (
    select
        row_number() over (order by v.value, v.id) as rank,
        v.value,
    from value as v
    where v.value is not null and not isnan(v.value)
)

select
    r.rank,
    r.value,
from ranked as r
where list_contains($ranks, r.rank)
order by r.rank
