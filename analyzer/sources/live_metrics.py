"""What the platform measured of each function in the last hour; it forgets everything older.

A bucket without a number is unknown, never 0 % and never 100 %.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import orjson

from analyzer.convex.client import Client
from analyzer.convex.permissions import VIEW_METRICS
from analyzer.errors import NotOffered, SourceInvalid

BUCKET_S = 60  # the platform's own; narrower ones would show its bins and not the traffic
BUCKETS = 60  # all that it remembers
TOP = 25  # functions in its rankings, the most it gives
PERCENTILES = (50, 95, 99)
REST = "_rest"  # the platform's sum of all unranked functions
COUNTED = {"invocations": "calls", "errors": "errors", "cacheHits": "cache_hits", "cacheMisses": "cache_misses"}
AT_ONCE = 3  # one fewer than the client lets through: pages are read at the same time


@dataclass(frozen=True, slots=True)
class Series:
    """One measure of one function, by the minute."""

    metric: str  # "calls", "errors", "cache_hits", "cache_misses" (counts); "latency_p95_s", "scheduler_lag_s"
    function: str  # "messages.js:list" as the platform writes it; "" for the whole deployment
    component: str  # path, "" is the root
    points: tuple[tuple[int, float | None], ...]  # (start of the minute in ms, value), in order; None is unknown


@dataclass(frozen=True, slots=True)
class Metrics:
    """The last hour."""

    start_ms: int
    end_ms: int  # of the last whole minute
    series: tuple[Series, ...]
    is_complete: bool  # False: more functions ran than the rankings name


def read_metrics(client: Client, now_ns: int, components: Sequence[str] = ()) -> Metrics:
    """Return the metrics of the functions that were called most or failed most.

    now_ns      by the deployment's clock
    components  paths of components, to tell their functions from folders
    raises      AccessDenied without ViewMetrics; NotOffered
    """
    end_s = now_ns // 10**9 // BUCKET_S * BUCKET_S
    window = _Window(client, end_s - BUCKETS * BUCKET_S, end_s)
    called = window.ranking("function_call_count_top_k")
    failing = window.ranking("failure_percentage_top_k")
    names = sorted((called.keys() | failing.keys()) - {REST})
    is_complete = not any(value for _, value in called.get(REST, ()))
    asked = [_split(name, components) for name in names]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = [series for batch in pool.map(window.function, asked) for series in batch]
    found += window.lag()
    return Metrics(window.start_s * 1000, end_s * 1000, tuple(found), is_complete)


def called_functions(client: Client, now_ns: int) -> tuple[str, ...]:
    """Return the names of the functions that were called most in the last hour.

    raises  AccessDenied without ViewMetrics; NotOffered
    """
    end_s = now_ns // 10**9 // BUCKET_S * BUCKET_S
    window = _Window(client, end_s - BUCKETS * BUCKET_S, end_s)
    return tuple(name for name in window.ranking("function_call_count_top_k") if name != REST)


class _Window:
    """Asks about one hour."""

    def __init__(self, client: Client, start_s: int, end_s: int) -> None:
        self._client = client
        self.start_s, self.end_s = start_s, end_s
        self._param = orjson.dumps({"start": _time(start_s), "end": _time(end_s), "num_buckets": BUCKETS}).decode()

    def ranking(self, route: str) -> dict[str, tuple[tuple[int, float | None], ...]]:
        answer = self._get(route, {"k": TOP})
        if not isinstance(answer, list) or not all(_is_pair(item) and isinstance(item[0], str) for item in answer):
            raise self._broken(route)
        return {name: self._points(route, points) for name, points in answer}

    def function(self, place: tuple[str, str]) -> list[Series]:
        component, path = place
        params: dict[str, str | int | float] = {"udfPath": path}
        if component:
            params["componentPath"] = component
        found = []
        for metric, name in COUNTED.items():
            points = self._points("udf_rate", self._get("udf_rate", params | {"metric": metric}))
            # The platform gives calls a second; what was counted is whole.
            counts = tuple((at, None if rate is None else float(round(rate * BUCKET_S))) for at, rate in points)
            found.append(Series(name, path, component, counts))
        route = "latency_percentiles"
        answer = self._get(route, params | {"percentiles": orjson.dumps(PERCENTILES).decode()})
        if not isinstance(answer, list) or not all(_is_pair(item) and _is_number(item[0]) for item in answer):
            raise self._broken(route)
        return found + [
            Series(f"latency_p{percentile:g}_s", path, component, self._points(route, points))
            for percentile, points in answer
        ]

    def lag(self) -> list[Series]:
        try:
            return [
                Series("scheduler_lag_s", "", "", self._points("scheduled_job_lag", self._get("scheduled_job_lag")))
            ]
        except NotOffered:
            return []

    def _get(self, route: str, params: Mapping[str, str | int | float] | None = None) -> Any:
        asked = {"window": self._param, **(params or {})}
        return self._client.get(f"/api/app_metrics/{route}", asked, permission=VIEW_METRICS)

    def _points(self, route: str, timeseries: Any) -> tuple[tuple[int, float | None], ...]:
        if not isinstance(timeseries, list) or not all(_is_point(point) for point in timeseries):
            raise self._broken(route)
        return tuple(
            (at["secs_since_epoch"] * 1000, None if value is None else float(value)) for at, value in timeseries
        )

    def _broken(self, route: str) -> SourceInvalid:
        return self._client.unexpected(f"GET /api/app_metrics/{route}", "a series of measurements", VIEW_METRICS)


def _time(seconds: int) -> dict[str, int]:
    return {"secs_since_epoch": seconds, "nanos_since_epoch": 0}


def _split(name: str, components: Iterable[str]) -> tuple[str, str]:
    """Tell the component's path from the function's, which the platform joins with a slash."""
    longest_first = sorted((path for path in components if path), key=len, reverse=True)
    path = next((path for path in longest_first if name.startswith(f"{path}/")), "")
    return path, name[len(path) + 1 :] if path else name


def _is_pair(item: Any) -> bool:
    return isinstance(item, list) and len(item) == 2


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_point(point: Any) -> bool:
    if not _is_pair(point) or not isinstance(point[0], dict):
        return False
    seconds = point[0].get("secs_since_epoch")
    return type(seconds) is int and 0 <= seconds < 2**40 and (point[1] is None or _is_number(point[1]))
