"""What kind of deployment the stand-in is, and the sizes and limits that tests make small."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from tests.deployment.transaction import MIB, Limits

DAY_S = 86_400
DeploymentKind = Literal["prod", "dev", "preview", "custom", "selfHosted"]


@dataclass
class Settings:
    """May be changed while the server runs."""

    name: str = "happy-animal-123"
    kind: DeploymentKind = "dev"
    reference: str = "dev/someone"
    version: str = "unknown"
    npm_version: str | None = "1.28.0"
    state: Literal["running", "paused", "disabled", "suspended"] = "running"
    function_error_status: int = 200  # 560 from some front proxies
    is_redacting: bool = False  # answers carry neither error texts nor log lines
    has_streaming_export: bool = True  # in the plan
    audit_retention_days: int | None = 90  # None: the audit log is not in the plan
    absent: set[str] = field(default_factory=set)  # paths that this version does not have: an empty 404
    ignores_selection: bool = False  # a server that misreads the filter, and sends everything
    tells_drops: bool = False  # whether a data sync truncates a dropped table
    denies_in_function: bool = False  # a weak key fails inside a `_system` function, not with HTTP 403
    empty_ops_mean_all: bool = False  # how check_admin_key lists the permissions of a full key

    index_retention_s: float = 240.0  # how far back query_at_ts reaches
    snapshot_retention_s: float = 5.0 * DAY_S  # how far back list_snapshot reaches
    document_retention_s: float = 14.0 * DAY_S  # how far back deltas and data sync reach

    snapshot_rows: int = 1_024  # a page of list_snapshot
    delta_rows: int = 128  # log rows that a page of document_deltas reads
    sync_rows: int = 16_384
    sync_rows_read: int = 32_768
    sync_bytes: int = 64 * MIB
    table_rows: int = 10_000  # a page of tableData and its like
    table_bytes: int = 5_000_000
    clear_rows: int = 4_000  # of clearTablePage
    delete_rows: int = 4_096  # of deleteDocuments and addDocument
    import_rows: int = 8_000  # documents that an appending import commits at a time
    part_bytes: int = 5 * MIB  # least size of a part of an upload, the last one excepted

    limits: Limits = field(default_factory=Limits)
    queries_at_once: int = 16
    mutations_at_once: int = 16
    permit_wait_s: float = 5.0  # until 429, in real time
    write_bytes_per_s: int | None = None  # None: no limit; the platform's is 4 MiB
    long_poll_s: float = 60.0  # in real time
    logs_kept: int = 1_000  # completions
    job_polls: int = 1  # looks at an export or import that each of its states lasts

    @property
    def is_self_hosted(self) -> bool:
        return self.kind == "selfHosted"
