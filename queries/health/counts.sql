-- Messages and traces that health looks at, by what they count as and by status.
--
-- A window is asked for by createdAt itself where a document has one, so that a scan can skip what lies outside.
-- Most messages are complete, so all are counted as such without a look at their status, and those that are not are
-- taken back.
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
with open_message as (
    select m.status, count(*) as document_count
    from stg_messages as m
    where m.status is distinct from 'complete' and m.created_at_ms >= getvariable('at_ms') - $window_ms
    group by m.status
),

counted as (
    select 'chatMessages' as table_name, 'window' as measure, 'complete' as status, count(*) as document_count
    from stg_messages as m
    where m.created_at_ms >= getvariable('at_ms') - $window_ms
    union all
    select
        'chatMessages' as table_name,
        'window' as measure,
        case when k.is_own then o.status else 'complete' end as status,
        case when k.is_own then o.document_count else -o.document_count end as document_count,
    from open_message as o
    cross join (values (true), (false)) as k (is_own)
    union all
    select 'chatMessages' as table_name, 'stuck' as measure, m.status, count(*) as document_count
    from stg_messages as m
    where m.status = 'streaming' and m.judged_at_ms < getvariable('at_ms') - $stuck_ms
    group by m.status
    union all
    select 'chatMessages' as table_name, k.measure, m.status, count(*) as document_count
    from stg_messages as m
    cross join (values ('window'), ('redated'), ('undated')) as k (measure)
    where
        m.created_at_ms is null
        and case k.measure
            when 'undated' then m.creation_time_ms is null
            else m.creation_time_ms >= getvariable('at_ms') - $window_ms
        end
    group by k.measure, m.status
    union all
    select 'workflowTraces' as table_name, 'window' as measure, t.status, count(*) as document_count
    from stg_traces as t
    where t.created_at_ms >= getvariable('at_ms') - $window_ms
    group by t.status
    union all
    select 'workflowTraces' as table_name, 'recent' as measure, t.status, count(*) as document_count
    from stg_traces as t
    where t.created_at_ms >= getvariable('at_ms') - $stuck_ms
    group by t.status
    union all
    select 'workflowTraces' as table_name, 'stuck' as measure, t.status, count(*) as document_count
    from stg_traces as t
    where t.status = 'STARTED' and coalesce(t.started_at_ms, t.judged_at_ms) < getvariable('at_ms') - $stuck_ms
    group by t.status
    union all
    select 'workflowTraces' as table_name, k.measure, t.status, count(*) as document_count
    from stg_traces as t
    cross join (values ('window'), ('recent'), ('redated'), ('undated')) as k (measure)
    where
        t.created_at_ms is null
        and case k.measure
            when 'undated' then t.creation_time_ms is null
            when 'recent' then t.creation_time_ms >= getvariable('at_ms') - $stuck_ms
            else t.creation_time_ms >= getvariable('at_ms') - $window_ms
        end
    group by k.measure, t.status
),

summed as (
    select
        c.table_name,
        c.measure,
        c.status,
        sum(c.document_count)::bigint as document_count,
    from counted as c
    group by c.table_name, c.measure, c.status
)

select s.table_name, s.measure, s.status, s.document_count
from summed as s
where s.document_count > 0
order by s.table_name, s.measure, s.status
