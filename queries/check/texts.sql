-- Messages whose text, length and hash do not go together.
--
-- grain    one row per revision
-- params   none
-- returns  what  VARCHAR  which revision, and what is wrong
-- reads    revision_messages
select
    case
        when (m.content_length is null) <> (m.content_sha256 is null)
            then format('revision {}: a text with a length and no hash, or the other way round', m.revision_no)
        when octet_length(m.content_sha256) <> 32
            then format('revision {}: the hash of its text is not 32 bytes long', m.revision_no)
        when m.content_text is not null and m.content_length is distinct from length(m.content_text)
            then format('revision {}: its text has another length than it says', m.revision_no)
        else format('revision {}: its text has another hash than it says', m.revision_no)
    end as what,
from revision_messages as m
where
    (m.content_length is null) <> (m.content_sha256 is null)
    or octet_length(m.content_sha256) <> 32
    or (
        m.content_text is not null
        and (
            m.content_length is distinct from length(m.content_text)
            or m.content_sha256 is distinct from unhex(sha256(m.content_text))
        )
    )
order by what
