-- Users that the store saw and that are gone at the clock: every revision they had while they existed.
--
-- grain    one row per earlier revision of a user that is gone
-- params   none
-- returns  revision_no       BIGINT
--          id                VARCHAR
--          creation_time_ms  DOUBLE  milliseconds since the epoch
--          name              VARCHAR
--          email             VARCHAR
--          created_at_ms     DOUBLE  milliseconds since the epoch
--          leftovers         VARCHAR  JSON object of every other field and clashing value; NULL if none
-- reads    revision_users, stg_users, variables deployment_no, as_of_ns
with gone as (
    select r.id
    from revision_users as r
    where
        r.deployment_no = getvariable('deployment_no')
        and r.revision_ns <= getvariable('as_of_ns')
        and r.deleted
)
select
    r.revision_no,
    r.id,
    r.creation_time_ms,
    r.name,
    r.email,
    r.created_at_ms,
    r.leftovers,
from revision_users as r
where
    r.deployment_no = getvariable('deployment_no')
    and r.revision_ns <= getvariable('as_of_ns')
    and not r.deleted
    and r.id in (select g.id from gone as g)
    and r.id not in (select u.id from stg_users as u)
order by r.id, r.revision_no
