"""Rollouts in the store: logs byte for byte, frozen plans, and what people decided. Append only."""

from __future__ import annotations

from dataclasses import dataclass

import duckdb


@dataclass(frozen=True, slots=True)
class StoredPlan:
    """One version of a plan."""

    version: int  # 1, 2, ...
    json: str  # canonical
    hash: str
    starts_ms: int | None  # when its flags were flipped, as far as the person who froze it says
    because: str  # why it replaced the one before; "" for the first
    actor: str
    frozen_at_ms: int


@dataclass(frozen=True, slots=True)
class StoredAcceptance:
    """A person's decision."""

    verdict: str  # at that time
    because: str
    actor: str
    accepted_at_ms: int


@dataclass(frozen=True, slots=True)
class StoredRollout:
    """One rollout as recorded."""

    id: int  # 1, 2, ... in order of recording
    deployment: str
    title: str
    created_at_ms: int
    log_name: str | None  # file name of the newest log; None where it was started by hand
    log_source: bytes | None
    plans: tuple[StoredPlan, ...]  # oldest first, at least one
    acceptances: tuple[StoredAcceptance, ...]

    @property
    def plan(self) -> StoredPlan:
        """The plan in force."""
        return self.plans[-1]


class Rollouts:
    """The rollouts of an open store."""

    def __init__(self, duck: duckdb.DuckDBPyConnection) -> None:
        self._duck = duck

    def all(self, deployment: str | None = None) -> tuple[StoredRollout, ...]:
        """Return the rollouts, oldest first."""
        rows = self._duck.execute(
            """select rollout_no, deployment, title, created_at_ms from rollout
            where $deployment is null or deployment = $deployment order by rollout_no""",
            {"deployment": deployment},
        ).fetchall()
        return tuple(self._whole(*row) for row in rows)

    def add(self, deployment: str, title: str, plan: StoredPlan, log: tuple[str, bytes] | None = None) -> int:
        """Record a rollout with its first plan.

        log      file name and bytes
        returns  its number
        """
        row = self._duck.execute("select coalesce(max(rollout_no), 0) + 1 from rollout").fetchone()
        assert row is not None
        number = int(row[0])
        self._duck.execute("begin")
        self._duck.execute(
            "insert into rollout values ($number, $deployment, $title, $at_ms)",
            {"number": number, "deployment": deployment, "title": title, "at_ms": plan.frozen_at_ms},
        )
        self._insert_plan(number, plan)
        if log is not None:
            self._insert_log(number, log, plan.frozen_at_ms)
        self._duck.execute("commit")
        return number

    def replace_log(self, number: int, log: tuple[str, bytes], at_ms: int) -> None:
        """Record a newer version of a rollout's log."""
        self._insert_log(number, log, at_ms)

    def amend(self, number: int, plan: StoredPlan) -> None:
        """Record a newer version of a rollout's plan."""
        self._insert_plan(number, plan)

    def accept(self, number: int, acceptance: StoredAcceptance) -> None:
        """Record a person's decision."""
        self._duck.execute(
            "insert into rollout_acceptance values ($number, $verdict, $because, $actor, $at_ms)",
            {
                "number": number,
                "verdict": acceptance.verdict,
                "because": acceptance.because,
                "actor": acceptance.actor,
                "at_ms": acceptance.accepted_at_ms,
            },
        )

    def _insert_plan(self, number: int, plan: StoredPlan) -> None:
        self._duck.execute(
            "insert into rollout_plan values ($number, $version, $json, $hash, $starts, $because, $actor, $at_ms)",
            {
                "number": number,
                "version": plan.version,
                "json": plan.json,
                "hash": plan.hash,
                "starts": plan.starts_ms,
                "because": plan.because,
                "actor": plan.actor,
                "at_ms": plan.frozen_at_ms,
            },
        )

    def _insert_log(self, number: int, log: tuple[str, bytes], at_ms: int) -> None:
        self._duck.execute(
            """insert into rollout_log select $number, coalesce(max(version), 0) + 1, $name, $source, $at_ms
            from rollout_log where rollout_no = $number""",
            {"number": number, "name": log[0], "source": log[1], "at_ms": at_ms},
        )

    def _whole(self, number: int, deployment: str, title: str, created_at_ms: int) -> StoredRollout:
        of = {"number": number}
        log = self._duck.execute(
            """select file_name, source from rollout_log where rollout_no = $number order by version desc limit 1""", of
        ).fetchone()
        plans = self._duck.execute(
            """select version, plan_json, plan_hash, starts_ms, because, actor, frozen_at_ms from rollout_plan
            where rollout_no = $number order by version""",
            of,
        ).fetchall()
        accepted = self._duck.execute(
            """select verdict, because, actor, accepted_at_ms from rollout_acceptance
            where rollout_no = $number order by accepted_at_ms, verdict, because, actor""",
            of,
        ).fetchall()
        return StoredRollout(
            number,
            deployment,
            title,
            created_at_ms,
            None if log is None else log[0],
            None if log is None else bytes(log[1]),
            tuple(StoredPlan(*row) for row in plans),
            tuple(StoredAcceptance(*row) for row in accepted),
        )
