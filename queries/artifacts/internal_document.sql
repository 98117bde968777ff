-- Documents of listed people and repositories, and what belongs to them: left out of health, no artifacts for that.
--
-- grain    one row per document
-- params   $emails          VARCHAR[]  of users, lower case
--          $users           VARCHAR[]  ids of users
--          $names           VARCHAR[]  names of users, lower case
--          $repos           VARCHAR[]  "owner/name" of tasks, lower case
--          $task_tables     VARCHAR[]  tables whose documents belong to the task that `taskId` names
--          $message_tables  VARCHAR[]  tables whose documents belong to the message that `messageId` names
--          $real_ids        VARCHAR[]  ids marked as real: neither they nor what belongs to them
-- returns  component   VARCHAR  always '', the root
--          table_name  VARCHAR
--          id          VARCHAR
-- reads    stg_users, stg_tasks, stg_messages, stg_traces, stg_other
with person as (
    select u.id
    from stg_users as u
    where
        (
            list_contains($emails, lower(u.email))
            or list_contains($users, u.id)
            or list_contains($names, lower(u.name))
        )
        and not list_contains($real_ids, u.id)
),
task as (
    select t.id
    from stg_tasks as t
    where
        (list_contains($repos, lower(t.repo_full_name)) or t.user_id in (select p.id from person as p))
        and not list_contains($real_ids, t.id)
),
owned as (
    select 'chatMessages' as table_name, m.id
    from stg_messages as m
    semi join task on task.id = m.task_id
    where list_contains($task_tables, 'chatMessages')
    union all
    select 'workflowTraces' as table_name, w.id
    from stg_traces as w
    semi join task on task.id = w.task_id
    where list_contains($task_tables, 'workflowTraces')
    union all
    select x.table_name, x.id
    from stg_other as x
    semi join task on task.id = x.task_id
    where x.component = '' and list_contains($task_tables, x.table_name)
),
message as (
    select o.id
    from owned as o
    where o.table_name = 'chatMessages' and not list_contains($real_ids, o.id)
),
document as (
    select 'users' as table_name, p.id
    from person as p
    union all
    select 'tasks' as table_name, t.id
    from task as t
    union all
    select o.table_name, o.id
    from owned as o
    union all
    select 'workflowTraces' as table_name, w.id
    from stg_traces as w
    semi join message on message.id = w.message_id
    where list_contains($message_tables, 'workflowTraces')
    union all
    select x.table_name, x.id
    from stg_other as x
    semi join message on message.id = x.message_id
    where x.component = '' and list_contains($message_tables, x.table_name)
)
select distinct
    '' as component,
    d.table_name,
    d.id,
from document as d
where not list_contains($real_ids, d.id)
order by table_name, id
