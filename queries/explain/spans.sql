-- From when to when each message and trace counts in health, by what it counts as.
--
-- A document counts in the window from its creation until createdAt + window, both included; it counts as stuck from
-- the first millisecond after its limit, for ever. Clocks are whole milliseconds. Times that no clock can show, more
-- than 8.64e15 ms from the epoch, are moved to that end.
--
-- grain    one row per table, class and pair of times
-- params   $window_ms     BIGINT   length of the window, > 0
--          $stuck_ms      BIGINT   age from which a document in flight is stuck, > 0
--          $from_ms       BIGINT   spans that end before this clock are left out
--          $until_ms      BIGINT   spans that begin after this clock are left out, milliseconds since the epoch
-- returns  table_name      VARCHAR  chatMessages or workflowTraces
--          class           VARCHAR  completed, failed, streaming, in_progress, other (in the window), or stuck
--          from_ms         BIGINT   first clock at which they count
--          to_ms           BIGINT   first clock at which they no longer count; NULL for never
--          duration_ms     DOUBLE   totalDurationMs of completed traces; NULL otherwise
--          document_count  BIGINT   documents
-- reads    stg_messages, stg_traces
with counted as (
    select
        'chatMessages' as table_name,
        case m.status
            when 'complete' then 'completed'
            when 'failed' then 'failed'
            when 'streaming' then 'streaming'
            else 'other'
        end as class,
        m.creation_time_ms,
        m.judged_at_ms,
        case when m.status = 'streaming' then m.judged_at_ms end as pending_since_ms,
        null::double as duration_ms,
    from stg_messages as m
    where (m.judged_at_ms + $window_ms >= $from_ms and coalesce(m.creation_time_ms < $until_ms + 1, true)) or m.status = 'streaming'
    union all
    select
        'workflowTraces' as table_name,
        case t.status
            when 'COMPLETED' then 'completed'
            when 'FAILED' then 'failed'
            when 'STARTED' then 'in_progress'
            when 'IN_PROGRESS' then 'in_progress'
            else 'other'
        end as class,
        t.creation_time_ms,
        t.judged_at_ms,
        case when t.status = 'STARTED' then coalesce(t.started_at_ms, t.judged_at_ms) end as pending_since_ms,
        case when t.status = 'COMPLETED' then t.total_duration_ms end as duration_ms,
    from stg_traces as t
    where (t.judged_at_ms + $window_ms >= $from_ms and coalesce(t.creation_time_ms < $until_ms + 1, true)) or t.status = 'STARTED'
),

-- Doubles reach further than whole numbers do. Not least() and greatest(): they would make times of what has none.
bounded as (
    select
        c.table_name,
        c.class,
        floor(
            case when abs(c.creation_time_ms) <= 8.64e15 then c.creation_time_ms else sign(c.creation_time_ms) * 8.64e15 end
        )::bigint as exists_ms,
        case
            when abs(c.judged_at_ms) <= 8.64e15 then c.judged_at_ms
            else sign(c.judged_at_ms) * 8.64e15
        end as judged_at_ms,
        case
            when abs(c.pending_since_ms) <= 8.64e15 then c.pending_since_ms
            else sign(c.pending_since_ms) * 8.64e15
        end as pending_since_ms,
        c.duration_ms,
    from counted as c
),

spans as (
    select
        c.table_name,
        c.class,
        coalesce(c.exists_ms, floor(c.judged_at_ms)::bigint) as from_ms,
        floor(c.judged_at_ms + $window_ms)::bigint + 1 as to_ms,
        c.duration_ms,
    from bounded as c
    where c.judged_at_ms + $window_ms >= $from_ms
    union all
    select
        c.table_name,
        'stuck' as class,
        greatest(c.exists_ms, floor(c.pending_since_ms + $stuck_ms)::bigint + 1) as from_ms,
        null::bigint as to_ms,
        null::double as duration_ms,
    from bounded as c
    where c.pending_since_ms is not null
)

select
    s.table_name,
    s.class,
    s.from_ms,
    s.to_ms,
    s.duration_ms,
    count(*) as document_count,
from spans as s
where (s.to_ms is null or s.to_ms > s.from_ms) and s.from_ms <= $until_ms
group by s.table_name, s.class, s.from_ms, s.to_ms, s.duration_ms
order by s.table_name, s.class, s.from_ms, s.to_ms, s.duration_ms
