"""A live collect, against a bare client that loads the same pages, and against the wire itself.

Both talk to the same stand-in deployment, a process of its own that serves pages which are made already.
"""

from __future__ import annotations

import orjson

from benchmarks.context import CHANGED_SHARE, Context, LeftOutError, Row
from benchmarks.generate import TABLES, columns
from benchmarks.live_stand_in import Server, serving
from benchmarks.measure import Figure, Pair, paired, python, run

PAGE_S = 0.05
BARE_CLIENT = """
import sys, duckdb, httpx, orjson
from analyzer.convex import dotenv
keys, store, scratch, spec, way = sys.argv[1:]
where = dotenv.parse(open(keys).read())
client = httpx.Client(headers={"Authorization": "Convex " + where["CONVEX_DEPLOY_KEY"]}, timeout=60)
path, table_of = {"sync": ("/api/v1/data/sync", "table"), "snapshot": ("/api/list_snapshot", "_table")}[way]
files, asked, has_more = {}, {}, True
while has_more:
    page = orjson.loads(client.post(where["CONVEX_URL"] + path, json=asked).content)
    for row in page["values"]:
        table = row[table_of]
        if table not in files:
            files[table] = open(scratch + "/" + table + ".jsonl", "wb")
        files[table].write(orjson.dumps(row["value"] if way == "sync" else row) + b"\\n")
    if way == "sync":
        asked = {"cursor": page["pagination"]["nextCursor"]}
        has_more = page["status"]["type"] != "upToDate"
    else:
        asked = {"snapshot": page["snapshot"], "cursor": page["cursor"]}
        has_more = page["hasMore"]
duck = duckdb.connect(store)
duck.execute("set preserve_insertion_order = false")
columns = orjson.loads(spec)
for table, file in files.items():
    file.close()
    fields = ", ".join(f"'{name}': '{type_}'" for name, type_ in columns[table].items())
    source = f"read_json('{file.name}', format = 'newline_delimited', ignore_errors = true, columns = {{{fields}}})"
    duck.execute(f'create table "{table}" as select * from {source}')
duck.close()
"""


def rows(context: Context) -> list[Row]:
    """Return a first collect, a second one, and one over a slow wire, which the older endpoints make many pages of."""
    if context.size == "10m":
        raise LeftOutError("the stand-in serves 10 M documents more slowly than this run may take")
    with serving(context) as server:
        found = [*_against_bare(context, server), *_again(context, server)]
    if context.size == "1m":
        return found  # a thousand pages at 50 ms would tell nothing new
    with serving(context, "--without-sync") as server:
        return [*found, _at_latency(context, server)]


def _bare(context: Context, server: Server, way: str) -> list[str]:
    spec = orjson.dumps({table: columns(table) for table in TABLES}).decode()
    return python(BARE_CLIENT, str(server.keys), str(context.folder / "bare.duckdb"), str(context.folder), spec, way)


def _against_bare(context: Context, server: Server) -> list[Row]:
    run(server.collect)  # the server makes its pages once
    pair = paired([server.fresh, server.collect], [server.fresh, _bare(context, server, "sync")], context.rounds)
    floor, command = "httpx, orjson and a typed load into DuckDB, extras dropped", "analyzer collect"
    return [
        context.row("live collect", pair.ratio, floor=floor, command=command, limit=1.2, judged_at="100k"),
        context.row("live collect: peak memory", pair.peak_gib, floor="", command=command, unit="GiB"),
    ]


def _again(context: Context, server: Server) -> list[Row]:
    """Compare the collect after a change with the first, of the same round."""
    first, second = [], []
    for _ in range(context.rounds):
        run(server.fresh)
        first.append(run(server.collect))
        server.tell(f"change {int(context.documents * CHANGED_SHARE)}")
        second.append(run(server.collect))
    ratio = Pair(tuple(second), tuple(first)).ratio
    row = context.row(
        "live collect after 0.1 % changed",
        ratio,
        floor="the first live collect",
        command="analyzer collect",
        limit=0.03,
        judged_at="1m",
    )
    return [row]


def _at_latency(context: Context, server: Server) -> Row:
    """Compare with the time that the pages of the longest chain take on the wire and nowhere else."""
    run(server.fresh)
    run(server.collect)
    server.tell("pages")
    run(server.fresh)
    run(server.collect)
    pages = int(server.tell("pages"))
    server.tell(f"wait {PAGE_S}")
    shares = []
    for _ in range(context.rounds):
        run(server.fresh)
        shares.append(run(server.collect).wall_s / (pages * PAGE_S))
    return context.row(
        "live collect at 50 ms a page",
        Figure.of(shares),
        floor=f"{pages} pages, one after the other, at 50 ms",
        command="analyzer collect",
        limit=1.15,
        judged_at="100k",
    )
