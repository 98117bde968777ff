"""Which deployment a file is of, and when it was taken, as far as files can tell."""

from __future__ import annotations

import re
from dataclasses import dataclass

from analyzer.model import Deployment, TimeBasis
from analyzer.units import visible

NS_PER_MS = 1_000_000
# The platform's name; a browser adds " (1)" to a second download, and unpacking drops the suffix.
_EXPORT_NAME = re.compile(
    r"snapshot_(?:(?P<deployment>[^/]+)_)?(?P<ts>\d{10,20})(?: ?\(\d+\))?(?:\.zip)?", re.IGNORECASE
)
# A number outside of these is no time in nanoseconds, whoever wrote it there.
_EARLIEST_NS, _LATEST_NS = 1_420_070_400 * 10**9, 4_102_444_800 * 10**9  # 2015 and 2100


@dataclass(frozen=True, slots=True)
class Named:
    """What a file's name says."""

    deployment: str | None = None
    taken_at_ns: int | None = None


def named(name: str) -> Named | None:
    """Read the platform's own name of a file or of the folder it unpacks to; None for any other name.

    name  without the folders before it: "snapshot_happy-animal-123_1765889880000000000.zip"
    """
    match = _EXPORT_NAME.fullmatch(name)
    if match is None:
        return None
    ts = int(match["ts"])
    return Named(match["deployment"], ts if _EARLIEST_NS <= ts < _LATEST_NS else None)


def deployment_of(given: str | None, named_: Named, unknown_hash: str) -> tuple[Deployment, list[str]]:
    """Return the deployment of a file: as given, else as its name says, else `unknown:<16 hex of the hash>`.

    returns  it, and warnings
    """
    if given is not None:
        warnings = []
        if named_.deployment not in (None, given):
            warnings.append(
                f"filed under {visible(given)}, but the file's name says {visible(named_.deployment or '')}"
            )
        return Deployment(given), warnings
    if named_.deployment is not None:
        return Deployment(named_.deployment), []
    name = f"unknown:{unknown_hash[:16]}"
    return Deployment(name), [f"nothing names the deployment, so it is filed under {name}; `--deployment` names it"]


def time_of(given_ns: int | None, named_: Named, answered_at_ms: int | None) -> tuple[int | None, TimeBasis]:
    """Return when a file was taken and who says so; None: only the newest document can tell."""
    if given_ns is not None:
        return given_ns, "taken-at"
    if named_.taken_at_ns is not None:
        return named_.taken_at_ns, "file-name"
    if answered_at_ms is not None and _EARLIEST_NS <= answered_at_ms * NS_PER_MS < _LATEST_NS:
        return answered_at_ms * NS_PER_MS, "answer-timestamp"
    return None, "newest-creation-time"
