-- Reads of a live deployment that stand half: documents that wait without a cursor, cursors twice or of no deployment.
--
-- grain    one row per fault
-- params   none
-- returns  what  VARCHAR  which deployment, and what is wrong
-- reads    sync, sync_truncate, sync_drift, log_position, deployment, staged_users, staged_tasks, staged_messages,
--          staged_traces, staged_other
with waiting as (
    select distinct u.deployment_no from staged_users as u
    union
    select distinct t.deployment_no from staged_tasks as t
    union
    select distinct m.deployment_no from staged_messages as m
    union
    select distinct w.deployment_no from staged_traces as w
    union
    select distinct o.deployment_no from staged_other as o
    union
    select distinct x.deployment_no from sync_truncate as x
    union
    select distinct d.deployment_no from sync_drift as d
)
select
    format('documents of deployment {} wait without a cursor behind them', w.deployment_no) as what,
from waiting as w
left join sync as s on s.deployment_no = w.deployment_no
where s.deployment_no is null
union all
select
    format('deployment {} has {} cursors', s.deployment_no, count(*)) as what,
from sync as s
group by s.deployment_no
having count(*) > 1
union all
select
    format('deployment {} has a cursor that cannot be read', s.deployment_no) as what,
from sync as s
where s.cursor is not null and not json_valid(s.cursor)
union all
select
    format('a cursor is of deployment {}, which does not exist', s.deployment_no) as what,
from sync as s
left join deployment as d on d.deployment_no = s.deployment_no
where d.deployment_no is null
union all
select
    format('deployment {} has {} places in its log', p.deployment_no, count(*)) as what,
from log_position as p
group by p.deployment_no
having count(*) > 1
order by what
