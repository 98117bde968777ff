-- Messages in force in the frame: as of its snapshot, or as of its clock where that is earlier.
--
-- grain    one row per message that exists at the clock
-- params   none
-- returns  revision_no           BIGINT  which revision is in force
--          id                    VARCHAR
--          creation_time_ms      DOUBLE  milliseconds since the epoch
--          task_id               VARCHAR
--          stacked_task_id       VARCHAR
--          role                  VARCHAR
--          status                VARCHAR
--          prompt_message_id     VARCHAR
--          llm_model             VARCHAR
--          finish_reason         VARCHAR
--          sequence              DOUBLE
--          input_tokens          DOUBLE
--          output_tokens         DOUBLE
--          total_tokens          DOUBLE
--          created_at_ms         DOUBLE  milliseconds since the epoch
--          edited_at_ms          DOUBLE  milliseconds since the epoch
--          content_length        BIGINT  characters; NULL if there was no text
--          content_sha256        BLOB
--          content_fingerprints  VARCHAR[]  ids of the text fingerprints it matched
--          content_text          VARCHAR  NULL unless kept with --keep-text
--          leftovers             VARCHAR  JSON object of every other field and clashing value; NULL if none
--          judged_at_ms          DOUBLE  createdAt, or the creation time where that is missing or not a number
-- reads    revision_messages, frame_hidden, variables deployment_no, as_of_ns, at_ms
select
    r.revision_no,
    r.id,
    r.creation_time_ms,
    r.task_id,
    r.stacked_task_id,
    r.role,
    r.status,
    r.prompt_message_id,
    r.llm_model,
    r.finish_reason,
    r.sequence,
    r.input_tokens,
    r.output_tokens,
    r.total_tokens,
    r.created_at_ms,
    r.edited_at_ms,
    r.content_length,
    r.content_sha256,
    r.content_fingerprints,
    r.content_text,
    r.leftovers,
    coalesce(r.created_at_ms, r.creation_time_ms) as judged_at_ms,
from revision_messages as r
where
    r.deployment_no = getvariable('deployment_no')
    and r.revision_ns <= getvariable('as_of_ns')
    and not r.deleted
    and (r.creation_time_ms is null or floor(r.creation_time_ms) <= getvariable('at_ms'))
    and r.revision_no not in (select h.revision_no from frame_hidden as h)
