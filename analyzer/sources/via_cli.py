"""Makes a recording with the user's own `npx convex`: for people whose credentials only the Convex CLI has.

It runs `convex run` for each function, `convex env get` for each configured flag and `convex export` last, so that
the documents are not older than what the functions said. Nothing that these commands do changes the deployment but
the export, which the platform keeps on the server until it expires.
"""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from analyzer.convex.function_names import DEFAULT_NAMES, FunctionNames, file_name
from analyzer.errors import SourceError, SourceUnreachable, UsageError
from analyzer.sources.recording import EXPORT_FILE, FLAGS_FILE
from analyzer.units import truncated, visible

CONVEX = ("npx", "convex")
# Options of the Convex CLI that choose a deployment, and how many words follow. Keys are not among them: a command
# line can be read by every user of the machine.
SELECTION_OPTIONS = {"--prod": 0, "--deployment": 1, "--deployment-name": 1, "--preview-name": 1, "--env-file": 1}
ANSWER_TIMEOUT_S = 300.0
EXPORT_TIMEOUT_S = 4 * 3600.0
_FUNCTION = re.compile(r"[A-Za-z_][\w/.-]*(:\w+)?", re.ASCII)
_VARIABLE = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_KEY = re.compile(r"(?<!\S)\S*\|\S*")  # every deploy key has a bar, and prose has none

Run = Callable[[Sequence[str], float], subprocess.CompletedProcess[bytes]]
Progress = Callable[[str], None]  # the command that is about to run, as one would type it


@dataclass(frozen=True, slots=True)
class Step:
    """One command of the Convex CLI."""

    argv: tuple[str, ...]
    saves_to: str | None  # file in the recording that takes its output; None: it writes the file itself
    flag: str | None = None  # the variable it asks for; its output goes into flags.json


def plan(
    folder: Path,
    *,
    flag_names: Sequence[str],
    selection: Sequence[str] = (),
    functions: FunctionNames = DEFAULT_NAMES,
) -> tuple[Step, ...]:
    """Return the commands that make a recording, in order.

    selection  words of the Convex CLI that choose a deployment, e.g. ("--prod",); none: the CLI's own default, dev
    raises     UsageError for other words, or for names that are no functions or variables
    """
    chosen = tuple(_checked_selection(selection))
    for function in functions.all():
        if not _FUNCTION.fullmatch(function):
            raise UsageError(f"{visible(function)!r} is no name of a function", hint="write `module/path:function`")
    for name in flag_names:
        if not _VARIABLE.fullmatch(name):
            raise UsageError(f"{visible(name)!r} is no name of a variable", hint="letters, digits and _ only")
    return (
        *(Step((*CONVEX, "run", function, *chosen), file_name(function)) for function in functions.all()),
        *(Step((*CONVEX, "env", "get", name, *chosen), FLAGS_FILE, flag=name) for name in flag_names),
        # Given a folder, the platform names the file itself, and that name says which deployment it is, and when.
        Step((*CONVEX, "export", "--path", f"{folder}/", *chosen), None),
    )


def plan_commands(
    folder: Path,
    *,
    flag_names: Sequence[str],
    selection: Sequence[str] = (),
    functions: FunctionNames = DEFAULT_NAMES,
) -> list[list[str]]:
    """Return the same commands as lists of words. Arguments and errors are those of `plan`."""
    steps = plan(folder, flag_names=flag_names, selection=selection, functions=functions)
    return [list(step.argv) for step in steps]


def printed(folder: Path, steps: Sequence[Step]) -> str:
    """Return the commands as lines for a POSIX shell, with what happens to their output; ends in a line feed."""
    lines = [f"mkdir -p {shlex.quote(str(folder))}"]
    for step in steps:
        command = shlex.join(step.argv)
        if step.flag is not None:
            lines.append(f'{command}   # into {FLAGS_FILE}: {{{_json_text(step.flag)}: "…"}}; nothing printed: null')
        elif step.saves_to is not None:
            lines.append(f"{command} > {shlex.quote(str(folder / step.saves_to))}")
        else:
            lines.append(command)
    return "".join(f"{line}\n" for line in lines)


def record(
    folder: Path,
    *,
    flag_names: Sequence[str],
    selection: Sequence[str] = (),
    functions: FunctionNames = DEFAULT_NAMES,
    progress: Progress | None = None,
    environment: Mapping[str, str] | None = None,
) -> list[str]:
    """Run the commands and save what they print into a new folder, for its owner alone.

    folder       must not exist, or be empty
    environment  what the commands may know; None: all that this process does
    returns  warnings, one sentence each: a function that failed is left out of the recording
    raises   UsageError when the folder holds files; SourceError when there is no `npx`, or a variable or the export
             cannot be read; SourceUnreachable when a command takes too long
    """
    steps = plan(folder, flag_names=flag_names, selection=selection, functions=functions)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{visible(str(folder))} is not an empty folder", hint="name a folder that does not exist yet")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    run = partial(_run, environment=environment)
    warnings: list[str] = []
    flags: dict[str, str | None] = {}
    for step in steps:
        if progress is not None:
            progress(shlex.join(step.argv))
        if step.flag is not None:
            flags[step.flag] = _variable(step, run)
        elif step.saves_to is not None:
            warnings += _save_answer(step, folder / step.saves_to, run)
        else:
            _write_private(folder / FLAGS_FILE, _json_text(flags).encode())
            _export(step, folder, run)
    return warnings


def _save_answer(step: Step, path: Path, run: Run) -> list[str]:
    import orjson

    done = run(step.argv, ANSWER_TIMEOUT_S)
    function = step.argv[len(CONVEX) + 1]
    if done.returncode:
        return [f"{function} could not be run: {_last_words(done)}"]
    try:
        orjson.loads(done.stdout or b"null")  # a function that returns null prints nothing
    except orjson.JSONDecodeError:
        return [f"{function} printed something else than JSON, so its answer was left out"]
    _write_private(path, done.stdout or b"null\n")
    return []


def _variable(step: Step, run: Run) -> str | None:
    """Return the value of a variable; None when it is not set."""
    done = run(step.argv, ANSWER_TIMEOUT_S)
    text = done.stdout.decode("utf-8", "replace").removesuffix("\n").removesuffix("\r")
    if done.returncode and b"not found" not in done.stderr:
        raise SourceError(f"`{shlex.join(step.argv)}` failed: {_last_words(done)}", hint=_HINT)
    return text if text and not done.returncode else None


def _export(step: Step, folder: Path, run: Run) -> None:
    done = run(step.argv, EXPORT_TIMEOUT_S)
    if done.returncode and re.search(rb"director", done.stderr, re.IGNORECASE):
        # A CLI that wants the name of a file. It does not say which deployment; the functions' answers say when.
        argv = tuple(f"{folder}/{EXPORT_FILE}" if word == f"{folder}/" else word for word in step.argv)
        done = run(argv, EXPORT_TIMEOUT_S)
    if done.returncode:
        raise SourceError(f"`{shlex.join(step.argv)}` failed: {_last_words(done)}", hint=_HINT)
    zips = list(folder.glob("*.zip"))
    if not zips:
        raise SourceError(f"`{shlex.join(step.argv)}` wrote no ZIP file", hint=_HINT)
    for path in zips:
        path.chmod(0o600)


_HINT = "run the command yourself to see all it says, or give an export instead"


def _run(
    argv: Sequence[str], timeout_s: float, environment: Mapping[str, str] | None
) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(
            argv, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout_s, check=False
        )
    except FileNotFoundError:
        hint = "run it where the app's `npx convex` works, or give an export instead"
        raise SourceError(f"there is no `{argv[0]}` on the PATH", hint=hint) from None
    except PermissionError as problem:
        raise SourceError(f"`{argv[0]}` cannot be run: {problem.strerror}", hint="check its permissions") from None
    except subprocess.TimeoutExpired:
        said = f"`{shlex.join(argv)}` did not end within {timeout_s:.0f} seconds"
        raise SourceUnreachable(said, hint="try again, or give an export instead") from None


def _last_words(done: subprocess.CompletedProcess[bytes]) -> str:
    """Return the last line that says something, without control characters and without anything like a key."""
    text = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", done.stderr.decode("utf-8", "replace"))
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    failed = [line for line in lines if "Failed" in line or "rror" in line]
    said = (failed or lines or ["it said nothing"])[-1]
    return f"{truncated(visible(_KEY.sub('[secret]', said)), 200)} (exit {done.returncode})"


def _checked_selection(words: Sequence[str]) -> list[str]:
    rest = list(words)
    while rest:
        option = rest.pop(0)
        wanted = SELECTION_OPTIONS.get(option)
        if wanted is None:
            known = ", ".join(SELECTION_OPTIONS)
            raise UsageError(f"the Convex CLI is not given {visible(option.split('=')[0])!r}", hint=f"it takes {known}")
        for _ in range(wanted):
            if not rest or not rest[0] or rest[0].startswith("-") or "|" in rest[0]:
                raise UsageError(f"{option} wants a name", hint="keys belong into the environment or .env.local")
            rest.pop(0)
    return list(words)


def _json_text(value: object) -> str:
    import json

    return json.dumps(value, ensure_ascii=False)


def _write_private(path: Path, content: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(content)
