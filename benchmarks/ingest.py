"""An export into the store, against inflating it and loading it with everything unknown dropped."""

from __future__ import annotations

from benchmarks.context import TAKEN_AGAIN_AT, Context, Row
from benchmarks.measure import GIB, Cost, Figure, python

INFLATE_AND_LOAD = """
import struct, sys, zipfile, duckdb
from isal import isal_zlib
from benchmarks.generate import columns
archive, store, scratch = sys.argv[1:]
names = []
with zipfile.ZipFile(archive) as z:
    for info in z.infolist():
        if not info.filename.endswith("documents.jsonl") or info.filename.startswith("_"):
            continue
        names.append(info.filename)
        z.fp.seek(info.header_offset + 26)
        z.fp.seek(sum(struct.unpack("<HH", z.fp.read(4))), 1)
        inflater, left = isal_zlib.decompressobj(-15), info.compress_size
        with open(scratch + "/" + info.filename.replace("/", "_"), "wb") as target:
            while left:
                piece = z.fp.read(min(left, 1 << 20))
                left -= len(piece)
                target.write(inflater.decompress(piece))
            target.write(inflater.flush())
duck = duckdb.connect(store)
duck.execute("set preserve_insertion_order = false")
for n in names:
    table = n.split("/")[0]
    spec = ", ".join(f"'{f}': '{type_}'" for f, type_ in columns(table).items())
    path = scratch + "/" + n.replace("/", "_")
    source = f"read_json('{path}', format='newline_delimited', columns={{{spec}}})"
    duck.execute(f"create table {table} as select * from {source}")
duck.close()
"""
REMOVE = "import sys, pathlib; [pathlib.Path(p).unlink(missing_ok=True) for p in sys.argv[1:]]"


def rows(context: Context) -> list[Row]:
    """Return the first collect and the second; of 10 M messages the first alone, without its floor."""
    if context.size == "10m":
        return [_peak_memory(context, Figure.of([_cost_of_store(context).peak_bytes / GIB]))]
    store, floor_store = context.folder / "s.duckdb", str(context.folder / "f.duckdb")
    fresh = python(REMOVE, str(store), floor_store)
    collect = context.collect(context.first, store)
    again = context.collect(context.second, store, taken_at=TAKEN_AGAIN_AT)
    load = python(INFLATE_AND_LOAD, str(context.first), floor_store, str(context.folder))
    first, pair = context.compare(
        "collect an export",
        [fresh, collect],
        [fresh, load],
        against="isal inflate to files, then typed read_json, extras dropped",
        limit=1.5,
        judged_at="1m",
    )
    second, _ = context.compare(
        "collect after 0.1 % changed",
        [fresh, collect, again],
        [fresh, collect],
        against="the first collect",
        limit=0.6,
        judged_at="1m",
    )
    return [first, _peak_memory(context, pair.peak_gib), second]


def _cost_of_store(context: Context) -> Cost:
    assert context.store.exists()  # made when first asked for
    assert context.store_cost is not None
    return context.store_cost


def _peak_memory(context: Context, peak_gib: Figure) -> Row:
    return context.row(
        "collect an export: peak memory",
        peak_gib,
        floor="a limit of its own",
        command="analyzer collect EXPORT.zip",
        limit={"10m": 2.0}.get(context.size, 1.2),
        judged_at="10m" if context.size == "10m" else "1m",
        unit="GiB",
    )
