-- Messages and traces that health looks at, by what they count as and by status.
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
with counted as (
    select 'chatMessages' as table_name, 'window' as measure, m.status, count(*) as document_count
    from stg_messages as m
    where m.judged_at_ms >= getvariable('at_ms') - $window_ms
    group by m.status
    union all
    select 'chatMessages' as table_name, 'stuck' as measure, m.status, count(*) as document_count
    from stg_messages as m
    where m.status = 'streaming' and m.judged_at_ms < getvariable('at_ms') - $stuck_ms
    group by m.status
    union all
    select 'chatMessages' as table_name, 'redated' as measure, m.status, count(*) as document_count
    from stg_messages as m
    where m.created_at_ms is null and m.judged_at_ms >= getvariable('at_ms') - $window_ms
    group by m.status
    union all
    select 'chatMessages' as table_name, 'undated' as measure, m.status, count(*) as document_count
    from stg_messages as m
    where m.created_at_ms is null and m.judged_at_ms is null
    group by m.status
    union all
    select 'workflowTraces' as table_name, 'window' as measure, t.status, count(*) as document_count
    from stg_traces as t
    where t.judged_at_ms >= getvariable('at_ms') - $window_ms
    group by t.status
    union all
    select 'workflowTraces' as table_name, 'recent' as measure, t.status, count(*) as document_count
    from stg_traces as t
    where t.judged_at_ms >= getvariable('at_ms') - $stuck_ms
    group by t.status
    union all
    select 'workflowTraces' as table_name, 'stuck' as measure, t.status, count(*) as document_count
    from stg_traces as t
    where t.status = 'STARTED' and coalesce(t.started_at_ms, t.judged_at_ms) < getvariable('at_ms') - $stuck_ms
    group by t.status
    union all
    select 'workflowTraces' as table_name, 'redated' as measure, t.status, count(*) as document_count
    from stg_traces as t
    where t.created_at_ms is null and t.judged_at_ms >= getvariable('at_ms') - $window_ms
    group by t.status
    union all
    select 'workflowTraces' as table_name, 'undated' as measure, t.status, count(*) as document_count
    from stg_traces as t
    where t.created_at_ms is null and t.judged_at_ms is null
    group by t.status
)

select
    c.table_name,
    c.measure,
    c.status,
    c.document_count,
from counted as c
order by c.table_name, c.measure, c.status
