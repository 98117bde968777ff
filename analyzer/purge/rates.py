"""How often the deployment's functions fail: what a purge must not make worse."""

from __future__ import annotations

from collections.abc import Mapping

from analyzer.convex import functions
from analyzer.convex.client import Client
from analyzer.errors import AccessDenied, NotOffered, SourceError
from analyzer.sources.live_metrics import read_metrics

LEAST_CALLS = 20  # fewer prove nothing
ALLOWED_RISE = 0.05  # of the error rate, as a share of calls


def function_errors(client: Client) -> dict[str, int] | None:
    """Return calls and errors of the functions in the last hour; None where the key or the version does not tell."""
    try:
        metrics = read_metrics(client, functions.now_ns(client))
    except (AccessDenied, NotOffered):
        return None
    except SourceError:
        return None  # what is measured may be out of order without the documents being so
    sums = {"calls": 0.0, "errors": 0.0}
    for series in metrics.series:
        if series.metric in sums:
            sums[series.metric] += sum(value for _, value in series.points if value is not None)
    return {name: int(value) for name, value in sums.items()}


def has_risen(before: Mapping[str, int] | None, now: Mapping[str, int] | None) -> bool:
    """Tell whether calls since then fail clearly more often than before.

    before, now  as `function_errors` gives them; the hours overlap, so only what came on top counts
    """
    if before is None or now is None:
        return False
    calls, errors = now["calls"] - before["calls"], now["errors"] - before["errors"]
    if calls < LEAST_CALLS or errors <= 0:
        return False
    usual = before["errors"] / before["calls"] if before["calls"] else 0.0
    return errors / calls > usual + ALLOWED_RISE
