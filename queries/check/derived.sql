-- What is kept only for speed and does not fit: remembered artifacts, stretches of exports, what is counted by minutes.
--
-- grain    one row per fault
-- params   none
-- returns  what  VARCHAR  what is wrong
-- reads    remembered, remembered_artifact, export_stretch, counted_minute, check_minutes, snapshot, coverage,
--          every_revision
with document as (
    select distinct e.deployment_no, e.component, e.table_name, e.id
    from every_revision as e
    where (e.component, e.table_name, e.id) in (select (a.component, a.table_name, a.id) from remembered_artifact as a)
),
stretched as (
    select e.deployment_no, e.component, e.table_name, e.snapshot_no, e.as_of_ns, sum(e.document_count) as documents
    from export_stretch as e
    group by all
),
counted as (
    select c.deployment_no, max(c.revision_ns) as counted_ns
    from counted_minute as c
    group by c.deployment_no
),
wanted as (
    select w.*
    from check_minutes as w
    join counted as c on c.deployment_no = w.deployment_no and w.revision_ns <= c.counted_ns
),
miscounted as (
    (select c.* from counted_minute as c except all select w.* from wanted as w)
    union all
    (select w.* from wanted as w except all select c.* from counted_minute as c)
)
select
    format('artifacts are remembered of snapshot {}, which does not exist so', r.snapshot_no) as what,
from remembered as r
left join snapshot as s
    on s.snapshot_no = r.snapshot_no and s.deployment_no = r.deployment_no and s.as_of_ns = r.as_of_ns
where s.snapshot_no is null
union all
select
    format('{} {} is remembered as an artifact until before it was one', a.table_name, a.id) as what,
from remembered_artifact as a
where a.until_ns <= a.from_ns
union all
select
    format('{} {} is remembered as an artifact, and no such document is known', a.table_name, a.id) as what,
from remembered_artifact as a
left join document as d
    on d.deployment_no = a.deployment_no and d.component = a.component and d.table_name = a.table_name and d.id = a.id
where d.id is null
union all
select
    format('stretches of {} are of snapshot {}, which does not exist so', t.table_name, t.snapshot_no) as what,
from stretched as t
left join snapshot as s
    on s.snapshot_no = t.snapshot_no and s.deployment_no = t.deployment_no and s.as_of_ns = t.as_of_ns
where s.snapshot_no is null
union all
select
    format('stretches of {} hold {} documents, and snapshot {} holds {}',
        t.table_name, t.documents, t.snapshot_no, c.document_count) as what,
from stretched as t
join coverage as c
    on c.snapshot_no = t.snapshot_no and c.component = t.component and c.table_name = t.table_name
where c.status = 'collected' and c.document_count <> t.documents
union all
select distinct
    format('{} of deployment {} are not counted by the minute as they are', m.table_name, m.deployment_no) as what,
from miscounted as m
order by what
