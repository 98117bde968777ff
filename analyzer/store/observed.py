"""What a deployment forgets and the store keeps: events, metrics by the minute, calls, and which of them are lost.

Everything is kept once: what was stored is never changed, and the same event, minute or call that comes again is left
out. What came between two looks and can no longer be seen is a gap, with its reason; nothing is stored inside one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import duckdb
import orjson

from analyzer.store import catalog
from analyzer.store.looks import CallRow, CallsSeen, EventsSeen, MetricsSeen, Observed, Position, Span

MINUTE_MS = 60_000
EDGE_MS = 2 * MINUTE_MS  # the oldest minutes of an hour are forgotten while it is being read
Stream = Literal["events", "metrics", "calls", "documents"]
FORGOT = "the platform lost its memory, as it does when it restarts"


class Observations:
    """What an open store holds of it."""

    def __init__(self, duck: duckdb.DuckDBPyConnection) -> None:
        self._duck = duck

    def position(self, deployment: str) -> Position:
        """Return where to go on; the beginning for a deployment that was never observed."""
        number = catalog.deployment_no(self._duck, deployment)
        if number is None:
            return Position()
        row = self._one("select max(cursor_ms) from log_position where deployment_no = $n", number)
        return Position(row or 0.0, self._seen_until(number, "events"))

    def spans(self, deployment: str) -> tuple[Span, ...]:
        """Return what was seen and what is lost, by stream and time."""
        rows = self._duck.execute(
            """select s.stream, s.from_ms, s.until_ms, s.is_gap, s.reason
            from observed_span as s join deployment as d on d.deployment_no = s.deployment_no
            where d.name = $name order by s.stream, s.from_ms, s.until_ms""",
            {"name": deployment},
        ).fetchall()
        return tuple(Span(*row) for row in rows)

    def times_of(self, deployment: str, action: str) -> tuple[int, ...]:
        """Return when something was done to a deployment, whole milliseconds, earliest first."""
        rows = self._duck.execute(
            """select distinct floor(e.at_ms)::bigint as at_ms
            from deployment_event as e join deployment as d on d.deployment_no = e.deployment_no
            where d.name = $name and e.action = $action order by at_ms""",
            {"name": deployment, "action": action},
        ).fetchall()
        return tuple(row[0] for row in rows)

    def note_failure(self, deployment: str, failed_at_ms: int, reason: str) -> None:
        """Record a collect that failed; nothing where the store does not know the deployment yet."""
        number = catalog.deployment_no(self._duck, deployment)
        if number is not None:
            self._duck.execute(
                "insert into failed_collect values ($n, $at_ms, $reason)",
                {"n": number, "at_ms": failed_at_ms, "reason": reason},
            )

    def lose(self, number: int, from_ms: int, until_ms: int, why: Mapping[str, str]) -> tuple[Span, ...]:
        """Record that changes of documents between two snapshots cannot be told; returns the gaps.

        why  the reason by stream: `documents`, or `documents TABLE` for one table alone
        """
        spans = [Span(stream, from_ms, until_ms, True, reason) for stream, reason in sorted(why.items())]
        return tuple(gap for span in spans for gap in self._gap(number, span))

    def keep(self, number: int, observed: Observed) -> tuple[Span, ...]:
        """Add what is new; returns the gaps that this look revealed. Runs inside the caller's transaction."""
        gaps: list[Span] = []
        if observed.events is not None:
            gaps += self._keep_events(number, observed.events)
        if observed.metrics is not None:
            gaps += self._keep_metrics(number, observed.metrics)
        if observed.calls is not None:
            gaps += self._keep_calls(number, observed.calls)
        return tuple(gaps)

    # ---- events ------------------------------------------------------------------------------------------------

    def _keep_events(self, number: int, seen: EventsSeen) -> list[Span]:
        rows = [(e.at_ms, e.action, e.actor, e.subject, _json(e.details)) for e in seen.rows]
        columns = "at_ms double, action varchar, actor varchar, subject varchar, details_json varchar"
        self._insert_new("deployment_event", number, columns, rows, ("at_ms", "action", "subject", "details_json"))
        if seen.complete_since_ms is None:
            return []
        return self._look(number, "events", seen.complete_since_ms, seen.until_ms, "the plan keeps events for less")

    # ---- metrics -----------------------------------------------------------------------------------------------

    def _keep_metrics(self, number: int, seen: MetricsSeen) -> list[Span]:
        minutes = [
            (m.component, m.function, m.minute_ms, m.calls, m.errors, m.cache_hits, m.cache_misses, m.latency_p50_ms,
             m.latency_p95_ms, m.latency_p99_ms)
            for m in seen.minutes
        ]  # fmt: skip
        gaps = self._forgotten(number, seen)
        gaps += self._look(number, "metrics", seen.start_ms, seen.end_ms, "the platform remembers one hour")
        lost = self._duck.execute(
            """select from_ms, until_ms from observed_span
            where deployment_no = $n and stream = 'metrics' and is_gap and until_ms > $start_ms""",
            {"n": number, "start_ms": seen.start_ms},
        ).fetchall()
        kept = [row for row in minutes if not any(begin <= row[2] < end for begin, end in lost)]
        columns = (
            "component varchar, function_path varchar, minute_ms bigint, call_count bigint, error_count bigint,"
            "cache_hit_count bigint, cache_miss_count bigint, latency_p50_ms double, latency_p95_ms double,"
            "latency_p99_ms double"
        )
        key = ("component", "function_path", "minute_ms")
        self._insert_new("function_minute", number, columns, kept, key)
        lags = [lag for lag in seen.lags if not any(begin <= lag[0] < end for begin, end in lost)]
        self._insert_new("scheduler_minute", number, "minute_ms bigint, lag_ms double", lags, ("minute_ms",))
        return gaps

    def _forgotten(self, number: int, seen: MetricsSeen) -> list[Span]:
        """Record a gap where minutes that were stored are smaller now: zeros since then mean nothing."""
        until_ms = self._seen_until(number, "metrics")
        stored = self._duck.execute(
            """select component, function_path, minute_ms, call_count from function_minute
            where deployment_no = $n and minute_ms >= $from_ms and minute_ms < $until_ms and call_count > 0""",
            {"n": number, "from_ms": seen.start_ms + EDGE_MS, "until_ms": seen.end_ms},
        ).fetchall()
        now = {(m.component, m.function, m.minute_ms): m.calls for m in seen.minutes}
        missing = 0 if seen.is_complete else None  # what is not ranked did not run, where all that ran is ranked
        smaller = [row for row in stored if _is_less(now.get(row[:3], missing), row[3])]
        if until_ms is None or not smaller:
            return []
        busy = [m.minute_ms for m in seen.minutes if m.minute_ms >= until_ms and m.calls]
        return self._gap(number, Span("metrics", until_ms, min(busy, default=seen.end_ms), True, FORGOT))

    # ---- calls -------------------------------------------------------------------------------------------------

    def _keep_calls(self, number: int, seen: CallsSeen) -> list[Span]:
        rows = [tuple(getattr(row, name) for name in CallRow.__slots__) for row in seen.rows]
        columns = (
            "component varchar, function_path varchar, kind varchar, execution_id varchar, started_ms double,"
            "took_ms double, is_cached boolean, error_class varchar, will_retry boolean, caller varchar,"
            "read_documents bigint, read_bytes bigint, written_bytes bigint, conflict_table varchar"
        )
        self._insert_new("function_call", number, columns, rows, ("execution_id", "function_path", "started_ms"))
        self._duck.execute("delete from log_position where deployment_no = $n", {"n": number})
        self._duck.execute("insert into log_position values ($n, $at_ms)", {"n": number, "at_ms": seen.cursor_ms})
        before_ms = self._seen_until(number, "calls")
        from_ms = seen.from_ms if before_ms is None or seen.has_lost else before_ms
        reason = "more calls ended than the platform remembers, or it restarted"
        return self._look(number, "calls", from_ms, seen.until_ms, reason)

    # ---- rows and spans ----------------------------------------------------------------------------------------

    def _insert_new(
        self, table: str, number: int, columns: str, rows: Sequence[tuple[Any, ...]], key: Sequence[str]
    ) -> None:
        """Insert rows whose key is not stored yet, each once."""
        if not rows:
            return
        types = [column.split() for column in columns.split(",")]
        lists = dict(zip((name for name, _ in types), map(list, zip(*rows, strict=True)), strict=True))
        unnested = ", ".join(f"unnest(${name}::{type_}[]) as {name}" for name, type_ in types)
        names = ", ".join(name for name, _ in types)
        same = " and ".join(f"t.{name} is not distinct from n.{name}" for name in key)
        self._duck.execute(
            f"""insert into {table} (deployment_no, {names})
            select $n, {names} from (select distinct on ({", ".join(key)}) * from (select {unnested})) as n
            where not exists (select 1 from {table} as t where t.deployment_no = $n and {same})""",
            lists | {"n": number},
        )

    def _look(self, number: int, stream: Stream, from_ms: float, until_ms: float, reason: str) -> list[Span]:
        """Record what a look saw; what lies between the look before and this one is lost."""
        before_ms = self._seen_until(number, stream)
        place = {"n": number, "stream": stream, "from_ms": from_ms, "until_ms": until_ms}
        if before_ms is None or before_ms < from_ms:
            self._duck.execute("insert into observed_span values ($n, $stream, $from_ms, $until_ms, false, '')", place)
        elif until_ms > before_ms:
            self._duck.execute(
                """update observed_span set until_ms = $until_ms
                where deployment_no = $n and stream = $stream and not is_gap and until_ms = $before_ms""",
                {"n": number, "stream": stream, "until_ms": until_ms, "before_ms": before_ms},
            )
        if before_ms is None:
            return []
        return self._gap(number, Span(stream, before_ms, from_ms, True, reason))

    def _gap(self, number: int, gap: Span) -> list[Span]:
        if gap.until_ms <= gap.from_ms:
            return []
        self._duck.execute(
            "insert into observed_span values ($n, $stream, $from_ms, $until_ms, true, $reason)",
            {"n": number, "stream": gap.stream, "from_ms": gap.from_ms, "until_ms": gap.until_ms, "reason": gap.reason},
        )
        return [gap]

    def _seen_until(self, number: int, stream: Stream) -> float | None:
        return self._one(
            "select max(until_ms) from observed_span where deployment_no = $n and stream = $stream and not is_gap",
            number,
            stream=stream,
        )

    def _one(self, query: str, number: int, **params: Any) -> float | None:
        row = self._duck.execute(query, {"n": number} | params).fetchone()
        return None if row is None else row[0]


def _is_less(now: int | None, stored: int) -> bool:
    return now is not None and now < stored


def _json(details: dict[str, Any]) -> str:
    return orjson.dumps(details, option=orjson.OPT_SORT_KEYS).decode()
