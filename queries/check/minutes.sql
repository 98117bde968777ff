-- Messages and traces by the minutes that tell a clock whether they count: what counted_minute must say.
--
-- A clock on a whole minute cannot tell apart what differs less: a document exists from the first millisecond of its
-- creation time on, so that goes up to the next minute; it is in a window that begins no later than createdAt, and
-- stuck when it was in flight before a limit, so those go down. Days and windows of whole minutes are such clocks too.
-- Whole milliseconds come first, for their quotients never round across an integer.
--
-- grain    one row per deployment, time of revisions, table, status and minutes; deletions are left out
-- params   none
-- returns  deployment_no   INTEGER
--          revision_ns     BIGINT   from when on the revisions are in force, nanoseconds since the epoch
--          table_name      VARCHAR  chatMessages or workflowTraces
--          status          VARCHAR  as stored, NULL where it never had one
--          exists_ms       DOUBLE   creation, up to a whole minute; NULL where it is missing or no number
--          judged_at_ms    DOUBLE   createdAt, or else creation, down to a whole minute; NULL without either
--          since_ms        DOUBLE   since when a document in flight is, down to a whole minute; NULL for others
--          document_count  BIGINT   revisions
-- reads    revision_messages, revision_traces
with document as (
    select
        m.deployment_no,
        m.revision_ns,
        'chatMessages' as table_name,
        m.status,
        m.creation_time_ms,
        coalesce(m.created_at_ms, m.creation_time_ms) as judged_at_ms,
        case when m.status = 'streaming' then coalesce(m.created_at_ms, m.creation_time_ms) end as since_ms,
    from revision_messages as m
    where not m.deleted
    union all
    select
        t.deployment_no,
        t.revision_ns,
        'workflowTraces' as table_name,
        t.status,
        t.creation_time_ms,
        coalesce(t.created_at_ms, t.creation_time_ms) as judged_at_ms,
        case when t.status = 'STARTED' then coalesce(t.started_at_ms, t.created_at_ms, t.creation_time_ms) end as since_ms,
    from revision_traces as t
    where not t.deleted
),

rounded as (
    select
        d.deployment_no,
        d.revision_ns,
        d.table_name,
        d.status,
        ceil(floor(d.creation_time_ms) / 60000) * 60000 as exists_ms,
        floor(floor(d.judged_at_ms) / 60000) * 60000 as judged_at_ms,
        floor(floor(d.since_ms) / 60000) * 60000 as since_ms,
    from document as d
)

select
    r.deployment_no,
    r.revision_ns,
    r.table_name,
    r.status,
    r.exists_ms,
    r.judged_at_ms,
    r.since_ms,
    count(*) as document_count,
from rounded as r
group by r.deployment_no, r.revision_ns, r.table_name, r.status, r.exists_ms, r.judged_at_ms, r.since_ms
order by
    r.deployment_no, r.revision_ns, r.table_name, r.status, r.exists_ms, r.judged_at_ms, r.since_ms
