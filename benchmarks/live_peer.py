"""A live collect, against the published connector that reads the same deployment to a text file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import orjson

from benchmarks.context import Context, LeftOutError, Row
from benchmarks.generate import TABLES
from benchmarks.live_stand_in import Server, serving
from benchmarks.measure import Figure, paired, run

CONNECTOR = "airbyte-source-convex"


def rows(context: Context) -> list[Row]:
    """Return how many times as many rows a second are read; the connector always reads 100k."""
    connector = _installed(context.folder / "connector")
    at = context.at("100k")
    with serving(at, "--without-sync") as server:
        read = _read(connector, at.folder / "connector", server)
        run(server.collect)
        pair = paired([server.fresh, server.collect], [read], 1)
    faster = Figure.of([theirs.wall_s / ours.wall_s for ours, theirs in zip(pair.ours, pair.floor, strict=True)])
    return [
        at.row(
            "live collect: rows a second",
            faster,
            floor=CONNECTOR,
            command="analyzer collect",
            limit=3.0,
            judged_at="100k",
            limit_is_least=True,
        )
    ]


def _installed(folder: Path) -> Path:
    """Return the connector's program, in an environment of its own.

    raises  LeftOutError where it cannot be installed
    """
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--no-input", CONNECTOR]
    for command in ([sys.executable, "-m", "venv", str(folder)], pip):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise LeftOutError(f"{CONNECTOR} cannot be installed: {done.stderr.strip().splitlines()[-1:]}")
    return folder / "bin" / "source-convex"


def _read(connector: Path, folder: Path, server: Server) -> list[str]:
    """Return the command that reads every table."""
    config = {"deployment_url": server.variables["CONVEX_URL"], "access_key": server.variables["CONVEX_DEPLOY_KEY"]}
    streams = [
        {
            "stream": {"name": table, "json_schema": {}, "supported_sync_modes": ["full_refresh"]},
            "sync_mode": "full_refresh",
            "destination_sync_mode": "append",
        }
        for table in TABLES
    ]
    for name, content in (("config", config), ("catalog", {"streams": streams})):
        (folder / f"{name}.json").write_bytes(orjson.dumps(content))
    return [
        str(connector), "read", "--config", str(folder / "config.json"), "--catalog", str(folder / "catalog.json"),
    ]  # fmt: skip
