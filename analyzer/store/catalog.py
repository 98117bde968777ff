"""Reads and writes the rows that describe collections: deployments, snapshots, coverage, drift, flags, answers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from analyzer.errors import StoreError, UsageError
from analyzer.model import (
    Answer,
    Deployment,
    DeploymentType,
    DriftCount,
    Flag,
    Snapshot,
    TableCoverage,
    TableRef,
)

if TYPE_CHECKING:
    from analyzer.model import SourceInfo

ROWS_AT_ONCE = 256  # of one statement


def deployment_no(connection: duckdb.DuckDBPyConnection, name: str) -> int | None:
    """Return the number of a deployment, or None when the store does not know it."""
    row = connection.execute("select deployment_no from deployment where name = $name", {"name": name}).fetchone()
    return None if row is None else int(row[0])


def record_deployment(connection: duckdb.DuckDBPyConnection, deployment: Deployment) -> int:
    """Add a deployment, or keep its type and origin as last said; returns its number."""
    number = deployment_no(connection, deployment.name)
    values = {
        "origin": deployment.origin,
        "type": deployment.type.value,
        "type_reason": deployment.type_reason,
    }
    if number is None:
        row = connection.execute("select coalesce(max(deployment_no), 0) + 1 from deployment").fetchone()
        assert row is not None
        number = int(row[0])
        connection.execute(
            "insert into deployment values ($deployment_no, $name, $origin, $type, $type_reason)",
            {"deployment_no": number, "name": deployment.name} | values,
        )
    elif deployment.type is not DeploymentType.UNKNOWN:
        connection.execute(
            """update deployment set origin = coalesce($origin, origin), type = $type, type_reason = $type_reason
            where deployment_no = $deployment_no""",
            {"deployment_no": number} | values,
        )
    return number


def neighbours(connection: duckdb.DuckDBPyConnection, number: int) -> list[tuple[int, int]]:
    """Return (as_of_ns, snapshot_no) of a deployment's snapshots, oldest first."""
    return connection.execute(
        "select as_of_ns, snapshot_no from snapshot where deployment_no = $number order by as_of_ns",
        {"number": number},
    ).fetchall()


def next_covering(
    connection: duckdb.DuckDBPyConnection, number: int, as_of_ns: int, table: TableRef
) -> tuple[int, int] | None:
    """Return (snapshot_no, as_of_ns) of the next later snapshot that covers a table."""
    row = connection.execute(
        """select s.snapshot_no, s.as_of_ns from snapshot as s join coverage as c on c.snapshot_no = s.snapshot_no
        where s.deployment_no = $number and s.as_of_ns > $as_of_ns and c.status = 'collected'
            and c.component = $component and c.table_name = $table_name
        order by s.as_of_ns limit 1""",
        {"number": number, "as_of_ns": as_of_ns, "component": table.component, "table_name": table.name},
    ).fetchone()
    return None if row is None else (int(row[0]), int(row[1]))


def next_snapshot_no(connection: duckdb.DuckDBPyConnection) -> int:
    """Return the number the next snapshot gets."""
    row = connection.execute("select coalesce(max(snapshot_no), 0) + 1 from snapshot").fetchone()
    assert row is not None
    return int(row[0])


def record_snapshot(
    connection: duckdb.DuckDBPyConnection,
    snapshot: Snapshot,
    number: int,
    info: SourceInfo,
    tool_version: str,
) -> None:
    """Add a complete snapshot and all that describes it."""
    import orjson

    connection.execute(
        """insert into snapshot values ($snapshot_no, $deployment_no, $label, $source_kind, $source_label, $as_of_ns,
            $time_basis, $taken_at_ms, $tool_version, true, $warnings, $text_fingerprints)""",
        {
            "snapshot_no": snapshot.id,
            "deployment_no": number,
            "label": snapshot.label,
            "source_kind": snapshot.source_kind,
            "source_label": snapshot.source_label,
            "as_of_ns": snapshot.as_of_ns,
            "time_basis": snapshot.time_basis,
            "taken_at_ms": snapshot.taken_at_ms,
            "tool_version": tool_version,
            "warnings": list(snapshot.warnings),
            "text_fingerprints": list(snapshot.text_fingerprints),
        },
    )
    _insert(connection, "coverage", [_coverage_row(snapshot.id, c) for c in snapshot.coverage])
    _insert(
        connection,
        "drift",
        [(snapshot.id, d.component, d.table, d.field, d.kind, d.found, d.count) for d in snapshot.drift],
    )
    _insert(connection, "flag", [(snapshot.id, f.name, f.value, f.changed_at_ms) for f in info.flags])
    _insert(
        connection,
        "answer",
        [(snapshot.id, a.function, a.answered_at_ms, orjson.dumps(a.value).decode()) for a in info.answers],
    )


def _coverage_row(snapshot_no: int, c: TableCoverage) -> tuple[Any, ...]:
    counts = (c.documents, c.added, c.changed, c.removed)
    return (snapshot_no, c.table.component, c.table.name, c.table.number, c.status, *counts, c.reason, c.forgotten)


def _insert(connection: duckdb.DuckDBPyConnection, table: str, rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert rows, many by one statement: each statement takes longer than its rows do."""
    for start in range(0, len(rows), ROWS_AT_ONCE):
        some = rows[start : start + ROWS_AT_ONCE]
        places = ", ".join(f"({', '.join('?' for _ in row)})" for row in some)
        connection.execute(f"insert into {table} values {places}", [value for row in some for value in row])


def read_snapshots(connection: duckdb.DuckDBPyConnection, deployment: str | None) -> tuple[Snapshot, ...]:
    """Return the complete snapshots, oldest first by source time."""
    rows = connection.execute(
        """select s.snapshot_no, s.label, s.source_kind, s.source_label, s.as_of_ns, s.time_basis, s.taken_at_ms,
            s.warnings, s.text_fingerprints, d.name, d.origin, d.type, d.type_reason
        from snapshot as s join deployment as d on d.deployment_no = s.deployment_no
        where s.complete and ($name is null or d.name = $name)""",
        {"name": deployment},
    ).fetchall()
    coverage = _by_snapshot(connection, "coverage", 2)  # component, table_name
    drift = _by_snapshot(connection, "drift", 5)  # component, table_name, field, kind, found
    flags = _by_snapshot(connection, "flag", 1)  # name
    found = (
        Snapshot(
            id=number,
            label=label,
            deployment=Deployment(name, origin, DeploymentType(type_), reason),
            source_kind=kind,
            source_label=source_label,
            as_of_ns=as_of_ns,
            time_basis=basis,
            taken_at_ms=taken_at_ms,
            coverage=tuple(
                TableCoverage(TableRef(r[0], r[1], r[2]), *r[3:]) for r in coverage.get(number, [])
            ),
            drift=tuple(DriftCount(*r) for r in drift.get(number, [])),
            flags=tuple(Flag(*r) for r in flags.get(number, [])),
            warnings=tuple(warnings),
            text_fingerprints=tuple(fingerprints),
        )
        for (number, label, kind, source_label, as_of_ns, basis, taken_at_ms, warnings, fingerprints, name, origin,
             type_, reason) in rows
    )  # fmt: skip
    return tuple(sorted(found, key=lambda snapshot: (snapshot.deployment.name, snapshot.as_of_ns)))


def choose(found: Sequence[Snapshot], selector: str | int | None, deployment: str | None, path: Path) -> Snapshot:
    """Return one of the snapshots of a store: the newest, or the one with this id or label.

    raises  UsageError when several deployments or labels fit; StoreError when none does
    """
    if not found:
        raise StoreError(
            f"{path} holds no snapshot" + (f" of {deployment}" if deployment else ""),
            hint="collect one with `analyzer collect EXPORT`",
        )
    names = sorted({snapshot.deployment.name for snapshot in found})
    if len(names) > 1:
        raise UsageError(
            f"{path} holds {len(names)} deployments",
            hint=f"choose one with --deployment: {', '.join(names)}",
        )
    if selector is None:
        return found[-1]
    fitting = [s for s in found if str(s.id) == str(selector)] or [s for s in found if s.label == selector]
    if len(fitting) != 1:
        known = ", ".join(f"{s.id} ({s.label})" for s in found[-8:])
        raise UsageError(
            f"{len(fitting)} snapshots are called {selector!r}",
            hint=f"`analyzer snapshots` lists them: {known}",
        )
    return fitting[0]


def _by_snapshot(
    connection: duckdb.DuckDBPyConnection, table: str, key_columns: int
) -> dict[int, list[tuple[Any, ...]]]:
    """Return the rows of a table that describe each snapshot, in the order of their first columns.

    Sorted here: they are few, and every command that reads a store would wait longer for DuckDB to plan four sorts.
    """
    rows = connection.execute(f"select * from {table}").fetchall()
    grouped: dict[int, list[tuple[Any, ...]]] = {}
    for number, *rest in sorted(rows, key=lambda row: row[: 1 + key_columns]):
        grouped.setdefault(number, []).append(tuple(rest))
    return grouped


def read_answers(connection: duckdb.DuckDBPyConnection, snapshot_no: int) -> tuple[Answer, ...]:
    """Return what the deployment's functions said for a snapshot."""
    rows = connection.execute(
        "select function_path, value_json, answered_at_ms from answer where snapshot_no = $n order by function_path",
        {"n": snapshot_no},
    ).fetchall()
    if not rows:
        return ()
    import orjson

    return tuple(Answer(function, orjson.loads(value), at_ms) for function, value, at_ms in rows)
