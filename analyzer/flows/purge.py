"""What surrounds an apply: take a snapshot, plan; check what may run unattended; pause a restore; keep receipts."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from analyzer.collect.live import LiveOptions, collect_live
from analyzer.convex import danger, functions
from analyzer.convex.connection import Connection
from analyzer.purge import guards, ledger, pause, told
from analyzer.purge import restore as restoring
from analyzer.purge.facts import Consent
from analyzer.purge.ledger import Ledger
from analyzer.purge.plan import Judged, make, rehearse
from analyzer.purge.plan_file import Plan
from analyzer.rules import fingerprints
from analyzer.sources.live import LiveSource
from analyzer.store import Store


def plan_live(source: LiveSource, store_path: Path, judged: Judged, *, wait_s: float = 10.0) -> Plan:
    """Bring the store up to date with a deployment, and make a plan that can be applied.

    raises  GuardRefused; SourceError; StoreError
    """
    collect_live(source, store_path, LiveOptions(fingerprints=fingerprints(judged.rules), wait_s=wait_s))
    with Store.read(store_path, wait_s=wait_s) as store:
        snapshot = store.snapshot(None, source.connection.deployment.name)
        return make(source, store.frame(snapshot), judged)


def check_unattended(connection: Connection, consent: Consent) -> None:
    """Refuse to purge without a person, unless server and configuration both allow it; before anything is read.

    raises  GuardRefused
    """
    found = connection.deployment
    if connection.who.type not in danger.HARMLESS or found.type not in danger.HARMLESS:
        raise guards.refused("unattended", "a dev or preview deployment, as the server says", found.type_reason)
    if not consent.is_unattended:
        wanted = f"[deployments.{found.name}] with unattended = true in the configuration"
        raise guards.refused("unattended", wanted, "none", "use `purge plan` and `purge apply`; nothing was changed")


def plan_offline(
    store_path: Path,
    judged: Judged,
    *,
    snapshot: str | None = None,
    deployment: str | None = None,
    at_ms: int | None = None,
    wait_s: float = 10.0,
) -> Plan:
    """Rehearse a plan from what was collected; see `plan.rehearse`."""
    with Store.read(store_path, wait_s=wait_s) as store:
        return rehearse(store.frame(store.snapshot(snapshot, deployment), at_ms), judged)


@contextlib.contextmanager
def restore_barrier(
    connection: Connection, path: Path, consent: Consent, narrate: Callable[[str], None], *, pauses: bool
) -> Iterator[contextlib.AbstractContextManager[None] | None]:
    """Give a restore its pause, after ending that of one that was killed; None where it is not to pause.

    raises  GuardRefused where it may not
    """
    client, plan_hash = connection.client, str(told.read(path).receipt["plan_hash"])
    book = Ledger(where := restoring.ledger_of(path), ledger.read(where, plan_hash))
    if not pauses and book.state.paused_by is None:
        yield None
        return
    with book:
        book.begin(plan_hash, server_ms=functions.now_ns(client) // 10**6)
        pause.recover(client, book, narrate)
        if pauses and (
            found := guards.pause_problem(connection.deployment, connection.powers, consent, pause.state(client))
        ):
            raise guards.refused("pause", guards.PAUSE_WANTS, found, guards.PAUSE_IT)
        yield pause.paused(client, book, narrate) if pauses else None


def keep_receipt(store_path: Path, made: Mapping[str, Any], wait_s: float) -> None:
    """Copy a receipt into the store.

    raises  StoreError
    """
    with Store.write(store_path, wait_s=wait_s) as store:
        store.receipts.keep(made)
