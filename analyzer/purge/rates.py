"""How often the deployment's functions fail: what a purge must not make worse."""

from __future__ import annotations

from collections.abc import Mapping

from analyzer.convex import functions
from analyzer.convex.client import Client
from analyzer.errors import SourceError
from analyzer.sources.live_metrics import read_metrics

LEAST_CALLS = 20  # fewer prove nothing
ALLOWED_RISE = 0.05  # of the error rate, as a share of calls
RECENT_MS = 10 * 60_000  # long enough for calls of a quiet app, too short to drown failures in what went well before


def function_errors(client: Client) -> dict[str, int] | None:
    """Return calls and errors of the functions in the last hour; None where the deployment does not tell."""
    return _counted(client, functions.now_ns(client), 0)


def recent_errors(client: Client, since_ms: int) -> dict[str, int] | None:
    """Return those of the last minutes, of none that began before a time by the deployment's clock."""
    now_ns = functions.now_ns(client)
    return _counted(client, now_ns, max(since_ms, now_ns // 10**6 - RECENT_MS))


def _counted(client: Client, now_ns: int, since_ms: int) -> dict[str, int] | None:
    try:
        metrics = read_metrics(client, now_ns)
    except SourceError:
        return None  # what is measured may be out of order without the documents being so
    sums = {"calls": 0.0, "errors": 0.0}
    for series in metrics.series:
        if series.metric in sums:
            sums[series.metric] += sum(
                value for at_ms, value in series.points if value is not None and at_ms >= since_ms
            )
    return {name: int(value) for name, value in sums.items()}


def has_risen(before: Mapping[str, int] | None, now: Mapping[str, int] | None) -> bool:
    """Tell whether calls fail clearly more often than before; what is not known has not risen.

    before, now  calls and errors of two times that do not overlap
    """
    if before is None or now is None or now["calls"] < LEAST_CALLS:
        return False
    usual = before["errors"] / before["calls"] if before["calls"] else 0.0
    return now["errors"] / now["calls"] > usual + ALLOWED_RISE
