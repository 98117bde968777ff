-- Messages and traces of two windows, as outcomes, without what a filter leaves out.
--
-- A document belongs to a window by its judged time. In flight and young is running: it may still end either way.
-- In flight and old has not completed. Without any status nobody knows how it ended.
--
-- grain    one row per message or trace in one of the windows
-- params   $base_from_ms   BIGINT    first millisecond of the baseline
--          $base_to_ms     BIGINT    end of the baseline, not included
--          $after_from_ms  BIGINT    first millisecond of the look
--          $after_to_ms    BIGINT    end of the look, included
--          $running_ms     BIGINT    age up to which a document in flight is running, > 0
--          $stuck_ms       BIGINT    age from which a document in flight is stuck, > 0
--          $flip_ms        BIGINT[]  when flags changed, milliseconds since the epoch
--          $priced_models  VARCHAR[]  models with a known price
--          $input_prices   DOUBLE[]  of these, US dollars per million tokens read
--          $output_prices  DOUBLE[]  of these, US dollars per million tokens written
-- returns  side           VARCHAR  baseline or after
--          table_name     VARCHAR  chatMessages or workflowTraces
--          id             VARCHAR
--          task_id        VARCHAR  NULL where it names none
--          user_id        VARCHAR  owner of its task; NULL where the task is gone
--          model          VARCHAR  NULL where it names none
--          workflow_type  VARCHAR  NULL for messages
--          task_class     VARCHAR  scratchpad, repository or gone
--          flag_period    BIGINT   how many of flip_ms came before it
--          is_known       BOOLEAN  whether it has a status
--          is_running     BOOLEAN
--          is_failed      BOOLEAN
--          is_completed   BOOLEAN
--          is_stuck       BOOLEAN
--          duration_ms    DOUBLE   of completed traces, milliseconds; NULL if unknown
--          retry_count    DOUBLE   of traces; NULL if unknown
--          total_tokens   DOUBLE   of the message that a completed trace wrote; NULL if unknown
--          billed_model   VARCHAR  that wrote these tokens; NULL if unknown
--          cost_usd       DOUBLE   of these tokens, US dollars; NULL without a price for the model
-- reads    stg_messages, stg_traces, stg_tasks, left_out, variable at_ms
with outcome as (
    select
        'chatMessages' as table_name,
        m.id,
        m.task_id,
        m.llm_model as model,
        null::varchar as workflow_type,
        m.judged_at_ms,
        m.status is not null as is_known,
        coalesce(m.status in ('pending', 'streaming'), false) as is_in_flight,
        coalesce(m.status = 'failed', false) as is_failed,
        coalesce(m.status = 'complete', false) as is_completed,
        coalesce(m.status = 'streaming' and m.judged_at_ms < getvariable('at_ms') - $stuck_ms, false) as is_stuck,
        null::double as duration_ms,
        null::double as retry_count,
        null::double as total_tokens,
        null::varchar as billed_model,
        null::double as input_tokens,
        null::double as output_tokens,
    from stg_messages as m
    where m.id not in (select l.id from left_out as l where l.table_name = 'chatMessages')
    union all
    select
        'workflowTraces' as table_name,
        t.id,
        t.task_id,
        t.model,
        t.workflow_type,
        t.judged_at_ms,
        t.status is not null as is_known,
        coalesce(t.status in ('STARTED', 'IN_PROGRESS'), false) as is_in_flight,
        coalesce(t.status = 'FAILED', false) as is_failed,
        coalesce(t.status = 'COMPLETED', false) as is_completed,
        coalesce(
            t.status = 'STARTED' and coalesce(t.started_at_ms, t.judged_at_ms) < getvariable('at_ms') - $stuck_ms, false
        ) as is_stuck,
        case when t.status = 'COMPLETED' then t.total_duration_ms end as duration_ms,
        t.retry_count,
        case when t.status = 'COMPLETED' then w.total_tokens end as total_tokens,
        case when t.status = 'COMPLETED' then coalesce(w.llm_model, t.model) end as billed_model,
        w.input_tokens,
        w.output_tokens,
    from stg_traces as t
    left join stg_messages as w on w.id = t.message_id
    where t.id not in (select l.id from left_out as l where l.table_name = 'workflowTraces')
),

sided as (
    select
        case when o.judged_at_ms < $base_to_ms and o.judged_at_ms >= $base_from_ms then 'baseline' else 'after' end as side,
        o.*,
    from outcome as o
    where
        (o.judged_at_ms >= $base_from_ms and o.judged_at_ms < $base_to_ms)
        or (o.judged_at_ms >= $after_from_ms and o.judged_at_ms <= $after_to_ms)
)

select
    s.side,
    s.table_name,
    s.id,
    s.task_id,
    k.user_id,
    s.model,
    s.workflow_type,
    case when k.id is null then 'gone' when k.is_scratchpad then 'scratchpad' else 'repository' end as task_class,
    array_length(list_filter($flip_ms, lambda x: x <= s.judged_at_ms)) as flag_period,
    s.is_known,
    s.is_in_flight and s.judged_at_ms >= getvariable('at_ms') - $running_ms as is_running,
    s.is_failed,
    s.is_completed,
    s.is_stuck,
    s.duration_ms,
    s.retry_count,
    s.total_tokens,
    s.billed_model,
    (
        s.input_tokens * list_extract($input_prices::double[], list_position($priced_models::varchar[], s.billed_model))
        + s.output_tokens * list_extract($output_prices::double[], list_position($priced_models::varchar[], s.billed_model))
    ) / 1000000 as cost_usd,
from sided as s
left join stg_tasks as k on k.id = s.task_id
order by s.side, s.table_name, s.id
