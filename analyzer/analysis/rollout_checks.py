"""What a rollout's phases say, held against what was collected: flags, modes, and the numbers that a log claims."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from analyzer.analysis import app_functions, health
from analyzer.analysis.changes import Change, Flip
from analyzer.analysis.policy import DEPLOYED
from analyzer.analysis.rollout import Rollout, is_on, value_before
from analyzer.analysis.rollout_log import MetricTable, Phase
from analyzer.analysis.verdict import FlagCheck, PhaseResult
from analyzer.model import Finding, Snapshot
from analyzer.store import Store
from analyzer.units import instant

SAME_SHARE = 0.006  # a log rounds: 0% may be 0.4%
_NO_SNAPSHOT = "no snapshot shows it"


def phase_results(rollout: Rollout, snapshots: Sequence[Snapshot]) -> tuple[PhaseResult, ...]:
    """Return each phase with the flags that it should have changed, or left alone.

    snapshots  of the deployment, oldest first
    """
    of_phase = {phase: change for change in rollout.changes for phase in change.phases}
    if rollout.log is None:
        return tuple(
            PhaseResult(
                str(number),
                flip.name if flip.is_deploy else flip.flag,
                "completed",
                "",
                flip.at_ms,
                change.number,
                change.not_separable,
                () if flip.is_deploy else (_flipped(flip, rollout, snapshots),),
            )
            for number, (change, flip) in enumerate(((c, f) for c in rollout.changes for f in c.flips), 1)
        )
    return tuple(_phase(phase, of_phase.get(phase.number), rollout, snapshots) for phase in rollout.log.phases)


def _phase(phase: Phase, change: Change | None, rollout: Rollout, snapshots: Sequence[Snapshot]) -> PhaseResult:
    flips = [flip for flip in rollout.flips if flip.phase == phase.number]
    checks = [_flipped(flip, rollout, snapshots) for flip in flips]
    if phase.state in ("skipped", "pending"):
        checks += [_left_alone(flag, phase, rollout, snapshots) for flag in phase.flags]
    return PhaseResult(
        phase.number,
        phase.title,
        phase.state,
        phase.reason,
        flips[0].at_ms if flips else phase.at.ms if phase.at else None,
        change.number if change else None,
        bool(change and change.not_separable),
        tuple(checks),
    )


def _value(snapshot: Snapshot, flag: str) -> tuple[bool, str | None]:
    return next(((True, f.value) for f in snapshot.flags if f.name == flag), (False, None))


def _flipped(flip: Flip, rollout: Rollout, snapshots: Sequence[Snapshot]) -> FlagCheck:
    """Check that a flag had another state before its flip and the right one after, before it is flipped again."""
    was_known, before = value_before(flip, snapshots)
    again = [f.at_ms for f in rollout.flips if f.flag == flip.flag and f.at_ms > flip.at_ms]
    end_ms = min(again, default=None)
    settled_ms = flip.at_ms + flip.precision_ms - 1
    later = [s for s in snapshots if s.as_of_ms >= settled_ms and (end_ms is None or s.as_of_ms < end_ms)]
    shown = next(((s, v) for s in later for known, v in [_value(s, flip.flag)] if known), None)
    wanted = is_on(flip.flag, flip.value)
    expected = "off before, on after" if wanted else "on before, off after"
    if shown is None:
        return FlagCheck(flip.phase, flip.flag, expected, before, None, None, f"{flip.flag}: {_NO_SNAPSHOT} after.")
    snapshot, after = shown
    problems = []
    if is_on(flip.flag, after) != wanted:
        problems.append(f"it is {_on(not wanted)} in the snapshot of {instant(snapshot.as_of_ms)}")
    if was_known and is_on(flip.flag, before) == wanted:
        problems.append(f"it was {_on(wanted)} before already")
    if problems:
        text = f"{flip.flag} should have been turned {_on(wanted)}, but {' and '.join(problems)}."
    else:
        proof = "off before" if wanted else "on before"
        text = (
            f"{flip.flag} was turned {_on(wanted)}: {proof if was_known else 'not seen before'}, {_on(wanted)} after."
        )
    ok = not problems if was_known or problems else None
    return FlagCheck(flip.phase, flip.flag, expected, before, after, ok, text)


def _left_alone(flag: str, phase: Phase, rollout: Rollout, snapshots: Sequence[Snapshot]) -> FlagCheck:
    """Check that nobody turned a flag of a skipped phase on or off during the rollout."""
    start_ms = rollout.flips[0].at_ms if rollout.flips else 0
    before = [s for s in snapshots if s.as_of_ms < start_ms and _value(s, flag)[0]]
    after = [s for s in snapshots if s.as_of_ms >= start_ms and _value(s, flag)[0]]
    first = _value(before[-1], flag)[1] if before else None
    last = _value(after[-1], flag)[1] if after else None
    expected = "unchanged"
    if not after:
        return FlagCheck(phase.number, flag, expected, first, None, None, f"{flag}: {_NO_SNAPSHOT} after.")
    changed = [s for s in after if before and is_on(flag, _value(s, flag)[1]) != is_on(flag, first)]
    if changed:
        text = f"{flag} was {phase.state}, yet it changed by {instant(changed[0].as_of_ms)}."
        return FlagCheck(phase.number, flag, expected, first, last, False, text)
    text = f"{flag} was {phase.state} and stayed {_on(is_on(flag, last))}."
    return FlagCheck(phase.number, flag, expected, first, last, True if before else None, text)


def unannounced(rollout: Rollout, snapshots: Sequence[Snapshot]) -> tuple[Finding, ...]:
    """List flags that changed between two snapshots during the rollout although nothing told of it."""
    found = []
    known = [s for s in snapshots if s.flags]
    for earlier, later in itertools.pairwise(known):
        for flag in later.flags:
            was_known, value = _value(earlier, flag.name)
            if not was_known or value == flag.value:
                continue
            told = any(
                flip.flag == flag.name
                and flip.at_ms <= later.as_of_ms
                and flip.at_ms + flip.precision_ms > earlier.as_of_ms
                for flip in rollout.flips
            )
            if not told:
                text = (
                    f"{flag.name} changed from {value or 'not set'} to {flag.value or 'not set'} between "
                    f"{instant(earlier.as_of_ms)} and {instant(later.as_of_ms)}, and the rollout does not tell of it."
                )
                found.append(Finding("flag-unannounced", text, {"flag": flag.name, "snapshot": later.id}))
    return tuple(found)


def contradictions(store: Store, rollout: Rollout, snapshots: Sequence[Snapshot]) -> tuple[Finding, ...]:
    """Hold every dated number and mode of a log against the documents; opens frames of its own."""
    if rollout.log is None:
        return ()
    found: list[Finding] = []
    for section in rollout.log.sections:
        for table in section.all_metric_tables:
            found += _table(store, table, snapshots)
        for state in section.all_flag_states:
            if state.mode and section.at and section.at.ms is not None:
                found += _mode(state.mode, state.line, section.at.ms, section.at.precision_ms, snapshots)
    return tuple(found)


def _table(store: Store, table: MetricTable, snapshots: Sequence[Snapshot]) -> Iterator[Finding]:
    if table.at is None or table.at.ms is None:
        return
    from_ms, to_ms = table.at.ms, table.at.ms + table.at.precision_ms
    own = next((s for s in snapshots if from_ms <= s.as_of_ms < to_ms), None)
    later = next((s for s in snapshots if s.as_of_ms >= to_ms), None)
    if own is not None:
        witnesses = [(own, own.as_of_ms)]
    elif later is not None:  # within the minute nobody knows when: either end may bear the log out
        witnesses = [(later, from_ms), (later, to_ms - 1)]
    else:
        return
    answers = [_computed(store, snapshot, at_ms) for snapshot, at_ms in witnesses]
    for row in table.rows:
        values = [answer[row.id] for answer in answers if row.id in answer]
        said = row.text.lower() if row.id in ("health_status", "mode") else row.value
        if not values or said is None or any(_agrees(said, value) for value in values):
            continue
        snapshot, at_ms = witnesses[-1]
        shown = " or ".join(str(part) for part in dict.fromkeys(_shown(value) for value in values))
        how = "of" if own is not None else "reconstructed from"
        text = (
            f"The log says {row.name} {row.text} at {table.at.text} (line {row.line}); the documents say {shown} "
            f"at {instant(at_ms)} ({how} snapshot {snapshot.id})."
        )
        details = {"line": row.line, "metric": row.id, "said": row.text, "found": shown, "snapshot": snapshot.id}
        yield Finding("log-contradicts-data", text, details)


def _computed(store: Store, snapshot: Snapshot, at_ms: int) -> Mapping[str, Any]:
    """Compute what the app's functions would have answered, by the names that logs use; a pair: either counts."""
    counts = health.count(store.frame(snapshot, at_ms), DEPLOYED)
    said, alerts = app_functions.system_health(counts, at_ms), app_functions.alerts(counts, at_ms)
    workflows, messages = said["workflows"], said["messages"]
    return {
        "health_status": said["health"]["status"],
        "alert_count": alerts["alertCount"],
        "alerts": alerts["alertCount"],
        "stuck_workflows": alerts["stuckWorkflows"],
        "stuck_messages": alerts["stuckMessages"],
        "error_rate": (messages["errorRate"], workflows["errorRate"]),
        "completion_rate": (messages["completionRate"], workflows["completionRate"]),
    }


def _agrees(said: float | str, value: Any) -> bool:
    if isinstance(value, tuple):
        return any(_agrees(said, part) for part in value)
    if isinstance(value, str) or isinstance(said, str):
        return bool(said == value)
    return bool(abs(said - value) <= (SAME_SHARE if isinstance(value, float) else 0))


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return f"{value[0]:.0%} of messages, {value[1]:.0%} of workflows"
    return str(value)


def _mode(said: str, line: int, at_ms: int, precision_ms: int, snapshots: Sequence[Snapshot]) -> Iterator[Finding]:
    """Compare a mode with the flags of the first snapshot that was taken when the log's time was over."""
    later = next((s for s in snapshots if s.as_of_ms >= at_ms + precision_ms - 1 and s.flags), None)
    if later is None or not _value(later, "ENABLE_WORKFLOW")[0]:
        return
    found = app_functions.workflow_mode({flag.name: flag.value for flag in later.flags})["mode"]
    if found != said:
        text = f"The log says mode {said} (line {line}); the flags of {instant(later.as_of_ms)} say {found}."
        yield Finding("log-contradicts-data", text, {"line": line, "metric": "mode", "said": said, "found": found})


def _on(on: bool) -> str:
    return "on" if on else "off"
