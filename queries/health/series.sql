-- What health counts at each tick of a series, as changes from tick to tick, without a loop.
--
-- Tick i is the clock first_ms + i * step_ms. A document counts from its creation until createdAt + window, both
-- included, and as stuck from the first millisecond past its limit. A revision counts while it is in force: from the
-- snapshot that first saw it (the oldest known one: from the document's creation) to the one that saw it replaced.
-- Where all clocks, windows and limits are whole minutes, revisions that a collect has counted by the minute are taken
-- from there; others are read. All are first grouped by the ticks at which they begin and cease to count, as if each
-- revision were in force for ever, and for those that were replaced that is taken back.
-- Dividing doubles is exact enough: times lie less than 2^41 ms apart, and there a quotient never rounds across an
-- integer.
--
-- grain    one row per table, measure, status and tick at which the number of documents changes
-- params   $first_ms    BIGINT  clock of tick 0, milliseconds since the epoch
--          $step_ms     BIGINT  from tick to tick, > 0
--          $ticks       BIGINT  number of ticks, > 0
--          $window_ms   BIGINT  length of the window, > 0
--          $stuck_ms    BIGINT  age from which a document in flight is stuck, and length of the recent window, > 0
--          $counted_ns  BIGINT  read revisions later than this, and take the others from counted_minute: -1, or what
--                               health/counted_until says and only where all of the above are whole minutes
-- returns  table_name  VARCHAR  chatMessages or workflowTraces
--          measure     VARCHAR  window: in the window; recent: traces in the recent window; stuck: at any age
--          status      VARCHAR  as stored, NULL where it never had one
--          tick        BIGINT   0 .. ticks - 1
--          change      BIGINT   how many more documents count from this tick on than at the one before; never 0
-- reads    counted_minute, revision_messages, revision_traces, revision_end, variables deployment_no, as_of_ns
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

replaced as (
    select
        'chatMessages' as table_name,
        m.status,
        m.creation_time_ms,
        coalesce(m.created_at_ms, m.creation_time_ms) as judged_at_ms,
        null::double as recent_ms,
        case when m.status = 'streaming' then coalesce(m.created_at_ms, m.creation_time_ms) end as since_ms,
        b.from_ms,
        b.until_ms,
    from revision_messages as m
    join bounded as b on b.revision_no = m.revision_no
    where
        m.deployment_no = getvariable('deployment_no')
        and m.revision_ns <= getvariable('as_of_ns')
        and not m.deleted
    union all
    select
        'workflowTraces' as table_name,
        t.status,
        t.creation_time_ms,
        coalesce(t.created_at_ms, t.creation_time_ms) as judged_at_ms,
        coalesce(t.created_at_ms, t.creation_time_ms) as recent_ms,
        case when t.status = 'STARTED' then coalesce(t.started_at_ms, t.created_at_ms, t.creation_time_ms) end as since_ms,
        b.from_ms,
        b.until_ms,
    from revision_traces as t
    join bounded as b on b.revision_no = t.revision_no
    where
        t.deployment_no = getvariable('deployment_no')
        and t.revision_ns <= getvariable('as_of_ns')
        and not t.deleted
),

counted as (
    select
        c.table_name,
        c.status,
        floor((c.exists_ms - ($first_ms + 1)) / $step_ms) as before_tick,
        floor((c.judged_at_ms - ($first_ms - $window_ms)) / $step_ms) as window_tick,
        case when c.table_name = 'workflowTraces' then floor((c.judged_at_ms - ($first_ms - $stuck_ms)) / $step_ms) end
            as recent_tick,
        floor((c.since_ms - ($first_ms - $stuck_ms)) / $step_ms) as stuck_tick,
        null::double as until_tick,
        sum(c.document_count)::bigint as document_count,
    from counted_minute as c
    where
        c.deployment_no = getvariable('deployment_no')
        and c.revision_ns <= getvariable('as_of_ns')
        and c.revision_ns <= $counted_ns
        and (c.judged_at_ms >= $first_ms - greatest($window_ms, $stuck_ms) or c.since_ms is not null)
        and coalesce(c.exists_ms < $first_ms + $ticks::bigint * $step_ms, true)
    group by c.table_name, c.status, before_tick, window_tick, recent_tick, stuck_tick
    union all
    select
        'chatMessages' as table_name,
        m.status,
        floor((m.creation_time_ms - ($first_ms + 1)) / $step_ms) as before_tick,
        floor((coalesce(m.created_at_ms, m.creation_time_ms) - ($first_ms - $window_ms)) / $step_ms) as window_tick,
        null::double as recent_tick,
        case
            when m.status = 'streaming'
                then floor((floor(coalesce(m.created_at_ms, m.creation_time_ms)) - ($first_ms - $stuck_ms)) / $step_ms)
        end as stuck_tick,
        null::double as until_tick,
        count(*) as document_count,
    from revision_messages as m
    where
        m.deployment_no = getvariable('deployment_no')
        and m.revision_ns <= getvariable('as_of_ns')
        and m.revision_ns > $counted_ns
        and not m.deleted
        and (coalesce(m.created_at_ms, m.creation_time_ms) >= $first_ms - $window_ms or m.status = 'streaming')
        and coalesce(m.creation_time_ms < $first_ms + $ticks::bigint * $step_ms, true)
    group by m.status, before_tick, window_tick, stuck_tick
    union all
    select
        'workflowTraces' as table_name,
        t.status,
        floor((t.creation_time_ms - ($first_ms + 1)) / $step_ms) as before_tick,
        floor((coalesce(t.created_at_ms, t.creation_time_ms) - ($first_ms - $window_ms)) / $step_ms) as window_tick,
        floor((coalesce(t.created_at_ms, t.creation_time_ms) - ($first_ms - $stuck_ms)) / $step_ms) as recent_tick,
        case
            when t.status = 'STARTED'
                then
                    floor(
                        (floor(coalesce(t.started_at_ms, t.created_at_ms, t.creation_time_ms)) - ($first_ms - $stuck_ms))
                        / $step_ms
                    )
        end as stuck_tick,
        null::double as until_tick,
        count(*) as document_count,
    from revision_traces as t
    where
        t.deployment_no = getvariable('deployment_no')
        and t.revision_ns <= getvariable('as_of_ns')
        and t.revision_ns > $counted_ns
        and not t.deleted
        and (
            coalesce(t.created_at_ms, t.creation_time_ms) >= $first_ms - greatest($window_ms, $stuck_ms)
            or t.status = 'STARTED'
        )
        and coalesce(t.creation_time_ms < $first_ms + $ticks::bigint * $step_ms, true)
    group by t.status, before_tick, window_tick, recent_tick, stuck_tick
    union all
    select
        r.table_name,
        r.status,
        floor(
            (case when k.is_bounded then greatest(r.creation_time_ms, r.from_ms) else r.creation_time_ms end - ($first_ms + 1))
            / $step_ms
        ) as before_tick,
        floor((r.judged_at_ms - ($first_ms - $window_ms)) / $step_ms) as window_tick,
        floor((r.recent_ms - ($first_ms - $stuck_ms)) / $step_ms) as recent_tick,
        floor((floor(r.since_ms) - ($first_ms - $stuck_ms)) / $step_ms) as stuck_tick,
        case when k.is_bounded then floor((r.until_ms - $first_ms) / $step_ms) end as until_tick,
        case when k.is_bounded then 1 else -1 end as document_count,
    from replaced as r
    cross join (values (true), (false)) as k (is_bounded)
),

span as (
    select
        c.table_name,
        k.measure,
        c.status,
        least(
            greatest(case k.measure when 'stuck' then greatest(c.before_tick, c.stuck_tick) else c.before_tick end + 1, 0),
            $ticks
        )::bigint as first_tick,
        greatest(
            least(
                case k.measure when 'window' then c.window_tick when 'recent' then c.recent_tick end,
                c.until_tick,
                $ticks - 1
            ),
            -1
        )::bigint as last_tick,
        c.document_count,
    from counted as c
    cross join (values ('window'), ('recent'), ('stuck')) as k (measure)
    where
        case k.measure
            when 'window' then c.window_tick
            when 'recent' then c.recent_tick
            else c.stuck_tick
        end is not null
),

moved as (
    select
        s.table_name,
        s.measure,
        s.status,
        case when k.is_begin then s.first_tick else s.last_tick + 1 end as tick,
        case when k.is_begin then s.document_count else -s.document_count end as document_count,
    from span as s
    cross join (values (true), (false)) as k (is_begin)
    where s.first_tick <= s.last_tick
),

summed as (
    select
        m.table_name,
        m.measure,
        m.status,
        m.tick,
        sum(m.document_count)::bigint as change,
    from moved as m
    where m.tick < $ticks
    group by m.table_name, m.measure, m.status, m.tick
)

select s.table_name, s.measure, s.status, s.tick, s.change
from summed as s
where s.change <> 0
order by s.table_name, s.measure, s.status, s.tick
