-- What was done to the deployment: pushes, changes of variables, imports, pauses.
--
-- grain    one row per event
-- params   $from_ms   BIGINT  start of the window
--          $until_ms  BIGINT  its end, not included
-- returns  at_ms    DOUBLE   by the deployment's clock
--          action   VARCHAR  as the audit log names it; variable_changed where only the variable's row tells
--          subject  VARCHAR  name of the variable; '' where there is none
--          actor    VARCHAR  system, member, token or unknown
-- reads    deployment_event, variable deployment_no
select
    e.at_ms,
    e.action,
    e.subject,
    e.actor,
from deployment_event as e
where e.deployment_no = getvariable('deployment_no') and e.at_ms >= $from_ms and e.at_ms < $until_ms
order by e.at_ms, e.action, e.subject, e.actor, e.details_json
