"""From a target to a deployment that is known and may be asked: the way in for everything that talks to one."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from analyzer.convex import identity
from analyzer.convex.beside import Beside
from analyzer.convex.client import Client
from analyzer.convex.identity import Identity, KeyPowers
from analyzer.convex.keys import Key
from analyzer.convex.retry import Timing
from analyzer.convex.target import Target
from analyzer.convex.traffic import Limits
from analyzer.errors import UsageError
from analyzer.model import Deployment


@dataclass(frozen=True, slots=True)
class Options:
    """How to talk, whoever it is."""

    limits: Limits = field(default_factory=Limits)
    timing: Timing = field(default_factory=Timing)
    is_insecure_allowed: bool = False
    proxy: str | None = None
    ca_file: Path | None = None

    def client(self, origin: str, key: Key | None) -> Client:
        """Return a client of a deployment."""
        return Client(
            origin,
            key,
            limits=self.limits,
            timing=self.timing,
            is_insecure_allowed=self.is_insecure_allowed,
            proxy=self.proxy,
            ca_file=self.ca_file,
        )


@dataclass(frozen=True, slots=True)
class Connection:
    """A deployment that said who it is and accepted the key. Use as a context manager."""

    client: Client
    target: Target
    who: Identity
    deployment: Deployment
    powers: KeyPowers | None  # None: this version does not tell what the key may do

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the network."""
        self.client.close()


def connect(target: Target, options: Options | None = None, *, key: Key | None = None) -> Connection:
    """Find out who answers, then show the key, then ask what both are.

    key     instead of the target's, for writing
    raises  SourceUnreachable, SourceInvalid; AccessDenied for a key of another deployment or a wrong one; UsageError
            for no key, and when another deployment answers than the flags asked for
    """
    options, key = options or Options(), key or target.key
    with options.client(target.origin, None) as stranger:
        who = identity.introduce(stranger)
    identity.check_key_belongs(target, key, who)
    if key is None:
        raise no_key(target)
    client = options.client(target.origin, key)
    try:
        described = Beside(lambda: identity.describe(client, who))
        powers = identity.powers(client)
        known = described.result()
        return Connection(client, target, known, identity.deployment(target, known), powers)
    except BaseException:
        client.close()
        raise


def no_key(target: Target) -> UsageError:
    """Return the error for a target without a key."""
    return UsageError(
        f"{target.origin} is read with a key, and none was given",
        hint="make a deploy key on the dashboard under Settings, Deploy Keys, and set CONVEX_DEPLOY_KEY",
    )
