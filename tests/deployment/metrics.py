"""The last hour in minutes, in memory: what /api/app_metrics tells."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import orjson

from tests.deployment.clock import NS_PER_S
from tests.deployment.errors import HttpError
from tests.deployment.executions import Execution, key_of
from tests.deployment.functions import canonical, metrics_key
from tests.deployment.keys import Identity
from tests.deployment.wire import Request, Response, json_response

if TYPE_CHECKING:
    from tests.deployment.backend import Backend

BIN_S, BINS_KEPT = 60, 60
MOST_BUCKETS = 10_000
RATE_METRICS = ("invocations", "errors", "cacheHits", "cacheMisses", "subscriptionInvalidations")
REST = "_rest"
Series = list[tuple[dict[str, int], float | None]]


@dataclass
class Bin:
    """One minute."""

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)  # (function or table, metric)
    latencies_s: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    lag_s: float | None = None


@dataclass(frozen=True)
class Window:
    """What a request asks for: equal buckets between two times, in seconds."""

    start_s: float
    end_s: float
    buckets: int

    @property
    def width_s(self) -> float:
        return (self.end_s - self.start_s) / self.buckets


def _fault() -> HttpError:
    return HttpError(500, "InternalServerError", "Your request couldn't be completed. Try again later.")


class Metrics:
    """Counts by function and minute; a restart loses them."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self._bins: dict[int, Bin] = {}

    def record(self, execution: Execution, at_s: float) -> None:
        found, key = self._bin(at_s), key_of(execution)
        found.counts[key, "invocations"] += 1
        if execution.error is not None:
            found.counts[key, "errors"] += 1
        if execution.kind == "Query":
            found.counts[key, "cacheHits" if execution.is_cached else "cacheMisses"] += 1
        if not execution.is_cached:
            found.latencies_s[key].append(min(max(execution.execution_s, 0.001), 900.0))

    def record_lag(self, lag_s: float, at_s: float | None = None) -> None:
        """Note how late scheduled jobs are."""
        self._bin(at_s or self.backend.clock() / NS_PER_S).lag_s = lag_s

    def record_rows(self, table: str, metric: str, count: int) -> None:
        self._bin(self.backend.clock() / NS_PER_S).counts[f"table {table}", metric] += count

    def forget(self) -> None:
        self._bins.clear()

    def _bin(self, at_s: float) -> Bin:
        with self.backend.database.lock:
            number = int(at_s // BIN_S)
            for old in [n for n in self._bins if n <= self._newest() - BINS_KEPT]:
                del self._bins[old]
            return self._bins.setdefault(number, Bin())

    def _newest(self) -> int:
        return int(self.backend.clock() / NS_PER_S // BIN_S)

    # ---- endpoints ---------------------------------------------------------------------------------------------

    def udf_rate(self, request: Request, identity: Identity) -> Response:
        window, key, metric = _window(request), self._udf(request), request.query.get("metric", "")
        if metric not in RATE_METRICS:
            raise _fault()
        return json_response(self._sum(window, key, metric, per_s=True))

    def table_rate(self, request: Request, identity: Identity) -> Response:
        window, metric = _window(request), request.query.get("metric", "")
        if metric not in ("rowsRead", "rowsWritten"):
            raise _fault()
        return json_response(self._sum(window, f"table {request.query.get('name', '')}", metric, per_s=True))

    def cache_hit_percentage(self, request: Request, identity: Identity) -> Response:
        return json_response(self._share(_window(request), self._udf(request), "cacheHits", "cacheMisses"))

    def latency_percentiles(self, request: Request, identity: Identity) -> Response:
        window, key = _window(request), self._udf(request)
        try:
            wanted = orjson.loads(request.query["percentiles"])
        except (KeyError, ValueError) as error:
            raise _fault() from error
        return json_response([[p, self._series(window, partial(_percentile, key, p))] for p in wanted])

    def scheduled_job_lag(self, request: Request, identity: Identity) -> Response:
        """Gaps are filled with the last known lag, as the server does."""
        last: list[float | None] = [None]

        def lag(bins: list[Bin]) -> float | None:
            last[0] = next((b.lag_s for b in reversed(bins) if b.lag_s is not None), last[0])
            return last[0]

        return json_response(self._series(_window(request), lag))

    def function_concurrency(self, request: Request, identity: Identity) -> Response:
        series = self._series(_window(request), lambda _: 0.0)
        return json_response({f"outstanding_functions:{kind}:running": series for kind in ("query", "mutation")})

    def failure_percentage_top_k(self, request: Request, identity: Identity) -> Response:
        return self._top(request, lambda total: total["errors"] / total["invocations"], "errors", None)

    def cache_hit_percentage_top_k(self, request: Request, identity: Identity) -> Response:
        return self._top(
            request, lambda total: -total["cacheHits"] / (total["cacheHits"] + total["cacheMisses"]), "cacheHits",
            "cacheMisses",
        )  # fmt: skip

    def function_call_count_top_k(self, request: Request, identity: Identity) -> Response:
        window, k = _window(request), _k(request)
        ranked = [key for key, _ in self._totals(window, "invocations").most_common()]
        answer = [[key, self._sum(window, key, "invocations")] for key in ranked[:k]]
        if ranked[k:]:
            answer.append([REST, self._sum(window, ranked[k:], "invocations")])
        return json_response(answer)

    def subscription_invalidations_top_k(self, request: Request, identity: Identity) -> Response:
        _window(request), _k(request)
        return json_response([])

    # ---- series ------------------------------------------------------------------------------------------------

    def _udf(self, request: Request) -> str:
        path = request.query.get("udfPath", request.query.get("path"))
        if path is None:
            raise HttpError(400, "BadQueryArgs", "Failed to deserialize query string: missing field `udfPath`")
        if request.query.get("udfType") == "HttpAction":
            return path
        component = request.query.get("componentPath")
        return (f"{component}/" if component else "") + metrics_key(canonical(path))

    def _series(self, window: Window, value: Callable[[list[Bin]], float | None]) -> Series:
        """Return a value a bucket, from the minutes that begin in it; None outside the hour that is kept."""
        now = self._newest()
        series: Series = []
        for number in range(window.buckets):
            start_s = window.start_s + number * window.width_s
            minutes = range(math.ceil(start_s / BIN_S), math.ceil((start_s + window.width_s) / BIN_S))
            known = [minute for minute in minutes if now - BINS_KEPT < minute <= now]
            found = value([self._bins.get(minute, Bin()) for minute in known]) if known else None
            series.append((_system_time(start_s), found))
        return series

    def _sum(self, window: Window, key: str | list[str], metric: str, *, per_s: bool = False) -> Series:
        keys = [key] if isinstance(key, str) else key
        width = window.width_s if per_s else 1.0
        return self._series(window, lambda bins: sum(b.counts[k, metric] for b in bins for k in keys) / width)

    def _share(self, window: Window, key: str | list[str], part: str, other: str | None) -> Series:
        keys = [key] if isinstance(key, str) else key

        def share(bins: list[Bin]) -> float | None:
            parts = sum(b.counts[k, part] for b in bins for k in keys)
            whole = sum(b.counts[k, other or "invocations"] for b in bins for k in keys) + (parts if other else 0)
            return 100.0 * parts / whole if whole else None

        return self._series(window, share)

    def _totals(self, window: Window, metric: str) -> Counter[str]:
        totals: Counter[str] = Counter()
        for minute, found in self._bins.items():
            if window.start_s <= minute * BIN_S < window.end_s:
                totals.update({key: n for (key, what), n in found.counts.items() if what == metric})
        return totals

    def _top(
        self, request: Request, score: Callable[[dict[str, int]], float], part: str, other: str | None
    ) -> Response:
        window, k = _window(request), _k(request)
        metrics = ("invocations", "errors", "cacheHits", "cacheMisses")
        by_metric = {metric: self._totals(window, metric) for metric in metrics}
        totals = {key: {metric: by_metric[metric][key] for metric in metrics} for key in by_metric["invocations"]}
        able = [
            key
            for key, total in totals.items()
            if (total["cacheHits"] + total["cacheMisses"] if other else total[part])
        ]
        ranked = sorted(able, key=lambda key: (-score(totals[key]), key))[:k]
        rest = [key for key in totals if key not in ranked]
        answer = [[key, self._share(window, key, part, other)] for key in ranked]
        return json_response([*answer, [REST, self._share(window, rest, part, other)]])


def _percentile(key: str, percentile: float, bins: list[Bin]) -> float | None:
    found = sorted(value for b in bins for value in b.latencies_s.get(key, ()))
    if not found:
        return None
    value = found[min(len(found) - 1, math.ceil(percentile / 100 * len(found)) - 1)]
    return float(f"{value:.2g}")


def _window(request: Request) -> Window:
    """Read a window; anything wrong in it is the server's fault, as there."""
    try:
        parsed = orjson.loads(request.query["window"])
        start, end = (t["secs_since_epoch"] + t["nanos_since_epoch"] / 1e9 for t in (parsed["start"], parsed["end"]))
        window = Window(start, end, parsed["num_buckets"])
    except KeyError as error:
        if "window" not in request.query:
            raise HttpError(400, "BadQueryArgs", "Failed to deserialize query string: missing `window`") from error
        raise _fault() from error
    except (ValueError, TypeError) as error:
        raise _fault() from error
    if not 1 <= window.buckets <= MOST_BUCKETS or window.end_s <= window.start_s:
        raise _fault()
    return window


def _k(request: Request) -> int:
    text = request.query.get("k", "5")
    if not text.isdecimal() or not 1 <= int(text) <= 25:
        raise HttpError(400, "InvalidTopKParameter", "k must be between 1 and 25")
    return int(text)


def _system_time(at_s: float) -> dict[str, int]:
    whole = math.floor(at_s)
    return {"secs_since_epoch": whole, "nanos_since_epoch": int((at_s - whole) * 1e9)}
