-- How the documents of each window ended.
--
-- grain    one row per side and table that has documents
-- params   none
-- returns  side             VARCHAR  baseline or after
--          table_name       VARCHAR  chatMessages or workflowTraces
--          settled_count    BIGINT   with a status, and not running
--          running_count    BIGINT   in flight and young
--          unknown_count    BIGINT   without any status
--          failed_count     BIGINT   of the settled
--          completed_count  BIGINT   of the settled
--          stuck_count      BIGINT   in flight for too long, of the settled and the running
--          counted_count    BIGINT   settled documents whose retries were counted
--          retried_count    BIGINT   of these, retried at least once
-- reads    compare_document
select
    d.side,
    d.table_name,
    count(*) filter (where d.is_known and not d.is_running) as settled_count,
    count(*) filter (where d.is_running) as running_count,
    count(*) filter (where not d.is_known) as unknown_count,
    count(*) filter (where d.is_failed) as failed_count,
    count(*) filter (where d.is_completed) as completed_count,
    count(*) filter (where d.is_stuck) as stuck_count,
    count(*) filter (where d.retry_count is not null and d.is_known and not d.is_running) as counted_count,
    count(*) filter (where d.retry_count > 0 and d.is_known and not d.is_running) as retried_count,
from compare_document as d
group by d.side, d.table_name
order by d.side, d.table_name
