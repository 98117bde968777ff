-- What people recorded and cannot be: marks of no deployment or twice, rollouts without a plan, receipts that are none.
--
-- grain    one row per fault
-- params   none
-- returns  what  VARCHAR  what is wrong
-- reads    mark, deployment, rollout, rollout_plan, rollout_log, rollout_acceptance, purge_receipt
with speaking as (
    select 'plan' as kind, p.rollout_no from rollout_plan as p
    union
    select 'log' as kind, l.rollout_no from rollout_log as l
    union
    select 'decision' as kind, a.rollout_no from rollout_acceptance as a
)
select
    format('mark {} is of deployment {}, which does not exist', m.mark_no, m.deployment_no) as what,
from mark as m
left join deployment as d on d.deployment_no = m.deployment_no
where d.deployment_no is null
union all
select
    format('mark number {} stands {} times', m.mark_no, count(*)) as what,
from mark as m
group by m.mark_no
having count(*) > 1
union all
select
    format('mark {} says neither test, real nor clear', m.mark_no) as what,
from mark as m
where m.verdict not in ('test', 'real', 'clear')
union all
select
    format('rollout {} has no plan', r.rollout_no) as what,
from rollout as r
left join rollout_plan as p on p.rollout_no = r.rollout_no
where p.rollout_no is null
union all
select
    format('a {} is of rollout {}, which does not exist', s.kind, s.rollout_no) as what,
from speaking as s
left join rollout as r on r.rollout_no = s.rollout_no
where r.rollout_no is null
union all
select
    format('rollout {} lacks a version of its plan', p.rollout_no) as what,
from rollout_plan as p
group by p.rollout_no
having max(p.version) <> count(distinct p.version) or count(*) <> count(distinct p.version)
union all
select
    format('receipt {} stands {} times', p.receipt_id, count(*)) as what,
from purge_receipt as p
group by p.receipt_id
having count(*) > 1
union all
select
    format('receipt {} cannot be read', p.receipt_id) as what,
from purge_receipt as p
where case when json_valid(p.receipt_json) then (p.receipt_json->>'$.id') end is distinct from p.receipt_id
order by what
