-- Messages whose text was reduced on arrival, so that no new pattern can be looked for in it.
--
-- grain    one row
-- params   none
-- returns  message_count  BIGINT
-- reads    stg_messages
select
    count(*) as message_count,
from stg_messages as m
where m.content_length is not null and m.content_text is null
order by message_count
