-- Whether the next revision gets a number that is taken.
--
-- grain    no row, or one
-- params   none
-- returns  what  VARCHAR  the next number, and the largest that is taken
-- reads    every_revision, staged_users, staged_tasks, staged_messages, staged_traces, staged_other
with taken as (
    select max(e.revision_no) as revision_no from every_revision as e
    union all
    select max(u.revision_no) as revision_no from staged_users as u
    union all
    select max(t.revision_no) as revision_no from staged_tasks as t
    union all
    select max(m.revision_no) as revision_no from staged_messages as m
    union all
    select max(w.revision_no) as revision_no from staged_traces as w
    union all
    select max(o.revision_no) as revision_no from staged_other as o
),
next as (
    select coalesce(s.last_value + s.increment_by, s.start_value) as revision_no
    from duckdb_sequences() as s
    where s.sequence_name = 'revision_no'
)
select
    format('the next revision gets number {}, and {} is taken', n.revision_no, max(t.revision_no)) as what,
from next as n
cross join taken as t
group by n.revision_no
having max(t.revision_no) >= n.revision_no
order by what
