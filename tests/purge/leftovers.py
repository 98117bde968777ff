"""A stand-in deployment with real people's documents and what test helpers left among them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from analyzer import rules
from analyzer.convex import keys
from analyzer.convex.client import Limits
from analyzer.convex.connection import Options, connect
from analyzer.convex.retry import Policy, Timing
from analyzer.convex.target import Target
from analyzer.flows import purge as flow
from analyzer.flows.apply import Order, apply_plan
from analyzer.purge import plan_file
from analyzer.purge.apply import Pace
from analyzer.purge.facts import Consent, caps_for
from analyzer.purge.plan import Judged
from analyzer.purge.plan_file import Plan
from analyzer.purge.select import Choice
from analyzer.sources.live import LiveSource
from analyzer.store import Store
from tests.deployment import Clock, Deployment

NOW_MS = 1_765_889_880_000
HOUR_MS = 3_600_000
RULES = rules.load_all()
# A lost answer is tried again by nobody; whatever waits, waits no time at all.
QUICK = Options(
    limits=Limits(policy=Policy(repeats=2, brief_repeats=1)), timing=Timing(sleep_s=lambda _: None, draw=lambda: 0.0)
)
PRISTINE_WRITES = 13  # of `fill`
_made: dict[tuple[Any, ...], tuple[Plan, bytes]] = {}
PROMPT = "Test prompt for promptMessageId verification"


@dataclass
class World:
    """A running deployment, and the folder in which somebody purges it."""

    deployment: Deployment
    folder: Path
    person: str = ""
    ids: dict[str, str] = field(default_factory=dict)
    is_pristine: bool = True

    @property
    def store(self) -> Path:
        return self.folder / "store.duckdb"

    @property
    def state(self) -> str:
        return self.deployment.settings.state

    @contextmanager
    def source(self, key: str | None = None) -> Iterator[LiveSource]:
        found = keys.parse(key or self.deployment.admin_key, "a test")
        target = Target(self.deployment.url, None, found, "a test")
        with LiveSource(connect(target, QUICK)) as source:
            yield source

    def plan(self, name: str = "plan.json", choice: Choice | None = None) -> tuple[Plan, Path]:
        """Make a plan. The first of an untouched world is made once: such worlds differ in nothing but their port."""
        path = self.folder / name
        key = (repr(self.deployment.settings), len(self.deployment.history), self.deployment.clock.now_ms)
        is_untouched = self.is_pristine and choice is None and not self.store.exists()
        if is_untouched and len(self.deployment.history) == PRISTINE_WRITES and key in _made:
            made, store = _made[key]
            self.store.write_bytes(store)
            made = replace(made, origin=self.deployment.url)
        else:
            with self.source() as source:
                made = flow.plan_live(source, self.store, Judged(RULES, choice=choice or Choice()))
            if is_untouched:
                _made[key] = made, self.store.read_bytes()
        plan_file.write(made, path)
        return made, path

    def order(self, plan: Plan, **more: Any) -> Order:
        with Store.read(self.store) as store:
            marks = store.marks(plan.deployment)
        return replace(
            Order(
                rules_hash=rules.rules_hash(RULES, rules.InternalLists(), marks),
                caps=caps_for(self.deployment_type),
                actor="a tester",
                lock_folder=self.folder,
                confirm=lambda found: found.confirm,
                consent=Consent(),
                pace=Pace(stop_file=self.folder / "plan.stop", settle_s=0.0),
            ),
            **more,
        )

    @property
    def deployment_type(self) -> Any:
        from analyzer.model import DeploymentType

        return DeploymentType(self.deployment.settings.kind)

    def apply(self, plan: Plan, path: Path, key: str | None = None, **more: Any) -> dict[str, Any]:
        with self.source(key) as source:
            return apply_plan(source, plan, path, self.order(plan, **more))

    def living(self) -> set[str]:
        return {id_ for rows in self.deployment.at().values() for id_ in rows}

    def add(self, known_as: str, table: str, /, **fields: Any) -> str:
        """Insert a document an hour ago, unless its times say otherwise."""
        at_ms = float(NOW_MS - HOUR_MS)
        document = {"createdAt": at_ms, "_creationTime": at_ms} | fields
        self.ids[known_as] = self.deployment.insert(table, document)
        return self.ids[known_as]

    def add_task(self, name: str, owner: str, **fields: Any) -> str:
        task = {"title": "Fix the login", "status": "RUNNING", "userId": owner, "repoFullName": "acme/widgets"}
        return self.add(name, "tasks", **task | {"isScratchpad": False, "workspacePath": "/workspace"} | fields)

    def add_test_task(self, name: str, owner: str, **fields: Any) -> str:
        helper = {"title": "Reasoning", "repoFullName": "test/test-repo", "workspacePath": "/tmp/test"}
        return self.add_task(name, owner, **helper | {"isScratchpad": True} | fields)

    def add_message(self, name: str, task: str, **fields: Any) -> str:
        message = {"taskId": task, "role": "USER", "content": "hello", "status": "complete", "llmModel": "gpt-4o"}
        return self.add(name, "chatMessages", **message | fields)


def fill(world: World) -> World:
    """Add one real person's task, one test task of a helper, and a helper's messages in the real task."""
    world.person = world.add("person", "users", name="Ada", email="ada@example.org")
    helper = world.add("helper", "users", name="Workflow Test User", email="workflow-test@test.local")
    real = world.add_task("real", world.person)
    for number in range(4):
        world.add_message(f"real message {number}", real)
    test = world.add_test_task("test", helper)
    world.add_message("test message", test, status="pending", role="ASSISTANT")
    world.add("test todo", "todos", taskId=test, content="look", status="PENDING")
    world.add("real todo", "todos", taskId=real, content="look", status="PENDING")
    prompt = world.add_message("prompt", real, content=PROMPT, llmModel="test-model")
    world.add_message(
        "reply", real, content="", llmModel="test-model", role="ASSISTANT", status="pending", promptMessageId=prompt
    )
    world.deployment.clock.advance_s(1)
    return world


LEFTOVERS = ("helper", "test", "test message", "test todo", "prompt", "reply")


@contextmanager
def world(folder: Path, *, is_filled: bool = True, **settings: Any) -> Iterator[World]:
    with Deployment(clock=Clock(NOW_MS - HOUR_MS), long_poll_s=0.0, permit_wait_s=0.0, **settings) as deployment:
        made = World(deployment, folder, is_pristine=is_filled)
        for table in ("users", "tasks", "chatMessages", "workflowTraces", "todos"):
            deployment.create_table(table)
        if is_filled:
            fill(made)
        deployment.clock.set_ms(NOW_MS)
        yield made


def replaced(plan: Plan, change: Callable[[Plan], Plan], path: Path) -> tuple[Plan, Path]:
    """Write another plan in the place of one."""
    path.unlink()
    changed = change(plan)
    plan_file.write(changed, path)
    return changed, path
