"""Flag flips to changes, and the windows in which a change is judged.

Flips that follow each other faster than the first checkpoint cannot be told apart by any look, so they form one change
with one verdict. All times are epoch milliseconds, UTC.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from analyzer.analysis.rollout_log import RolloutLog
from analyzer.units import instant

HOUR_MS = 3_600_000
FIRST_CHECKPOINT_MS = HOUR_MS
BASELINE_MS = 7 * 24 * HOUR_MS


DEPLOYED = "code deployed"


@dataclass(frozen=True, slots=True)
class Flip:
    """One flag that was set or removed, or code that was deployed."""

    flag: str  # DEPLOYED for a deploy
    value: str | None  # "true", "false"; None when it was removed or set to something else, and for a deploy
    at_ms: int
    precision_ms: int = 1  # the moment lies in [at_ms, at_ms + precision_ms)
    phase: str = ""  # number of the phase in the log; "" when no log tells
    is_deploy: bool = False

    @property
    def name(self) -> str:
        """What was changed: two deploys are two things, a flag that is flipped twice is one."""
        return f"{DEPLOYED} {instant(self.at_ms)}" if self.is_deploy else self.flag


def deploy(at_ms: int) -> Flip:
    """Return code that was deployed, as a step of a rollout."""
    return Flip(DEPLOYED, None, at_ms, is_deploy=True)


@dataclass(frozen=True, slots=True)
class Change:
    """Flips that are judged together."""

    number: int  # 1, 2, ... in time
    flips: tuple[Flip, ...]  # earliest first, at least one

    @property
    def start_ms(self) -> int:
        """t0: when the first flip was made. The baseline ends here and looks begin here."""
        return self.flips[0].at_ms

    @property
    def settled_ms(self) -> int:
        """When the last flip was made; before it only a part of the change was in force."""
        return self.flips[-1].at_ms

    @property
    def phases(self) -> tuple[str, ...]:
        """Numbers of the phases in it, each once."""
        return tuple(dict.fromkeys(flip.phase for flip in self.flips if flip.phase))

    @property
    def not_separable(self) -> bool:
        """Tell whether more than one thing changed, so that no effect can be laid to one of them."""
        return len({flip.name for flip in self.flips}) > 1


@dataclass(frozen=True, slots=True)
class Window:
    """A span of time in which documents are counted."""

    from_ms: int  # included
    to_ms: int
    includes_end: bool
    other_changes: tuple[int, ...] = ()  # numbers of other changes made inside it, which it cannot tell apart

    def holds(self, at_ms: float) -> bool:
        """Tell whether a moment lies in the window."""
        return self.from_ms <= at_ms < self.to_ms or (self.includes_end and at_ms == self.to_ms)


def group_flips(flips: Iterable[Flip], first_checkpoint_ms: int = FIRST_CHECKPOINT_MS) -> tuple[Change, ...]:
    """Put each flip that follows another by less than the first checkpoint into the same change.

    flips    in any order; of equals in time the order given is kept
    returns  changes, earliest first; () for no flips
    """
    groups: list[list[Flip]] = []
    for flip in sorted(flips, key=lambda flip: flip.at_ms):
        if groups and flip.at_ms - groups[-1][-1].at_ms < first_checkpoint_ms:
            groups[-1].append(flip)
        else:
            groups.append([flip])
    return tuple(Change(number, tuple(group)) for number, group in enumerate(groups, 1))


def baseline_window(
    change: Change, coverage_start_ms: int, changes: Sequence[Change] = (), longest_ms: int = BASELINE_MS
) -> Window | None:
    """Give the time before a change: [max(coverage start, t0 - 7 d), t0).

    coverage_start_ms  when the first document that could be counted was made
    changes            all changes of the rollout, to name those inside the window
    returns            None when nothing before the change is covered
    """
    start_ms = max(coverage_start_ms, change.start_ms - longest_ms)
    if start_ms >= change.start_ms:
        return None
    return _window(start_ms, change.start_ms, False, change, changes)


def look_window(change: Change, offset_ms: int, changes: Sequence[Change] = ()) -> Window:
    """Give the time from a change to a checkpoint after it: [t0, t0 + T], both ends included.

    changes  all changes of the rollout, to name those inside the window
    raises   ValueError for a checkpoint that is not after the change
    """
    if offset_ms <= 0:
        raise ValueError(f"a checkpoint lies after its change, not {offset_ms} ms after it")
    return _window(change.start_ms, change.start_ms + offset_ms, True, change, changes)


def _window(from_ms: int, to_ms: int, includes_end: bool, change: Change, changes: Sequence[Change]) -> Window:
    window = Window(from_ms, to_ms, includes_end)
    inside = (other for other in changes if other.number != change.number)
    numbers = tuple(other.number for other in inside if any(window.holds(flip.at_ms) for flip in other.flips))
    return Window(from_ms, to_ms, includes_end, numbers)


def log_flips(log: RolloutLog) -> tuple[Flip, ...]:
    """Give the flips that a rollout log tells of and dates; those without a time are left out."""
    return tuple(
        Flip(flip.flag, flip.value, flip.at.ms, flip.at.precision_ms, flip.phase)
        for phase in log.phases
        for flip in phase.flips
        if flip.at and flip.at.ms is not None
    )
