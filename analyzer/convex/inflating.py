"""Inflates an entry of a ZIP in a thread of its own, ahead of whoever reads it, and proves it at its end."""

from __future__ import annotations

import io
import queue
import threading
import zipfile
import zlib
from typing import IO, Any

READ_BYTES = 1 << 17  # of the archive at once
CHUNK_BYTES = 1 << 18  # at most, of what they inflate to: a ratio of thousands does not fill the memory
CHUNKS_AHEAD = 16


class Inflating(io.RawIOBase):
    """The contents of one deflated entry. Damage is raised where its bytes are read, at the end at the latest."""

    def __init__(self, file: IO[bytes], info: zipfile.ZipInfo, starts_at: int) -> None:
        """Start to read ahead.

        file       of the archive, which nothing else reads until this is closed
        starts_at  where the bytes of the entry begin
        """
        self._file, self._info, self._starts_at = file, info, starts_at
        self._chunks: queue.Queue[bytes | BaseException] = queue.Queue(CHUNKS_AHEAD)
        self._is_closing = threading.Event()
        self._rest = b""
        self._thread = threading.Thread(target=self._work, name="inflate", daemon=True)
        self._thread.start()

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer as far as the next chunk goes; 0 at the end."""
        found = self.read(len(buffer))
        buffer[: len(found)] = found
        return len(found)

    def read(self, size: int = -1) -> bytes:
        """Return at most `size` bytes of what is inflated next; none at the end."""
        chunk: bytes | BaseException = self._rest or self._chunks.get()
        if isinstance(chunk, BaseException) or not chunk:
            self._chunks.put(chunk)  # it ends the same way when it is read again
        if isinstance(chunk, BaseException):
            raise chunk
        taken = chunk if size < 0 else chunk[:size]
        self._rest = chunk[len(taken) :]
        return taken

    def close(self) -> None:
        """Stop reading ahead."""
        if not self.closed:
            self._is_closing.set()
            while self._thread.is_alive():  # it may be waiting for room
                try:
                    self._chunks.get(timeout=0.01)
                except queue.Empty:
                    continue
            self._thread.join()
        super().close()

    def _work(self) -> None:
        try:
            from isal import igzip_lib, isal_zlib

            try:
                self._inflate(isal_zlib)
            except igzip_lib.IsalError as problem:  # type: ignore[misc]  # its stubs call the class an instance
                raise zlib.error(str(problem)) from None
            self._chunks.put(b"")
        except BaseException as problem:  # whatever it is, the reader is to hear of it, or it waits for ever
            self._chunks.put(problem)

    def _inflate(self, isal_zlib: Any) -> None:
        self._file.seek(self._starts_at)
        inflater, left = isal_zlib.decompressobj(-15), self._info.compress_size
        checksum = found_bytes = 0
        compressed = b""
        while not inflater.eof and not self._is_closing.is_set():
            if not compressed and left:
                compressed = self._file.read(min(left, READ_BYTES))
                left -= len(compressed)
                if not compressed:
                    raise EOFError("the archive ends inside of it")
            chunk = inflater.decompress(compressed, CHUNK_BYTES)
            ran_dry = not compressed and not chunk
            compressed = inflater.unconsumed_tail
            if ran_dry:
                raise EOFError("its compressed bytes end too early")
            checksum = isal_zlib.crc32(chunk, checksum)
            found_bytes += len(chunk)
            if found_bytes > self._info.file_size:
                raise zipfile.BadZipFile(f"it holds more than the {self._info.file_size} bytes that it says")
            if chunk:
                self._chunks.put(chunk)
        if not self._is_closing.is_set() and (checksum, found_bytes) != (self._info.CRC, self._info.file_size):
            raise zipfile.BadZipFile(f"Bad CRC-32 for file {self._info.filename!r}")
