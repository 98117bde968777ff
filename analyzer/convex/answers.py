"""The functions of the deployment that are asked for their own view of health, and what their answers must look like.

An answer that is not as expected becomes a warning and is left out: what the deployment says of itself is a witness,
never a reason to stop. Free text in an answer is reduced, and of variables only the configured flags are kept.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any, TypeGuard

from analyzer.convex import values
from analyzer.convex.function_names import DEFAULT_NAMES, FunctionNames
from analyzer.convex.text import reduced
from analyzer.model import Answer
from analyzer.units import truncated, visible

MAX_SAFE_INTEGER = 2**53 - 1
_SYSTEM_HEALTH_NUMBERS = (
    "timestamp",
    *(f"workflows.{key}" for key in ("total", "completed", "failed", "inProgress", "completionRate", "errorRate")),
    *(f"messages.{key}" for key in ("total", "completed", "streaming", "failed", "completionRate", "errorRate")),
)
_CHECK_ALERTS_NUMBERS = ("timestamp", "alertCount", "stuckWorkflows", "stuckMessages")


def read_answer(
    function: str, parsed: Any, *, flag_names: Sequence[str], names: FunctionNames = DEFAULT_NAMES
) -> tuple[Answer | None, list[str]]:
    """Check what a function answered and reduce it to what may be kept.

    function    which of `names` it was
    parsed      the answer as parsed JSON, in the format `convex_encoded_json` or `json`; the platform's envelope
                {"status":"success","value":…} may still be around it
    flag_names  variables that may be kept
    returns     the answer, with whole numbers as ints; None when it cannot be used; and warnings, one sentence each
    """
    try:
        reduced({"answer": parsed}, keep_text=True)  # checks the depth, before anything else goes down
        value = _plain(values.decode(_unpacked(parsed), "convex_encoded_json"))
        if problem := _problem(function, value, names):
            return None, [f"{function} answered something else than expected: {problem}"]
        value, warnings = _kept(function, value, flag_names, names)
        value = reduced({"answer": value})[0]["answer"]
    except ValueError as error:
        return None, [f"{function} gave no answer: {truncated(visible(str(error)), 200)}"]
    return Answer(function, value, _answered_at_ms(value)), [f"{function}: {warning}" for warning in warnings]


def _answered_at_ms(value: Any) -> int | None:
    timestamp = _at(value, "timestamp")
    return int(timestamp) if _is_number(timestamp) and 0 < timestamp <= MAX_SAFE_INTEGER else None


def _unpacked(parsed: Any) -> Any:
    if isinstance(parsed, dict) and parsed.get("status") == "success" and "value" in parsed:
        return parsed["value"]
    if isinstance(parsed, dict) and parsed.get("status") == "error" and "errorMessage" in parsed:
        raise ValueError(f"it failed: {parsed['errorMessage']}")
    return parsed


def _plain(value: Any) -> Any:
    """Turn a value into what JSON can hold: whole float64 as ints, bytes and numbers that are not finite as text."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, float):
        if abs(value) <= MAX_SAFE_INTEGER and value.is_integer():
            return int(value)
        return values.encode(value, "json")
    return value


def _problem(function: str, value: Any, names: FunctionNames) -> str:
    """Return what is missing or of another type; "" where the answer is as expected."""
    if function == names.recent_traces:
        return "" if _is_list_of(value, dict) else "no list of objects"
    if not isinstance(value, dict):
        return f"{values.TYPE_NAMES[type(value)]}, not an object"
    numbers: tuple[str, ...] = ()
    status, alerts = "", ""
    if function == names.system_health:
        numbers, status, alerts = _SYSTEM_HEALTH_NUMBERS, "health.status", "health.alerts"
    elif function == names.alerts:
        numbers, status, alerts = _CHECK_ALERTS_NUMBERS, "status", "alerts"
    wrong = [path for path in numbers if not _is_number(_at(value, path))]
    wrong += [status] if status and not isinstance(_at(value, status), str) else []
    wrong += [alerts] if alerts and not _is_list_of(_at(value, alerts), str) else []
    return f"{', '.join(wrong[:5])} missing or of another type" if wrong else ""


def _at(value: Any, path: str) -> Any:
    for key in path.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _kept(function: str, value: Any, flag_names: Sequence[str], names: FunctionNames) -> tuple[Any, list[str]]:
    """Keep of answers about variables only the configured flags: any other may be a secret."""
    if function not in (names.feature_flags, names.workflow_mode):
        return value, []
    allowed = {*flag_names, "mode"} if function == names.workflow_mode else set(flag_names)
    kept = {key: item for key, item in value.items() if key in allowed and isinstance(item, bool | str)}
    left_out = len(value) - len(kept)
    return kept, [f"{left_out} values that belong to no configured flag were left out"] if left_out else []


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_list_of(value: Any, type_: type[Any]) -> bool:
    return isinstance(value, list) and all(isinstance(item, type_) for item in value)
