-- Every revision of every document, from whichever table holds it.
--
-- grain    one row per revision
-- params   none
-- returns  kind           VARCHAR  table of the store
--          revision_no    BIGINT
--          deployment_no  INTEGER
--          component      VARCHAR  path, '' is the root
--          table_name     VARCHAR
--          id             VARCHAR
--          revision_ns    BIGINT   from when on it is in force, nanoseconds since the epoch
--          deleted        BOOLEAN
--          snapshot_no    INTEGER
--          leftovers      VARCHAR  JSON object; NULL if none
-- reads    revision_users, revision_tasks, revision_messages, revision_traces, revision_other
with every as (
    select 'revision_users' as kind, u.revision_no, u.deployment_no, u.component, u.table_name, u.id, u.revision_ns, u.deleted, u.snapshot_no, u.leftovers
    from revision_users as u
    union all
    select 'revision_tasks' as kind, t.revision_no, t.deployment_no, t.component, t.table_name, t.id, t.revision_ns, t.deleted, t.snapshot_no, t.leftovers
    from revision_tasks as t
    union all
    select 'revision_messages' as kind, m.revision_no, m.deployment_no, m.component, m.table_name, m.id, m.revision_ns, m.deleted, m.snapshot_no, m.leftovers
    from revision_messages as m
    union all
    select 'revision_traces' as kind, w.revision_no, w.deployment_no, w.component, w.table_name, w.id, w.revision_ns, w.deleted, w.snapshot_no, w.leftovers
    from revision_traces as w
    union all
    select 'revision_other' as kind, o.revision_no, o.deployment_no, o.component, o.table_name, o.id, o.revision_ns, o.deleted, o.snapshot_no, o.leftovers
    from revision_other as o
)
select
    e.kind,
    e.revision_no,
    e.deployment_no,
    e.component,
    e.table_name,
    e.id,
    e.revision_ns,
    e.deleted,
    e.snapshot_no,
    e.leftovers,
from every as e
order by e.revision_no
