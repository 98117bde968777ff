"""Why a rate moved: taken apart by groups into mix and rate, and groups ranked by how surely they got worse."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from analyzer import stats
from analyzer.analysis.function_windows import Calls
from analyzer.analysis.verdict import Part
from analyzer.analysis.windows import SIDES, Side
from analyzer.store import Frame

MOST_IDS = 20
NO_CALLS: Mapping[Side, Calls] = MappingProxyType({})
NAMELESS = "(none)"
RATES: Mapping[str, tuple[str, bool]] = {  # rate of which higher is worse -> table, whether it counts failures
    "workflow_error_rate": ("workflowTraces", True),
    "message_error_rate": ("chatMessages", True),
    "workflow_incompletion_rate": ("workflowTraces", False),
    "message_incompletion_rate": ("chatMessages", False),
}


@dataclass(frozen=True, slots=True)
class Group:
    """One group of documents in both windows."""

    name: str
    k_base: int = 0
    n_base: int = 0
    k_after: int = 0
    n_after: int = 0
    ids: tuple[str, ...] = ()  # documents after the change with the event


def decompose(
    frame: Frame, flag_periods: Sequence[str] = (), calls: Mapping[Side, Calls] = NO_CALLS
) -> tuple[Part, ...]:
    """Take every rate of a counted frame apart by model, workflow type, user, task class and flags.

    flag_periods  what each period between flips is called, the time before the first one first
    calls         of functions, whose error rate is taken apart by function
    returns       parts, surest suspects first; () where either window has no documents
    """
    parts: list[Part] = []
    for metric, (table, by_failure) in RATES.items():
        rows = frame.rows("compare/groups", table_name=table, by_failure=by_failure, most_ids=MOST_IDS)
        for dimension, groups in _grouped(rows, flag_periods).items():
            parts += split(metric, dimension, groups)
    parts += split("function_error_rate", "function", _functions(calls))
    return ranked(parts)


def _functions(calls: Mapping[Side, Calls]) -> list[Group]:
    before, after = (calls[side].by_function if side in calls else {} for side in SIDES)
    nothing = (0, 0)
    return [Group(name, *before.get(name, nothing), *after.get(name, nothing)) for name in sorted({*before, *after})]


def _grouped(rows: Iterable[Sequence[object]], flag_periods: Sequence[str]) -> dict[str, list[Group]]:
    found: dict[str, dict[str, Group]] = {}
    for dimension, name, side, n, k, ids in rows:
        assert isinstance(n, int) and isinstance(k, int) and isinstance(ids, list)
        shown = NAMELESS if name is None else str(name)
        if dimension == "flags" and shown.isdigit() and int(shown) < len(flag_periods):
            shown = flag_periods[int(shown)]
        groups = found.setdefault(str(dimension), {})
        group = groups.get(shown, Group(shown))
        if side == "baseline":  # periods of the same name are one group
            group = replace(group, k_base=group.k_base + k, n_base=group.n_base + n)
        else:
            ids_now = (*group.ids, *ids)[:MOST_IDS]
            group = replace(group, k_after=group.k_after + k, n_after=group.n_after + n, ids=ids_now)
        groups[shown] = group
    return {dimension: list(groups.values()) for dimension, groups in found.items()}


def split(metric: str, dimension: str, groups: Sequence[Group]) -> list[Part]:
    """Split the change of a rate into what each group's share did (mix) and what its own rate did (rate).

    groups   of one dimension, all documents in them
    returns  one part a group; mix and rate of all sum to the change of the rate, up to rounding of doubles. A group
             that only one window has did not change its own rate, so all it did is mix. [] where a window is empty
    """
    n_base, n_after = sum(g.n_base for g in groups), sum(g.n_after for g in groups)
    if not n_base or not n_after:
        return []
    middle = (sum(g.k_base for g in groups) / n_base + sum(g.k_after for g in groups) / n_after) / 2
    parts = []
    for group in groups:
        share_base, share_after = group.n_base / n_base, group.n_after / n_after
        rate_after = group.k_after / group.n_after if group.n_after else group.k_base / group.n_base
        rate_base = group.k_base / group.n_base if group.n_base else rate_after
        parts.append(
            Part(
                metric=metric,
                dimension=dimension,
                group=group.name,
                baseline_k=group.k_base,
                baseline_n=group.n_base,
                after_k=group.k_after,
                after_n=group.n_after,
                mix=(share_after - share_base) * ((rate_base + rate_after) / 2 - middle),
                rate=(rate_after - rate_base) * (share_base + share_after) / 2,
                p=_suspicion(group, groups),
                p_adjusted=None,
                ids=group.ids,
            )
        )
    return parts


def _suspicion(group: Group, groups: Sequence[Group]) -> float | None:
    """Give the exact p that a group got worse; one without documents before is held against the whole baseline.

    A group that holds every document after the change is no suspect: blaming it says nothing.
    """
    if not group.n_after or group.n_after == sum(g.n_after for g in groups):
        return None
    if group.n_base:
        return stats.fisher_harm(group.k_after, group.n_after, group.k_base, group.n_base)
    return stats.fisher_harm(group.k_after, group.n_after, sum(g.k_base for g in groups), sum(g.n_base for g in groups))


def ranked(parts: Sequence[Part]) -> tuple[Part, ...]:
    """Adjust the p values of all parts for how many there are, and put the surest suspects first."""
    tested = [index for index, part in enumerate(parts) if part.p is not None]
    adjusted = dict(zip(tested, stats.benjamini_hochberg([parts[i].p or 0.0 for i in tested]), strict=True))
    found = [replace(part, p_adjusted=adjusted.get(index)) for index, part in enumerate(parts)]
    return tuple(
        sorted(
            found,
            key=lambda part: (
                2.0 if part.p_adjusted is None else part.p_adjusted,
                -(part.mix + part.rate),
                part.metric,
                part.dimension,
                part.group,
            ),
        )
    )
