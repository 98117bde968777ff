-- Tasks of each window: whether everything in them completed, and how far their documents move together.
--
-- grain    one row per side
-- params   none
-- returns  side              VARCHAR  baseline or after
--          settled_count     BIGINT   tasks with at least one settled document and nothing running
--          running_count     BIGINT   tasks with something running and nothing incomplete
--          incomplete_count  BIGINT   tasks in which a settled document did not complete; all of them settled
--          document_count    BIGINT   settled documents of these tasks
--          bad_count         BIGINT   settled documents that did not complete
--          sum_n2            DOUBLE   sum over tasks of squared settled documents
--          sum_nk            DOUBLE   sum over tasks of settled documents times bad ones
--          sum_k2            DOUBLE   sum over tasks of squared bad documents
-- reads    compare_document
with task as (
    select
        d.side,
        d.task_id,
        count(*) filter (where d.is_known and not d.is_running) as n,
        count(*) filter (where d.is_known and not d.is_running and not d.is_completed) as k,
        count(*) filter (where d.is_running) as running,
    from compare_document as d
    where d.task_id is not null
    group by d.side, d.task_id
)

select
    t.side,
    count(*) filter (where t.n > 0 and (t.running = 0 or t.k > 0)) as settled_count,
    count(*) filter (where t.running > 0 and t.k = 0) as running_count,
    count(*) filter (where t.k > 0) as incomplete_count,
    sum(t.n)::bigint as document_count,
    sum(t.k)::bigint as bad_count,
    sum(t.n::double * t.n) as sum_n2,
    sum(t.n::double * t.k) as sum_nk,
    sum(t.k::double * t.k) as sum_k2,
from task as t
group by t.side
order by t.side
