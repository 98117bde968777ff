-- Up to which revisions a collect has counted by the minute what health looks at.
--
-- grain    one row
-- params   none
-- returns  counted_ns  BIGINT  newest revision that is counted, nanoseconds since the epoch; -1 where none is
-- reads    counted_minute, variable deployment_no
select coalesce(max(c.revision_ns), -1) as counted_ns
from counted_minute as c
where c.deployment_no = getvariable('deployment_no')
order by counted_ns
