-- How many numbers each measure has in each window.
--
-- grain    one row per side
-- params   none
-- returns  side            VARCHAR  baseline or after
--          duration_count  BIGINT   completed traces with a duration
--          token_count     BIGINT   completed traces whose message says how many tokens it took
--          cost_count      BIGINT   of these, those whose model has a price
-- reads    compare_document
select
    d.side,
    count(*) filter (where d.duration_ms is not null and not isnan(d.duration_ms)) as duration_count,
    count(*) filter (where d.total_tokens is not null and not isnan(d.total_tokens)) as token_count,
    count(*) filter (where d.cost_usd is not null and not isnan(d.cost_usd)) as cost_count,
from compare_document as d
group by d.side
order by d.side
