-- Documents of the two windows that a filter leaves out.
--
-- grain    one row per table that it leaves documents out of
-- params   $base_from_ms   BIGINT  first millisecond of the baseline
--          $base_to_ms     BIGINT  end of the baseline, not included
--          $after_from_ms  BIGINT  first millisecond of the look
--          $after_to_ms    BIGINT  end of the look, included
-- returns  table_name      VARCHAR
--          document_count  BIGINT   documents
-- reads    left_out
select
    l.table_name,
    count(*) as document_count,
from left_out as l
where
    (l.judged_at_ms >= $base_from_ms and l.judged_at_ms < $base_to_ms)
    or (l.judged_at_ms >= $after_from_ms and l.judged_at_ms <= $after_to_ms)
group by l.table_name
order by l.table_name
