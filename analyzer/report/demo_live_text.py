"""The live demo in words: what was kept, the explanation, the functions, and what to type next."""

from __future__ import annotations

import shlex
from pathlib import Path

from analyzer.analysis.explain import Explanation
from analyzer.analysis.function_health import FunctionReport
from analyzer.report import explain_text, functions_text
from analyzer.units import visible


def demo(explained: Explanation, functions: FunctionReport, *, now_ms: int, store: Path, chart: Path) -> str:
    """Return the whole output.

    now_ms  the local clock, to tell how old the data is
    """
    db = f"--db {shlex.quote(str(store))}"
    commands = [f"analyzer explain {db} --full", f"analyzer functions {db} --window 30m", f"analyzer snapshots {db}"]
    sections = [
        f"Why does {visible(explained.deployment.name)} say degraded?",
        _indented(explain_text.brief(explained, now_ms)),
        "How did its functions do?",
        _indented(functions_text.text(functions)),
        f"chart  {visible(str(chart))}",
        "Next",
        _indented("\n".join(map(visible, commands))),
    ]
    return "\n\n".join(sections)


def _indented(text: str) -> str:
    return "\n".join(f"  {line}".rstrip() for line in text.splitlines())
