-- Collects of a watch that failed, and why.
--
-- grain    one row per failed collect
-- params   none
-- returns  failed_at_ms  BIGINT   by the local clock, not the deployment's
--          reason        VARCHAR
-- reads    failed_collect, variable deployment_no
select
    f.failed_at_ms,
    f.reason,
from failed_collect as f
where f.deployment_no = getvariable('deployment_no')
order by f.failed_at_ms, f.reason
