"""Every error that this package raises on purpose.

AnalyzerError                      exit 3, str(e) is one sentence of fact, e.hint is the next step
├─ UsageError            exit 2    wrong flag, name or value; says the valid ones
│  └─ NoDeployment     exit 2    a deployment is wanted, and nothing says which
├─ ConfigError           exit 2    a configuration or rules file is wrong; names file and key
├─ SourceError           exit 3    cannot read what was asked
│  ├─ SourceUnreachable  exit 3    may be tried again
│  │  └─ OutcomeUnknown  exit 3    a change was sent and its answer was lost: read back, do not repeat
│  ├─ SourceInvalid      exit 3    a file or an answer is not what it claims to be
│  ├─ FunctionFailed     exit 3    a function of the deployment did not give a value; .reason says why
│  └─ ServerRefused      exit 3    the deployment said no; .status and .code are its own words
│     ├─ AccessDenied    exit 3    the key is missing, wrong or too weak; .permission names what it lacks
│     ├─ NotOffered      exit 3    this server or this plan does not have it: there may be another way
│     └─ CursorExpired   exit 3    what was read before cannot be continued: start over
├─ EngineError           exit 3    the distributed engine does not start, or failed at its work
├─ StoreError            exit 3    locked, newer schema, missing file or snapshot
├─ QueryError            exit 2    names queries/…
├─ NoData                exit 5    nothing to judge
├─ TooFewSamples         exit 4    too little to bound what was asked; analysis turns it into "cannot tell yet"
└─ GuardRefused          exit 6    a guard said no; names the guard, what it wanted and what it found

A crash (any other exception) is exit 3 as well, and an interrupt is 130: see `analyzer.cli.main`.
"""

from __future__ import annotations

from typing import Literal

FunctionFailure = Literal["missing", "paused", "wrong kind", "threw"]

EXIT_OK = 0
EXIT_BAD = 1
EXIT_USAGE = 2
EXIT_FAULT = 3
EXIT_UNKNOWN = 4
EXIT_NO_DATA = 5
EXIT_REFUSED = 6
EXIT_INTERRUPTED = 130


class AnalyzerError(Exception):
    """Base of all errors raised on purpose: one sentence of fact, one of help."""

    exit_code = EXIT_FAULT

    def __init__(self, fact: str, *, hint: str = "") -> None:
        super().__init__(fact)
        self.hint = hint


class UsageError(AnalyzerError):
    """The caller asked for something that does not exist or cannot be meant."""

    exit_code = EXIT_USAGE


class NoDeployment(UsageError):
    """A deployment is wanted, and nothing says which."""


class ConfigError(AnalyzerError):
    """A configuration, rules or preset file is wrong."""

    exit_code = EXIT_USAGE


class SourceError(AnalyzerError):
    """What was asked for cannot be read."""


class SourceUnreachable(SourceError):
    """The source did not answer; trying again may help."""


class SourceInvalid(SourceError):
    """A file or an answer is not what it claims to be."""


class OutcomeUnknown(SourceUnreachable):
    """A change was sent and its answer was lost: it may or may not have happened."""


class FunctionFailed(SourceError):
    """A function of the deployment did not give a value."""

    def __init__(self, fact: str, *, hint: str = "", reason: FunctionFailure, message: str = "") -> None:
        super().__init__(fact, hint=hint)
        self.reason = reason
        self.message = message  # what the deployment said, without its request id; foreign text


class ServerRefused(SourceError):
    """The deployment answered that it will not do what was asked."""

    def __init__(self, fact: str, *, hint: str = "", status: int = 0, code: str = "") -> None:
        super().__init__(fact, hint=hint)
        self.status = status  # of HTTP; 0 when the refusal is ours
        self.code = code  # the server's short code, "BadAdminKey"; "" when it gave none


class AccessDenied(ServerRefused):
    """The key is missing, wrong or too weak."""

    def __init__(self, fact: str, *, hint: str = "", status: int = 0, code: str = "", permission: str = "") -> None:
        super().__init__(fact, hint=hint, status=status, code=code)
        self.permission = permission  # what the key lacks, "ViewData"; "" when it is no question of permissions


class NotOffered(ServerRefused):
    """This server, or the plan of its team, does not have what was asked for."""


class CursorExpired(ServerRefused):
    """Reading cannot go on where it stopped; everything must be read from the start."""


class EngineError(AnalyzerError):
    """The distributed engine does not start, or failed at its work."""


class StoreError(AnalyzerError):
    """The store cannot be opened, or does not hold what was asked."""


class QueryError(AnalyzerError):
    """A named query does not exist, or its parameters are wrong."""

    exit_code = EXIT_USAGE


class NoData(AnalyzerError):
    """There is nothing to judge."""

    exit_code = EXIT_NO_DATA


class TooFewSamples(AnalyzerError):
    """There is something to judge, but too little to bound what was asked."""

    exit_code = EXIT_UNKNOWN


class GuardRefused(AnalyzerError):
    """A guard refused an action that changes a deployment."""

    exit_code = EXIT_REFUSED
