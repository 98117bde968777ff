-- What health counts at each tick of a series, as spans of ticks, from the revisions themselves and without a loop.
--
-- Tick i is the clock first_ms + i * step_ms. A document counts from its creation until createdAt + window, both
-- included, and as stuck from the first millisecond past its limit. A revision counts while it is in force: from the
-- snapshot that first saw it (the oldest known one: from the document's creation) to the one that saw it replaced.
-- Most documents are complete, so only the others are grouped by status. Dividing doubles is exact enough: times lie
-- less than 2^41 ms apart, and there a quotient never rounds across an integer.
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
--          first_tick      BIGINT   0 .. ticks
--          last_tick       BIGINT   -1 .. ticks - 1; before first_tick where they count at no tick
--          document_count  BIGINT   documents that count from first_tick to last_tick, both included
-- reads    revision_messages, revision_traces, revision_end, variables deployment_no, as_of_ns
with ended as (
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

message as not materialized (
    select
        m.status,
        m.creation_time_ms as from_ms,
        coalesce(m.created_at_ms, m.creation_time_ms) + $window_ms as window_end_ms,
        case when m.status = 'streaming' then coalesce(m.created_at_ms, m.creation_time_ms) end as since_ms,
        null::double as until_ms,
    from revision_messages as m
    anti join bounded as b on b.revision_no = m.revision_no
    where
        m.deployment_no = getvariable('deployment_no')
        and m.revision_ns <= getvariable('as_of_ns')
        and not m.deleted
    union all
    select
        m.status,
        greatest(m.creation_time_ms, b.from_ms) as from_ms,
        least(coalesce(m.created_at_ms, m.creation_time_ms) + $window_ms, b.until_ms) as window_end_ms,
        case when m.status = 'streaming' then coalesce(m.created_at_ms, m.creation_time_ms) end as since_ms,
        b.until_ms,
    from revision_messages as m
    join bounded as b on b.revision_no = m.revision_no
    where
        m.deployment_no = getvariable('deployment_no')
        and m.revision_ns <= getvariable('as_of_ns')
        and not m.deleted
),

trace as not materialized (
    select
        t.status,
        t.creation_time_ms as from_ms,
        coalesce(t.created_at_ms, t.creation_time_ms) + $window_ms as window_end_ms,
        coalesce(t.created_at_ms, t.creation_time_ms) + $stuck_ms as recent_end_ms,
        case when t.status = 'STARTED' then coalesce(t.started_at_ms, t.created_at_ms, t.creation_time_ms) end as since_ms,
        null::double as until_ms,
    from revision_traces as t
    anti join bounded as b on b.revision_no = t.revision_no
    where
        t.deployment_no = getvariable('deployment_no')
        and t.revision_ns <= getvariable('as_of_ns')
        and not t.deleted
    union all
    select
        t.status,
        greatest(t.creation_time_ms, b.from_ms) as from_ms,
        least(coalesce(t.created_at_ms, t.creation_time_ms) + $window_ms, b.until_ms) as window_end_ms,
        least(coalesce(t.created_at_ms, t.creation_time_ms) + $stuck_ms, b.until_ms) as recent_end_ms,
        case when t.status = 'STARTED' then coalesce(t.started_at_ms, t.created_at_ms, t.creation_time_ms) end as since_ms,
        b.until_ms,
    from revision_traces as t
    join bounded as b on b.revision_no = t.revision_no
    where
        t.deployment_no = getvariable('deployment_no')
        and t.revision_ns <= getvariable('as_of_ns')
        and not t.deleted
),

message_total as materialized (
    select
        floor((d.from_ms - ($first_ms + 1)) / $step_ms) as before_tick,
        floor((d.window_end_ms - $first_ms) / $step_ms) as window_tick,
        count(*) as document_count,
    from message as d
    where
        d.window_end_ms >= $first_ms
        and (d.from_ms is null or d.from_ms < $first_ms + $ticks::bigint * $step_ms)
    group by before_tick, window_tick
),

message_open as materialized (
    select
        d.status,
        floor((d.from_ms - ($first_ms + 1)) / $step_ms) as before_tick,
        floor((d.window_end_ms - $first_ms) / $step_ms) as window_tick,
        case
            when d.since_ms is not null
                then floor((greatest(d.from_ms, floor(d.since_ms + $stuck_ms) + 1) - ($first_ms + 1)) / $step_ms)
        end as before_stuck_tick,
        coalesce(floor((d.until_ms - $first_ms) / $step_ms), $ticks - 1) as until_tick,
        count(*) as document_count,
    from message as d
    where
        d.status is distinct from 'complete'
        and (d.window_end_ms >= $first_ms or d.since_ms is not null)
        and (d.from_ms is null or d.from_ms < $first_ms + $ticks::bigint * $step_ms)
    group by d.status, before_tick, window_tick, before_stuck_tick, until_tick
),

trace_total as materialized (
    select
        floor((d.from_ms - ($first_ms + 1)) / $step_ms) as before_tick,
        floor((d.window_end_ms - $first_ms) / $step_ms) as window_tick,
        floor((d.recent_end_ms - $first_ms) / $step_ms) as recent_tick,
        count(*) as document_count,
    from trace as d
    where
        d.window_end_ms >= $first_ms
        and (d.from_ms is null or d.from_ms < $first_ms + $ticks::bigint * $step_ms)
    group by before_tick, window_tick, recent_tick
),

trace_open as materialized (
    select
        d.status,
        floor((d.from_ms - ($first_ms + 1)) / $step_ms) as before_tick,
        floor((d.window_end_ms - $first_ms) / $step_ms) as window_tick,
        floor((d.recent_end_ms - $first_ms) / $step_ms) as recent_tick,
        case
            when d.since_ms is not null
                then floor((greatest(d.from_ms, floor(d.since_ms + $stuck_ms) + 1) - ($first_ms + 1)) / $step_ms)
        end as before_stuck_tick,
        coalesce(floor((d.until_ms - $first_ms) / $step_ms), $ticks - 1) as until_tick,
        count(*) as document_count,
    from trace as d
    where
        d.status is distinct from 'COMPLETED'
        and (d.window_end_ms >= $first_ms or d.since_ms is not null)
        and (d.from_ms is null or d.from_ms < $first_ms + $ticks::bigint * $step_ms)
    group by d.status, before_tick, window_tick, recent_tick, before_stuck_tick, until_tick
),

span as (
    select
        'chatMessages' as table_name,
        'total' as measure,
        null::varchar as status,
        d.before_tick as before_tick,
        d.window_tick as end_tick,
        d.document_count,
    from message_total as d
    union all
    select
        'chatMessages' as table_name,
        'not_completed' as measure,
        d.status as status,
        d.before_tick as before_tick,
        d.window_tick as end_tick,
        d.document_count,
    from message_open as d
    union all
    select
        'chatMessages' as table_name,
        'stuck' as measure,
        d.status as status,
        d.before_stuck_tick as before_tick,
        d.until_tick as end_tick,
        d.document_count,
    from message_open as d
    where d.before_stuck_tick is not null
    union all
    select
        'workflowTraces' as table_name,
        'total' as measure,
        null::varchar as status,
        d.before_tick as before_tick,
        d.window_tick as end_tick,
        d.document_count,
    from trace_total as d
    union all
    select
        'workflowTraces' as table_name,
        'not_completed' as measure,
        d.status as status,
        d.before_tick as before_tick,
        d.window_tick as end_tick,
        d.document_count,
    from trace_open as d
    union all
    select
        'workflowTraces' as table_name,
        'stuck' as measure,
        d.status as status,
        d.before_stuck_tick as before_tick,
        d.until_tick as end_tick,
        d.document_count,
    from trace_open as d
    where d.before_stuck_tick is not null
    union all
    select
        'workflowTraces' as table_name,
        'recent' as measure,
        null::varchar as status,
        d.before_tick as before_tick,
        d.recent_tick as end_tick,
        d.document_count,
    from trace_total as d
    union all
    select
        'workflowTraces' as table_name,
        'recent_failed' as measure,
        d.status as status,
        d.before_tick as before_tick,
        d.recent_tick as end_tick,
        d.document_count,
    from trace_open as d
    where d.status = 'FAILED'
)

select
    s.table_name,
    s.measure,
    s.status,
    least(greatest(s.before_tick + 1, 0), $ticks)::bigint as first_tick,
    greatest(least(s.end_tick, $ticks - 1), -1)::bigint as last_tick,
    sum(s.document_count)::bigint as document_count,
from span as s
group by s.table_name, s.measure, s.status, first_tick, last_tick
order by s.table_name, s.measure, s.status, first_tick, last_tick
