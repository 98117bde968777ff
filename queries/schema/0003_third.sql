-- Third schema: what health counts is kept by the minute, so that a series over months need not read every document.

-- How many revisions that are not deletions are alike to a clock on a whole minute: what queries/check/minutes.sql
-- finds, of the deployment's revisions up to the newest revision_ns here. Derived: readers count later ones one by one,
-- and all of them where nothing is kept.
create table counted_minute (
    deployment_no integer not null,
    revision_ns bigint not null,
    table_name varchar not null,
    status varchar,
    exists_ms double, -- creation, up to the next whole minute
    judged_at_ms double, -- createdAt, or else creation, down to a whole minute
    since_ms double, -- of documents in flight: since when, down to a whole minute
    document_count bigint not null,
);
