"""Which flags of `analyzer collect` go together: one that would be without effect is refused. All raise UsageError."""

from __future__ import annotations

from pathlib import Path

from analyzer.errors import UsageError

SHORTEST_MS = 5_000  # between two collects
LAST_SOURCE_MS = 7_258_118_399_999  # the end of 2199: the store counts nanoseconds, to 2262


def check_source(source: Path | None, *, via_cli: bool, is_for_cli: bool, is_for_live: bool) -> None:
    """Refuse two sources, and flags of another one.

    is_for_cli   whether flags were given that go with --via-cli alone
    is_for_live  whether flags were given that say how to read a live deployment
    """
    if via_cli and source is not None:
        raise UsageError(
            "collect reads either a SOURCE or, with --via-cli, what `npx convex` gives",
            hint="`analyzer collect EXPORT.zip`, or `analyzer collect --via-cli`",
        )
    if is_for_cli and not via_cli:
        raise UsageError("--keep and --print belong to --via-cli", hint="add --via-cli, or leave them out")
    if source is not None and is_for_live:
        raise UsageError(
            "SOURCE is a file, and --url, --prod and the like say how to read a live deployment",
            hint="leave out the one or the others; --deployment NAME says whose the file is",
        )


def check_rhythm(every_ms: int | None, for_ms: int | None, *, is_live: bool) -> None:
    """Refuse to watch what does not change, or too often."""
    if every_ms is None and for_ms is None:
        return
    if not is_live:
        raise UsageError("--every watches a live deployment, not a file", hint="leave SOURCE and --via-cli out")
    if every_ms is None:
        raise UsageError("--for says how long to collect again and again", hint="say how often as well: --every 1m")
    if every_ms < SHORTEST_MS:
        raise UsageError("--every is shorter than 5s", hint="metrics are by the minute: --every 1m")


def check_names(label: str | None, taken_at_ms: int | None, *, is_live: bool) -> None:
    """Refuse a label that names nothing, and a time that cannot be the source's."""
    if label is not None and not label.strip():
        raise UsageError("--label names nothing", hint="give a name, or leave it out")
    if taken_at_ms is not None and is_live:
        raise UsageError("a live deployment tells its own time", hint="leave --taken-at out")
    if taken_at_ms is not None and taken_at_ms > LAST_SOURCE_MS:
        raise UsageError("--taken-at lies after the year 2199", hint="say when the file was exported")
