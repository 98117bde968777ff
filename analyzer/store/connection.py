"""Opens the DuckDB file: waiting for whoever holds it, and bringing its schema up to date."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path

import duckdb

from analyzer import clock, sql
from analyzer.errors import StoreError, UsageError
from analyzer.store import copies
from analyzer.store.copies import PRIVATE, STORAGE_VERSION
from analyzer.store.journal import Journal, journal_of, log_of, of_this_process, restore
from analyzer.units import byte_count

SCHEMA_VERSION = 3  # number of the newest file in queries/schema
RETRY_S = 0.05
WRITING_BYTES = 3 << 29  # of memory to write with: 10 M documents are stored with a third of it
LEAST_BYTES = 128 << 20  # with less, DuckDB cannot even begin what it could spill
_HOLDER = re.compile(r"held in (?P<program>.+?) \(PID (?P<pid>\d+)\)")


class _Memory:
    """What DuckDB may use in this process; beyond it, it spills to a folder beside the store."""

    def __init__(self, limit_bytes: int | None = None) -> None:
        """Allow so many bytes; None: to read, what DuckDB takes by itself; to write, WRITING_BYTES."""
        self.limit_bytes = limit_bytes


_memory = _Memory()
_left_open: list[duckdb.DuckDBPyConnection] = []  # until this process ends


def limit_memory(limit_bytes: int) -> None:
    """Limit the memory of every store that this process opens from now on.

    raises  UsageError for less than 128 MiB
    """
    if limit_bytes < LEAST_BYTES:
        raise UsageError(
            f"{byte_count(limit_bytes)} of memory are too little for a store",
            hint=f"{byte_count(LEAST_BYTES)} or more; what does not fit waits on the disk",
        )
    _memory.limit_bytes = limit_bytes


def open_for_reading(path: Path, wait_s: float) -> duckdb.DuckDBPyConnection:
    """Open an existing store read-only.

    wait_s  how long to wait for a writer, seconds
    raises  StoreError when there is no store, it is no store, it is held, or it is from a newer version
    """
    if not path.is_file():
        raise StoreError(
            f"there is no store at {path}",
            hint="make one with `analyzer collect EXPORT`, or look at a sample with `analyzer demo`",
        )
    connection = _connect(path, read_only=True, wait_s=wait_s)
    try:
        _prepare_to_spill(path)
        _configure(connection, _memory.limit_bytes)
        version = _schema_version(connection, path)
        if version < SCHEMA_VERSION:
            raise StoreError(
                f"{path} has schema {version}, this version reads schema {SCHEMA_VERSION}",
                hint=f"`analyzer store repair --db {path}` brings it up to date, and keeps a copy of it as it is",
            )
    except BaseException:
        close(connection, path)
        raise
    return connection


def open_for_writing(path: Path, wait_s: float) -> duckdb.DuckDBPyConnection:
    """Open a store for writing, making it (mode 0600) or migrating it where needed.

    raises  StoreError when it is held by another process, is no store, or is from a newer version
    """
    try:
        make(path)
        connection = _connect(path, read_only=False, wait_s=wait_s)
        path.chmod(PRIVATE)
    except OSError as error:
        raise StoreError(
            f"cannot write {path}: {error.strerror or error}", hint="choose another place with --db PATH"
        ) from None
    try:
        connection.execute("pragma disable_checkpoint_on_shutdown")  # `close` does it, with a journal
        Journal.begin(path, connection)
        _prepare_to_spill(path)
        _configure(connection, _memory.limit_bytes or _default_for_writing())
        _migrate(connection, path, _schema_version(connection, path))
    except BaseException:
        close(connection, path)
        raise
    return connection


def make(path: Path) -> None:
    """Make an empty store beside its place, and give it its name when it is whole, unless there is one.

    raises  OSError where it cannot be made
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        return
    _ignore_in_git(path)
    with copies.alone_in(path.parent):
        if not path.exists():
            with copies.nursery(path) as folder:
                _make_in(folder, path)


def _make_in(folder: Path, path: Path) -> None:
    made = folder / path.name
    with contextlib.closing(_connect(made, read_only=False, wait_s=0.0)) as connection:
        _migrate(connection, made, 0)
    made.chmod(PRIVATE)
    copies.sync(made)
    for left in (journal_of(path), log_of(path)):  # of a store that was here and is no more
        left.unlink(missing_ok=True)
    made.rename(path)
    copies.sync(path.parent)


def open_in_memory(folder: Path) -> duckdb.DuckDBPyConnection:
    """Open a DuckDB of one thread that holds no store; what does not fit into memory waits in a folder."""
    connection = duckdb.connect(config={"temp_directory": str(folder), "threads": 1})
    _configure(connection, _memory.limit_bytes or _default_for_writing())
    return connection


def open_older_for_writing(path: Path, wait_s: float) -> tuple[duckdb.DuckDBPyConnection, int | None]:
    """Open a store for writing; returns it with the schema that it had, None where that is this version's."""
    with contextlib.closing(_connect(path, read_only=True, wait_s=wait_s)) as looked:
        version = _schema_version(looked, path)
    return open_for_writing(path, wait_s), version if 0 < version < SCHEMA_VERSION else None


def _connect(path: Path, *, read_only: bool, wait_s: float) -> duckdb.DuckDBPyConnection:
    deadline_s = clock.monotonic_s() + wait_s
    while True:
        try:
            restore(path)
            if read_only:
                return duckdb.connect(str(path), read_only=True)
            return duckdb.connect(str(path), config={"storage_compatibility_version": STORAGE_VERSION})
        except duckdb.IOException as error:
            text = str(error)
            if "lock" not in text:
                raise StoreError(
                    f"{path} cannot be opened as a store: {text.splitlines()[0][:200]}",
                    hint="name another file with --db PATH",
                ) from None
            if clock.monotonic_s() >= deadline_s:
                raise StoreError(
                    f"{path} is in use by {_holder(text)}, waited {wait_s:g} s",
                    hint="try again when it is done, or wait longer with --wait 60s",
                ) from None
            clock.sleep_s(RETRY_S)
        except duckdb.Error as error:
            raise StoreError(
                f"{path} is no store of this program: {str(error).splitlines()[0][:200]}",
                hint="name another file with --db PATH",
            ) from None


def no_room(path: Path, error: duckdb.Error) -> StoreError | None:
    """Return what to tell a user where the disk refused a write; None for any other error."""
    said = str(error).splitlines()[0]
    if not any(
        word in said.lower() for word in ("could not write", "no space left", "could not fsync", "read-only file")
    ):
        return None
    return StoreError(f"cannot write {path}: {said[:200]}", hint="make room, and start again; the store is as it was")


def _holder(message: str) -> str:
    match = _HOLDER.search(message)
    return f"process {match['pid']} ({Path(match['program']).name})" if match else "another process"


def spill_folder(path: Path) -> Path:
    """Return where an open store keeps for a while what does not fit into memory."""
    return path.with_name(f"{path.name}.tmp")


def leave_open(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    """Close a store that was read by letting this process end soon, where nothing was spilled: that frees it faster."""
    try:
        spill_folder(path).rmdir()
    except FileNotFoundError:
        pass
    except OSError:  # something was spilled, which only closing removes; or somebody else uses it
        close(connection, path)
        return
    _left_open.append(connection)


def close(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    """Close a store, and remove the folder for what does not fit into memory where nobody else uses it."""
    if journal := of_this_process(path):
        journal.end()
    else:
        connection.close()
    with contextlib.suppress(OSError):
        spill_folder(path).rmdir()


def _default_for_writing() -> int:
    return min(WRITING_BYTES, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2)


def _prepare_to_spill(path: Path) -> None:
    with contextlib.suppress(OSError):  # made by DuckDB, others could read it; a reader may not be allowed to make it
        spill_folder(path).mkdir(mode=0o700)


def _configure(connection: duckdb.DuckDBPyConnection, limit_bytes: int | None) -> None:
    if limit_bytes is not None:
        connection.execute(f"set memory_limit = '{limit_bytes // 1024} KiB'")
    connection.execute("set preserve_insertion_order = false")
    connection.execute("set autoinstall_known_extensions = false")
    connection.execute("set autoload_known_extensions = false")
    with contextlib.suppress(duckdb.InvalidInputException):  # a notebook without ipywidgets has none
        connection.execute("set enable_progress_bar = false")
    connection.execute("set timezone = 'UTC'")


def _schema_version(connection: duckdb.DuckDBPyConnection, path: Path) -> int:
    try:
        row = connection.execute("select value from meta where key = 'schema_version'").fetchone()
    except (duckdb.CatalogException, duckdb.BinderException):
        row = None  # no such table; to ask for all of them costs more
    if row is None and not connection.execute("select 1 from duckdb_tables() limit 1").fetchone():
        return 0
    if row is None:
        raise StoreError(
            f"{path} is a DuckDB file but no store of this program", hint="name another file with --db PATH"
        )
    version = int(row[0])
    if version > SCHEMA_VERSION:
        raise StoreError(
            f"{path} has schema {version}, this version knows schemas up to {SCHEMA_VERSION}",
            hint="it was written by a newer analyzer: upgrade, or use another --db",
        )
    return version


def copy_before_migration(path: Path) -> Path:
    """Return where a store of an earlier schema is kept when it is brought up to date."""
    return path.with_name(f"{path.name}.before-schema-{SCHEMA_VERSION}")


def _migrate(connection: duckdb.DuckDBPyConnection, path: Path, version: int) -> None:
    """Apply every schema file above `version`, all in one transaction; a copy of what was there is kept first."""
    pending = sorted((sql.folder() / "schema").glob("*.sql"))[version:]
    if not pending:
        return
    if version:
        with copies.workshop(path) as folder:
            copies.copy_into(connection, folder / path.name)
            (folder / path.name).replace(copy_before_migration(path))
            copies.sync(path.parent)
    connection.execute("begin")
    try:
        for file in pending:
            connection.execute(file.read_text(encoding="utf-8"))
        connection.execute("delete from meta where key = 'schema_version'")
        connection.execute("insert into meta values ('schema_version', $version)", {"version": str(SCHEMA_VERSION)})
        connection.execute("commit")
    except duckdb.Error as error:
        connection.execute("rollback")
        raise StoreError(f"{path} could not be brought to schema {SCHEMA_VERSION}: {error}") from error


def _ignore_in_git(path: Path) -> None:
    """Keep a store out of version control: it holds a deployment's data."""
    ignore = path.parent / ".gitignore"
    line = f"/{path.name}*"
    present = ignore.read_text(encoding="utf-8").splitlines() if ignore.exists() else []
    if line not in present and "*" not in present:
        ignore.write_text("\n".join([*present, line]) + "\n", encoding="utf-8")
