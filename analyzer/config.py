"""What the user has settled: flags > environment > analyzer.toml or [tool.analyzer] in pyproject.toml.

The only place that reads the environment. The configuration file is the first one found from the current folder
upward; paths in it are relative to it. Keys and values it does not know are errors, never ignored.
"""

from __future__ import annotations

import contextlib
import os
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from analyzer.analysis import policy as policies
from analyzer.analysis.prices import Price, Prices
from analyzer.convex import dotenv
from analyzer.convex.function_names import FunctionNames
from analyzer.errors import ConfigError
from analyzer.model import DeploymentType, FilterName
from analyzer.units import parse_byte_count, parse_duration_ms, visible

DEFAULT_STORE = Path("data/analyzer.duckdb")  # under the current folder
TOLERABLE_TYPES = (DeploymentType.DEV, DeploymentType.PREVIEW)
DEFAULT_FLAGS = (
    "ENABLE_WORKFLOW",
    "ENABLE_RETRY_WITH_BACKOFF",
    "ENABLE_MESSAGE_COMPRESSION",
    "ENABLE_PROMPT_MESSAGE_ID",
    "LOG_PROVIDER_ENABLED",
)
SHORTEST_SECRET = 8  # characters; striking out shorter ones would garble every text
DOTENV_FILES = (".env.local", ".env")  # where the Convex CLI looks for credentials besides the environment
_CREDENTIAL = re.compile(r"(CONVEX|ANALYZER)_\w*(KEY|TOKEN|SECRET|PASSWORD)\w*")


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
    policies: Mapping[str, Mapping[str, int | float]] = field(default_factory=dict)  # see POLICY_KEYS
    flags: tuple[str, ...] = DEFAULT_FLAGS  # environment variables whose values are kept
    functions: FunctionNames = field(default_factory=FunctionNames)
    rule_files: tuple[Path, ...] = ()  # the user's own artifact rules
    deployments: Mapping[str, DeploymentSettings] = field(default_factory=dict)  # by name
    ignored_edges: tuple[str, ...] = ()  # "table.field": references that a purge may leave dangling
    scrubbed_edges: tuple[str, ...] = ()  # the same: references that a purge may take out of documents that stay
    prices: Prices = field(default_factory=dict)  # what models charge, by their names in documents
    config_file: Path | None = None  # where the file was found


def load(
    *,
    db: Path | None = None,
    deployment: str | None = None,
    wait_s: float | None = None,
    policy: str | None = None,
    filter_name: FilterName | None = None,
    memory_limit_bytes: int | None = None,
) -> Settings:
    """Resolve the settings; an argument is a flag of the command line, None where it was not given.

    raises  ConfigError naming file and key
    """
    settings = _from_file(Path.cwd())
    known = (*policies.BUILT_IN, *settings.policies)
    health = replace(
        settings.health,
        policy=policy or settings.health.policy,
        filter=filter_name or settings.health.filter,
    )
    if health.policy not in known:
        raise ConfigError(f"there is no policy {health.policy!r}", hint=f"valid: {', '.join(known)}")
    from_environment = os.environ.get("ANALYZER_DB")
    return replace(
        settings,
        store=db or (Path(from_environment) if from_environment else settings.store),
        deployment=deployment,
        wait_s=settings.wait_s if wait_s is None else wait_s,
        memory_limit_bytes=settings.memory_limit_bytes if memory_limit_bytes is None else memory_limit_bytes,
        health=health,
    )


def is_colour_wanted() -> bool:
    """Tell whether the user allows colour: NO_COLOR is unset or empty, and the terminal is not a dumb one."""
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def environment() -> Mapping[str, str]:
    """Return the variables of the process that say which deployment is meant, and through which proxy; as they are."""
    named = ("CONVEX_", "ANALYZER_")
    proxies = ("https_proxy", "all_proxy", "no_proxy")
    return {
        name: value
        for name, value in os.environ.items()
        if name.startswith(named) or name.endswith("_CONVEX_URL") or name.lower() in proxies
    }


def for_programs() -> Mapping[str, str]:
    """Return the environment for programs of the user that we start: all of it but what is ours, the key to write."""
    return {name: value for name, value in os.environ.items() if not name.startswith("ANALYZER_")}


def secrets() -> tuple[str, ...]:
    """Return the values of all credentials in the environment and .env files, longest first, to keep them unseen."""
    places: list[Mapping[str, str]] = [os.environ]
    for path in map(Path, DOTENV_FILES):
        with contextlib.suppress(OSError):  # what cannot be read was not read before, either
            places.append(dotenv.parse(path.read_text(encoding="utf-8", errors="replace")))
    whole = {value for place in places for name, value in place.items() if _CREDENTIAL.fullmatch(name)}
    behind_bar = {value.rpartition("|")[2] for value in whole}  # the part of an admin key that is the secret
    return tuple(sorted((s for s in whole | behind_bar if len(s) >= SHORTEST_SECRET), key=len, reverse=True))


# ---- the file --------------------------------------------------------------------------------------------------


def _from_file(folder: Path) -> Settings:
    found = _find(folder)
    if found is None:
        return Settings()
    path, table = found
    return _Reader(path).settings(table)


def _find(folder: Path) -> tuple[Path, dict[str, Any]] | None:
    """Return the nearest configuration from a folder upward, and its content."""
    for parent in (folder, *folder.parents):
        own, shared = parent / "analyzer.toml", parent / "pyproject.toml"
        if own.is_file():
            return own, _parsed(own)
        if shared.is_file() and (table := _parsed(shared).get("tool", {}).get("analyzer")) is not None:
            return shared, table
    return None


def _parsed(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as problem:  # no UTF-8, no TOML, a number of thousands of digits
        said = visible(str(problem))
        raise ConfigError(f"{path} cannot be read: {said}", hint="it must be TOML in UTF-8") from problem


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("a text that is not empty")
    return value


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
        raise ValueError("a list of texts that are not empty")
    return tuple(value)


def _duration_ms(value: object) -> int:
    try:
        ms = parse_duration_ms(_text(value))
    except ValueError:
        ms = 0
    if ms == 0:
        raise ValueError('a duration longer than 0, like "30s", "15m", "1h" or "7d"')
    return ms


def _share(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ValueError("a share, 0 to 1")
    return float(value)


def _amount(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
        raise ValueError("US dollars, 0 or more")
    return float(value)


def _whole(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError("a whole number, 0 or more")
    return value


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("true or false")
    return value


def _edges(value: object) -> tuple[str, ...]:
    names = _texts(value)
    if not all("." in name.strip(".") for name in names):
        raise ValueError('a list of references, each written "table.field"')
    return names


def _plain_edges(value: object) -> tuple[str, ...]:
    names = _edges(value)
    if not all(re.fullmatch(r"[^.\[\]]+\.[^.\[\]]+(\[\])?", name) for name in names):
        raise ValueError('a list of references, each "table.field", or "table.field[]" for an array of ids')
    return names


def _byte_count(value: object) -> int:
    return parse_byte_count(_text(value))


def _types(value: object) -> tuple[DeploymentType, ...]:
    names = _texts(value)
    if not set(names) <= set(TOLERABLE_TYPES):
        raise ValueError(f"a list of {', '.join(TOLERABLE_TYPES)}; every other type counts as production")
    return tuple(DeploymentType(name) for name in names)


def _filter(value: object) -> FilterName:
    if value not in list(FilterName):
        raise ValueError(f"one of {', '.join(FilterName)}")
    return FilterName(str(value))


Check = Callable[[object], Any]
TOP_KEYS: Mapping[str, Check] = {"db": _text, "wait": _duration_ms, "memory_limit": _byte_count}
SECTION_KEYS: Mapping[str, Mapping[str, Check]] = {
    "tests": {"emails": _texts, "users": _texts, "repos": _texts},
    "health": {"policy": _text, "filter": _filter, "tolerate": _types},
    "flags": {"names": _texts},
    "functions": dict.fromkeys(FunctionNames.__dataclass_fields__, _text),
    "rules": {"files": _texts},
    "purge": {"ignore_edges": _edges, "scrub_edges": _plain_edges},
}
DEPLOYMENT_KEYS: Mapping[str, Check] = {"purge": _flag, "unattended": _flag, "pause": _flag}
PRICE_KEYS: Mapping[str, Check] = {"input_per_million": _amount, "output_per_million": _amount}
POLICY_KEYS: Mapping[str, Check] = {
    "window": _duration_ms,
    "max_error_rate": _share,
    "min_completion_rate": _share,
    "max_stuck": _whole,
    "max_response": _duration_ms,
}


class _Reader:
    """Turns the tables of one file into Settings, and its mistakes into ConfigErrors that name the file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def settings(self, table: Mapping[str, Any]) -> Settings:
        sections = (*SECTION_KEYS, "policy", "deployments", "prices")
        top = self._checked("", {k: v for k, v in table.items() if k not in sections}, TOP_KEYS, sections)
        read = {
            name: self._checked(name, self._table(name, table.get(name, {})), keys)
            for name, keys in SECTION_KEYS.items()
        }
        settings = Settings(
            store=self._relative(top["db"]) if "db" in top else DEFAULT_STORE,
            wait_s=top.get("wait", 10_000) / 1000,
            memory_limit_bytes=top.get("memory_limit"),
            tests=TestLists(**read["tests"]),
            health=HealthSettings(**read["health"]),
            policies=self._policies(self._table("policy", table.get("policy", {}))),
            flags=read["flags"].get("names", DEFAULT_FLAGS),
            functions=FunctionNames(**read["functions"]),
            rule_files=tuple(self._relative(name) for name in read["rules"].get("files", ())),
            deployments=self._deployments(self._table("deployments", table.get("deployments", {}))),
            ignored_edges=read["purge"].get("ignore_edges", ()),
            scrubbed_edges=read["purge"].get("scrub_edges", ()),
            prices=self._prices(self._table("prices", table.get("prices", {}))),
            config_file=self._path,
        )
        known = (*policies.BUILT_IN, *settings.policies)
        if settings.health.policy not in known:
            raise self._wrong("[health] policy", settings.health.policy, f"one of {', '.join(known)}")
        return settings

    def _policies(self, table: Mapping[str, Any]) -> dict[str, dict[str, int | float]]:
        for name in table:
            if name in policies.BUILT_IN:
                raise ConfigError(
                    f"{self._path}: [policy.{name}] would replace a built-in policy", hint="give it another name"
                )
        return {
            name: self._checked(f"policy.{name}", self._table(f"policy.{name}", value), POLICY_KEYS)
            for name, value in table.items()
        }

    def _deployments(self, table: Mapping[str, Any]) -> dict[str, DeploymentSettings]:
        found = {}
        for name, value in table.items():
            section = f"deployments.{name}"
            found[name] = DeploymentSettings(**self._checked(section, self._table(section, value), DEPLOYMENT_KEYS))
        return found

    def _prices(self, table: Mapping[str, Any]) -> dict[str, Price]:
        found = {}
        for model, value in table.items():
            section = f'prices."{model}"'
            read = self._checked(section, self._table(section, value), PRICE_KEYS)
            if missing := [key for key in PRICE_KEYS if key not in read]:
                raise ConfigError(
                    f"{self._path}: [{section}] has no {missing[0]}",
                    hint="a model has both prices; one that is free of charge has 0",
                )
            found[model] = Price(**read)
        return found

    def _checked(
        self, section: str, table: Mapping[str, Any], keys: Mapping[str, Check], sections: Sequence[str] = ()
    ) -> dict[str, Any]:
        where = f"[{section}] " if section else ""
        found = {}
        for key, value in table.items():
            if key not in keys:
                valid = ", ".join([*keys, *(f"[{name}]" for name in sections)])
                raise ConfigError(f"{self._path}: {where}{key} is not a setting", hint=f"valid: {valid}")
            try:
                found[key] = keys[key](value)
            except ValueError as expected:
                raise self._wrong(f"{where}{key}", value, str(expected)) from expected
        return found

    def _table(self, section: str, value: object) -> Mapping[str, Any]:
        if not isinstance(value, dict):
            raise self._wrong(section, value, f"a table, written [{section}]")
        return value

    def _wrong(self, key: str, value: object, expected: str) -> ConfigError:
        return ConfigError(f"{self._path}: {key} is {value!r}", hint=f"expected: {expected}")

    def _relative(self, name: str) -> Path:
        return self._path.parent / Path(name).expanduser()
