"""Every error that this package raises on purpose.

AnalyzerError                      exit 3, str(e) is one sentence of fact, e.hint is the next step
├─ UsageError            exit 2    wrong flag, name or value; says the valid ones
├─ ConfigError           exit 2    a configuration or rules file is wrong; names file and key
├─ SourceError           exit 3    cannot read what was asked
│  ├─ SourceUnreachable  exit 3    may be tried again
│  └─ SourceInvalid      exit 3    a file or an answer is not what it claims to be
├─ StoreError            exit 3    locked, newer schema, missing file or snapshot
├─ QueryError            exit 2    names queries/…
├─ NoData                exit 5    nothing to judge
└─ GuardRefused          exit 6    a guard said no; names the guard, what it wanted and what it found

A crash (any other exception) is exit 3 as well, and an interrupt is 130: see `analyzer.cli.main`.
"""

from __future__ import annotations

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


class ConfigError(AnalyzerError):
    """A configuration, rules or preset file is wrong."""

    exit_code = EXIT_USAGE


class SourceError(AnalyzerError):
    """What was asked for cannot be read."""


class SourceUnreachable(SourceError):
    """The source did not answer; trying again may help."""


class SourceInvalid(SourceError):
    """A file or an answer is not what it claims to be."""


class StoreError(AnalyzerError):
    """The store cannot be opened, or does not hold what was asked."""


class QueryError(AnalyzerError):
    """A named query does not exist, or its parameters are wrong."""

    exit_code = EXIT_USAGE


class NoData(AnalyzerError):
    """There is nothing to judge."""

    exit_code = EXIT_NO_DATA


class GuardRefused(AnalyzerError):
    """A guard refused an action that changes a deployment."""

    exit_code = EXIT_REFUSED
