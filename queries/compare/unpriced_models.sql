-- Models whose tokens are known and whose price is not.
--
-- grain    one row per side and model
-- params   none
-- returns  side            VARCHAR  baseline or after
--          model           VARCHAR  NULL where nothing says which
--          workflow_count  BIGINT   completed traces that no cost can be estimated for
-- reads    compare_document
select
    d.side,
    d.billed_model as model,
    count(*) as workflow_count,
from compare_document as d
where d.total_tokens is not null and d.cost_usd is null
group by d.side, d.billed_model
order by d.side, workflow_count desc, d.billed_model
