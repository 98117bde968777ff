-- Response time at each tick of a series: a percentile of the durations of traces that completed in the window.
--
-- Reads the documents in force at the frame's clock, so all ticks must lie between two snapshots. The percentile is the
-- observed value of nearest rank, computed in integers.
--
-- grain    one row per tick and side that has any such trace
-- params   $first_ms    BIGINT  clock of tick 0, milliseconds since the epoch
--          $step_ms     BIGINT  from tick to tick, > 0
--          $from_tick   BIGINT  first tick
--          $until_tick  BIGINT  last tick
--          $window_ms   BIGINT  length of the window, > 0
--          $percent     BIGINT  1 .. 100
-- returns  tick            BIGINT   from_tick .. until_tick
--          is_without      BOOLEAN  false: all traces; true: without those that the filter leaves out
--          response_ms     DOUBLE   milliseconds
--          document_count  BIGINT   traces that it is taken from
-- reads    stg_traces, left_out
with completed as (
    select
        t.total_duration_ms as duration_ms,
        l.revision_no is null as is_kept,
        least(greatest(ceil((floor(t.creation_time_ms) - $first_ms) / $step_ms), $from_tick), $until_tick + 1)::bigint
            as first_tick,
        greatest(
            least(floor((t.judged_at_ms + $window_ms - $first_ms) / $step_ms), $until_tick), $from_tick - 1
        )::bigint as last_tick,
    from stg_traces as t
    left join left_out as l on l.revision_no = t.revision_no
    where t.status = 'COMPLETED' and t.total_duration_ms is not null and t.judged_at_ms is not null
),

tick as (
    select
        unnest(range(c.first_tick, c.last_tick + 1)) as tick,
        c.duration_ms,
        c.is_kept,
    from completed as c
    where c.first_tick <= c.last_tick
),

side as (
    select t.tick, false as is_without, t.duration_ms
    from tick as t
    union all
    select t.tick, true as is_without, t.duration_ms
    from tick as t
    where t.is_kept
),

ranked as (
    select
        s.tick,
        s.is_without,
        s.duration_ms,
        row_number() over (partition by s.tick, s.is_without order by s.duration_ms) as position,
        count(*) over (partition by s.tick, s.is_without) as document_count,
    from side as s
)

select
    r.tick,
    r.is_without,
    r.duration_ms as response_ms,
    r.document_count,
from ranked as r
where r.position = (r.document_count * $percent + 99) // 100
order by r.tick, r.is_without
