"""What a deployment's failed answers mean, each in a sentence of its own.

An answer is foreign text: it is shortened, made safe to print, and rid of the key before it becomes part of an error.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from analyzer.convex.keys import Key
from analyzer.convex.permissions import PERMISSIONS
from analyzer.convex.retry import Repeat, classify
from analyzer.errors import (
    AccessDenied,
    CursorExpired,
    FunctionFailed,
    NotOffered,
    ServerRefused,
    SourceError,
    SourceInvalid,
    SourceUnreachable,
)
from analyzer.units import truncated, visible

LONGEST_SHOWN = 200  # characters of foreign text in an error
NOT_FOUND = (404, 405)
_CURSOR_CODES = frozenset(
    {
        "DataSyncCursorExpired",
        "InvalidDataSyncCursor",
        "InvalidListSnapshotCursor",
        "InvalidWindowToReadDocuments",
        "SnapshotTooOld",
        "SnapshotTooNew",
        "InvalidCursor",
    }
)
_AUDIT_CODES = frozenset({"AuditLogsDisabled", "AuditLogsTooOld"})
_REQUEST_ID = re.compile(r"^\[Request ID: [^\]]*\]\s*")
_ACTION = re.compile(r"deployment:[a-z_A-Z:]+")
_PAUSED = re.compile(r"Cannot run functions while this deployment is (paused|disabled|suspended)")
_MISSING = re.compile(r"Could not find (public |internal )?function for")
_NOT_PERMITTED = re.compile(r"You do not have permission to perform this operation")
_WRONG_KIND = re.compile(r"Trying to execute \S+ as \w+, but it is defined as (\w+)")


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked of whom, as far as an error may say it."""

    origin: str
    what: str  # "POST /api/query (monitoring/dashboard:checkAlerts)"
    key: Key | None
    permission: str  # that it needs, "" for none

    def quote(self, text: object) -> str:
        """Return foreign text as it may stand in an error."""
        plain = self.key.removed_from(str(text)) if self.key else str(text)
        return truncated(visible(" ".join(plain.split())), LONGEST_SHOWN)


@dataclass(frozen=True, slots=True)
class Failure:
    """A failed answer: what to raise, and whether to ask again first."""

    error: SourceError
    repeat: Repeat
    is_lost: bool = False  # the server did what it was asked, and what it said cannot be read

    @property
    def leaves_change_unknown(self) -> bool:
        """Tell whether a change may have happened."""
        return self.is_lost or self.repeat in (Repeat.READS, Repeat.BRIEFLY)


def from_status(asked: Asked, status: int, content_type: str, body: bytes, location: str = "") -> Failure:
    """Explain an answer that is no success (HTTP 200 and 560 are)."""
    if 300 <= status < 400:
        return Failure(
            SourceInvalid(
                f"{asked.origin} redirects {asked.what} to {asked.quote(location) or 'nowhere'}",
                hint="a redirect is not followed, since the key would go along; use the address it leads to",
            ),
            Repeat.NEVER,
        )
    if looks_like_page(content_type, body):
        repeat = classify(status, "")
        kind = SourceInvalid if repeat is Repeat.NEVER else SourceUnreachable
        return Failure(_page(kind, asked, status), repeat)
    return _refused(asked, status, body)


def _refused(asked: Asked, status: int, body: bytes) -> Failure:
    code, message = _code_and_message(body)
    said = f"{code}: {asked.quote(message)}" if code else f"HTTP {status}"
    if status in (401, 403):
        return Failure(_denied(asked, status, code, said, message), Repeat.NEVER)
    if status in NOT_FOUND and not code:
        return Failure(
            NotOffered(
                f"{asked.origin} has no {asked.what}",
                hint="its version is too old for this, or it is no Convex deployment; `analyzer doctor` tells",
                status=status,
            ),
            Repeat.NEVER,
        )
    if code in _CURSOR_CODES:
        fact = f"{asked.origin} cannot continue where the last read stopped ({said})"
        return Failure(CursorExpired(fact, hint="read from the start", status=status, code=code), Repeat.NEVER)
    repeat = classify(status, code)
    if repeat is not Repeat.NEVER:
        return Failure(_busy(asked, status, said), repeat)
    return Failure(
        ServerRefused(
            f"{asked.origin} refuses {asked.what}: {said}",
            hint="the server is of a version this tool does not know, or no Convex deployment; `analyzer doctor` tells",
            status=status,
            code=code,
        ),
        Repeat.NEVER,
    )


def not_json(asked: Asked, content_type: str, body: bytes) -> Failure:
    """Explain a success whose body is not what was asked for."""
    if looks_like_page(content_type, body):
        return Failure(_page(SourceInvalid, asked, 200), Repeat.NEVER)
    what = "an empty body" if not body.strip() else f"no JSON but {asked.quote(body[:80].decode('utf-8', 'replace'))!r}"
    return Failure(
        SourceInvalid(
            f"{asked.origin} answers {asked.what} with {what}",
            hint="the answer was cut off, or something other than Convex listens there",
        ),
        Repeat.BRIEFLY,
    )


def unexpected(asked: Asked, expected: str) -> SourceInvalid:
    """Explain JSON of another shape than asked for; the JSON itself is not shown: it may hold documents."""
    return SourceInvalid(
        f"{asked.origin} answers {asked.what} without {expected}",
        hint="the server is of a version this tool does not know, or no Convex deployment",
    )


def from_function(asked: Asked, answer: dict[str, Any]) -> FunctionFailed | ServerRefused:
    """Explain `"status": "error"`, which comes with HTTP 200."""
    message = _REQUEST_ID.sub("", str(answer.get("errorMessage", "")))
    quoted = asked.quote(message)
    if _NOT_PERMITTED.search(message) and asked.permission:
        return _denied(asked, 403, "OperationNotPermitted", quoted, message)
    if paused := _PAUSED.search(message):
        return FunctionFailed(
            f"{asked.origin} is {paused[1]}: its functions do not answer",
            hint="documents can still be read; resume it on the dashboard under Settings, Pause Deployment",
            reason="paused",
            message=quoted,
        )
    if _MISSING.search(message):
        return FunctionFailed(
            f"{asked.origin} has no function for {asked.what}",
            hint="deploy it, or name your own under [functions] in analyzer.toml",
            reason="missing",
            message=quoted,
        )
    if kind := _WRONG_KIND.search(message):
        return FunctionFailed(
            f"{asked.what}: the function is a {kind[1].lower()} and not what it was called as",
            hint="name a query: only a query is sure to change nothing",
            reason="wrong kind",
            message=quoted,
        )
    return FunctionFailed(
        f"{asked.what} failed on {asked.origin}: {quoted}",
        hint="its log on the dashboard says more",
        reason="threw",
        message=quoted,
    )


def looks_like_page(content_type: str, body: bytes) -> bool:
    """Tell whether an answer is a web page, as proxies and wrong addresses give it."""
    start = body[:200].lstrip().lower()
    return "text/html" in content_type.lower() or start.startswith((b"<!doctype", b"<html", b"<?xml"))


def _page(kind: type[SourceError], asked: Asked, status: int) -> SourceError:
    return kind(
        f"{asked.origin} answers {asked.what} with a web page (HTTP {status}), which no Convex deployment does",
        hint="a proxy stands in between, or the URL is not the deployment's; `analyzer doctor` tells",
    )


def _busy(asked: Asked, status: int, said: str) -> SourceUnreachable:
    if status == 429:
        fact, hint = f"{asked.origin} is asked too much at once ({said})", "try again when less runs there"
    elif status == 408:
        fact, hint = f"{asked.origin} took too long over {asked.what}", "try again"
    else:
        fact, hint = f"{asked.origin} cannot answer {asked.what} now ({said})", "try again later"
    return SourceUnreachable(fact, hint=hint)


def _denied(asked: Asked, status: int, code: str, said: str, message: str) -> ServerRefused:
    new_key = "make a deploy key on the dashboard under Settings, Deploy Keys"
    if code == "StreamingExportNotEnabled":
        return NotOffered(
            f"the plan of {asked.origin} does not include streaming export",
            hint="tables are read page by page instead, whole each time",
            status=status,
            code=code,
        )
    if code in _AUDIT_CODES:
        why = "is not in its plan" if code == "AuditLogsDisabled" else "does not go back that far"
        return NotOffered(
            f"the audit log of {asked.origin} {why}", hint="what it says is left out", status=status, code=code
        )
    if asked.key is None:
        return AccessDenied(
            f"{asked.origin} answers {asked.what} only with a key, and none was given",
            hint=f"{new_key}, and set CONVEX_DEPLOY_KEY",
            status=status,
            code=code,
            permission=asked.permission,
        )
    if code == "OperationNotPermitted" or (code != "BadDeployKey" and status == 403 and asked.permission):
        action = _ACTION.search(message)  # the server names the action, keys and people name the permission
        lacking = asked.permission or (action[0] if action else "a permission")
        words = f" ({action[0]})" if action and asked.permission else ""
        use = f", needed for {PERMISSIONS[lacking]}" if lacking in PERMISSIONS else ""
        return AccessDenied(
            f"the {asked.key.description} may not do this on {asked.origin}: it lacks {lacking}{words}{use}",
            hint=f"{new_key} that has it",
            status=status,
            code=code,
            permission=asked.permission,
        )
    return AccessDenied(
        f"{asked.origin} does not accept the {asked.key.description} ({said})",
        hint=f"it was revoked, mistyped, or is for another deployment; {new_key} of this one",
        status=status,
        code=code,
    )


def _code_and_message(body: bytes) -> tuple[str, str]:
    """Read `{"code", "message"}`; ("", "") where the body is something else."""
    import orjson

    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        return "", ""
    code, message = (answer.get("code"), answer.get("message")) if isinstance(answer, dict) else (None, None)
    if not isinstance(code, str) or not re.fullmatch(r"\w{1,64}", code, re.ASCII):
        return "", ""
    return code, message if isinstance(message, str) else ""
