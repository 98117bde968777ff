"""A stand-in deployment full of documents that answers as fast as a socket can: `python -m benchmarks.live_server`.

Each answer with documents is made once and then remembered, so that what is measured is who reads and not who serves.
It prints its URL as soon as it listens. A line `change N` on its input changes N messages, `wait S` lets every request
take S seconds, `pages` tells how many pages were asked for since it was asked last; each is answered by a line. It ends
when its input does.
"""

from __future__ import annotations

import argparse
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from benchmarks.generate import START_MS
from tests.deployment import Clock, Deployment, Execution
from tests.deployment.__main__ import write_keys
from tests.deployment.wire import Request, Response, json_response

PAGES = ("/api/v1/data/sync", "/api/list_snapshot", "/api/document_deltas", "/api/query")
BATCH = 5_000  # documents of one transaction
# What the app's functions say on the platform once there are so many documents.
TOO_MANY = json_response(
    {
        "status": "error",
        "errorMessage": "[Request ID: 0] Server Error\nUncaught Error: Too many documents read in a single function"
        " execution (limit: 32000).",
    }
)


class Remembering(Deployment):
    """Gives the same answer to the same question until its documents are changed."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.takes_s = 0.0  # every request, from its arrival until it is answered
        self._answers: dict[Any, Response] = {}

    def handle(self, request: Request) -> Response:
        response = self._answer(request)
        self.closing.wait(max(0.0, request.arrived_s + self.takes_s - time.monotonic()))
        return response

    def _answer(self, request: Request) -> Response:
        if not request.path.startswith(PAGES):
            return super().handle(request)
        if own := [name for name in request.functions() if not name.startswith("_system/")]:
            self.record(
                Execution(path=own[0], kind="Query", execution_s=0.9, error="Too many documents read", at_s=0.0)
            )
            return TOO_MANY
        asked = (request.path, request.body, *sorted(request.query.items()), request.headers.get("authorization"))
        if asked not in self._answers:
            self._answers[asked] = super().handle(request)
        return self._answers[asked]

    def change(self, messages: int) -> None:
        """Change so many messages, all over the table."""
        self.clock.advance_ms(60_000)
        found = sorted(self.documents("chatMessages"))
        for id_ in found[:: max(1, len(found) // messages)][:messages]:
            self.patch("chatMessages", id_, {"status": "failed"})
        self._answers.clear()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.live_server", description=(__doc__ or "").split(":")[0])
    parser.add_argument("--export", type=Path, required=True, help="the ZIP whose documents it has")
    parser.add_argument("--key-file", type=Path, required=True, help="URL and keys are written here, mode 0600")
    parser.add_argument("--without-sync", action="store_true", help="an older version, which has no data sync")
    args = parser.parse_args()
    absent = {"/api/v1/data/sync"} if args.without_sync else set()
    deployment = Remembering(clock=Clock(START_MS + 1000), kind="prod", absent=absent)
    for table, documents in _documents(args.export):
        deployment.load({table: documents})
    with deployment:
        write_keys(deployment, args.key_file)
        print(deployment.url, flush=True)
        for line in sys.stdin:
            verb, _, figure = line.strip().partition(" ")
            answer = "done"
            if verb == "change":
                deployment.change(int(figure))
            elif verb == "wait":
                deployment.takes_s = float(figure)
            elif verb == "pages":
                answer = str(sum(noted.path in PAGES[:3] for noted in deployment.requests))
                deployment.requests.clear()
            print(answer, flush=True)
    return 0


def _documents(export: Path) -> Iterator[tuple[str, Iterator[dict[str, Any]]]]:
    """Yield the tables of an export, each with its documents."""
    with zipfile.ZipFile(export) as archive:
        for name in archive.namelist():
            table, _, file = name.partition("/")
            if file == "documents.jsonl" and not table.startswith("_"):
                with archive.open(name) as lines:
                    yield table, map(orjson.loads, lines)


if __name__ == "__main__":
    raise SystemExit(main())
