-- Settled documents of each window by groups of one dimension, for taking a change of a rate apart.
--
-- grain    one row per dimension, group and side
-- params   $table_name  VARCHAR  chatMessages or workflowTraces
--          $by_failure  BOOLEAN  the event is a failure; otherwise that it did not complete
--          $most_ids    BIGINT   how many ids to name, >= 0
-- returns  dimension    VARCHAR    model, workflow_type, user, task_class or flags
--          group_name   VARCHAR    NULL where the document names none
--          side         VARCHAR    baseline or after
--          n            BIGINT     settled documents
--          k            BIGINT     of these, with the event
--          ids          VARCHAR[]  the first documents with the event, by id
-- reads    compare_document
with event as (
    select
        d.*,
        case when $by_failure then d.is_failed else not d.is_completed end as is_event,
    from compare_document as d
    where d.table_name = $table_name and d.is_known and not d.is_running
),

member as (
    select
        'model' as dimension,
        e.model as group_name,
        e.side,
        e.is_event,
        e.id,
    from event as e
    union all
    select
        'workflow_type' as dimension,
        e.workflow_type as group_name,
        e.side,
        e.is_event,
        e.id,
    from event as e
    union all
    select
        'user' as dimension,
        e.user_id as group_name,
        e.side,
        e.is_event,
        e.id,
    from event as e
    union all
    select
        'task_class' as dimension,
        e.task_class as group_name,
        e.side,
        e.is_event,
        e.id,
    from event as e
    union all
    select
        'flags' as dimension,
        e.flag_period::varchar as group_name,
        e.side,
        e.is_event,
        e.id,
    from event as e
)

select
    m.dimension,
    m.group_name,
    m.side,
    count(*) as n,
    count(*) filter (where m.is_event) as k,
    list_slice(coalesce(list(m.id order by m.id) filter (where m.is_event), []), 1, $most_ids) as ids,
from member as m
group by m.dimension, m.group_name, m.side
order by m.dimension, m.group_name, m.side
