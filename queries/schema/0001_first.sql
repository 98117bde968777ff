-- First schema of the store: deployments, snapshots, what they hold, and every revision of every document.
--
-- Revisions are append-only, without primary keys or indexes: crash replay is weakest there.
-- A revision is in force from revision_ns until revision_end.valid_to_ns (no row: still in force).
-- revision_end is derived from the revisions and can be rebuilt at any time.
create table meta (
    key varchar not null,
    value varchar not null,
);

create table deployment (
    deployment_no integer not null,
    name varchar not null,
    origin varchar,
    type varchar not null,
    type_reason varchar not null,
);

create table snapshot (
    snapshot_no integer not null,
    deployment_no integer not null,
    label varchar not null,
    source_kind varchar not null,
    source_label varchar not null,
    as_of_ns bigint not null,
    time_basis varchar not null,
    taken_at_ms bigint not null,
    tool_version varchar not null,
    complete boolean not null,
    warnings varchar[] not null,
    text_fingerprints varchar[] not null,
);

create table coverage (
    snapshot_no integer not null,
    component varchar not null,
    table_name varchar not null,
    table_number bigint,
    status varchar not null,
    document_count bigint,
    added_count bigint not null,
    changed_count bigint not null,
    removed_count bigint not null,
    reason varchar not null,
);

create table drift (
    snapshot_no integer not null,
    component varchar not null,
    table_name varchar not null,
    field varchar not null,
    kind varchar not null,
    found varchar not null,
    document_count bigint not null,
);

create table answer (
    snapshot_no integer not null,
    function_path varchar not null,
    answered_at_ms bigint,
    value_json varchar not null,
);

create table flag (
    snapshot_no integer not null,
    name varchar not null,
    value varchar,
    changed_at_ms double,
);

create table mark (
    mark_no bigint not null,
    deployment_no integer not null,
    id varchar not null,
    verdict varchar not null,
    because varchar not null,
    actor varchar not null,
    marked_at_ms bigint not null,
);

create table revision_end (
    revision_no bigint not null,
    valid_to_ns bigint not null,
    next_revision_no bigint not null,
);

create sequence revision_no start 1;

create table revision_users (
    revision_no bigint not null,
    deployment_no integer not null,
    component varchar not null,
    table_name varchar not null,
    id varchar not null,
    revision_ns bigint not null,
    deleted boolean not null,
    snapshot_no integer not null,
    creation_time_ms double,
    name varchar,
    email varchar,
    created_at_ms double,
    leftovers varchar,
);

create table revision_tasks (
    revision_no bigint not null,
    deployment_no integer not null,
    component varchar not null,
    table_name varchar not null,
    id varchar not null,
    revision_ns bigint not null,
    deleted boolean not null,
    snapshot_no integer not null,
    creation_time_ms double,
    title varchar,
    status varchar,
    repo_full_name varchar,
    repo_url varchar,
    is_scratchpad boolean,
    main_model varchar,
    workspace_path varchar,
    init_status varchar,
    error_code varchar,
    error_source varchar,
    failed_step varchar,
    user_id varchar,
    created_at_ms double,
    updated_at_ms double,
    leftovers varchar,
);

-- To try all ways to pack them, and then to pack ids, takes a fifth of a load; and nothing shrinks a hash.
create table revision_messages (
    revision_no bigint not null,
    deployment_no integer not null,
    component varchar not null,
    table_name varchar not null,
    id varchar using compression uncompressed not null,
    revision_ns bigint not null,
    deleted boolean not null,
    snapshot_no integer not null,
    creation_time_ms double,
    task_id varchar using compression uncompressed,
    stacked_task_id varchar,
    role varchar,
    status varchar,
    prompt_message_id varchar,
    llm_model varchar,
    sequence double,
    input_tokens double,
    output_tokens double,
    total_tokens double,
    finish_reason varchar,
    created_at_ms double,
    edited_at_ms double,
    content_length bigint,
    content_sha256 blob using compression uncompressed,
    content_fingerprints varchar[],
    content_text varchar,
    leftovers varchar,
);

create table revision_traces (
    revision_no bigint not null,
    deployment_no integer not null,
    component varchar not null,
    table_name varchar not null,
    id varchar using compression uncompressed not null,
    revision_ns bigint not null,
    deleted boolean not null,
    snapshot_no integer not null,
    creation_time_ms double,
    task_id varchar using compression uncompressed,
    trace_id varchar,
    message_id varchar using compression uncompressed,
    workflow_type varchar,
    status varchar,
    started_at_ms double,
    completed_at_ms double,
    total_duration_ms double,
    model varchar,
    provider varchar,
    error_type varchar,
    retry_count double,
    created_at_ms double,
    updated_at_ms double,
    leftovers varchar,
);

create table revision_other (
    revision_no bigint not null,
    deployment_no integer not null,
    component varchar not null,
    table_name varchar not null,
    id varchar not null,
    revision_ns bigint not null,
    deleted boolean not null,
    snapshot_no integer not null,
    creation_time_ms double,
    task_id varchar,
    message_id varchar,
    user_id varchar,
    leftovers varchar,
);

-- A live read between its pages: documents wait here until they are all of one moment, then become revisions.
-- A batch of pages and the cursor behind it are kept in one transaction.
create table sync (
    deployment_no integer not null,
    cursor varchar,
    is_fresh boolean not null, -- read from the start: what waits is everything, not only what changed
    kept_at_ms bigint not null,
);

create table sync_truncate (
    deployment_no integer not null,
    component varchar not null,
    table_name varchar not null,
);

create table sync_drift (
    deployment_no integer not null,
    component varchar not null,
    table_name varchar not null,
    field varchar not null,
    kind varchar not null,
    found varchar not null,
    document_count bigint not null,
);

create table staged_users as select * from revision_users limit 0;

create table staged_tasks as select * from revision_tasks limit 0;

create table staged_messages as select * from revision_messages limit 0;

create table staged_traces as select * from revision_traces limit 0;

create table staged_other as select * from revision_other limit 0;

-- A rollout is what its log or its plan says; both are kept as they were given, every version of them.
create table rollout (
    rollout_no integer not null,
    deployment varchar not null,
    title varchar not null,
    created_at_ms bigint not null,
);

create table rollout_log (
    rollout_no integer not null,
    version integer not null,
    file_name varchar not null,
    source blob not null,
    imported_at_ms bigint not null,
);

create table rollout_plan (
    rollout_no integer not null,
    version integer not null,
    plan_json varchar not null,
    plan_hash varchar not null,
    starts_ms bigint,
    because varchar not null,
    actor varchar not null,
    frozen_at_ms bigint not null,
);

create table rollout_acceptance (
    rollout_no integer not null,
    verdict varchar not null,
    because varchar not null,
    actor varchar not null,
    accepted_at_ms bigint not null,
);

-- What a purge did and how it was proven: a copy of each receipt, whose original lies beside its plan.
create table purge_receipt (
    receipt_id varchar not null,
    deployment varchar not null,
    finished_at varchar not null,
    receipt_json varchar not null,
);

-- What a deployment forgets, kept at each live collect. Times are the deployment's own.
create table deployment_event (
    deployment_no integer not null,
    at_ms double not null,
    action varchar not null,
    actor varchar not null,
    subject varchar not null, -- name of a variable; '' where the action has none
    details_json varchar not null,
);

-- One whole minute of one function as the platform measured it; null is unknown, and never 0.
create table function_minute (
    deployment_no integer not null,
    component varchar not null,
    function_path varchar not null,
    minute_ms bigint not null,
    call_count bigint,
    error_count bigint,
    cache_hit_count bigint,
    cache_miss_count bigint,
    latency_p50_ms double,
    latency_p95_ms double,
    latency_p99_ms double,
);

create table scheduler_minute (
    deployment_no integer not null,
    minute_ms bigint not null,
    lag_ms double,
);

-- One finished call from the log: figures alone, without arguments, results and log lines.
create table function_call (
    deployment_no integer not null,
    component varchar not null,
    function_path varchar not null,
    kind varchar not null,
    execution_id varchar not null,
    started_ms double not null,
    took_ms double not null,
    is_cached boolean not null,
    error_class varchar,
    will_retry boolean not null,
    caller varchar not null,
    read_documents bigint not null,
    read_bytes bigint not null,
    written_bytes bigint not null,
    conflict_table varchar,
);

-- Which times of a stream (events, metrics, calls) were seen, and which are lost for good: then the reason says why.
create table observed_span (
    deployment_no integer not null,
    stream varchar not null,
    from_ms double not null,
    until_ms double not null,
    is_gap boolean not null,
    reason varchar not null,
);

-- How far the log was read.
create table log_position (
    deployment_no integer not null,
    cursor_ms double not null,
);

-- Collects of a watch that failed, by the local clock.
create table failed_collect (
    deployment_no integer not null,
    failed_at_ms bigint not null,
    reason varchar not null,
);
