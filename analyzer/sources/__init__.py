"""Where documents come from, behind one Protocol; read only."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, Protocol

from analyzer.convex.function_names import DEFAULT_NAMES, FunctionNames
from analyzer.model import SourceInfo, TableRef


class Source(Protocol):
    """One complete, consistent view of a deployment's documents. It cannot change or delete anything.

    info              identity, time, flags, answers and warnings, known before any document is read
    lists_all_tables  whether a table that it does not hold is gone from the deployment
    """

    info: SourceInfo
    lists_all_tables: bool

    def tables(self) -> Sequence[TableRef]:
        """Return the tables that it holds, by component and name."""

    def open_table(self, table: TableRef) -> BinaryIO:
        """Open the documents of a table as a stream of export_json, one document a line.

        raises  SourceInvalid, here or while it is read to its end, when it is damaged
        """

    def where(self, table: TableRef) -> str:
        """Return what errors call a table: "export.zip: users/documents.jsonl"."""

    def close(self) -> None:
        """Let go of files and connections."""


def open_source(
    path: Path,
    *,
    deployment: str | None,
    taken_at_ns: int | None,
    flag_names: Sequence[str],
    functions: FunctionNames = DEFAULT_NAMES,
) -> Source:
    """Open an export ZIP, an unpacked export or a recording, whichever lies there.

    deployment   the name to file it under; None: what the platform's file name says, else one made from a hash
    taken_at_ns  when it was taken, nanoseconds since the epoch; None: what the source says itself
    flag_names   of a recording's flags only these are kept; values of others never leave the reader
    functions    whose answers to look for in a recording
    raises       SourceError when it cannot be read; SourceInvalid when it is not what it claims to be
    """
    from analyzer.sources.archive import ArchiveSource
    from analyzer.sources.recording import RecordingSource, is_recording

    if is_recording(path, functions):
        return RecordingSource(
            path, deployment=deployment, taken_at_ns=taken_at_ns, flag_names=flag_names, functions=functions
        )
    return ArchiveSource(path, deployment=deployment, taken_at_ns=taken_at_ns)
