-- What was seen beside documents and cannot be: of no deployment, twice, or with times that run backwards.
--
-- grain    one row per fault
-- params   none
-- returns  what  VARCHAR  what is wrong
-- reads    deployment, deployment_event, function_minute, scheduler_minute, function_call, observed_span, failed_collect
with owned as (
    select 'deployment_event' as kind, e.deployment_no from deployment_event as e
    union
    select 'function_minute' as kind, f.deployment_no from function_minute as f
    union
    select 'scheduler_minute' as kind, s.deployment_no from scheduler_minute as s
    union
    select 'function_call' as kind, c.deployment_no from function_call as c
    union
    select 'observed_span' as kind, o.deployment_no from observed_span as o
    union
    select 'failed_collect' as kind, x.deployment_no from failed_collect as x
)
select
    format('{} speaks of deployment {}, which does not exist', o.kind, o.deployment_no) as what,
from owned as o
left join deployment as d on d.deployment_no = o.deployment_no
where d.deployment_no is null
union all
select
    format('minute {} of {} stands {} times', f.minute_ms, f.function_path, count(*)) as what,
from function_minute as f
group by f.deployment_no, f.component, f.function_path, f.minute_ms
having count(*) > 1
union all
select
    format('minute {} of the scheduler stands {} times', s.minute_ms, count(*)) as what,
from scheduler_minute as s
group by s.deployment_no, s.minute_ms
having count(*) > 1
union all
select
    format('call {} of {} stands {} times', c.execution_id, c.function_path, count(*)) as what,
from function_call as c
group by c.deployment_no, c.execution_id, c.function_path, c.started_ms
having count(*) > 1
union all
select
    format('{} were seen until before they were seen from, at {}', o.stream, o.from_ms) as what,
from observed_span as o
where o.until_ms < o.from_ms
order by what
