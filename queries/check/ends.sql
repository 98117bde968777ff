-- When each revision ends, worked out from the revisions themselves: what revision_end must say.
--
-- grain    one row per revision that another one follows
-- params   none
-- returns  revision_no       BIGINT
--          valid_to_ns       BIGINT  nanoseconds since the epoch
--          next_revision_no  BIGINT
-- reads    every_revision
with following as (
    select
        e.revision_no,
        lead(e.revision_ns) over later as valid_to_ns,
        lead(e.revision_no) over later as next_revision_no,
    from every_revision as e
    window later as (
        partition by e.deployment_no, e.component, e.table_name, e.id order by e.revision_ns, e.revision_no
    )
)
select
    f.revision_no,
    f.valid_to_ns,
    f.next_revision_no,
from following as f
where f.next_revision_no is not null
order by f.revision_no
