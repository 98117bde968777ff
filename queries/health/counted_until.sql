-- Up to which revisions a collect has counted by the minute what health looks at.
--
-- grain    one row
-- params   none
-- returns  counted_ns  BIGINT  newest revision until the clock that is counted, nanoseconds since the epoch; -1: none
-- reads    counted_minute, variables deployment_no, as_of_ns
select coalesce(max(c.revision_ns), -1) as counted_ns
from counted_minute as c
where c.deployment_no = getvariable('deployment_no') and c.revision_ns <= getvariable('as_of_ns')
order by counted_ns
