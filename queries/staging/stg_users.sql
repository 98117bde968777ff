-- Users in force in the frame: as of its snapshot, or as of its clock where that is earlier.
--
-- grain    one row per user that exists at the clock
-- params   none
-- returns  revision_no       BIGINT  which revision is in force
--          id                VARCHAR
--          creation_time_ms  DOUBLE  milliseconds since the epoch
--          name              VARCHAR
--          email             VARCHAR
--          created_at_ms     DOUBLE  milliseconds since the epoch
--          leftovers         VARCHAR  JSON object of every other field and clashing value; NULL if none
-- reads    revision_users, frame_hidden, variables deployment_no, as_of_ns, at_ms
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
    and (r.creation_time_ms is null or floor(r.creation_time_ms) <= getvariable('at_ms'))
    and r.revision_no not in (select h.revision_no from frame_hidden as h)
