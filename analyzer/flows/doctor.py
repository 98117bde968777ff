"""Examines a deployment before anything is collected from it: who it is, what the key may do, what will be missing.

Reads only, writes nothing, and starts no data sync (that would leave an entry in the audit log).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from analyzer.convex import danger, functions, identity, permissions
from analyzer.convex.client import Client
from analyzer.convex.connection import Options, no_key
from analyzer.convex.diagnosis import Diagnosis, Endpoint, FunctionCheck, Permission, Problem
from analyzer.convex.function_names import DEFAULT_NAMES, FunctionNames
from analyzer.convex.identity import Identity, KeyPowers
from analyzer.convex.permissions import PERMISSIONS
from analyzer.convex.refusals import NOT_FOUND
from analyzer.convex.target import Target
from analyzer.errors import (
    AccessDenied,
    AnalyzerError,
    NotOffered,
    SourceError,
    SourceUnreachable,
)
from analyzer.model import Deployment, DeploymentType
from analyzer.sources import live_flags, live_metrics
from analyzer.sources.live import TABLES
from analyzer.sources.live_pages import Way


@dataclass
class _Findings:
    """What is known so far."""

    target: Target
    who: Identity | None = None
    deployment: Deployment | None = None
    powers: KeyPowers | None = None
    table_count: int | None = None
    endpoints: list[Endpoint] = field(default_factory=list)
    functions: list[FunctionCheck] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    problem: Problem | None = None

    def fail(self, error: AnalyzerError) -> None:
        """Remember the first problem."""
        self.problem = self.problem or Problem(str(error), error.hint, error.exit_code)


def examine(
    target: Target,
    options: Options | None = None,
    *,
    flag_names: Sequence[str] = (),
    function_names: FunctionNames = DEFAULT_NAMES,
) -> Diagnosis:
    """Examine a deployment as far as it lets us. Problems are part of the result and not raised."""
    findings = _Findings(target)
    try:
        _examine(findings, options or Options(), flag_names, function_names)
    except AnalyzerError as error:
        findings.fail(error)
    return _diagnosis(findings)


def _examine(findings: _Findings, options: Options, flag_names: Sequence[str], function_names: FunctionNames) -> None:
    target = findings.target
    with options.client(target.origin, None) as stranger:
        findings.who = identity.introduce(stranger)
    findings.deployment = _deployment_unasked(target, findings.who)
    identity.check_key_belongs(target, target.key, findings.who)
    if target.key is None:
        raise no_key(target)
    with options.client(target.origin, target.key) as client:
        findings.powers = identity.powers(client)
        findings.who = identity.describe(client, findings.who)
        findings.deployment = identity.deployment(target, findings.who)
        _probe_documents(client, findings)
        _probe_rest(client, findings, flag_names)
        findings.functions = [_function(client, name) for name in function_names.all()]
    _missing_functions(findings)


def _deployment_unasked(target: Target, who: Identity) -> Deployment:
    """Return what is known without the key."""
    type_, reason = danger.combined(None, target.hints)
    return Deployment(who.name or target.name or target.origin, target.origin, type_, reason)


def _probe_documents(client: Client, findings: _Findings) -> None:
    """Find out how documents can be read, best way first; one way is enough.

    raises  AccessDenied when none of them is allowed
    """
    view = permissions.VIEW_DATA
    sync_path, stream_path = "/api/v1/data/list_active_syncs", "/api/test_streaming_export_connection"
    findings.endpoints += [
        _endpoint("data sync", "changes only, replaced tables noticed", lambda: client.get(sync_path, permission=view)),
        _endpoint("streaming export", "changes only", lambda: client.get(stream_path, permission=view)),
    ]
    mapping = functions.query(client, TABLES, {})
    if not isinstance(mapping, dict):
        raise client.unexpected(f"POST /api/query ({TABLES})", "a table mapping", view)
    findings.table_count = sum(not str(name).startswith("_") for name in mapping.values())
    findings.endpoints.append(Endpoint("paged reads", "there", "all documents, whole each time"))
    sync, stream = findings.endpoints[:2]
    if stream.state != "there":
        why = {"not in the plan": "streaming export is not in the deployment's plan"}.get(stream.state, stream.text)
        findings.missing.append(
            f"changes alone ({why}): every collect reads all documents, and must have done so within about four minutes"
        )
    elif sync.state != "there":
        findings.missing.append(
            "notice of tables that were replaced as a whole: counts are compared instead, and then everything is read"
        )


def _probe_rest(client: Client, findings: _Findings, flag_names: Sequence[str]) -> None:
    moment_ns = functions.now_ns(client)

    probes: list[tuple[str, str, Callable[[], object]]] = [
        (
            "environment variables",
            permissions.VIEW_ENVIRONMENT,
            lambda: live_flags.read_variables(client, flag_names),
        ),
        ("function metrics", permissions.VIEW_METRICS, lambda: live_metrics.called_functions(client, moment_ns)),
        (
            "audit log",
            permissions.VIEW_AUDIT_LOG,
            lambda: client.get(
                "/api/v1/list_audit_log_events",
                {"from": moment_ns // 1_000_000, "limit": 1},
                permission=permissions.VIEW_AUDIT_LOG,
            ),
        ),
    ]
    for name, permission, probe in probes:
        endpoint = _endpoint(name, PERMISSIONS[permission], probe)
        findings.endpoints.append(endpoint)
        if endpoint.state != "there":
            findings.missing.append(f"{PERMISSIONS[permission]} ({endpoint.text})")
    powers = findings.powers
    if powers and not powers.may(permissions.VIEW_LOGS):
        findings.missing.append(f"{PERMISSIONS[permissions.VIEW_LOGS]} (the key lacks {permissions.VIEW_LOGS})")


def _endpoint(name: str, use: str, probe: Callable[[], object]) -> Endpoint:
    """Try one endpoint.

    raises  SourceUnreachable: then the rest would fail as well
    """
    try:
        probe()
    except SourceUnreachable:
        raise
    except NotOffered as error:
        is_old = error.status in NOT_FOUND
        return Endpoint(
            name, "missing" if is_old else "not in the plan", use, "older version" if is_old else str(error)
        )
    except AccessDenied as error:
        return Endpoint(name, "denied", use, f"the key lacks {error.permission}" if error.permission else str(error))
    except SourceError as error:
        return Endpoint(name, "failed", use, str(error))
    return Endpoint(name, "there", use)


def _function(client: Client, name: str) -> FunctionCheck:
    try:
        functions.query(client, name, {})
    except SourceError as error:
        return FunctionCheck(name, False, str(error))
    return FunctionCheck(name, True)


def _missing_functions(findings: _Findings) -> None:
    silent = [check.name for check in findings.functions if not check.answers]
    if silent:
        findings.missing.append(f"what the deployment says of itself: no answer from {', '.join(silent)}")


def _way(endpoints: Sequence[Endpoint]) -> Way | None:
    states = {endpoint.name: endpoint.state for endpoint in endpoints}
    if states.get("data sync") == "there":
        return "data sync"
    if states.get("streaming export") == "there":
        return "deltas"
    return "paged" if states.get("paged reads") == "there" else None


def _permissions(powers: KeyPowers | None) -> tuple[Permission, ...]:
    needs: list[tuple[Literal["collect", "purge", "pause"], Sequence[str]]] = [
        ("collect", permissions.TO_COLLECT),
        ("purge", permissions.TO_PURGE),
        ("pause", permissions.TO_PAUSE),
    ]
    return tuple(
        Permission(name, powers.may(name) if powers else None, need, PERMISSIONS[name])
        for need, names in needs
        for name in names
    )


def _diagnosis(findings: _Findings) -> Diagnosis:
    target, who, powers = findings.target, findings.who, findings.powers
    type_ = findings.deployment.type if findings.deployment else DeploymentType.UNKNOWN
    notes = list(target.notes)
    if findings.problem and target.is_guessed:
        notes.append(f"{target.origin} was made from the name; give --url for another region or a custom domain")
    if who and who.state not in (None, "running"):
        notes.append(f"the deployment is {who.state}: its functions do not answer, its documents can be read")
    if powers and not powers.is_read_only and powers.may(permissions.WRITE_DATA):
        notes.append("this key can write; a read-only key is enough to collect")
    return Diagnosis(
        origin=target.origin,
        found=target.found,
        deployment=findings.deployment,
        counts_as_production=danger.counts_as_production(type_),
        version=who.version if who else None,
        reference=who.reference if who else None,
        project=who.project if who else None,
        state=who.state if who else None,
        key=target.key.description if target.key else None,
        is_read_only=None if powers is None else not powers.may(permissions.WRITE_DATA),
        way=None if findings.problem else _way(findings.endpoints),
        table_count=findings.table_count,
        permissions=_permissions(powers) if target.key else (),
        endpoints=tuple(findings.endpoints),
        functions=tuple(findings.functions),
        missing=tuple(findings.missing),
        notes=tuple(notes),
        problem=findings.problem,
    )
