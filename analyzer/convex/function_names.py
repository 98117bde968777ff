"""What the functions that are asked for their view of health are called. Light: the configuration imports it."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class FunctionNames:
    """What the functions are called on this deployment: `<module path>:<function>`."""

    system_health: str = "monitoring/dashboard:getSystemHealth"
    alerts: str = "monitoring/dashboard:checkAlerts"
    feature_flags: str = "monitoring/dashboard:getFeatureFlags"
    recent_traces: str = "monitoring/dashboard:getRecentTraces"
    workflow_mode: str = "api/testHelpers:checkWorkflowMode"

    def all(self) -> tuple[str, ...]:
        """Return the names in the order in which the functions are called."""
        return tuple(getattr(self, field.name) for field in fields(self))


DEFAULT_NAMES = FunctionNames()


def file_name(function: str) -> str:
    """Return what the file of an answer is called: `monitoring.dashboard.getSystemHealth.json`."""
    module, _, name = function.rpartition(":")
    return f"{module.replace('/', '.')}.{name}.json" if module else f"{name}.json"
