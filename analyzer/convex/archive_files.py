"""The files of an export, in a ZIP or unpacked into a folder: found safely, read as streams, never extracted.

A ZIP is refused where its directory and its contents do not agree, where entries overlap, are encrypted, lead out of
the archive, or unpack to absurdly much. A folder is refused where a symbolic link leads out of it.
"""

from __future__ import annotations

import io
import os
import re
import stat
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, BinaryIO, Protocol

from analyzer.convex.inflating import Inflating
from analyzer.errors import SourceError, SourceInvalid
from analyzer.units import truncated, visible

DOCUMENTS, SCHEMA = "documents.jsonl", "generated_schema.jsonl"
MAX_RATIO = 400  # bytes unpacked for one stored byte; random ids alone keep documents far below
MIN_ABSURD_BYTES = 4 << 20  # a smaller entry harms no one: a few documents of 1 MiB may well repeat themselves
MAX_NAMES = 1_000_000
MAX_COMPONENT_DEPTH = 32
HINT = "nothing was stored; export again with `npx convex export`"

_LOCAL_HEADER = struct.Struct("<4s22xHH")  # signature, length of name, length of extra field
_DESCRIPTOR_BYTES = 24  # at most, after the bytes of an entry that was streamed
_ENCRYPTED = 0x1
# Whatever zipfile raises on bytes that no ZIP writer wrote.
BROKEN_ZIP = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    OSError,
    OverflowError,
    RuntimeError,
    ValueError,
    IndexError,
    KeyError,
)


class Files(Protocol):
    """Where the files of an export lie."""

    label: str  # what errors call it: "export.zip"
    names: tuple[str, ...]  # paths with "/"; no two the same

    def open(self, name: str) -> BinaryIO:
        """Open one file as a stream; a damaged one raises SourceInvalid while it is read, at its end at the latest."""

    def close(self) -> None:
        """Let go of the file."""


def open_files(path: Path, label: str) -> Files:
    """Open a ZIP file or a folder.

    raises  SourceError when it cannot be read; SourceInvalid when it is not what it claims to be
    """
    if path.is_dir():
        return FolderFiles(path, label)
    if not path.exists():
        raise SourceError(f"{visible(str(path))} does not exist", hint="name an export, an unpacked one or a recording")
    return ZipFiles(path, label)


class ZipFiles:
    """The entries of a ZIP."""

    def __init__(self, path: Path, label: str) -> None:
        self.label = label
        self._starts: dict[str, int] = {}  # where the bytes of each entry begin
        try:
            self._file: IO[bytes] = path.open("rb")
        except OSError as problem:
            raise SourceError(f"{label} cannot be read: {problem.strerror}", hint="check its permissions") from None
        try:
            self._zip, infos = self._check()
        except BaseException:
            self._file.close()
            raise
        self._entries = {info.orig_filename: info for info in infos}
        self.names = tuple(name for name in self._entries if not name.endswith("/"))

    def open(self, name: str) -> BinaryIO:
        """Open one entry; its checksum is checked when its end is reached."""
        info, where = self._entries[name], f"{self.label}: {shown(name)}"
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise SourceInvalid(f"{where}: compressed by method {info.compress_type}, not deflated", hint=HINT)
        if is_absurd(info):
            said = f"{info.compress_size} bytes that unpack to {info.file_size}"
            raise SourceInvalid(f"{where}: absurd compression, {said}", hint="nothing was stored")
        if info.compress_type == zipfile.ZIP_DEFLATED:
            return _checked(lambda: Inflating(self._file, info, self._starts[name]), where)
        return _checked(lambda: self._zip.open(info), where)

    def close(self) -> None:
        """Close the file."""
        self._zip.close()
        self._file.close()

    def _check(self) -> tuple[zipfile.ZipFile, list[zipfile.ZipInfo]]:
        try:
            archive = zipfile.ZipFile(self._file)
        except BROKEN_ZIP as problem:
            self._file.seek(0)
            is_zip = self._file.read(4) == b"PK\x03\x04"
            said = "is damaged or cut short" if is_zip else "is not a ZIP file"
            raise SourceInvalid(f"{self.label} {said} ({visible(str(problem))})", hint=HINT) from None
        infos = archive.infolist()
        for info in infos:
            _check_name(info.orig_filename, self.label)
            if info.flag_bits & _ENCRYPTED:
                raise SourceInvalid(f"{self.label}: {shown(info.orig_filename)}: encrypted", hint=HINT)
        name, count = next(iter(Counter(info.orig_filename for info in infos).most_common(1)), ("", 0))
        if count > 1:
            raise SourceInvalid(f"{self.label}: {shown(name)}: {count} entries of this name", hint=HINT)
        self._check_layout(infos, archive.start_dir)
        return archive, infos

    def _check_layout(self, infos: list[zipfile.ZipInfo], end: int) -> None:
        """Refuse a directory that does not describe the file: entries elsewhere, of another name, overlapping, or
        with bytes between them that no entry accounts for, such as an entry that the directory hides.
        """
        free, slack = 0, 0
        for info in sorted(infos, key=lambda info: info.header_offset):
            where = f"{self.label}: {shown(info.orig_filename)}"
            header = b""
            if 0 <= info.header_offset < end:
                self._file.seek(info.header_offset)
                header = self._file.read(_LOCAL_HEADER.size)
            if len(header) < _LOCAL_HEADER.size:
                raise SourceInvalid(f"{where}: damaged, it starts nowhere", hint=HINT)
            signature, name_bytes, extra_bytes = _LOCAL_HEADER.unpack(header)
            encoding = "utf-8" if info.flag_bits & 0x800 else "cp437"
            name = self._file.read(name_bytes).decode(encoding, "replace")
            starts_at = info.header_offset + _LOCAL_HEADER.size + name_bytes + extra_bytes
            if signature != b"PK\x03\x04" or name != info.orig_filename:
                raise SourceInvalid(f"{where}: damaged, the directory of the ZIP points to something else", hint=HINT)
            if info.header_offset < free or starts_at + info.compress_size > end:
                raise SourceInvalid(f"{where}: damaged, it overlaps with something else", hint=HINT)
            if info.header_offset > free + slack:
                raise SourceInvalid(f"{where}: damaged, something stands before it unlisted", hint=HINT)
            self._starts[info.orig_filename] = starts_at
            free, slack = starts_at + info.compress_size, _DESCRIPTOR_BYTES
        if end > free + slack:
            raise SourceInvalid(f"{self.label} is damaged: entries at its end are not listed", hint=HINT)


class FolderFiles:
    """An export unpacked into a folder."""

    def __init__(self, path: Path, label: str) -> None:
        self.label = label
        self._root = path
        self._inside = path.resolve()
        try:
            self.names = tuple(sorted(self._find(path, "", 2)))
        except OSError as problem:
            raise SourceError(f"{label} cannot be read: {problem.strerror}", hint="check its permissions") from None

    def open(self, name: str) -> BinaryIO:
        """Open one file."""
        return _checked(lambda: (self._root / name).open("rb"), f"{self.label}: {shown(name)}")

    def close(self) -> None:
        """Do nothing: each file is closed by whoever opened it."""

    def _find(self, folder: Path, prefix: str, levels: int, depth: int = 0) -> Iterator[str]:
        """Yield the files that can belong to an export: those of tables, `levels` folders down at most."""
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda entry: entry.name)
        if len(entries) > MAX_NAMES or depth > MAX_COMPONENT_DEPTH:
            raise SourceInvalid(f"{self.label}: {shown(prefix)}: too much for an export", hint=HINT)
        in_storage = folder.name == "_storage"
        for entry in entries:
            name = prefix + entry.name
            if entry.name.startswith("."):
                continue
            if entry.is_symlink():
                self._check_link(entry, name)
            if entry.is_dir(follow_symlinks=False):
                if entry.name == "_components":
                    with os.scandir(entry.path) as components:
                        for component in sorted(components, key=lambda entry: entry.name):
                            if component.is_dir(follow_symlinks=False):
                                inner = f"{name}/{component.name}/"
                                yield from self._find(Path(component.path), inner, 1, depth + 1)
                elif levels:
                    yield from self._find(Path(entry.path), f"{name}/", levels - 1, depth)
            elif (in_storage or entry.name in (DOCUMENTS, SCHEMA)) and stat.S_ISREG(entry.stat().st_mode):
                yield name

    def _check_link(self, entry: os.DirEntry[str], name: str) -> None:
        try:
            target = Path(entry.path).resolve()
        except (OSError, RuntimeError):  # a circle of links
            target = self._inside
        if not target.is_relative_to(self._inside):
            raise SourceInvalid(f"{self.label}: {shown(name)}: a symbolic link that leads out of the folder", hint=HINT)
        if not target.is_file():
            raise SourceInvalid(f"{self.label}: {shown(name)}: a symbolic link, and not to a file", hint=HINT)


def is_absurd(info: zipfile.ZipInfo) -> bool:
    """Tell whether an entry claims to unpack to more than documents ever do."""
    return info.file_size > max(MIN_ABSURD_BYTES, MAX_RATIO * info.compress_size)


def shown(name: str) -> str:
    """Return a foreign file name as an error shows it."""
    return truncated(visible(name), 100)


def _check_name(name: str, label: str) -> None:
    said = ""
    if name.startswith(("/", "\\")) or re.match(r"[A-Za-z]:", name):
        said = "an absolute path"
    elif ".." in re.split(r"[/\\]", name):
        said = "a path that leads out of the archive"
    elif not name or "\0" in name or "\\" in name or {".", ""} & set(name.removesuffix("/").split("/")):
        said = "a malformed path"
    if said:
        raise SourceInvalid(f"{label}: {shown(name)}: {said}", hint="nothing was stored; do not unpack this file")


def _checked(opened: Any, where: str) -> BinaryIO:
    """Open a stream and wrap it so that damage becomes SourceInvalid, naming the entry."""
    try:
        stream = opened()
    except BROKEN_ZIP as problem:
        raise _damaged(where, problem) from None
    return io.BufferedReader(_Checked(stream, where))


def _damaged(where: str, problem: BaseException) -> SourceInvalid:
    return SourceInvalid(f"{where}: damaged or cut short ({visible(str(problem))})", hint=HINT)


class _Checked(io.RawIOBase):
    """Raises SourceInvalid where the wrapped stream raises what it likes."""

    def __init__(self, stream: BinaryIO, where: str) -> None:
        self._stream, self._where = stream, where

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            block = self._stream.read(len(buffer))
        except BROKEN_ZIP as problem:
            raise _damaged(self._where, problem) from None
        buffer[: len(block)] = block
        return len(block)

    def close(self) -> None:
        if not self.closed:
            self._stream.close()
        super().close()
