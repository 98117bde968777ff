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
with flagged as (
    select
        l.table_name,
        l.status,
        coalesce(l.judged_at_ms >= getvariable('at_ms') - $window_ms, false) as is_in_window,
        coalesce(l.judged_at_ms >= getvariable('at_ms') - $stuck_ms, false) as is_recent,
        coalesce(l.since_ms < getvariable('at_ms') - $stuck_ms, false) as is_stuck,
        l.created_at_ms is null as is_redated,
        l.judged_at_ms is null as is_undated,
        count(*) as document_count,
    from left_out as l
    where l.revision_no is not null
    group by l.table_name, l.status, is_in_window, is_recent, is_stuck, is_redated, is_undated
),

measured as (
    select f.table_name, k.measure, f.status, f.document_count
    from flagged as f
    cross join (values ('window'), ('recent'), ('stuck'), ('redated'), ('undated')) as k (measure)
    where
        case k.measure
            when 'window' then f.is_in_window
            when 'recent' then f.is_recent and f.table_name = 'workflowTraces'
            when 'stuck' then f.is_stuck
            when 'redated' then f.is_redated and f.is_in_window
            else f.is_redated and f.is_undated
        end
)

select
    m.table_name,
    m.measure,
    m.status,
    sum(m.document_count)::bigint as document_count,
from measured as m
group by m.table_name, m.measure, m.status
order by m.table_name, m.measure, m.status
