-- Documents that pull health down at the clock: in the window and not completed, or stuck at any age.
--
-- grain    one row per message or trace
-- params   $window_ms  BIGINT  length of the window, > 0
--          $stuck_ms   BIGINT  age from which a document in flight is stuck, > 0
-- returns  table_name     VARCHAR    chatMessages or workflowTraces
--          id             VARCHAR
--          status         VARCHAR    as stored; NULL where it never had one
--          is_in_window   BOOLEAN
--          is_stuck       BOOLEAN
--          tier           VARCHAR    NULL where nothing says that a test left it
--          rules          VARCHAR[]  rules that fired; NULL without a tier
--          task_id        VARCHAR
--          task_exists    BOOLEAN
--          error_type     VARCHAR    of a message, the first of its traces'
--          model          VARCHAR
--          workflow_type  VARCHAR    traces only
--          judged_at_ms   DOUBLE     milliseconds since the epoch
-- reads    stg_messages, stg_traces, stg_tasks, artifact, variable at_ms
with judged as not materialized (
    select
        'chatMessages' as table_name,
        m.id,
        m.status,
        coalesce(m.status = 'streaming' and m.judged_at_ms < getvariable('at_ms') - $stuck_ms, false) as is_stuck,
        m.task_id,
        null::varchar as error_type,
        m.llm_model as model,
        null::varchar as workflow_type,
        m.creation_time_ms,
        m.created_at_ms,
        m.status = 'streaming' as is_in_flight,
        m.judged_at_ms,
    from stg_messages as m
    where m.status is distinct from 'complete'
    union all
    select
        'workflowTraces' as table_name,
        t.id,
        t.status,
        coalesce(
            t.status = 'STARTED' and coalesce(t.started_at_ms, t.judged_at_ms) < getvariable('at_ms') - $stuck_ms,
            false
        ) as is_stuck,
        t.task_id,
        t.error_type,
        t.model,
        t.workflow_type,
        t.creation_time_ms,
        t.created_at_ms,
        t.status = 'STARTED' as is_in_flight,
        t.judged_at_ms,
    from stg_traces as t
    where t.status is distinct from 'COMPLETED'
),

-- The few that matter first: only they are looked up elsewhere. Asked for by createdAt itself where a document has one,
-- by the creation time itself where it has none, and by the status itself where it is stuck, so that a scan can skip the
-- others: to read the references of one costs as much as those of a whole segment.
bad as materialized (
    select
        j.table_name,
        j.id,
        j.status,
        j.judged_at_ms >= getvariable('at_ms') - $window_ms as is_in_window,
        j.is_stuck,
        j.task_id,
        j.error_type,
        j.model,
        j.workflow_type,
        j.judged_at_ms,
    from judged as j
    where j.created_at_ms >= getvariable('at_ms') - $window_ms
    union all
    select
        j.table_name,
        j.id,
        j.status,
        j.judged_at_ms >= getvariable('at_ms') - $window_ms as is_in_window,
        j.is_stuck,
        j.task_id,
        j.error_type,
        j.model,
        j.workflow_type,
        j.judged_at_ms,
    from judged as j
    where j.created_at_ms is null and j.creation_time_ms >= getvariable('at_ms') - $window_ms
    union all
    select
        j.table_name,
        j.id,
        j.status,
        j.judged_at_ms >= getvariable('at_ms') - $window_ms as is_in_window,
        j.is_stuck,
        j.task_id,
        j.error_type,
        j.model,
        j.workflow_type,
        j.judged_at_ms,
    from judged as j
    where j.is_in_flight and j.is_stuck and not coalesce(j.judged_at_ms >= getvariable('at_ms') - $window_ms, false)
),

error_of_message as (
    select t.message_id, min(t.error_type) as error_type
    from stg_traces as t
    where t.error_type is not null and t.message_id in (select b.id from bad as b where b.table_name = 'chatMessages')
    group by t.message_id
),

of_test as (
    select a.table_name, a.id, a.tier, a.rules
    from artifact as a
    where a.component = '' and a.id in (select b.id from bad as b)
),

task as (
    select t.id
    from stg_tasks as t
    where t.id in (select b.task_id from bad as b)
)

select
    b.table_name,
    b.id,
    b.status,
    b.is_in_window,
    b.is_stuck,
    a.tier,
    a.rules,
    b.task_id,
    k.id is not null as task_exists,
    coalesce(b.error_type, e.error_type) as error_type,
    b.model,
    b.workflow_type,
    b.judged_at_ms,
from bad as b
left join error_of_message as e on b.table_name = 'chatMessages' and e.message_id = b.id
left join of_test as a on a.table_name = b.table_name and a.id = b.id
left join task as k on k.id = b.task_id
order by b.table_name, b.id
