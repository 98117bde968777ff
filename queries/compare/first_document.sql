-- When the first message or trace that can be counted was made.
--
-- grain    one row
-- params   none
-- returns  first_ms  DOUBLE  milliseconds since the epoch; NULL without documents
-- reads    stg_messages, stg_traces
with judged as (
    select min(m.judged_at_ms) as at_ms
    from stg_messages as m
    union all
    select min(t.judged_at_ms) as at_ms
    from stg_traces as t
)

select min(j.at_ms) as first_ms
from judged as j
order by first_ms
