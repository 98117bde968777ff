-- Revisions that the frame must not show: replaced by then, or later than the clock while an earlier one is in force.
--
-- A document first seen after the clock is shown in its first known revision: it existed (by its creation time),
-- and nothing older is known of it.
--
-- grain    one row per hidden revision
-- params   none
-- returns  revision_no  BIGINT
-- reads    revision_end, variable valid_at_ns
select e.revision_no
from revision_end as e
where e.valid_to_ns <= getvariable('valid_at_ns')
union all
select e.next_revision_no as revision_no
from revision_end as e
where e.valid_to_ns > getvariable('valid_at_ns')
