-- What a series must leave out at the ticks between two snapshots, as spans of ticks.
--
-- grain    one row per table, measure, status and span
-- params   $first_ms    BIGINT  clock of tick 0, milliseconds since the epoch
--          $step_ms     BIGINT  from tick to tick, > 0
--          $from_tick   BIGINT  first tick at which the filter leaves these documents out
--          $until_tick  BIGINT  last such tick
--          $window_ms   BIGINT  length of the window, > 0
--          $stuck_ms    BIGINT  age from which a document in flight is stuck, and length of the recent window, > 0
-- returns  table_name      VARCHAR  chatMessages or workflowTraces
--          measure         VARCHAR  total, not_completed, stuck, recent or recent_failed: see health/series
--          status          VARCHAR  as stored, NULL where it never had one; NULL for total and recent
--          first_tick      BIGINT   from_tick .. until_tick + 1
--          last_tick       BIGINT   from_tick - 1 .. until_tick; before first_tick where they count at no tick
--          document_count  BIGINT   documents that count from first_tick to last_tick, both included
-- reads    left_out
with measured as (
    select
        l.table_name,
        'total' as measure,
        null::varchar as status,
        l.exists_ms as from_ms,
        l.judged_at_ms + $window_ms as until_ms,
    from left_out as l
    where l.judged_at_ms is not null
    union all
    select
        l.table_name,
        'not_completed' as measure,
        l.status,
        l.exists_ms as from_ms,
        l.judged_at_ms + $window_ms as until_ms,
    from left_out as l
    where
        l.judged_at_ms is not null
        and l.status is distinct from case l.table_name when 'chatMessages' then 'complete' else 'COMPLETED' end
    union all
    select
        l.table_name,
        'stuck' as measure,
        l.status,
        greatest(l.exists_ms, floor(l.since_ms + $stuck_ms) + 1) as from_ms,
        null as until_ms,
    from left_out as l
    where l.since_ms is not null
    union all
    select
        l.table_name,
        'recent' as measure,
        null::varchar as status,
        l.exists_ms as from_ms,
        l.judged_at_ms + $stuck_ms as until_ms,
    from left_out as l
    where l.table_name = 'workflowTraces' and l.judged_at_ms is not null
    union all
    select
        l.table_name,
        'recent_failed' as measure,
        l.status,
        l.exists_ms as from_ms,
        l.judged_at_ms + $stuck_ms as until_ms,
    from left_out as l
    where l.table_name = 'workflowTraces' and l.status = 'FAILED' and l.judged_at_ms is not null
),

span as (
    select
        m.table_name,
        m.measure,
        m.status,
        least(greatest(ceil((m.from_ms - $first_ms) / $step_ms), $from_tick), $until_tick + 1)::bigint as first_tick,
        greatest(least(floor((m.until_ms - $first_ms) / $step_ms), $until_tick), $from_tick - 1)::bigint as last_tick,
    from measured as m
)

select
    s.table_name,
    s.measure,
    s.status,
    s.first_tick,
    s.last_tick,
    count(*) as document_count,
from span as s
group by s.table_name, s.measure, s.status, s.first_tick, s.last_tick
order by s.table_name, s.measure, s.status, s.first_tick, s.last_tick
