-- Documents that mention one of these ids in a field without a column: nested, in an array, or in text.
--
-- grain    one row per document
-- params   $ids  VARCHAR[]  ids that are looked for
-- returns  component   VARCHAR  path, '' is the root
--          table_name  VARCHAR
--          id          VARCHAR
--          fields      VARCHAR  JSON object of the fields that were searched
-- reads    stg_users, stg_tasks, stg_messages, stg_traces, stg_other
with wanted as (
    select distinct unnest($ids::varchar[]) as id
),
searched as (
    select '' as component, 'users' as table_name, u.id, u.leftovers as fields
    from stg_users as u
    where u.leftovers is not null
    union all
    select '' as component, 'tasks' as table_name, t.id,
        json_merge_patch(
            coalesce(t.leftovers, '{}'),
            json_object('title', t.title, 'workspacePath', t.workspace_path, 'repoUrl', t.repo_url)
        )::varchar as fields
    from stg_tasks as t
    union all
    select '' as component, 'chatMessages' as table_name, m.id,
        case
            when m.content_text is null then m.leftovers
            else json_merge_patch(coalesce(m.leftovers, '{}'), json_object('content', m.content_text))::varchar
        end as fields
    from stg_messages as m
    where m.leftovers is not null or m.content_text is not null
    union all
    select '' as component, 'workflowTraces' as table_name, w.id, w.leftovers as fields
    from stg_traces as w
    where w.leftovers is not null
    union all
    select o.component, o.table_name, o.id, o.leftovers as fields
    from stg_other as o
    where o.leftovers is not null
),
mention as (
    select
        s.component,
        s.table_name,
        s.id,
        unnest(regexp_extract_all(s.fields, '[0-9a-hjkmnp-tv-z]{31,38}')) as run,
        s.fields,
    from searched as s
    where length(s.fields) >= 31
)
select distinct
    m.component,
    m.table_name,
    m.id,
    m.fields,
from mention as m
where
    m.run in (select n.id from wanted as n)
    or substr(m.run, 2) in (select n.id from wanted as n)
    or substr(m.run, 1, length(m.run) - 1) in (select n.id from wanted as n)
order by m.component, m.table_name, m.id
