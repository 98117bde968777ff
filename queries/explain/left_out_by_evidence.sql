-- What the filter `wide` leaves out, by the evidence for it: what any narrower filter leaves out is a part of this.
--
-- grain    one row per table, tier, rules, whether it is of a listed person or repository, measure and status
-- params   $window_ms  BIGINT  length of the window, > 0
--          $stuck_ms   BIGINT  age from which a document in flight is stuck, and length of the recent window, > 0
-- returns  table_name      VARCHAR
--          tier            VARCHAR    NULL for what is no artifact
--          rules           VARCHAR[]  rules that fired, strongest first; NULL for what is no artifact
--          is_internal     BOOLEAN    of a listed person or repository
--          measure         VARCHAR    any: of any age and table; else see health/counts
--          status          VARCHAR    as stored; NULL where it never had one, and of tables that health does not count
--          document_count  BIGINT     documents
-- reads    left_out, artifact, internal_document, variable at_ms
with flagged as (
    select
        l.table_name,
        a.tier,
        a.rules,
        i.id is not null as is_internal,
        l.status,
        coalesce(l.judged_at_ms >= getvariable('at_ms') - $window_ms, false) as is_in_window,
        coalesce(l.judged_at_ms >= getvariable('at_ms') - $stuck_ms, false) as is_recent,
        coalesce(l.since_ms < getvariable('at_ms') - $stuck_ms, false) as is_stuck,
        l.revision_no is not null and l.created_at_ms is null as is_redated,
        l.judged_at_ms is null as is_undated,
        count(*) as document_count,
    from left_out as l
    left join artifact as a on a.component = '' and a.table_name = l.table_name and a.id = l.id
    left join internal_document as i on i.component = '' and i.table_name = l.table_name and i.id = l.id
    group by
        l.table_name, a.tier, a.rules, is_internal, l.status, is_in_window, is_recent, is_stuck, is_redated, is_undated
),

measured as (
    select f.table_name, f.tier, f.rules, f.is_internal, k.measure, f.status, f.document_count
    from flagged as f
    cross join (values ('any'), ('window'), ('recent'), ('stuck'), ('redated'), ('undated')) as k (measure)
    where
        case k.measure
            when 'any' then true
            when 'window' then f.is_in_window
            when 'recent' then f.is_recent and f.table_name = 'workflowTraces'
            when 'stuck' then f.is_stuck
            when 'redated' then f.is_redated and f.is_in_window
            else f.is_redated and f.is_undated
        end
)

select
    m.table_name,
    m.tier,
    m.rules,
    m.is_internal,
    m.measure,
    m.status,
    sum(m.document_count)::bigint as document_count,
from measured as m
group by m.table_name, m.tier, m.rules, m.is_internal, m.measure, m.status
order by m.table_name, m.tier, m.rules, m.is_internal, m.measure, m.status
