-- How many documents begin and cease to count in health, in blocks of time back from the clock.
--
-- What counts, and from when to when, is as in explain/spans. Most documents have both times, from this century: they
-- are summed up by the two blocks in which they begin and cease. The few others are looked at one by one.
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
with document as not materialized (
    select
        'chatMessages' as table_name,
        case m.status
            when 'complete' then 'completed'
            when 'failed' then 'failed'
            when 'streaming' then 'streaming'
            else 'other'
        end as class,
        m.creation_time_ms,
        m.created_at_ms,
        m.judged_at_ms,
        m.status = 'streaming' as is_pending,
        m.judged_at_ms as pending_since_ms,
    from stg_messages as m
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
        t.created_at_ms,
        t.judged_at_ms,
        t.status = 'STARTED' as is_pending,
        coalesce(t.started_at_ms, t.judged_at_ms) as pending_since_ms,
    from stg_traces as t
),

usual as (
    select
        d.table_name,
        d.class,
        floor((getvariable('at_ms') - floor(d.creation_time_ms)) / $block_ms) as begin_block,
        floor((getvariable('at_ms') - (floor(d.created_at_ms + $window_ms) + 1)) / $block_ms) as cease_block,
        min(floor(d.creation_time_ms))::bigint as begin_ms,
        min(floor(d.created_at_ms + $window_ms) + 1)::bigint as cease_ms,
        count(*) as document_count,
    from document as d
    where
        d.created_at_ms >= $from_ms - $window_ms
        and d.created_at_ms >= 0
        and d.created_at_ms <= 4.1e12
        and d.creation_time_ms >= 0
        and d.creation_time_ms <= 4.1e12
        and floor(d.created_at_ms + $window_ms) + 1 > floor(d.creation_time_ms)
    group by d.table_name, d.class, begin_block, cease_block
),

apart as (
    select d.table_name, d.class, d.creation_time_ms, d.judged_at_ms as begins_ms, false as is_stuck
    from document as d
    where d.created_at_ms is null and d.judged_at_ms >= $from_ms - $window_ms
    union all
    select d.table_name, d.class, d.creation_time_ms, d.judged_at_ms as begins_ms, false as is_stuck
    from document as d
    where
        d.created_at_ms >= $from_ms - $window_ms
        and (
            d.created_at_ms < 0
            or d.created_at_ms > 4.1e12
            or d.creation_time_ms < 0
            or d.creation_time_ms > 4.1e12
            or d.creation_time_ms is null
        )
    union all
    select d.table_name, 'stuck' as class, d.creation_time_ms, d.pending_since_ms as begins_ms, true as is_stuck
    from document as d
    where d.is_pending and d.pending_since_ms is not null
),

-- Doubles reach further than whole numbers do. Not least() and greatest(): they would make times of what has none.
bounded as (
    select
        a.table_name,
        a.class,
        floor(
            case when abs(a.creation_time_ms) <= 8.64e15 then a.creation_time_ms else sign(a.creation_time_ms) * 8.64e15 end
        )::bigint as exists_ms,
        case when abs(a.begins_ms) <= 8.64e15 then a.begins_ms else sign(a.begins_ms) * 8.64e15 end as begins_ms,
        a.is_stuck,
    from apart as a
),

spans as (
    select
        b.table_name,
        b.class,
        case
            when b.is_stuck then greatest(b.exists_ms, floor(b.begins_ms + $stuck_ms)::bigint + 1)
            else coalesce(b.exists_ms, floor(b.begins_ms)::bigint)
        end as from_ms,
        case when not b.is_stuck then floor(b.begins_ms + $window_ms)::bigint + 1 end as to_ms,
    from bounded as b
),

moves as (
    select u.table_name, u.class, u.begin_block::bigint as block, true as is_begin, u.begin_ms as moment_ms, u.document_count
    from usual as u
    union all
    select u.table_name, u.class, u.cease_block::bigint as block, false as is_begin, u.cease_ms as moment_ms, u.document_count
    from usual as u
    where u.cease_block >= 0
    union all
    select
        s.table_name,
        s.class,
        (getvariable('at_ms') - s.from_ms) // $block_ms as block,
        true as is_begin,
        s.from_ms as moment_ms,
        1 as document_count,
    from spans as s
    where s.from_ms <= getvariable('at_ms') and (s.to_ms is null or s.to_ms > s.from_ms)
    union all
    select
        s.table_name,
        s.class,
        (getvariable('at_ms') - s.to_ms) // $block_ms as block,
        false as is_begin,
        s.to_ms as moment_ms,
        1 as document_count,
    from spans as s
    where s.to_ms <= getvariable('at_ms') and s.to_ms > s.from_ms
)

select
    m.table_name,
    m.class,
    m.block,
    coalesce(sum(m.document_count) filter (where m.is_begin), 0)::bigint as begun,
    coalesce(sum(m.document_count) filter (where not m.is_begin), 0)::bigint as ceased,
    min(m.moment_ms) as oldest_ms,
from moves as m
group by m.table_name, m.class, m.block
order by m.table_name, m.class, m.block
