-- Which times of metrics, calls and events were seen, and which are lost.
--
-- grain    one row per span
-- params   none
-- returns  stream    VARCHAR  metrics, calls, events; documents, or documents and a table, only as gaps
--          from_ms   DOUBLE   by the deployment's clock
--          until_ms  DOUBLE   not included
--          is_gap    BOOLEAN  lost for good; wins where it overlaps what was seen
--          reason    VARCHAR  of a gap
-- reads    observed_span, variable deployment_no
select
    s.stream,
    s.from_ms,
    s.until_ms,
    s.is_gap,
    s.reason,
from observed_span as s
where s.deployment_no = getvariable('deployment_no')
order by s.stream, s.from_ms, s.until_ms, s.is_gap
