-- Intervals of revisions that are not what the revisions say.
--
-- grain    one row per interval that is missing, or says something else
-- params   none
-- returns  what  VARCHAR  which one, and how it is wrong
-- reads    revision_end, check_ends
with missing as (
    select c.revision_no, c.valid_to_ns, c.next_revision_no
    from check_ends as c
    except all
    select r.revision_no, r.valid_to_ns, r.next_revision_no
    from revision_end as r
),
wrong as (
    select r.revision_no, r.valid_to_ns, r.next_revision_no
    from revision_end as r
    except all
    select c.revision_no, c.valid_to_ns, c.next_revision_no
    from check_ends as c
)
select
    format('revision_end lacks the end of revision {}', m.revision_no) as what,
from missing as m
union all
select
    format('revision_end says something of revision {} that the revisions do not', w.revision_no) as what,
from wrong as w
order by what
