"""Deployments, exports and logs whose every text is an attack: on terminals, pages, spreadsheets, SQL and Markdown."""

from __future__ import annotations

import re
from pathlib import Path

from analyzer.model import Deployment as Named
from analyzer.model import DeploymentType
from tests.analysis.leftovers import helper_task, message, placeholder, prompt, task, trace, user
from tests.collect.test_live import gather
from tests.collect.test_observing import call
from tests.deployment import Deployment
from tests.storing import document, put

# What a terminal obeys: escape sequences (title, link, clipboard), C1, direction overrides, line ends, backspace.
TERMINAL = "\x1b]8;;http://evil\x07link\x1b]8;;\x07\x1b]0;owned\x07\x1b[2J\x9b31m\u202egnp\u2066\u200b\r\b\x00\u2028"
MARKUP = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'><svg/onload=alert(1)>"
MARKDOWN = "|`pipe`|[click](javascript:alert(1))![x](http://evil/x.png)**bold**\n# heading\n"
SQL = "'; drop table revision; --"
FORMULA = '=HYPERLINK("http://evil","x")'
NASTY = f"{FORMULA}{TERMINAL}{MARKUP}{MARKDOWN}{SQL}$x$ é東"
# Line ends of our own output; everything else of these categories is somebody else's.
OBEYED = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")


def files(folder: Path) -> Path:
    """Return a store of documents from files, of a deployment whose name is an attack as well."""
    documents = {
        "users": [user(1, name=NASTY, email=NASTY), user(2, "workflow-test@test.local", NASTY)],
        "tasks": [
            task(1, title=NASTY, repoFullName=NASTY, status=NASTY, errorCode=NASTY, mainModel=NASTY),
            helper_task(2, title=f"Test {NASTY}"),
            task(3, title=f"@Test {FORMULA}"),
        ],
        "chatMessages": [
            message(1, 1, llmModel=NASTY, status=NASTY),
            message(4, 1, llmModel=NASTY, status="failed", errorMessage=NASTY),
            prompt(2, 2),
            placeholder(3, 2, 2),
            message(5, NASTY, **{NASTY: NASTY}),
        ],
        "workflowTraces": [
            trace(1, 1, status="FAILED", errorType=NASTY, model=NASTY, workflowType=NASTY, totalDurationMs=4_000.0),
            trace(2, 1, status=NASTY, provider=NASTY),
        ],
        "notes": [document("notes", 1, taskId=NASTY, **{f"{NASTY}b": {NASTY: [NASTY]}})],
    }
    return put(folder, documents, deployment=Named(NASTY, type=DeploymentType.DEV, type_reason=NASTY))


def live(folder: Path) -> Path:
    """Return a store collected from a deployment with such tables, components, functions, modules and flags."""
    store = folder / "live.duckdb"
    with Deployment(seed=3) as d:
        table = SQL + MARKUP + TERMINAL
        d.create_table(table)
        d.insert(table, {NASTY: NASTY, "taskId": NASTY})
        d.insert("things", {"name": NASTY}, component=SQL)
        d.insert("chatMessages", {"role": "USER", "status": NASTY, "content": NASTY, "createdAt": d.clock.now_ms})
        gather(d, store)
        for name in (NASTY, f"{FORMULA}:x"):
            d.clock.advance_s(60)
            call(d, 3, path=name, error=NASTY, component=NASTY)
        d.set_env(ENABLE_WORKFLOW=NASTY, UNLISTED=NASTY)
        d.push(added=[NASTY])
        d.clock.advance_s(60)
        gather(d, store)
    return store


def log(folder: Path) -> Path:
    """Return a rollout log whose cells, headings, commands and prose are attacks."""
    nasty = NASTY.replace("\n", " ").replace("\r", " ").replace("|", r"\|").replace("\u2028", " ")
    path = folder / "log.md"
    lines = (
        "# Production rollout log", "", "**Date:** 2025-12-16", f"**Deployment:** {nasty}", "",
        f"## Phase 1: {nasty}", "", "**Time:** 2025-12-16 06:58 CST", "",
        "```bash", f"npx convex env set ENABLE_WORKFLOW true # {nasty}", nasty, "```", "",
        "| Metric | Baseline Value |", "|---|---|", f"| {nasty} | 5 |", f"| Error Rate | {nasty} |", "",
        f"| Checkpoint | {nasty} |", "|---|---|", "| T+1h | |", "",
        f"- [ ] {nasty}", "", "## Known issues", "", f"### {nasty}", "", nasty, "",
    )  # fmt: skip
    path.write_text("\n".join(lines), encoding="utf-8")
    return path
