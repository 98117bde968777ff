"""Options that choose a live deployment, shared by the commands that talk to one."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from analyzer import config
from analyzer.cli import output
from analyzer.errors import UsageError

if TYPE_CHECKING:
    from analyzer.convex.connection import Options
    from analyzer.convex.target import Target

Command = TypeVar("Command", bound=Callable[..., Any])
LONGEST_KEY_FILE, LONGEST_ENV_FILE = 1 << 16, 1 << 20  # bytes
STDIN = "-"


@dataclass(frozen=True, slots=True)
class Chosen:
    """What the user chose on the command line. Keys are no options: a command line is public."""

    url: str | None
    prod: bool
    preview_name: str | None
    env_file: Path | None
    key_file: str | None
    insecure: bool
    ca_file: Path | None

    @property
    def is_given(self) -> bool:
        """Whether any of it was said."""
        return any((self.url, self.prod, self.preview_name, self.env_file, self.key_file, self.insecure, self.ca_file))

    def target(self, deployment: str | None) -> Target:
        """Find the deployment and its key.

        deployment  name by --deployment, None where it was not given
        raises      UsageError naming what is missing or contradicts itself
        """
        from analyzer.convex import target

        choice = target.Choice(
            url=self.url,
            is_prod=self.prod,
            deployment=deployment,
            preview_name=self.preview_name,
            is_insecure_allowed=self.insecure,
        )
        return target.find(choice, self._places(), self._given_key())

    def options(self, found: Target, *, total_s: float | None = None) -> Options:
        """Return how to talk to a deployment.

        total_s  time limit for everything; None: none
        """
        from analyzer.convex import urls
        from analyzer.convex.connection import Options
        from analyzer.convex.traffic import Limits

        return Options(
            limits=Limits(total_s=total_s),
            is_insecure_allowed=self.insecure,
            proxy=urls.proxy_for(found.origin, config.environment()),
            ca_file=self.ca_file,
        )

    def _places(self) -> list[Any]:
        from analyzer.convex import dotenv
        from analyzer.convex.target import Variables

        if self.env_file is not None:
            return [Variables(str(self.env_file), dotenv.parse(_read(self.env_file, LONGEST_ENV_FILE)))]
        files = [Path(name) for name in config.DOTENV_FILES if Path(name).is_file()]
        return [
            Variables("the environment", config.environment()),
            *(Variables(str(path), dotenv.parse(_read(path, LONGEST_ENV_FILE))) for path in files),
        ]

    def _given_key(self) -> tuple[str, str] | None:
        if self.key_file is None:
            return None
        if self.key_file == STDIN:
            return sys.stdin.read(LONGEST_KEY_FILE), "standard input"
        path = Path(self.key_file)
        text = _read(path, LONGEST_KEY_FILE)
        if path.stat().st_mode & 0o077:
            output.narrate(f"warning: {path} can be read by others on this machine: `chmod 600` it")
        return text, str(path)


def choosing(command: Command) -> Command:
    """Add the options; they arrive as one argument, `chosen`."""

    @functools.wraps(command)
    def resolved(*args: Any, **given: Any) -> Any:
        names = Chosen.__dataclass_fields__
        chosen = Chosen(**{name: given.pop(name) for name in names})
        return command(*args, chosen=chosen, **given)

    decorated: Any = resolved
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return decorated  # type: ignore[no-any-return]


_OPTIONS = (
    click.option("--url", metavar="URL", help="Where the deployment is, https://NAME.convex.cloud."),
    click.option("--prod", is_flag=True, help="It must be production."),
    click.option("--preview-name", metavar="NAME", help="It must be this preview deployment."),
    click.option(
        "--env-file",
        type=click.Path(path_type=Path, dir_okay=False, exists=True),
        help="Read variables from this file alone, not from the environment, .env.local and .env.",
    ),
    click.option("--key-file", metavar="FILE", help="Read the key from a file, or from standard input with `-`."),
    click.option("--insecure", is_flag=True, help="Allow http:// to other machines: everyone on the way sees the key."),
    click.option(
        "--ca-file",
        type=click.Path(path_type=Path, dir_okay=False, exists=True),
        help="Trust these certificates (PEM) instead of the usual ones.",
    ),
)


def _read(path: Path, longest: int) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(longest + 1)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}", hint="name a file with one key in it") from error
    if len(raw) > longest:
        raise UsageError(f"{path} is larger than {longest:,} bytes and no such file")
    return raw.decode("utf-8", "replace")
