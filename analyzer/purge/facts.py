"""What the guards look at, and how much a plan may delete."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from analyzer.convex import danger
from analyzer.convex.identity import KeyPowers
from analyzer.model import Deployment, DeploymentType
from analyzer.purge.live import Found
from analyzer.purge.plan_file import Plan


@dataclass(frozen=True, slots=True)
class Caps:
    """How much one plan may delete."""

    documents: int
    share: float  # of a table, 0..1
    is_share_binding: bool  # False: more only warns


PRODUCTION_CAPS = Caps(500, 0.2, True)
HARMLESS_CAPS = Caps(5_000, 0.2, False)


@dataclass(frozen=True, slots=True)
class Consent:
    """What the configuration allows for the deployment by its name."""

    is_named: bool = False  # [deployments.NAME] purge = true
    is_unattended: bool = False  # [deployments.NAME] unattended = true
    is_pausable: bool = False  # [deployments.NAME] pause = true


@dataclass(frozen=True, slots=True)
class Facts:
    """All that the guards look at."""

    plan: Plan
    deployment: Deployment  # as it says of itself, by the most dangerous witness
    server_type: DeploymentType | None  # what the server alone says; None: nothing
    powers: KeyPowers | None  # of the key that would delete; None: the server does not tell
    tables: Mapping[str, str]  # number -> name in the root, the platform's own with `_`
    counts: Mapping[str, int]  # documents by table
    documents: Mapping[str, Found | None]  # planned documents as they are now, and those that would be changed
    deleted: Collection[str]  # ids that an earlier run of this plan deleted
    rules_hash: str
    now_ms: int  # local clock
    caps: Caps
    consent: Consent = field(default_factory=Consent)
    is_used: bool = False  # the plan was carried out
    has_stop_file: bool = False
    is_unattended: bool = False  # by `purge run`: nobody typed anything
    pauses: bool = False  # it is to be paused meanwhile
    state: str = "running"  # of the deployment, as it says


def caps_for(type_: DeploymentType, documents: int | None = None, share: float | None = None) -> Caps:
    """Return the caps of a deployment's type, with what the user set instead."""
    usual = PRODUCTION_CAPS if danger.counts_as_production(type_) else HARMLESS_CAPS
    return Caps(
        usual.documents if documents is None else documents,
        usual.share if share is None else share,
        usual.is_share_binding or share is not None,
    )
