"""The command line. Imports click and nothing heavy; a command's module is imported when that command is called."""

from __future__ import annotations

import atexit
import gc
import importlib
import io
import os
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import click

from analyzer import __version__, errors

COMMANDS: Mapping[str, str] = {
    "collect": "analyzer.cli.collect:collect",
    "snapshots": "analyzer.cli.snapshots:snapshots",
    "health": "analyzer.cli.health:health",
    "explain": "analyzer.cli.explain:explain",
    "functions": "analyzer.cli.functions:functions",
    "artifacts": "analyzer.cli.artifacts:artifacts",
    "report": "analyzer.cli.report:report",
    "rollout": "analyzer.cli.rollout:rollout",
    "purge": "analyzer.cli.purge:purge",
    "query": "analyzer.cli.query:query",
    "export": "analyzer.cli.export:export",
    "store": "analyzer.cli.store:store",
    "doctor": "analyzer.cli.doctor:doctor",
    "demo": "analyzer.cli.demo:demo",
}
SUMMARIES: Mapping[str, str] = {
    "collect": "Add a live deployment, export or recording to the store.",
    "snapshots": "List what was collected, with coverage and drift.",
    "health": "Judge health three ways: reported, raw, and without tests.",
    "explain": "Say why health is degraded and when it clears.",
    "functions": "Show errors, latency and cache hits of each function.",
    "artifacts": "List what tests left behind, say why, correct it.",
    "report": "Tell whether a rollout changed anything, on one page.",
    "rollout": "Judge a rollout: logs, planned looks, verdicts, a gate.",
    "purge": "Remove test leftovers: plan, apply with proof, restore.",
    "query": "Run a named query, or read-only SQL of your own.",
    "export": "Write a snapshot's tables to Parquet.",
    "store": "Prove the store, mend it, forget a task or a user.",
    "doctor": "Check a live deployment, its key, and what would be missing.",
    "demo": "Replay a rollout and explain its degraded check.",
}
IS_OWN_PROCESS = "analyzer.is_own_process"  # key of click's meta: whether the process ends with the command
NEW_OBJECTS = 50_000  # after which Python looks for cycles: health makes 700 of them sixty times, and keeps them


class AnalyzerGroup(click.Group):
    """The top of the command line: finds commands by name, and turns every way to fail into a line and a code."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Return the names in the order in which a newcomer meets them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the module of one command.

        raises  click.UsageError for a name that is not listed
        """
        if cmd_name not in COMMANDS:
            ctx.fail(f"there is no command {cmd_name!r}; valid: {', '.join(COMMANDS)}")
        module, attribute = COMMANDS[cmd_name].split(":")
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(SUMMARIES.items()))

    def main(  # type: ignore[override]  # always ends in SystemExit, which click's test runner expects
        self, args: Sequence[str] | None = None, prog_name: str | None = None, **extra: Any
    ) -> NoReturn:
        """Run a command line. A command returns its exit code, None for 0; see `analyzer.errors` for the codes.

        Replaces click's own: there a crash is 1, as is a reader who leaves, and an EOFError from a damaged file counts
        as an interrupt.
        """
        if args is None:  # a process of its own: what it writes holds a deployment's data, and is its user's alone
            os.umask(0o077)
            gc.set_threshold(NEW_OBJECTS)
        words = list(sys.argv[1:] if args is None else args)
        is_debugging = "--debug" in words  # wherever it stands: people add it to the end of what failed
        words = [word for word in words if word != "--debug"]
        name = prog_name or "analyzer"
        for closed in [name for name in ("stdout", "stderr") if getattr(sys, name) is None]:
            setattr(sys, closed, open(os.devnull, "w"))  # noqa: PTH123, SIM115  # closed by who wants the exit code alone
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):  # a terminal that lacks a character gets its escape, not a crash
                stream.reconfigure(errors="backslashreplace")
        try:
            self._main_shell_completion(extra, name)
            with self.make_context(name, words, **extra) as ctx:
                ctx.meta[IS_OWN_PROCESS] = args is None
                code = self.invoke(ctx)
            sys.stdout.flush()
        except click.exceptions.Exit as done:
            code = done.exit_code
        except (Exception, KeyboardInterrupt) as problem:
            from analyzer.cli import failure

            code = failure.report(problem, is_debugging)
        if args is None:
            _leave(code or errors.EXIT_OK)
        sys.exit(code or errors.EXIT_OK)


def _leave(code: int) -> None:
    """End this process at once, without freeing object by object what it holds: a tenth of a short command.

    Whatever must be closed is closed by then, or a kill would lose it. Returns where Python should end it as usual:
    where a thread still runs, where somebody looks at the whole run, and where not all that was written got out.
    """
    if threading.active_count() > 1 or sys.flags.dev_mode or sys.gettrace() or sys.getprofile():
        return
    try:
        atexit._run_exitfuncs()  # libraries may have asked for it
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, ValueError):
        return
    os._exit(code)  # public, whatever its name says


@click.group(
    "analyzer",
    cls=AnalyzerGroup,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, message="%(prog)s %(version)s")
@click.option("--debug", is_flag=True, expose_value=False, help="Show the traceback when a command fails.")
@click.option(
    "--db", type=click.Path(path_type=Path, dir_okay=False), metavar="PATH", help="The store, for whatever follows."
)
@click.pass_context
def main(ctx: click.Context, db: Path | None) -> int:
    """Explain a degraded Convex deployment, judge a rollout, and remove test leftovers with proof.

    Alone it shows the state of the newest snapshot and the next step.
    """
    if ctx.invoked_subcommand is not None:
        return errors.EXIT_OK
    from analyzer import config
    from analyzer.cli.state import show_state

    return show_state(config.load(db=db))
