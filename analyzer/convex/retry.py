"""When a request may be sent again, and how long to wait before.

Convex never says `Retry-After`. What was rejected before it ran, or did not commit, is safe to repeat whatever it
was; after any other failure only a read is, because nobody knows whether a change happened.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

from analyzer import clock

# Rejected before execution, or rolled back by the server: the same request may be sent again, even a change.
NOT_DONE_CODES = frozenset(
    {
        "TooManyConcurrentRequests",
        "TooManyWrites",
        "OptimisticConcurrencyControlFailure",
        "ExpiredInQueue",
        "WorkerOverloaded",
        "IsolateNotClean",
        "InitialPermitTimeoutError",
        "ExecuteFullError",
    }
)
FINAL_5XX = frozenset({501, 505})  # the server will not learn it by being asked again


class Repeat(Enum):
    """Who may send a failed request again."""

    NEVER = "never"
    READS = "reads"  # a change may have happened
    BRIEFLY = "briefly"  # reads, a few times: the answer came whole and makes no sense
    ALWAYS = "always"  # it certainly did not happen


def classify(status: int, code: str) -> Repeat:
    """Tell what a failed answer allows.

    status  of HTTP, 400 or more
    code    the server's short code, "" when it gave none
    """
    if status in (429, 503) and code in NOT_DONE_CODES:
        return Repeat.ALWAYS
    if status in (408, 429) or (status >= 500 and status not in FINAL_5XX):
        return Repeat.READS
    return Repeat.NEVER


@dataclass(frozen=True, slots=True)
class Policy:
    """How often, and how long between."""

    repeats: int = 6
    brief_repeats: int = 2
    first_s: float = 0.25  # doubled each time
    longest_s: float = 8.0
    jitter_share: float = 0.5  # the wait is taken from [1 - jitter_share, 1] of its length, so that crowds spread out

    def wait_s(self, repeat: int, kind: Repeat, is_change: bool, draw: float) -> float | None:
        """Return how long to wait before the next try, or None to give up.

        repeat  how many tries were repeated before, from 0
        draw    a random number in [0, 1)
        """
        allowed = {
            Repeat.NEVER: 0,
            Repeat.READS: 0 if is_change else self.repeats,
            Repeat.BRIEFLY: 0 if is_change else self.brief_repeats,
            Repeat.ALWAYS: self.repeats,
        }[kind]
        if repeat >= allowed:
            return None
        length_s = min(self.first_s * 2.0**repeat, self.longest_s)
        return length_s * (1 - self.jitter_share * draw)


@dataclass(frozen=True, slots=True)
class Timing:
    """The clock of a client, replaceable so that tests neither wait nor guess."""

    monotonic_s: Callable[[], float] = clock.monotonic_s
    sleep_s: Callable[[float], None] = clock.sleep_s
    draw: Callable[[], float] = field(default_factory=lambda: random.Random().random)
