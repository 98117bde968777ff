"""A live collect, against the published connector that reads the same deployment to a text file."""

from __future__ import annotations

from pathlib import Path

import orjson

from benchmarks.context import Context, LeftOutError, Row
from benchmarks.environments import installed
from benchmarks.generate import TABLES
from benchmarks.live_stand_in import Server, serving
from benchmarks.measure import Figure, paired, run

CONNECTOR = "airbyte-source-convex"


def rows(context: Context) -> list[Row]:
    """Return how many times as many rows a second are read; the connector always reads 100k."""
    if context.size in ("10k", "10m"):
        raise LeftOutError("other tools are measured with 100k documents: SIZE=100k or 1m")
    connector = installed(context.folder / "connector", CONNECTOR) / "source-convex"
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
