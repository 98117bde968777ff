"""What an examination of a deployment finds, as `analyzer.flows.doctor` makes it and `analyzer.report` words it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from analyzer.errors import EXIT_OK
from analyzer.model import Deployment

State = Literal["there", "missing", "not in the plan", "denied", "failed"]


@dataclass(frozen=True, slots=True)
class Permission:
    """One thing that a key may be allowed to do."""

    name: str
    has: bool | None  # None: this version of the server does not tell
    needed_for: Literal["collect", "purge", "pause"]
    use: str


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One thing that a server may offer."""

    name: str
    state: State
    use: str
    text: str = ""  # why not


@dataclass(frozen=True, slots=True)
class FunctionCheck:
    """One of the app's functions."""

    name: str
    answers: bool
    text: str = ""  # why not


@dataclass(frozen=True, slots=True)
class Problem:
    """What stands in the way of collecting."""

    fact: str
    hint: str
    exit_code: int


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What was found. Later parts are empty where a problem ended the examination."""

    origin: str
    found: str  # how the deployment was chosen
    deployment: Deployment | None = None
    counts_as_production: bool = True
    version: str | None = None
    reference: str | None = None
    project: str | None = None
    state: str | None = None
    key: str | None = None  # "prod key of happy-animal-123"
    is_read_only: bool | None = None
    way: str | None = None  # how documents would be read: "data sync", "deltas", "paged"
    table_count: int | None = None  # of the root component
    permissions: tuple[Permission, ...] = ()
    endpoints: tuple[Endpoint, ...] = ()
    functions: tuple[FunctionCheck, ...] = ()
    missing: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    problem: Problem | None = None

    @property
    def exit_code(self) -> int:
        """0 when a collect would work, whatever it would lack."""
        return self.problem.exit_code if self.problem else EXIT_OK
