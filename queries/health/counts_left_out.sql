-- The documents that the filter leaves out of health, by what they would count as and by status.
--
-- grain    one row per table, measure and status
-- params   $window_ms  BIGINT  length of the window, > 0
--          $stuck_ms   BIGINT  age from which a document in flight is stuck, and length of the recent window, > 0
-- returns  table_name      VARCHAR  chatMessages or workflowTraces
--          measure         VARCHAR  see health/counts
--          status          VARCHAR  as stored; NULL where it never had one
--          document_count  BIGINT   documents
-- reads    left_out, variable at_ms
with measured as (
    select l.table_name, 'window' as measure, l.status
    from left_out as l
    where l.judged_at_ms >= getvariable('at_ms') - $window_ms
    union all
    select l.table_name, 'recent' as measure, l.status
    from left_out as l
    where l.table_name = 'workflowTraces' and l.judged_at_ms >= getvariable('at_ms') - $stuck_ms
    union all
    select l.table_name, 'stuck' as measure, l.status
    from left_out as l
    where l.since_ms < getvariable('at_ms') - $stuck_ms
    union all
    select l.table_name, 'redated' as measure, l.status
    from left_out as l
    where l.created_at_ms is null and l.judged_at_ms >= getvariable('at_ms') - $window_ms
    union all
    select l.table_name, 'undated' as measure, l.status
    from left_out as l
    where l.created_at_ms is null and l.judged_at_ms is null and l.revision_no is not null
)

select
    m.table_name,
    m.measure,
    m.status,
    count(*) as document_count,
from measured as m
group by m.table_name, m.measure, m.status
order by m.table_name, m.measure, m.status
