"""The library's clients to one origin, each used by one request at a time.

One client shared by threads would do by its interface. Its pool, however, asks an idle connection whether the server
has left it (`idle, and readable`) while another thread begins to use that connection: the answer that has come by then
is taken for a hang-up, and the connection is closed under whoever waits for it, who reads from a closed socket or waits
for ever. So no two threads ever share one.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from analyzer import __version__
from analyzer.convex.keys import Key
from analyzer.errors import ConfigError

JSON = "application/json"
AGENT = f"analyzer/{__version__}"
CLIENT_NAME = f"analyzer-{__version__}"  # "<name>-<version>", as the platform wants it


@dataclass(frozen=True, slots=True)
class Trust:
    """What stands between here and there, over https:// alone: through any other proxy the key could be read."""

    proxy: str | None = None  # its URL
    ca_file: Path | None = None  # certificates to trust instead of the usual ones


class Lanes:
    """As many connections as there are requests at once; each is kept for the next one. Safe to use from threads."""

    def __init__(self, key: Key | None, trust: Trust, *, is_tls: bool) -> None:
        """Prepare the first of them; nothing is sent yet.

        raises  ConfigError for certificates that cannot be read, or a proxy that is none
        """
        self._key = key
        self._proxy = trust.proxy if is_tls else None
        self._checked = _certificates(trust.ca_file) if is_tls else False  # loading them takes longer than a request
        self._free = [self._library()]

    @contextmanager
    def lane(self) -> Iterator[httpx.Client]:
        """Hold a client that nobody else uses; the one used last is used first, for its connection is open."""
        try:
            library = self._free.pop()
        except IndexError:
            library = self._library()
        try:
            yield library
        finally:
            self._free.append(library)

    def close(self) -> None:
        """Close every connection. Call it when no request is under way."""
        while self._free:
            self._free.pop().close()

    def _library(self) -> httpx.Client:
        headers = {"User-Agent": AGENT, "Convex-Client": CLIENT_NAME, "Accept": f"{JSON}, text/plain"}
        try:
            return httpx.Client(
                headers=headers | ({"Authorization": self._key.header()} if self._key else {}),
                limits=httpx.Limits(max_connections=1, max_keepalive_connections=1),
                verify=self._checked,
                proxy=self._proxy,
                follow_redirects=False,
                trust_env=False,
            )
        except (ValueError, httpx.InvalidURL):  # it may hold a password, which the library would quote
            raise ConfigError("the proxy is no URL that can be used", hint="expected: http://HOST:PORT") from None


def _certificates(ca_file: Path | None) -> ssl.SSLContext:
    if ca_file is None:
        return httpx.create_ssl_context(trust_env=False)
    try:
        return ssl.create_default_context(cafile=str(ca_file))
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"{ca_file} holds no certificates: {error}", hint="expected: PEM") from error
