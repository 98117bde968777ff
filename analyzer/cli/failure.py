"""What a user sees when a command does not end well: one line of fact, one of help, and an exit code."""

from __future__ import annotations

import os
import re
import sys
import traceback

import click

from analyzer import config
from analyzer.errors import EXIT_FAULT, EXIT_INTERRUPTED, EXIT_USAGE, AnalyzerError
from analyzer.units import defused

EXIT_BROKEN_PIPE = 141  # 128 + SIGPIPE, as a shell reports a program whose reader left; never 0: there is a verdict
_ADMIN_KEY = re.compile(
    r"(?<![\w:-])([\w:-]+)\|[\w+/=-]{8,}"
)  # `prod:name|secret`; the part before the bar is no secret


def report(problem: BaseException, is_debugging: bool) -> int:
    """Write to stderr what went wrong, and return the exit code that says whose turn it is."""
    if isinstance(problem, BrokenPipeError):
        _silence_stdout()
        return EXIT_BROKEN_PIPE
    if _is_interrupt(problem):
        _write("interrupted")
        return EXIT_INTERRUPTED
    if is_debugging:
        _write("".join(traceback.format_exception(problem)).rstrip())
    if isinstance(problem, click.exceptions.NoArgsIsHelpError):
        _write(problem.ctx.get_help() if problem.ctx else problem.format_message())
        return EXIT_USAGE
    fact, hint, code = _described(problem)
    _write(f"error: {fact}")
    if hint:
        _write(f"hint:  {hint}")
    return code


def _is_interrupt(problem: BaseException) -> bool:
    """Tell whether Ctrl-C is behind it: inside a query DuckDB makes an error of its own out of it."""
    links = (problem, problem.__cause__, problem.__context__)
    return isinstance(problem, click.Abort | KeyboardInterrupt) or any(
        isinstance(link, RuntimeError) and str(link) == "Query interrupted" for link in links
    )


def redacted(text: str) -> str:
    """Take credentials out of text: those of the environment by value, and whatever is shaped like an admin key."""
    for secret in config.secrets():
        text = text.replace(secret, "[secret]")
    return _ADMIN_KEY.sub(r"\1|[secret]", text)


def _described(problem: BaseException) -> tuple[str, str, int]:
    if isinstance(problem, AnalyzerError):
        return str(problem), problem.hint, problem.exit_code
    if isinstance(problem, click.UsageError):
        path = problem.ctx.command_path if problem.ctx else "analyzer"
        return problem.format_message(), f"`{path} --help` says what is valid", EXIT_USAGE
    if isinstance(problem, click.ClickException):
        return problem.format_message(), "", EXIT_FAULT
    if isinstance(problem, OSError) and problem.strerror:
        where = f"{problem.filename}: " if problem.filename else ""
        return f"{where}{problem.strerror}", "check that the path is right, may be used, and has room", EXIT_FAULT
    return (
        f"internal fault: {type(problem).__name__}: {problem}",
        "nothing was decided; `analyzer --debug …` shows where it happened",
        EXIT_FAULT,
    )


def _write(text: str) -> None:
    click.echo(defused(redacted(text)), err=True)  # a fact may quote anything, and a traceback does


def _silence_stdout() -> None:
    """Give the interpreter somewhere to flush to at exit, or it complains about the pipe once more."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
