"""A stand-in deployment full of documents that answers as fast as a socket can: `python -m benchmarks.live_server`.

Each answer with documents is made once and then remembered, so that what is measured is who reads and not who serves.
It prints its URL as soon as it listens. A line `change N` on its input changes N messages, a line `wait S` lets every
request take S seconds; each is answered by a line. It ends when its input does.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from benchmarks import generate
from tests.deployment import Clock, Deployment
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
        self._answers: dict[Any, Response] = {}

    def handle(self, request: Request) -> Response:
        if not request.path.startswith(PAGES):
            return super().handle(request)
        if any(not name.startswith("_system/") for name in request.functions()):
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
    parser.add_argument("--messages", type=int, required=True)
    parser.add_argument("--key-file", type=Path, required=True, help="URL and keys are written here, mode 0600")
    parser.add_argument("--without-sync", action="store_true", help="an older version, which has no data sync")
    args = parser.parse_args()
    absent = {"/api/v1/data/sync"} if args.without_sync else set()
    deployment = Remembering(clock=Clock(generate.START_MS + 1000), kind="prod", absent=absent)
    for table, documents in generate.tables(args.messages).items():
        deployment.load({table: documents})
    with deployment:
        write_keys(deployment, args.key_file)
        print(deployment.url, flush=True)
        for line in sys.stdin:
            verb, _, figure = line.strip().partition(" ")
            if verb == "change":
                deployment.change(int(figure))
            elif verb == "wait":
                deployment.faults.clear()
                deployment.faults.latency(float(figure))
            print("done", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
