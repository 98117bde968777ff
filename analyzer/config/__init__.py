"""What the user has settled: flags > environment > the configuration file.

The only place that reads the environment.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from analyzer.analysis import policy as policies
from analyzer.config.file import read_nearest
from analyzer.config.settings import DEFAULT_FLAGS, DeploymentSettings, HealthSettings, Settings, TestLists
from analyzer.errors import ConfigError, UsageError
from analyzer.model import FilterName

__all__ = [
    "DEFAULT_FLAGS",
    "DOTENV_FILES",
    "DeploymentSettings",
    "HealthSettings",
    "Settings",
    "TestLists",
    "environment",
    "for_programs",
    "is_colour_wanted",
    "load",
    "secrets",
]

SHORTEST_SECRET = 8  # characters; striking out shorter ones would garble every text
DOTENV_FILES = (".env.local", ".env")  # where the Convex CLI looks for credentials besides the environment
_CREDENTIAL = re.compile(r"(CONVEX|ANALYZER)_\w*(KEY|TOKEN|SECRET|PASSWORD)\w*")


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

    raises  ConfigError naming file and key, UsageError for an argument that names nothing
    """
    named = {"--db": db if db is None or db.name else "", "--deployment": deployment, "--policy": policy}
    blank = [flag for flag, value in named.items() if value is not None and not str(value).strip()]
    if blank:
        raise UsageError(f"{blank[0]} names nothing", hint="give a name, or leave it out")
    settings = read_nearest(Path.cwd())
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
    from analyzer.convex import dotenv

    places: list[Mapping[str, str]] = [os.environ]
    for path in map(Path, DOTENV_FILES):
        with contextlib.suppress(OSError):  # what cannot be read was not read before, either
            places.append(dotenv.parse(path.read_text(encoding="utf-8", errors="replace")))
    whole = {value for place in places for name, value in place.items() if _CREDENTIAL.fullmatch(name)}
    behind_bar = {value.rpartition("|")[2] for value in whole}  # the part of an admin key that is the secret
    return tuple(sorted((s for s in whole | behind_bar if len(s) >= SHORTEST_SECRET), key=len, reverse=True))
