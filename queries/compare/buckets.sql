-- How the messages and traces made in each stretch of time ended, with what a filter leaves out set apart.
--
-- grain    one row per table and stretch that has documents
-- params   $first_ms  BIGINT  first millisecond of the first stretch
--          $step_ms   BIGINT  length of each, > 0
--          $buckets   BIGINT  how many there are
-- returns  table_name       VARCHAR  chatMessages or workflowTraces
--          bucket           BIGINT   0 is the first stretch
--          completed_count  BIGINT   without what the filter leaves out, as the next two
--          failed_count     BIGINT
--          other_count      BIGINT   open, ended otherwise or without a status
--          left_out_count   BIGINT   documents of any status that the filter leaves out
-- reads    stg_messages, stg_traces, left_out
with judged as (
    select
        'chatMessages' as table_name,
        m.judged_at_ms,
        coalesce(m.status = 'complete', false) as is_completed,
        coalesce(m.status = 'failed', false) as is_failed,
        m.id in (select l.id from left_out as l where l.table_name = 'chatMessages') as is_left_out,
    from stg_messages as m
    union all
    select
        'workflowTraces' as table_name,
        t.judged_at_ms,
        coalesce(t.status = 'COMPLETED', false) as is_completed,
        coalesce(t.status = 'FAILED', false) as is_failed,
        t.id in (select l.id from left_out as l where l.table_name = 'workflowTraces') as is_left_out,
    from stg_traces as t
),

placed as (
    select
        j.*,
        floor((j.judged_at_ms - $first_ms) / $step_ms)::bigint as bucket,
    from judged as j
    where j.judged_at_ms >= $first_ms and j.judged_at_ms < $first_ms + $step_ms * $buckets
)

select
    p.table_name,
    p.bucket,
    count(*) filter (where not p.is_left_out and p.is_completed) as completed_count,
    count(*) filter (where not p.is_left_out and p.is_failed) as failed_count,
    count(*) filter (where not p.is_left_out and not p.is_completed and not p.is_failed) as other_count,
    count(*) filter (where p.is_left_out) as left_out_count,
from placed as p
group by p.table_name, p.bucket
order by p.table_name, p.bucket
