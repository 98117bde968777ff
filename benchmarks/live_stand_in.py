"""The stand-in deployment of a benchmark as a process of its own, and the way to it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from analyzer.convex import dotenv
from benchmarks.context import Context
from benchmarks.measure import python

REMOVE = "import sys, pathlib; [pathlib.Path(p).unlink(missing_ok=True) for p in sys.argv[1:]]"


class Server:
    """The stand-in, and what talks to it."""

    def __init__(self, context: Context, process: subprocess.Popen[str], keys: Path) -> None:
        self._process = process
        self._url = self._line()
        self.keys = keys
        self.variables = dotenv.parse(keys.read_text(encoding="utf-8"))
        self.store = context.folder / "live.duckdb"
        self.fresh = python(REMOVE, str(self.store), str(context.folder / "bare.duckdb"))
        self.collect = [*context.analyzer, "collect", "--url", self._url, "--env-file", str(keys)]
        self.collect += ["--db", str(self.store)]

    def tell(self, order: str) -> str:
        """Give an order; returns the answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(order + "\n")
        self._process.stdin.flush()
        return self._line()

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


@contextmanager
def serving(context: Context, *options: str) -> Iterator[Server]:
    keys = context.folder / "live-keys.env"
    command = [sys.executable, "-m", "benchmarks.live_server", "--export", str(context.first), "--key-file", str(keys)]
    with subprocess.Popen([*command, *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Server(context, process, keys)
        finally:
            process.terminate()
