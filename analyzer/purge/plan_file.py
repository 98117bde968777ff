"""The plan file: what a purge would delete, for another person to review. Written once, read with suspicion.

`hash` is the SHA-256 of the canonical JSON (keys sorted, no blanks, UTF-8) of everything but `hash` and `confirm`, so
an edited plan is noticed; `confirm` is "DEPLOYMENT/COUNT/HASH6", what a person types.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from analyzer import __version__, units
from analyzer.errors import GuardRefused, UsageError
from analyzer.purge import files
from analyzer.purge.typed import built

SCHEMA = "plan/1"
MAX_PLAN_BYTES = 256 * 1024 * 1024
LIFE_MS = 24 * 3_600_000  # of a plan: time for a review, not for forgetting it


@dataclass(frozen=True, slots=True)
class Planned:
    """One document that is to be deleted, as the deployment held it when the plan was made."""

    component: str
    table: str
    id: str
    ts: int  # source time of the document, nanoseconds
    sha256: str | None  # of its canonical JSON; None in a rehearsal: nobody asked the deployment
    tier: str
    rules: tuple[str, ...]
    reason: str
    via: str | None
    bytes: int | None  # of its canonical JSON


@dataclass(frozen=True, slots=True)
class Evidence:
    """A document outside the group that is the reason for a member, and must still be as it was."""

    component: str
    table: str
    id: str
    sha256: str | None


@dataclass(frozen=True, slots=True)
class Scrub:
    """A document that stays, and loses its references to members of a group."""

    component: str
    table: str
    id: str
    sha256: str  # of its canonical JSON before
    after_sha256: str  # and after
    fields: tuple[str, ...]  # that change
    targets: tuple[str, ...]  # ids that are taken out of them


@dataclass(frozen=True, slots=True)
class PlannedGroup:
    """Documents that go together or not at all."""

    root: str
    documents: tuple[Planned, ...]  # in the order in which they are deleted, children first
    evidence: tuple[Evidence, ...] = ()
    scrubs: tuple[Scrub, ...] = ()


@dataclass(frozen=True, slots=True)
class BlockedGroup:
    """A group that stays, and what holds it."""

    root: str
    reason: str
    referrer: Mapping[str, str] | None  # component, table, id, field


@dataclass(frozen=True, slots=True)
class TableTotal:
    """What goes of one table."""

    count: int
    share: float  # of the table's documents, 0..1
    bytes: int | None  # None in a rehearsal


@dataclass(frozen=True)  # without slots: what is computed of ten thousand documents is computed once
class Plan:
    """See design: "plan/1"."""

    deployment: str
    type: str
    origin: str | None  # None in a rehearsal
    snapshot_ts: int  # nanoseconds
    created_at: str
    expires_at: str
    nonce: str
    rules_hash: str
    groups: tuple[PlannedGroup, ...]
    blocked: tuple[BlockedGroup, ...]
    totals: Mapping[str, TableTotal]
    rehearsal: bool  # made from files alone: it can be read and not applied
    tables: Mapping[str, str] = field(default_factory=dict)  # table number -> name, of the root
    selection: Mapping[str, Any] = field(default_factory=dict)  # what was asked for
    stored_files: tuple[str, ...] = ()  # ids of files that members name; they stay
    functions: Mapping[str, int] | None = None  # calls and errors of the hour before; None: not known
    analyzer: str = __version__
    schema: str = SCHEMA

    @cached_property
    def documents(self) -> tuple[Planned, ...]:
        """Return every planned document in order."""
        return tuple(document for group in self.groups for document in group.documents)

    @property
    def scrubs(self) -> tuple[Scrub, ...]:
        """Return every document that would only be changed, in order; none stands there twice."""
        return tuple(scrub for group in self.groups for scrub in group.scrubs)

    @cached_property
    def body(self) -> Mapping[str, Any]:
        """Return everything but hash and confirm as JSON holds it."""
        found: dict[str, Any] = plain(self)
        return found

    @cached_property
    def hash(self) -> str:
        """Return 64 hex digits."""
        return hashlib.sha256(canonical(self.body)).hexdigest()

    @property
    def confirm(self) -> str:
        """Return what has to be typed."""
        return f"{self.deployment}/{len(self.documents)}/{self.hash[:6]}"

    @property
    def created_ms(self) -> int:
        """When it was made, by the local clock."""
        return units.parse_instant_ms(self.created_at)

    @property
    def expires_ms(self) -> int:
        """From when on it is worthless, by the local clock."""
        return units.parse_instant_ms(self.expires_at)


def canonical(value: Any) -> bytes:
    """Return JSON that is the same for the same value: keys sorted, no blanks, UTF-8."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode(
        "utf-8", "surrogatepass"
    )


def as_data(plan: Plan) -> dict[str, Any]:
    """Return the plan as it stands in the file."""
    body = dict(plan.body)
    head = ("schema", "deployment", "type", "origin", "snapshot_ts", "created_at", "expires_at", "nonce", "rules_hash")
    first = {name: body.pop(name) for name in head}
    return first | {"hash": plan.hash, "confirm": plan.confirm} | body


def check_free(path: Path) -> None:
    """Look whether a plan can get this name, before much work is done for it.

    raises  UsageError when the file is there already: a plan is never replaced under its reviewer's eyes
    """
    if path.exists() or path.is_symlink():
        raise _exists(path)


def write(plan: Plan, path: Path) -> None:
    """Write a plan, readable by its owner alone; raises like `check_free`."""
    text = json.dumps(as_data(plan), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    try:
        files.create(path, text.encode())
    except FileExistsError:
        raise _exists(path) from None


def _exists(path: Path) -> UsageError:
    return UsageError(f"{path} exists", hint="choose another name with -o, or remove it")


def read(path: Path) -> Plan:
    """Read a plan.

    raises  UsageError when there is none; GuardRefused when it is of another version, was edited, or is no plan
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}", hint="`analyzer purge plan -o FILE`") from None
    if len(raw) > MAX_PLAN_BYTES:
        raise UsageError(f"{path} is larger than any plan")
    return parse(raw, str(path))


def parse(raw: bytes, where: str) -> Plan:
    """Read the bytes of a plan; see `read`."""
    try:
        data = json.loads(raw, object_pairs_hook=_no_twins)
    except (ValueError, RecursionError):
        data = None
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        found = data.get("schema") if isinstance(data, dict) else "no JSON object"
        raise refused("plan version", where, SCHEMA, str(found)[:80])
    try:
        plan = _plan(data)
        is_as_written = as_data(plan) == data  # of the same types, as `built` saw to
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError) as error:
        raise refused("plan edited", where, "the fields of a plan", f"{type(error).__name__}: {error}"[:200]) from None
    if not is_as_written:
        raise refused("plan edited", where, f"hash {plan.hash[:12]}…", f"hash {str(data.get('hash'))[:12]}…")
    return plan


def refused(guard: str, where: str, wanted: str, found: str) -> GuardRefused:
    """Return the error of a guard on files."""
    return GuardRefused(
        f"guard {guard}: {where}: wanted {wanted}, found {units.visible(found)}",
        hint="make a new plan with `analyzer purge plan`; nothing was changed",
    )


def plain(value: Any) -> Any:
    """Return what JSON can hold of dataclasses, tuples and mappings; like `asdict`, without its copies."""
    kind = type(value)
    if kind is str or kind is int or value is None:  # nearly all of a plan
        return value
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    if isinstance(value, Mapping):
        return {name: plain(item) for name, item in value.items()}
    if (names := getattr(kind, "__match_args__", None)) is not None:  # the fields of a dataclass
        return {name: plain(getattr(value, name)) for name in names}
    return value


def _no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found


def _plan(data: Mapping[str, Any]) -> Plan:
    fields = {name: value for name, value in data.items() if name not in ("hash", "confirm")}
    groups = tuple(
        PlannedGroup(
            root=str(group["root"]),
            documents=tuple(built(Planned, item | {"rules": tuple(item["rules"])}) for item in group["documents"]),
            evidence=tuple(built(Evidence, item) for item in group["evidence"]),
            scrubs=tuple(
                built(Scrub, item | {"fields": tuple(item["fields"]), "targets": tuple(item["targets"])})
                for item in group["scrubs"]
            ),
        )
        for group in data["groups"]
    )
    made = {
        "groups": groups,
        "blocked": tuple(built(BlockedGroup, item) for item in data["blocked"]),
        "totals": {str(name): built(TableTotal, total) for name, total in data["totals"].items()},
        "stored_files": tuple(data["stored_files"]),
    }
    plan = built(Plan, fields | made)
    if plan.created_ms > plan.expires_ms:
        raise ValueError("it ends before it begins")
    return plan
