-- How many documents begin and cease to count in health, in blocks of time back from the clock.
--
-- What counts, and from when to when, is as in explain/spans.
--
-- grain    one row per table, class and block
-- params   $window_ms  BIGINT  length of the window, > 0
--          $stuck_ms   BIGINT  age from which a document in flight is stuck, > 0
--          $from_ms    BIGINT  spans that end before this clock are left out
--          $block_ms   BIGINT  length of a block, > 0
-- returns  table_name  VARCHAR  chatMessages or workflowTraces
--          class       VARCHAR  see explain/spans
--          block       BIGINT   0 for the last block_ms up to the clock, 1 for those before them, and so on
--          begun       BIGINT   documents whose first clock lies in the block
--          ceased      BIGINT   documents that no longer count from a clock in the block on
--          oldest_ms   BIGINT   earliest such clock in the block
-- reads    stg_messages, stg_traces, variable at_ms
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
    where m.judged_at_ms + $window_ms >= $from_ms or m.status = 'streaming'
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
    where t.judged_at_ms + $window_ms >= $from_ms or t.status = 'STARTED'
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
),

moves as (
    select s.table_name, s.class, s.from_ms as moment_ms, true as is_begin
    from spans as s
    where s.from_ms <= getvariable('at_ms') and (s.to_ms is null or s.to_ms > s.from_ms)
    union all
    select s.table_name, s.class, s.to_ms as moment_ms, false as is_begin
    from spans as s
    where s.to_ms <= getvariable('at_ms') and s.to_ms > s.from_ms
)

select
    m.table_name,
    m.class,
    (getvariable('at_ms') - m.moment_ms) // $block_ms as block,
    count(*) filter (where m.is_begin) as begun,
    count(*) filter (where not m.is_begin) as ceased,
    min(m.moment_ms) as oldest_ms,
from moves as m
group by m.table_name, m.class, block
order by m.table_name, m.class, block
