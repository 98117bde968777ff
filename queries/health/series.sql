-- What health counts at each tick of a series, as spans of ticks, from the revisions themselves and without a loop.
--
-- Tick i is the clock first_ms + i * step_ms. A document counts from its creation until createdAt + window, both
-- included, and as stuck from the first millisecond past its limit. A revision counts while it is in force: from the
-- snapshot that first saw it (the oldest known one: from the document's creation) to the one that saw it replaced.
-- Most documents have both times, are complete and were never replaced, and reading them must cost little: they are
-- counted without looking at anything else, only those that are not complete by status. The few others stand apart.
-- One that was replaced has been counted as if it were in force for ever, so that is taken back.
-- Dividing doubles is exact enough: times lie less than 2^41 ms apart, and there a quotient never rounds across an
-- integer.
--
-- grain    one row per table, measure, status and span
-- params   $first_ms   BIGINT  clock of tick 0, milliseconds since the epoch
--          $step_ms    BIGINT  from tick to tick, > 0
--          $ticks      BIGINT  number of ticks, > 0
--          $window_ms  BIGINT  length of the window, > 0
--          $stuck_ms   BIGINT  age from which a document in flight is stuck, and length of the recent window, > 0
-- returns  table_name      VARCHAR  chatMessages or workflowTraces
--          measure         VARCHAR  total: in the window; not_completed: of these, by status; stuck: at any age;
--                                   recent: traces in the recent window; recent_failed: of these, failed ones
--          status          VARCHAR  as stored, NULL where it never had one; NULL for total and recent
--          first_tick      BIGINT   0 .. ticks - 1
--          last_tick       BIGINT   first_tick .. ticks - 1
--          document_count  BIGINT   documents that count from first_tick to last_tick, both included
-- reads    revision_messages, revision_traces, revision_end, variables deployment_no, as_of_ns
with document as not materialized (
    select
        'chatMessages' as table_name,
        'complete' as completed_status,
        'streaming' as flight_status,
        m.revision_no,
        m.status,
        m.creation_time_ms,
        m.created_at_ms,
        null::double as started_at_ms,
    from revision_messages as m
    where
        m.deployment_no = getvariable('deployment_no')
        and m.revision_ns <= getvariable('as_of_ns')
        and not m.deleted
    union all
    select
        'workflowTraces' as table_name,
        'COMPLETED' as completed_status,
        'STARTED' as flight_status,
        t.revision_no,
        t.status,
        t.creation_time_ms,
        t.created_at_ms,
        t.started_at_ms,
    from revision_traces as t
    where
        t.deployment_no = getvariable('deployment_no')
        and t.revision_ns <= getvariable('as_of_ns')
        and not t.deleted
),

ended as (
    select
        e.revision_no,
        null::double as from_ms,
        (e.valid_to_ns // 1000000 - 1)::double as until_ms,
    from revision_end as e
    where e.valid_to_ns <= getvariable('as_of_ns')
    union all
    select
        e.next_revision_no as revision_no,
        (e.valid_to_ns // 1000000)::double as from_ms,
        null::double as until_ms,
    from revision_end as e
),

bounded as (
    select
        b.revision_no,
        max(b.from_ms) as from_ms,
        min(b.until_ms) as until_ms,
    from ended as b
    group by b.revision_no
),

message_total as (
    select
        floor((m.creation_time_ms - ($first_ms + 1)) / $step_ms) as before_tick,
        floor((m.created_at_ms - ($first_ms - $window_ms)) / $step_ms) as window_tick,
        count(*) as document_count,
    from revision_messages as m
    where
        m.deployment_no = getvariable('deployment_no')
        and m.revision_ns <= getvariable('as_of_ns')
        and not m.deleted
        and m.created_at_ms >= $first_ms - $window_ms
        and m.creation_time_ms < $first_ms + $ticks::bigint * $step_ms
    group by before_tick, window_tick
),

trace_total as materialized (
    select
        floor((t.creation_time_ms - ($first_ms + 1)) / $step_ms) as before_tick,
        floor((t.created_at_ms - ($first_ms - $window_ms)) / $step_ms) as window_tick,
        floor((t.created_at_ms - ($first_ms - $stuck_ms)) / $step_ms) as recent_tick,
        count(*) as document_count,
    from revision_traces as t
    where
        t.deployment_no = getvariable('deployment_no')
        and t.revision_ns <= getvariable('as_of_ns')
        and not t.deleted
        and t.created_at_ms >= $first_ms - greatest($window_ms, $stuck_ms)
        and t.creation_time_ms < $first_ms + $ticks::bigint * $step_ms
    group by before_tick, window_tick, recent_tick
),

open_total as materialized (
    select
        d.table_name,
        d.status,
        floor((d.creation_time_ms - ($first_ms + 1)) / $step_ms) as before_tick,
        floor((d.created_at_ms - ($first_ms - $window_ms)) / $step_ms) as window_tick,
        floor((d.created_at_ms - ($first_ms - $stuck_ms)) / $step_ms) as recent_tick,
        count(*) as document_count,
    from document as d
    where
        d.status is distinct from d.completed_status
        and d.created_at_ms >= $first_ms - greatest($window_ms, $stuck_ms)
        and d.creation_time_ms < $first_ms + $ticks::bigint * $step_ms
    group by d.table_name, d.status, before_tick, window_tick, recent_tick
),

apart as materialized (
    select
        d.table_name,
        d.completed_status,
        d.flight_status,
        d.status,
        d.creation_time_ms as from_ms,
        coalesce(d.created_at_ms, d.creation_time_ms) as judged_at_ms,
        d.started_at_ms,
        null::double as until_ms,
        1 as document_count,
    from document as d
    where d.created_at_ms is null
    union all
    select
        d.table_name,
        d.completed_status,
        d.flight_status,
        d.status,
        d.creation_time_ms as from_ms,
        d.created_at_ms as judged_at_ms,
        d.started_at_ms,
        null::double as until_ms,
        1 as document_count,
    from document as d
    where d.creation_time_ms is null and d.created_at_ms is not null
    union all
    select
        d.table_name,
        d.completed_status,
        d.flight_status,
        d.status,
        d.creation_time_ms as from_ms,
        coalesce(d.created_at_ms, d.creation_time_ms) as judged_at_ms,
        d.started_at_ms,
        null::double as until_ms,
        -1 as document_count,
    from document as d
    where d.revision_no in (select b.revision_no from bounded as b)
    union all
    select
        d.table_name,
        d.completed_status,
        d.flight_status,
        d.status,
        greatest(d.creation_time_ms, b.from_ms) as from_ms,
        coalesce(d.created_at_ms, d.creation_time_ms) as judged_at_ms,
        d.started_at_ms,
        b.until_ms,
        1 as document_count,
    from document as d
    join bounded as b on b.revision_no = d.revision_no
),

span as (
    select
        'chatMessages' as table_name,
        'total' as measure,
        null::varchar as status,
        d.before_tick,
        d.window_tick as end_tick,
        d.document_count,
    from message_total as d
    union all
    select
        'workflowTraces' as table_name,
        k.measure,
        null::varchar as status,
        d.before_tick,
        case k.measure when 'total' then d.window_tick else d.recent_tick end as end_tick,
        d.document_count,
    from trace_total as d
    cross join (values ('total'), ('recent')) as k (measure)
    union all
    select
        d.table_name,
        k.measure,
        d.status,
        d.before_tick,
        case k.measure when 'not_completed' then d.window_tick else d.recent_tick end as end_tick,
        d.document_count,
    from open_total as d
    cross join (values ('not_completed'), ('recent_failed')) as k (measure)
    where k.measure = 'not_completed' or (d.table_name = 'workflowTraces' and d.status = 'FAILED')
    union all
    select
        d.table_name,
        'stuck' as measure,
        d.status,
        floor(
            (
                greatest(d.creation_time_ms, floor(coalesce(d.started_at_ms, d.created_at_ms) + $stuck_ms) + 1)
                - ($first_ms + 1)
            ) / $step_ms
        ) as before_tick,
        $ticks - 1 as end_tick,
        1 as document_count,
    from document as d
    where d.status = d.flight_status and d.created_at_ms is not null and d.creation_time_ms is not null
    union all
    select
        d.table_name,
        k.measure,
        case when k.measure in ('not_completed', 'stuck', 'recent_failed') then d.status end as status,
        floor(
            (
                case
                    when k.measure = 'stuck'
                        then greatest(d.from_ms, floor(coalesce(d.started_at_ms, d.judged_at_ms) + $stuck_ms) + 1)
                    else d.from_ms
                end
                - ($first_ms + 1)
            ) / $step_ms
        ) as before_tick,
        case
            when k.measure = 'stuck' then coalesce(floor((d.until_ms - $first_ms) / $step_ms), $ticks - 1)
            else
                floor(
                    (least(d.judged_at_ms + case when k.is_window then $window_ms else $stuck_ms end, d.until_ms) - $first_ms)
                    / $step_ms
                )
        end as end_tick,
        d.document_count,
    from apart as d
    cross join
        (values ('total', true), ('not_completed', true), ('stuck', true), ('recent', false), ('recent_failed', false))
            as k (measure, is_window)
    where
        coalesce(d.judged_at_ms, d.started_at_ms) is not null
        and case k.measure
            when 'total' then d.judged_at_ms is not null
            when 'not_completed' then d.judged_at_ms is not null and d.status is distinct from d.completed_status
            when 'stuck' then d.status = d.flight_status
            when 'recent' then d.judged_at_ms is not null and d.table_name = 'workflowTraces'
            else d.judged_at_ms is not null and d.table_name = 'workflowTraces' and d.status = 'FAILED'
        end
),

clamped as (
    select
        s.table_name,
        s.measure,
        s.status,
        least(greatest(s.before_tick + 1, 0), $ticks)::bigint as first_tick,
        greatest(least(s.end_tick, $ticks - 1), -1)::bigint as last_tick,
        s.document_count,
    from span as s
),

summed as (
    select
        c.table_name,
        c.measure,
        c.status,
        c.first_tick,
        c.last_tick,
        sum(c.document_count)::bigint as document_count,
    from clamped as c
    where c.first_tick <= c.last_tick
    group by c.table_name, c.measure, c.status, c.first_tick, c.last_tick
)

select s.table_name, s.measure, s.status, s.first_tick, s.last_tick, s.document_count
from summed as s
where s.document_count > 0
order by s.table_name, s.measure, s.status, s.first_tick, s.last_tick
