"""A recording: a folder of what a deployment answered, with or without an export of its documents.

export.zip, or snapshot_<deployment>_<ts>.zip,        the documents; all of it optional
  or the folders of an unpacked export, here or in export/
monitoring.dashboard.getSystemHealth.json, …          what a function answered
flags.json                                            {"NAME": "value", "OTHER": null}
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

from analyzer.convex.answers import read_answer
from analyzer.convex.archive import Archive, open_archive
from analyzer.convex.archive_files import DOCUMENTS, shown
from analyzer.convex.function_names import FunctionNames, file_name
from analyzer.errors import SourceInvalid
from analyzer.model import Answer, Flag, SourceInfo, TableRef
from analyzer.sources.identity import Named, deployment_of, named, time_of

FLAGS_FILE = "flags.json"
EXPORT_FILE = "export.zip"
MAX_JSON_BYTES = 16 << 20
HINT = "nothing was stored; `analyzer collect --via-cli` makes a recording"


def is_recording(path: Path, functions: FunctionNames) -> bool:
    """Return whether a folder holds flags, an answer or an export's ZIP; an unpacked export alone holds none."""
    if not path.is_dir():
        return False
    names = (FLAGS_FILE, *map(file_name, functions.all()))
    return any((path / name).is_file() for name in names) or bool(_zips(path))


class RecordingSource:
    """One recording. See `analyzer.sources.Source`."""

    def __init__(
        self,
        path: Path,
        *,
        deployment: str | None,
        taken_at_ns: int | None,
        flag_names: Sequence[str],
        functions: FunctionNames,
    ) -> None:
        self._warnings: list[str] = []
        self._folder = path
        label = path.resolve().name
        answers = self._answers(functions, flag_names)
        flags = self._flags(flag_names)
        self._archive, export = self._open_export(label)
        self.lists_all_tables = self._archive is not None and self._archive.lists_all_tables
        found, warnings = deployment_of(deployment, export, self._hash())
        times = [answer.answered_at_ms for answer in answers if answer.answered_at_ms is not None]
        time_ns, basis = time_of(taken_at_ns, export, max(times, default=None))
        self.info = SourceInfo(
            kind="recording",
            label=label,
            deployment=found,
            source_time_ns=time_ns,
            time_basis=basis,
            flags=tuple(flags),
            answers=tuple(answers),
            warnings=(*warnings, *self._warnings, *(self._archive.warnings if self._archive else ())),
        )

    def tables(self) -> Sequence[TableRef]:
        """Return the tables of the export; without one, none."""
        return () if self._archive is None else self._archive.tables

    def open_table(self, table: TableRef) -> BinaryIO:
        """Open a table's documents."""
        assert self._archive is not None, "a recording without an export has no tables"
        return self._archive.open_table(table)

    def where(self, table: TableRef) -> str:
        """Return what errors call a table."""
        assert self._archive is not None, "a recording without an export has no tables"
        return self._archive.where(table)

    def close(self) -> None:
        """Close the export."""
        if self._archive is not None:
            self._archive.close()

    def _open_export(self, label: str) -> tuple[Archive | None, Named]:
        exports = [*_zips(self._folder), *_unpacked(self._folder)]
        if len(exports) > 1:
            held = ", ".join(shown(path.name) for path in exports)
            raise SourceInvalid(f"{shown(label)} holds more than one export: {held}", hint=HINT)
        if exports:
            path = exports[0]
            inner = "" if path == self._folder else f"/{shown(path.name)}"
            return open_archive(path, label=f"{shown(label)}{inner}"), named(path.resolve().name) or Named()
        self._warnings.append(f"{shown(label)} holds no export: no documents, only what functions answered")
        return None, Named()

    def _hash(self) -> str:
        """Return what tells unnamed deployments apart; without an export, where the recording lies."""
        if self._archive is not None:
            return self._archive.tables_hash
        return hashlib.sha256(str(self._folder.resolve()).encode("utf-8", "surrogateescape")).hexdigest()

    def _answers(self, functions: FunctionNames, flag_names: Sequence[str]) -> list[Answer]:
        answers = []
        for function in functions.all():
            is_there, parsed = self._read_json(file_name(function))
            if is_there:
                answer, warnings = read_answer(function, parsed, flag_names=flag_names, names=functions)
                self._warnings += warnings
                answers += [] if answer is None else [answer]
        return answers

    def _flags(self, flag_names: Sequence[str]) -> list[Flag]:
        _, parsed = self._read_json(FLAGS_FILE)
        if parsed is None:
            return []
        if not isinstance(parsed, dict):
            self._warnings.append(f"{FLAGS_FILE} is no object of names and values: no flag was read")
            return []
        flags = []
        for name in sorted(set(flag_names) & set(parsed)):
            value = parsed[name]
            if isinstance(value, bool):
                value = str(value).lower()
            if value is None or isinstance(value, str):
                flags.append(Flag(name, value))
            else:
                self._warnings.append(f"{FLAGS_FILE}: the value of {name} is no text: it was left out")
        return flags

    def _read_json(self, name: str) -> tuple[bool, Any]:
        """Return whether a file can be used, and what it holds; an empty one holds null."""
        import orjson

        path = self._folder / name
        if not path.is_file():
            return False, None
        if not path.resolve().is_relative_to(self._folder.resolve()):
            raise SourceInvalid(f"{name}: a symbolic link that leads out of the recording", hint=HINT)
        with path.open("rb") as file:
            content = file.read(MAX_JSON_BYTES + 1)
        try:
            if len(content) > MAX_JSON_BYTES:
                raise ValueError("larger than 16 MiB")
            return True, orjson.loads(content) if content.strip() else None
        except ValueError as problem:
            self._warnings.append(f"{name} is not JSON and was left out: {problem}")
            return False, None


def _zips(folder: Path) -> list[Path]:
    """Return the ZIPs that can be the export: `export.zip` and the platform's own names, else a single other one."""
    zips = sorted(path for path in folder.glob("*.zip") if path.is_file())
    usual = [path for path in zips if path.name == EXPORT_FILE or named(path.name)]
    return usual or zips


def _unpacked(folder: Path) -> list[Path]:
    """Return the folders that hold an unpacked export: this one, and those in it."""
    candidates = [folder, *sorted(path for path in folder.iterdir() if path.is_dir())]
    return [path for path in candidates if any(path.glob(f"*/{DOCUMENTS}"))]
