-- Messages and traces that health looks at, by what they count as and by status.
--
-- A window is asked for by createdAt itself where a document has one, so that a scan can skip what lies outside.
--
-- grain    one row per table, measure and status
-- params   $window_ms  BIGINT  length of the window, > 0
--          $stuck_ms   BIGINT  age from which a document in flight is stuck, and length of the recent window, > 0
-- returns  table_name      VARCHAR  chatMessages or workflowTraces
--          measure         VARCHAR  window: in the window; recent: traces in the recent window; stuck: at any age;
--                                   redated: in the window by creation time, because createdAt is missing or no
--                                   number; undated: has neither time and is in no window
--          status          VARCHAR  as stored; NULL where it never had one
--          document_count  BIGINT   documents
-- reads    stg_messages, stg_traces, variable at_ms
with message as (
    select 'window' as measure, m.status, count(*) as document_count
    from stg_messages as m
    where m.created_at_ms >= getvariable('at_ms') - $window_ms
    group by m.status
    union all
    select 'redated' as measure, m.status, count(*) as document_count
    from stg_messages as m
    where m.created_at_ms is null and m.creation_time_ms >= getvariable('at_ms') - $window_ms
    group by m.status
    union all
    select 'stuck' as measure, m.status, count(*) as document_count
    from stg_messages as m
    where m.status = 'streaming' and m.judged_at_ms < getvariable('at_ms') - $stuck_ms
    group by m.status
    union all
    select 'undated' as measure, m.status, count(*) as document_count
    from stg_messages as m
    where m.created_at_ms is null and m.creation_time_ms is null
    group by m.status
),

trace as (
    select 'window' as measure, t.status, count(*) as document_count
    from stg_traces as t
    where t.created_at_ms >= getvariable('at_ms') - $window_ms
    group by t.status
    union all
    select 'redated' as measure, t.status, count(*) as document_count
    from stg_traces as t
    where t.created_at_ms is null and t.creation_time_ms >= getvariable('at_ms') - $window_ms
    group by t.status
    union all
    select 'recent' as measure, t.status, count(*) as document_count
    from stg_traces as t
    where t.created_at_ms >= getvariable('at_ms') - $stuck_ms
    group by t.status
    union all
    select 'recent' as measure, t.status, count(*) as document_count
    from stg_traces as t
    where t.created_at_ms is null and t.creation_time_ms >= getvariable('at_ms') - $stuck_ms
    group by t.status
    union all
    select 'stuck' as measure, t.status, count(*) as document_count
    from stg_traces as t
    where t.status = 'STARTED' and coalesce(t.started_at_ms, t.judged_at_ms) < getvariable('at_ms') - $stuck_ms
    group by t.status
    union all
    select 'undated' as measure, t.status, count(*) as document_count
    from stg_traces as t
    where t.created_at_ms is null and t.creation_time_ms is null
    group by t.status
),

counted as (
    select 'chatMessages' as table_name, m.measure, m.status, m.document_count
    from message as m
    union all
    select 'chatMessages' as table_name, 'window' as measure, m.status, m.document_count
    from message as m
    where m.measure = 'redated'
    union all
    select 'workflowTraces' as table_name, t.measure, t.status, t.document_count
    from trace as t
    union all
    select 'workflowTraces' as table_name, 'window' as measure, t.status, t.document_count
    from trace as t
    where t.measure = 'redated'
)

select
    c.table_name,
    c.measure,
    c.status,
    sum(c.document_count)::bigint as document_count,
from counted as c
group by c.table_name, c.measure, c.status
order by c.table_name, c.measure, c.status
