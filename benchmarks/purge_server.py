"""A stand-in deployment full of test leftovers, for one purge: `python -m benchmarks.purge_server`.

The same seed makes the same ids, so a plan that was made once holds for every fresh server at the same port. It prints
its URL as soon as it listens; a line `count` on its input tells how many documents there are. It ends when its input
does.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.deployment import Clock, Deployment
from tests.deployment.__main__ import write_keys

NOW_MS = 1_765_889_880_000
HOUR_MS = 3_600_000
OWNED = 19  # messages of each task


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.purge_server")
    parser.add_argument("--leftovers", type=int, required=True, help="documents that tests left")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--wait-s", type=float, default=0.0, help="what each request takes on the wire")
    parser.add_argument("--key-file", type=Path, required=True)
    args = parser.parse_args()
    deployment = Deployment(clock=Clock(NOW_MS - HOUR_MS), kind="dev", port=args.port, long_poll_s=0.0)
    fill(deployment, args.leftovers)
    deployment.clock.set_ms(NOW_MS)
    deployment.faults.latency(args.wait_s)
    with deployment:
        write_keys(deployment, args.key_file)
        print(deployment.url, flush=True)
        for _ in sys.stdin:
            print(sum(map(len, deployment.at().values())), flush=True)
    return 0


def fill(deployment: Deployment, leftovers: int) -> None:
    """Put test tasks with their messages among as many of people's."""
    at_ms = float(NOW_MS - HOUR_MS)
    users = [
        {"name": "Ada", "email": "ada@example.org"},
        {"name": "Workflow Test User", "email": "workflow-test@test.local"},
    ]
    person, helper = deployment.insert_many("users", [user | {"createdAt": at_ms} for user in users])
    count = leftovers // (OWNED + 1)
    real = {
        "title": "Fix the login",
        "repoFullName": "acme/widgets",
        "workspacePath": "/workspace",
        "isScratchpad": False,
    }
    test = {"title": "Reasoning", "repoFullName": "test/test-repo", "workspacePath": "/tmp/test", "isScratchpad": True}
    for owner, task in ((person, real), (helper, test)):
        rows = [{"status": "RUNNING", "userId": owner, "createdAt": at_ms} | task for _ in range(count)]
        tasks = deployment.insert_many("tasks", rows)
        message = {"role": "USER", "status": "complete", "llmModel": "gpt-4o", "createdAt": at_ms}
        text = "please look at the failing job and tell me what it needs " * 4
        deployment.insert_many(
            "chatMessages",
            [message | {"taskId": id_, "content": f"{text}{n}"} for id_ in tasks for n in range(OWNED)],
        )


if __name__ == "__main__":
    raise SystemExit(main())
