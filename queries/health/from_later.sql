-- Messages and traces of the window, or in flight at any age, whose status at the clock is known from later only.
--
-- grain    one row
-- params   $window_ms  BIGINT  length of the window, > 0
-- returns  document_count  BIGINT  documents first seen by a snapshot after the clock
-- reads    stg_messages, stg_traces, revision_messages, revision_traces, variables at_ms, valid_at_ns
with looked_at as (
    select m.revision_no
    from stg_messages as m
    where m.judged_at_ms >= getvariable('at_ms') - $window_ms or m.status = 'streaming'
    union all
    select t.revision_no
    from stg_traces as t
    where t.judged_at_ms >= getvariable('at_ms') - $window_ms or t.status = 'STARTED'
),

later as (
    select m.revision_no
    from revision_messages as m
    where m.revision_ns > getvariable('valid_at_ns')
    union all
    select t.revision_no
    from revision_traces as t
    where t.revision_ns > getvariable('valid_at_ns')
)

select
    count(*) as document_count,
from looked_at as d
where d.revision_no in (select l.revision_no from later as l)
order by document_count
