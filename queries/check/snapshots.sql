-- Snapshots that are not whole: without deployment, time of their own or coverage, or named by what does not exist.
--
-- grain    one row per fault
-- params   none
-- returns  what  VARCHAR  which snapshot, and what is wrong
-- reads    snapshot, deployment, coverage, drift, flag, answer
with naming as (
    select 'coverage' as kind, c.snapshot_no from coverage as c
    union
    select 'drift' as kind, d.snapshot_no from drift as d
    union
    select 'flag' as kind, f.snapshot_no from flag as f
    union
    select 'answer' as kind, a.snapshot_no from answer as a
)
select
    format('snapshot {} is not complete', s.snapshot_no) as what,
from snapshot as s
where not s.complete
union all
select
    format('snapshot {} is of deployment {}, which does not exist', s.snapshot_no, s.deployment_no) as what,
from snapshot as s
left join deployment as d on d.deployment_no = s.deployment_no
where d.deployment_no is null
union all
select
    format('snapshot {} says of no table what it holds', s.snapshot_no) as what,
from snapshot as s
left join coverage as c on c.snapshot_no = s.snapshot_no
where c.snapshot_no is null
union all
select
    format('snapshot number {} stands {} times', s.snapshot_no, count(*)) as what,
from snapshot as s
group by s.snapshot_no
having count(*) > 1
union all
select
    format('{} snapshots of deployment {} have the time {}', count(*), s.deployment_no, s.as_of_ns) as what,
from snapshot as s
group by s.deployment_no, s.as_of_ns
having count(*) > 1
union all
select
    format('deployment {} stands {} times', min(d.deployment_no), count(*)) as what,
from deployment as d
group by d.name
having count(*) > 1
union all
select
    format('deployment number {} stands {} times', d.deployment_no, count(*)) as what,
from deployment as d
group by d.deployment_no
having count(*) > 1
union all
select
    format('a {} is of snapshot {}, which does not exist', n.kind, n.snapshot_no) as what,
from naming as n
left join snapshot as s on s.snapshot_no = n.snapshot_no
where s.snapshot_no is null
union all
select
    format('snapshot {} says two things of {}', c.snapshot_no, c.table_name) as what,
from coverage as c
group by c.snapshot_no, c.component, c.table_name
having count(distinct (c.status, c.document_count)) > 1
union all
select
    format('snapshot {}: the answer of {} is no JSON', a.snapshot_no, a.function_path) as what,
from answer as a
where not json_valid(a.value_json)
order by what
