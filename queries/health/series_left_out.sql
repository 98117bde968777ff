-- What a series must leave out at the ticks between two snapshots, as changes from tick to tick.
--
-- grain    one row per table, measure, status and tick at which the number of documents changes
-- params   $first_ms    BIGINT  clock of tick 0, milliseconds since the epoch
--          $step_ms     BIGINT  from tick to tick, > 0
--          $from_tick   BIGINT  first tick at which the filter leaves these documents out
--          $until_tick  BIGINT  last such tick
--          $window_ms   BIGINT  length of the window, > 0
--          $stuck_ms    BIGINT  age from which a document in flight is stuck, and length of the recent window, > 0
-- returns  table_name  VARCHAR  chatMessages or workflowTraces
--          measure     VARCHAR  window, recent or stuck: see health/series
--          status      VARCHAR  as stored, NULL where it never had one
--          tick        BIGINT   from_tick .. until_tick + 1
--          change      BIGINT   how many more documents count from this tick on than at the one before; never 0. Before
--                               from_tick there are none, nor from until_tick + 1 on
-- reads    left_out
with counted as (
    select
        l.table_name,
        l.status,
        ceil((l.exists_ms - $first_ms) / $step_ms) as exists_tick,
        floor((l.judged_at_ms - ($first_ms - $window_ms)) / $step_ms) as window_tick,
        case when l.table_name = 'workflowTraces' then floor((l.judged_at_ms - ($first_ms - $stuck_ms)) / $step_ms) end
            as recent_tick,
        floor((floor(l.since_ms) - ($first_ms - $stuck_ms)) / $step_ms) as stuck_tick,
        count(*) as document_count,
    from left_out as l
    where
        (
            l.judged_at_ms >= $first_ms + $from_tick::bigint * $step_ms - greatest($window_ms, $stuck_ms)
            or l.since_ms is not null
        )
        and coalesce(l.exists_ms <= $first_ms + $until_tick::bigint * $step_ms, true)
    group by l.table_name, l.status, exists_tick, window_tick, recent_tick, stuck_tick
),

span as (
    select
        c.table_name,
        k.measure,
        c.status,
        least(
            greatest(c.exists_tick, case k.measure when 'stuck' then c.stuck_tick + 1 end, $from_tick), $until_tick + 1
        )::bigint as first_tick,
        greatest(
            least(case k.measure when 'window' then c.window_tick when 'recent' then c.recent_tick end, $until_tick),
            $from_tick - 1
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
    group by m.table_name, m.measure, m.status, m.tick
)

select s.table_name, s.measure, s.status, s.tick, s.change
from summed as s
where s.change <> 0
order by s.table_name, s.measure, s.status, s.tick
