"""Just enough of WebSocket: the handshake, and text messages both ways."""

from __future__ import annotations

import base64
import hashlib
import select
import socket
import struct
import threading
from io import BufferedReader

_MAGIC = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
CONTINUED, TEXT, CLOSE, PING, PONG = 0x0, 0x1, 0x8, 0x9, 0xA
LONGEST = 64 * 1024 * 1024


class ClosedError(Exception):
    """The other side has gone."""


def accept(key: str) -> bytes:
    """Return the answer to a client's handshake."""
    digest = base64.b64encode(hashlib.sha1((key + _MAGIC).encode()).digest()).decode()
    lines = ("HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade")
    return "\r\n".join([*lines, f"Sec-WebSocket-Accept: {digest}", "", ""]).encode()


class WebSocket:
    """The server's side of a connection. Reads belong to one thread; anybody may send."""

    def __init__(self, connection: socket.socket, reader: BufferedReader) -> None:
        self._connection = connection
        self._reader = reader
        self._sending = threading.Lock()

    def is_readable(self, wait_s: float) -> bool:
        """Wait until something arrives; False if nothing did."""
        if self._buffered():
            return True
        return bool(select.select([self._connection], [], [], wait_s)[0])

    def _buffered(self) -> bool:
        """Tell whether bytes were read from the connection that nobody has taken yet."""
        self._connection.settimeout(0.0)
        try:
            return bool(self._reader.peek(1))
        except (BlockingIOError, TimeoutError):
            return False
        finally:
            self._connection.settimeout(None)

    def receive(self) -> bytes:
        """Return the next message.

        raises  ClosedError
        """
        message = b""
        while True:
            final, kind, content = self._frame()
            if kind == CLOSE:
                self._send(CLOSE, content[:2])
                raise ClosedError
            if kind == PING:
                self._send(PONG, content)
            elif kind in (TEXT, CONTINUED):
                message += content
                if final:
                    return message

    def send(self, message: bytes) -> None:
        self._send(TEXT, message)

    def _frame(self) -> tuple[bool, int, bytes]:
        first, second = self._exactly(2)
        size = second & 0x7F
        if size >= 126:
            size = int.from_bytes(self._exactly(2 if size == 126 else 8), "big")
        if size > LONGEST or not second & 0x80:
            raise ClosedError
        mask = self._exactly(4)
        content = self._exactly(size)
        repeated = mask * (size // 4 + 1)
        plain = int.from_bytes(content, "big") ^ int.from_bytes(repeated[:size], "big")
        return bool(first & 0x80), first & 0x0F, plain.to_bytes(size, "big")

    def _exactly(self, size: int) -> bytes:
        found = self._reader.read(size)
        if len(found) < size:
            raise ClosedError
        return found

    def _send(self, kind: int, content: bytes) -> None:
        size = len(content)
        if size < 126:
            head = struct.pack("!BB", 0x80 | kind, size)
        elif size < 2**16:
            head = struct.pack("!BBH", 0x80 | kind, 126, size)
        else:
            head = struct.pack("!BBQ", 0x80 | kind, 127, size)
        with self._sending:
            self._connection.sendall(head + content)
