"""The configuration file: analyzer.toml, or [tool.analyzer] in pyproject.toml.

The first one found from the current folder upward; paths in it are relative to it. Keys and values that it does not
know are errors, never ignored.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analyzer.analysis import policy as policies
from analyzer.config.settings import (
    DEFAULT_FLAGS,
    DEFAULT_STORE,
    DeploymentSettings,
    HealthSettings,
    Settings,
    TestLists,
)
from analyzer.convex.function_names import FunctionNames
from analyzer.errors import ConfigError
from analyzer.model import DeploymentType, FilterName
from analyzer.units import parse_byte_count, parse_duration_ms, visible

if TYPE_CHECKING:
    from analyzer.analysis.prices import Price

TOLERABLE_TYPES = (DeploymentType.DEV, DeploymentType.PREVIEW)


def read_nearest(folder: Path) -> Settings:
    """Return what the nearest file from a folder upward says; what it does not name has its default.

    raises  ConfigError naming file and key
    """
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
        if not table:
            return {}
        from analyzer.analysis.prices import Price

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
