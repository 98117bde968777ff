"""Which document fields have a typed column of their own, and where everything else goes.

A field is stored in its column when its JSON type is the column's; any other value, an explicit null, and every
field without a column go to `leftovers` (JSON text of an object), so nothing is lost and nothing clashes.
An int64 in a number column is stored twice: as a number in the column, exactly in the leftovers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, NamedTuple

from analyzer.model import TableRef

if TYPE_CHECKING:
    from analyzer.model import TableShape

ColumnType = Literal["double", "varchar", "boolean"]


class Column(NamedTuple):
    """One typed column of a revision table."""

    field: str  # name in the document, "createdAt"
    name: str  # name in the table, "created_at_ms"
    type: ColumnType


class RevisionTable(NamedTuple):
    """The physical table that holds the revisions of one document table, or of all others."""

    name: str  # "revision_messages"
    staging: str  # the view over it, "stg_messages"
    columns: tuple[Column, ...]
    text_field: str | None = None  # reduced to content_length, content_sha256, content_fingerprints
    required: frozenset[str] = frozenset()  # document fields whose absence is drift
    statuses: frozenset[str] = frozenset()  # known values of `status`; others are drift


def _columns(type_: ColumnType, **fields: str) -> tuple[Column, ...]:
    return tuple(Column(field, name, type_) for field, name in fields.items())


CREATION_TIME = Column("_creationTime", "creation_time_ms", "double")
OTHER = "*"  # key of the table for documents of every other kind

REVISION_TABLES: Mapping[str, RevisionTable] = {
    "users": RevisionTable(
        "revision_users",
        "stg_users",
        _columns("varchar", name="name", email="email") + _columns("double", createdAt="created_at_ms"),
        required=frozenset({"_creationTime", "email", "createdAt"}),
    ),
    "tasks": RevisionTable(
        "revision_tasks",
        "stg_tasks",
        _columns(
            "varchar",
            title="title",
            status="status",
            repoFullName="repo_full_name",
            repoUrl="repo_url",
            mainModel="main_model",
            workspacePath="workspace_path",
            initStatus="init_status",
            errorCode="error_code",
            errorSource="error_source",
            failedStep="failed_step",
            userId="user_id",
        )
        + _columns("boolean", isScratchpad="is_scratchpad")
        + _columns("double", createdAt="created_at_ms", updatedAt="updated_at_ms"),
        required=frozenset({"_creationTime", "title", "status", "userId", "createdAt"}),
        statuses=frozenset({"STOPPED", "INITIALIZING", "ARCHIVED", "RUNNING", "COMPLETED", "FAILED"}),
    ),
    "chatMessages": RevisionTable(
        "revision_messages",
        "stg_messages",
        _columns(
            "varchar",
            taskId="task_id",
            stackedTaskId="stacked_task_id",
            role="role",
            status="status",
            promptMessageId="prompt_message_id",
            llmModel="llm_model",
            finishReason="finish_reason",
        )
        + _columns(
            "double",
            sequence="sequence",
            inputTokens="input_tokens",
            outputTokens="output_tokens",
            totalTokens="total_tokens",
            createdAt="created_at_ms",
            editedAt="edited_at_ms",
        ),
        text_field="content",
        required=frozenset({"_creationTime", "taskId", "role", "status", "createdAt"}),
        statuses=frozenset({"pending", "streaming", "complete", "failed"}),
    ),
    "workflowTraces": RevisionTable(
        "revision_traces",
        "stg_traces",
        _columns(
            "varchar",
            taskId="task_id",
            traceId="trace_id",
            messageId="message_id",
            workflowType="workflow_type",
            status="status",
            model="model",
            provider="provider",
            errorType="error_type",
        )
        + _columns(
            "double",
            startedAt="started_at_ms",
            completedAt="completed_at_ms",
            totalDurationMs="total_duration_ms",
            retryCount="retry_count",
            createdAt="created_at_ms",
            updatedAt="updated_at_ms",
        ),
        required=frozenset({"_creationTime", "taskId", "status", "startedAt", "createdAt"}),
        statuses=frozenset({"STARTED", "IN_PROGRESS", "COMPLETED", "FAILED", "CANCELLED"}),
    ),
    OTHER: RevisionTable(
        "revision_other",
        "stg_other",
        _columns("varchar", taskId="task_id", messageId="message_id", userId="user_id"),
    ),
}


KNOWN = tuple(TableRef("", name) for name in REVISION_TABLES if name != OTHER)


def shape(component: str, table: str) -> TableShape:
    """Return what a source must know of a table's columns to split its documents."""
    from analyzer.model import TableShape

    where = revision_table(component, table)
    return TableShape(
        fields={CREATION_TIME.field: CREATION_TIME.type} | {c.field: c.type for c in where.columns},
        typed=where.name != REVISION_TABLES[OTHER].name,
        text_field=where.text_field,
        required=where.required,
    )


def revision_table(component: str, table: str) -> RevisionTable:
    """Return where documents of a table are stored; only the root component's app tables are typed."""
    return REVISION_TABLES.get(table, REVISION_TABLES[OTHER]) if component == "" else REVISION_TABLES[OTHER]
