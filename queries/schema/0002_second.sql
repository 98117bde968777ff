-- Second schema: what was forgotten for good leaves its number behind.
alter table coverage add column forgotten_count bigint default 0; -- documents that the snapshot held and that are gone

-- Which documents tests left behind, as the rules found them at the end of a collect, so that readers need not search
-- again. Derived, and never trusted further than its hash: a reader whose rules, marks or snapshot differ searches.
create table remembered (
    deployment_no integer not null,
    snapshot_no integer not null,
    as_of_ns bigint not null,
    rules_hash varchar not null,
    last_exists_ms double, -- when the newest document of the snapshot came to be
);

-- In force for the remembered snapshots from from_ns on, and before until_ns (null: all of them).
create table remembered_artifact (
    deployment_no integer not null,
    from_ns bigint not null,
    until_ns bigint,
    component varchar not null,
    table_name varchar not null,
    id varchar not null,
    tier varchar not null,
    rules varchar[] not null,
    reason varchar not null,
    via varchar,
    via_exists_ms double, -- when that document came to be
    exists_ms double,
    revision_no bigint, -- from here on: of messages and traces, what health looks at
    status varchar,
    created_at_ms double,
    judged_at_ms double,
    since_ms double,
);

-- What the newest export of a table held, stretch by stretch, so that the next one is read only where it differs.
-- Derived, and good for nothing but speed: a row may be deleted at any time, and a document's ids leave with it.
create table export_stretch (
    deployment_no integer not null,
    component varchar not null,
    table_name varchar not null,
    snapshot_no integer not null,
    as_of_ns bigint not null,
    digest varchar not null,
    first_id varchar not null,
    last_id varchar not null,
    document_count bigint not null,
    newest_creation_ms double,
    drift_json varchar not null,
);
