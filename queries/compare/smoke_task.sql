-- A task and how far its messages and traces got.
--
-- grain    one row for the task; also where only its messages or traces are left, none where nothing is
-- params   $id  VARCHAR  id of the task
-- returns  exists_now       BOOLEAN  whether the task itself is there
--          title            VARCHAR  NULL if it is not
--          status           VARCHAR  NULL if it is not
--          message_count    BIGINT   messages of the task
--          completed_count  BIGINT   of these, complete
--          failed_count     BIGINT   of these, failed
--          reply_count      BIGINT   messages of the assistant
--          completed_reply_count  BIGINT  of these, complete
--          trace_count      BIGINT   workflow traces of the task
--          failed_trace_count  BIGINT  of these, failed
-- reads    stg_tasks, stg_messages, stg_traces
with task as (
    select
        k.title,
        k.status,
    from stg_tasks as k
    where k.id = $id
),

message as (
    select
        count(*) as message_count,
        count(*) filter (where m.status = 'complete') as completed_count,
        count(*) filter (where m.status = 'failed') as failed_count,
        count(*) filter (where m.role = 'ASSISTANT') as reply_count,
        count(*) filter (where m.role = 'ASSISTANT' and m.status = 'complete') as completed_reply_count,
    from stg_messages as m
    where m.task_id = $id
),

trace as (
    select
        count(*) as trace_count,
        count(*) filter (where t.status = 'FAILED') as failed_trace_count,
    from stg_traces as t
    where t.task_id = $id
)

select
    (select count(*) from task) > 0 as exists_now,
    (select max(k.title) from task as k) as title,
    (select max(k.status) from task as k) as status,
    m.message_count,
    m.completed_count,
    m.failed_count,
    m.reply_count,
    m.completed_reply_count,
    t.trace_count,
    t.failed_trace_count,
from message as m
cross join trace as t
where (select count(*) from task) > 0 or m.message_count > 0 or t.trace_count > 0
order by m.message_count
