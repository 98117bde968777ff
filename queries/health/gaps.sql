-- Times between two snapshots of which the deployment could not tell what was changed and deleted.
--
-- grain    one row per gap and what it is of
-- params   none
-- returns  table_name  VARCHAR  component/name; NULL for every table
--          from_ms     DOUBLE   the snapshot before, by the deployment's clock
--          until_ms    DOUBLE   the snapshot after
--          reason      VARCHAR
-- reads    observed_span, variable deployment_no
select
    nullif(trim(substr(s.stream, 10)), '') as table_name,
    s.from_ms,
    s.until_ms,
    s.reason,
from observed_span as s
where s.deployment_no = getvariable('deployment_no') and s.is_gap and starts_with(s.stream, 'documents')
order by s.from_ms, s.until_ms, s.stream
