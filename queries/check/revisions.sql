-- Revisions that cannot be: of no snapshot, at another time than their snapshot, in the wrong table, or twice.
--
-- grain    one row per fault
-- params   $typed  VARCHAR[]  tables of the root that have a table of their own in the store, as 'chatMessages revision_messages'
-- returns  what  VARCHAR  which revision, and what is wrong
-- reads    every_revision, snapshot
select
    format('revision {} is of snapshot {}, which does not exist', e.revision_no, e.snapshot_no) as what,
from every_revision as e
left join snapshot as s on s.snapshot_no = e.snapshot_no
where s.snapshot_no is null
union all
select
    format('revision {} is not of the time and deployment of its snapshot {}', e.revision_no, e.snapshot_no) as what,
from every_revision as e
join snapshot as s on s.snapshot_no = e.snapshot_no
where s.as_of_ns <> e.revision_ns or s.deployment_no <> e.deployment_no
union all
select
    format('revision {} of {} stands in {}', e.revision_no, e.table_name, e.kind) as what,
from every_revision as e
where
    list_contains($typed::varchar[], e.table_name || ' ' || e.kind) <> (e.kind <> 'revision_other')
    or (e.component <> '' and e.kind <> 'revision_other')
    or (
        e.component = '' and e.kind = 'revision_other'
        and list_contains(list_transform($typed::varchar[], lambda t: split_part(t, ' ', 1)), e.table_name)
    )
union all
select
    format('revision number {} stands {} times', e.revision_no, count(*)) as what,
from every_revision as e
group by e.revision_no
having count(*) > 1
union all
select
    format('{} {} has {} revisions at one time', e.table_name, e.id, count(*)) as what,
from every_revision as e
group by e.deployment_no, e.component, e.table_name, e.id, e.revision_ns
having count(*) > 1
order by what
