"""The live demo: `python -m tests.deployment.rehearsal`. A rollout is played to a stand-in while the tool watches it.

The stand-in is a process of its own, and both sides talk to it over its socket: the tool through the platform's
protocol, the player as an app's users and its team would. Time passes as fast as both can work: where the watch would
wait, the player moves the stand-in's clock on by a minute at a time and does what happens in it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path
from typing import Any

from analyzer import clock, rules
from analyzer.collect.watch import Rhythm
from analyzer.config import DEFAULT_FLAGS
from analyzer.convex import dotenv, target
from analyzer.convex.connection import Options, connect
from analyzer.convex.retry import Policy
from analyzer.convex.traffic import Limits
from analyzer.flows import demo_live
from analyzer.report import charts, demo_live_text
from analyzer.sources.live import LiveSource

START_MS = 1_765_886_400_000  # 2025-12-16 12:00 UTC
EVERY_MIN, MINUTES = 3, 75
FLIPS = {
    20: "ENABLE_RETRY_WITH_BACKOFF",
    23: "ENABLE_PROMPT_MESSAGE_ID",
    26: "ENABLE_MESSAGE_COMPRESSION",
    29: "ENABLE_WORKFLOW",
}
TESTS_AT, TESTS = 33, 16
OUTAGE = (45, 47)  # the server cannot be reached between these minutes


STORY = """A rehearsal: a stand-in for a Convex deployment listens at {url}.
An app is in use there. Its team sets four flags, one after the other, and then runs its own test helper.
`analyzer collect --every 3m` watches for {hours:g} h of the deployment's clock, which runs far faster than yours; each
line below is one look. At the end the tool explains why health says "degraded", and draws it.
"""


class Player:
    """A pace for the watch: its waiting is the time in which things happen."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._minute = 0
        self._awake_s = 0.0
        self._task = ""

    def now_ms(self) -> int:
        return START_MS + int(self._awake_s * 1000)

    def monotonic_s(self) -> float:
        return self._awake_s

    def sleep_s(self, seconds: float) -> None:
        self._awake_s += seconds
        while (self._minute + 1) * 60 <= self._awake_s:
            self._minute += 1
            self._control("clock", set_ms=START_MS + self._minute * 60_000)
            self._play(self._minute)

    def prepare(self) -> None:
        now = float(START_MS)
        (user,) = self._insert("users", {"name": "Ada Example", "email": "ada@example.org", "createdAt": now})
        (self._task,) = self._insert(
            "tasks",
            {"title": "Fix the login page", "status": "RUNNING", "repoFullName": "acme/widgets", "userId": user}
            | {"isScratchpad": False, "createdAt": now, "updatedAt": now},
        )
        for variable in FLIPS.values():
            self._control("env", **{variable: "false"})
        self._control("push", added=["chat.js", "monitoring/dashboard.js"])

    def _play(self, minute: int) -> None:
        self._use(minute)
        if minute in FLIPS:
            self._control("env", **{FLIPS[minute]: "true"})
            print(f"        the team sets {FLIPS[minute]}=true", file=sys.stderr)
        if minute == TESTS_AT:
            for _ in range(TESTS):
                self._control("call", path="api/testHelpers:testPromptMessageId", args={})
            print(f"        the team runs its test helper {TESTS} times", file=sys.stderr)
        if minute == OUTAGE[0]:
            self._control("fault", kind="drop", path="/api/*", times=None)
            print("        the network is gone", file=sys.stderr)
        if minute == OUTAGE[1]:
            self._control("unfault")
            print("        the network is back", file=sys.stderr)

    def _use(self, minute: int) -> None:
        """Let people use the app: a question and its answer every other minute, and the list that shows them."""
        just_flipped = any(0 <= minute - flip < 3 for flip in FLIPS)  # the caches are empty
        self._control("record", path="chat:list", kind="Query", count=2, execution_s=0.03)
        hits = 2 if just_flipped else 18
        self._control("record", path="chat:list", kind="Query", count=hits, execution_s=0.0001, is_cached=True)
        if minute % 2:
            return
        now = float(START_MS + minute * 60_000)
        said = {"taskId": self._task, "llmModel": "openai/gpt-4o", "createdAt": now, "status": "complete"}
        self._insert(
            "chatMessages",
            said | {"role": "USER", "content": "please fix the login page", "sequence": float(minute)},
            said | {"role": "ASSISTANT", "content": "done", "sequence": float(minute + 1)},
        )
        self._insert(
            "workflowTraces",
            {"taskId": self._task, "traceId": f"trace_{minute}", "workflowType": "streamChatWithTools"}
            | {"status": "COMPLETED", "startedAt": now, "completedAt": now + 3200.0, "totalDurationMs": 3200.0}
            | {"createdAt": now, "updatedAt": now + 3200.0},
        )
        self._control("record", path="chat:send", kind="Mutation", execution_s=0.08 + minute % 7 / 100)

    def _insert(self, table: str, *documents: dict[str, Any]) -> list[str]:
        ids: list[str] = self._control("insert", table=table, documents=documents)["ids"]
        return ids

    def _control(self, verb: str, **body: Any) -> Any:
        request = urllib.request.Request(f"{self._url}/__control/{verb}", json.dumps(body).encode(), method="POST")
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read() or b"null")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.deployment.rehearsal", description="The live demo.")
    parser.add_argument("--out", type=Path, default=Path("data/demo-out"), help="folder for the store and the chart")
    parser.add_argument("--minutes", type=int, default=MINUTES, help="how long the rollout is watched")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="analyzer-") as folder:
        keys = Path(folder) / "keys.env"
        words = ["--key-file", str(keys), "--start-ms", str(START_MS), "--rate", "0", "--kind", "dev"]
        command = [sys.executable, "-m", "tests.deployment", *words]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
            try:
                variables = _variables(keys, server)
                print(STORY.format(url=variables["CONVEX_URL"], hours=args.minutes / 60), file=sys.stderr)
                found = _watch(variables, args.out, args.minutes)
            finally:
                server.terminate()
    chart = args.out / "health-live.png"
    charts.save(charts.health_series(found.series), chart)
    text = demo_live_text.demo(found.explained, found.functions, now_ms=clock.now_ms(), store=found.store, chart=chart)
    print(f"\n{text}")
    return 0


def _variables(keys: Path, server: subprocess.Popen[str]) -> dict[str, str]:
    """Return where the stand-in is, once it says so; its keys are written by then."""
    assert server.stdout is not None
    if not server.stdout.readline().strip():
        raise SystemExit(f"the stand-in did not start: it ended with {server.wait()}")
    return dict(dotenv.parse(keys.read_text(encoding="utf-8")))


def _watch(variables: dict[str, str], out: Path, minutes: int) -> demo_live.LiveDemo:
    url = variables["CONVEX_URL"]
    key = (variables["CONVEX_DEPLOY_KEY"], "the stand-in")
    chosen = target.find(target.Choice(url=url), [], key)
    impatient = Options(limits=Limits(policy=Policy(repeats=1, first_s=0.05)))
    player = Player(url)
    player.prepare()
    return demo_live.rehearse(
        lambda: LiveSource(connect(chosen, impatient), flag_names=DEFAULT_FLAGS),
        out,
        Rhythm(EVERY_MIN * 60_000, minutes * 60_000),
        pace=player,
        rules=rules.load_all(),
        now_ms=clock.now_ms,
        tell=lambda line: print(line, file=sys.stderr),
    )


if __name__ == "__main__":
    raise SystemExit(main())
