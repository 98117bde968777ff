"""When things happen: the flips, the looks, and how many turns of conversation each hour brings."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from .deployment import LOCAL, at

HISTORY_FROM = at(9, 6)
END = at(17, 6, 59)
FLIPS = (
    (at(16, 6, 54), "ENABLE_RETRY_WITH_BACKOFF"),
    (at(16, 6, 57), "ENABLE_PROMPT_MESSAGE_ID"),
    (at(16, 6, 57, 10), "ENABLE_MESSAGE_COMPRESSION"),
    (at(16, 6, 57, 20), "ENABLE_WORKFLOW"),
)
ENVIRONMENT_BEFORE: Mapping[str, str | None] = {
    "ENABLE_MESSAGE_COMPRESSION": "false",
    "ENABLE_PROMPT_MESSAGE_ID": "false",
    "ENABLE_RETRY_WITH_BACKOFF": "false",
    "ENABLE_WORKFLOW": "false",
    "LOG_PROVIDER_ENABLED": None,  # never set
}
BURST = (at(16, 18, 5), at(16, 19, 20))  # one provider fails
PERFECT = (
    (at(16, 5, 53), at(16, 8)),  # nothing fails around the flips, so that only leftovers can be to blame
    (at(16, 11, 58), at(16, 12, 59)),
    (at(17, 5, 58), END),
)
HOUR_MS = 3_600_000
QUIET_MS = 80_000  # before these looks nobody starts a turn: each is over when the look comes
_TURNS_OF_HOUR = (1, 1, 1, 1, 2, 8, 11, 11, 13, 13, 13, 13, 14, 13, 13, 13, 13, 12, 11, 6, 4, 3, 2, 1)
_WEEKEND_SHARE = 0.25


@dataclass(frozen=True, slots=True)
class Step:
    """One recording."""

    name: str
    at_ms: int
    says: str


STEPS = (
    Step("01-baseline-0653", at(16, 6, 53), "before anything is changed"),
    Step("02-retry-0654", at(16, 6, 54, 30), "ENABLE_RETRY_WITH_BACKOFF is on"),
    Step("03-prompt-id-0657", at(16, 6, 57, 5), "ENABLE_PROMPT_MESSAGE_ID is on"),
    Step("04-compression-0657", at(16, 6, 57, 15), "ENABLE_MESSAGE_COMPRESSION is on"),
    Step("05-workflow-0657", at(16, 6, 57, 30), "ENABLE_WORKFLOW is on"),
    Step("06-after-tests-0658", at(16, 6, 58, 30), "test helpers have verified the flags"),
    Step("07-after-cleanup-0705", at(16, 7, 5), "somebody deleted two of the test tasks"),
    Step("08-t-plus-1h-0759", at(16, 7, 59), "the leftovers are older than the window"),
    Step("09-t-plus-6h-1259", at(16, 12, 59), "a working day"),
    Step("10-t-plus-12h-1859", at(16, 18, 59), "a provider fails"),
    Step("11-t-plus-24h-0659", at(17, 6, 59), "the next morning"),
)
_WITHOUT_QUIET = ("09-t-plus-6h-1259", "10-t-plus-12h-1859")


def environment(at_ms: int) -> dict[str, str | None]:
    """Return the variables of the flags as they stood at a moment."""
    return {**ENVIRONMENT_BEFORE, **{name: "true" for flipped_ms, name in FLIPS if flipped_ms <= at_ms}}


def is_on(flag: str, at_ms: float) -> bool:
    """Return whether a flag is on."""
    return environment(int(at_ms))[flag] == "true"


def is_perfect(at_ms: float) -> bool:
    """Return whether every turn that starts now succeeds."""
    return any(start <= at_ms <= end for start, end in PERFECT)


def is_office_hour(at_ms: float) -> bool:
    """Return whether many people are at work, so that one odd message does not tip the hour."""
    return 8 <= datetime.fromtimestamp(at_ms / 1000, LOCAL).hour < 18


def turns(rng: random.Random) -> list[tuple[int, str]]:
    """Return when each turn starts, in order, and its slot: day/hour/place. Days have nights, and a weekend."""
    found = []
    for hour_ms in range(HISTORY_FROM, END, HOUR_MS):
        count = _turn_count(rng, hour_ms)
        moment = datetime.fromtimestamp(hour_ms / 1000, LOCAL)
        for place in range(count):
            start_ms = hour_ms + int((place + rng.uniform(0.15, 0.85)) / count * HOUR_MS)
            found.append((_out_of_quiet(start_ms, rng), f"{moment.day}/{moment.hour}/{place}"))
    return sorted((start_ms, slot) for start_ms, slot in found if start_ms <= END)


def _turn_count(rng: random.Random, hour_ms: int) -> int:
    moment = datetime.fromtimestamp(hour_ms / 1000, LOCAL)
    usual = _TURNS_OF_HOUR[moment.hour]
    noise = rng.uniform(0.75, 1.25)
    if hour_ms >= at(16, 0):
        return usual  # the days that are looked at closely
    return round(usual * noise * (_WEEKEND_SHARE if moment.weekday() >= 5 else 1))


def _out_of_quiet(start_ms: int, rng: random.Random) -> int:
    for step in reversed(STEPS):
        if step.name not in _WITHOUT_QUIET and step.at_ms - QUIET_MS <= start_ms <= step.at_ms:
            start_ms = step.at_ms - QUIET_MS - rng.randint(1_000, 9_000)
    return start_ms
