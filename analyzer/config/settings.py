"""What a user may settle, and what holds where nothing is said."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from analyzer.convex.function_names import FunctionNames
from analyzer.model import DeploymentType, FilterName

if TYPE_CHECKING:
    from analyzer.analysis.prices import Prices

DEFAULT_STORE = Path("data/analyzer.duckdb")  # under the current folder
DEFAULT_FLAGS = (
    "ENABLE_WORKFLOW",
    "ENABLE_RETRY_WITH_BACKOFF",
    "ENABLE_MESSAGE_COMPRESSION",
    "ENABLE_PROMPT_MESSAGE_ID",
    "LOG_PROVIDER_ENABLED",
)


@dataclass(frozen=True, slots=True)
class TestLists:
    """People and repositories that a team names as its own testing; compared without regard to case."""

    __test__ = False  # not a test class, whatever its name says to pytest

    emails: tuple[str, ...] = ()
    users: tuple[str, ...] = ()  # user names or ids
    repos: tuple[str, ...] = ()  # repository full names


@dataclass(frozen=True, slots=True)
class HealthSettings:
    """How health is judged where no flag says otherwise."""

    policy: str = "deployed"
    filter: FilterName = FilterName.EVIDENCE
    tolerate: tuple[DeploymentType, ...] = ()  # types on which leftovers of tests alone are no bad answer


@dataclass(frozen=True, slots=True)
class DeploymentSettings:
    """What a team allows for one deployment, by its name."""

    purge: bool = False  # test leftovers may be deleted although it counts as production
    unattended: bool = False  # `purge run` may do so without a person, on dev and preview
    pause: bool = False  # `purge apply --pause` may pause it although it counts as production


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that a command may be told, resolved."""

    store: Path = DEFAULT_STORE
    deployment: str | None = None  # which one to read where a store holds several, or what a file is filed under
    wait_s: float = 10.0  # how long to wait for another process to let go of the store
    memory_limit_bytes: int | None = None  # of the database; None: what reading and writing take by themselves
    tests: TestLists = field(default_factory=TestLists)
    health: HealthSettings = field(default_factory=HealthSettings)
    policies: Mapping[str, Mapping[str, int | float]] = field(default_factory=dict)  # see POLICY_KEYS in file.py
    flags: tuple[str, ...] = DEFAULT_FLAGS  # environment variables whose values are kept
    functions: FunctionNames = field(default_factory=FunctionNames)
    rule_files: tuple[Path, ...] = ()  # the user's own artifact rules
    deployments: Mapping[str, DeploymentSettings] = field(default_factory=dict)  # by name
    ignored_edges: tuple[str, ...] = ()  # "table.field": references that a purge may leave dangling
    scrubbed_edges: tuple[str, ...] = ()  # the same: references that a purge may take out of documents that stay
    prices: Prices = field(default_factory=dict)  # what models charge, by their names in documents
    config_file: Path | None = None  # where the file was found
