"""Runs every query on DuckDB and on Spark, over the recorded cases and the demo: are the rows the same?

Exits with 1 where rows differ, or a query is refused that is not expected to be. Started by `make spark`.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from analyzer import exported, spark, sql
from analyzer.analysis import artifacts
from analyzer.analysis.policy import DEPLOYED
from analyzer.errors import AnalyzerError
from analyzer.flows import demo, querying
from analyzer.model import FilterName
from analyzer.rules import InternalLists, load_all
from analyzer.store import Frame, Store
from tests.queries.samples import SAMPLES
from tests.spark import meaning
from tests.support import collected, collected_case, export, golden_cases

HOUR = 3_600_000
RULES = load_all()
LISTS = InternalLists(emails=("ada@example.com",), users=("Ada",), repos=("acme/app",))
JUDGING = querying.Judging(RULES, LISTS, FilterName.EVIDENCE, DEPLOYED)
NAMES = [name for name in sql.names() if exported.why_not(sql.load(name)) is None]
ALONE = ("random_seed_20251216_n150",)  # a recorded case with a clock of its own


def frames(folder: Path) -> Iterator[tuple[str, Path, int | str | None, int | None]]:
    """Yield what it is called, a store, the snapshot and the clock (None: the snapshot's own)."""
    cases = golden_cases()
    together: dict[str, list[dict[str, Any]]] = {}
    for name, case in cases.items():
        if name not in ALONE:
            for table, documents in case["documents"].items():
                together.setdefault(table, []).extend(documents)
    (folder / "recorded").mkdir()
    clock = cases["all_complete"]["now_ms"]
    store = folder / "recorded" / "store.duckdb"
    collected(export(folder / "recorded" / "export.zip", together), store, at_ms=clock)
    yield f"{len(cases) - len(ALONE)} recorded cases", store, None, None
    for name in ALONE:
        (folder / name).mkdir()
        yield name, collected_case(cases[name], folder / name), None, cases[name]["now_ms"]
    (folder / "demo").mkdir()
    store = demo.gather(demo.folder(), folder / "demo", flag_names=[], rules=RULES, tell=lambda _: None)
    yield "demo after cleanup", store, "07-after-cleanup-0705", None


def values(frame: Frame) -> dict[str, Any]:
    """Return a value for every parameter that any query has, such that most of them have something to say."""
    at_ms = frame.at_ms
    rules = ["mark", *(rule.id for rule in RULES.rules), "owned-by-artifact", "was-artifact", "orphan"]
    tables = [*RULES.owned_by("tasks")]
    first = frame.rows("artifacts/list", tiers=["certain", "likely", "suspect", "orphan"], limit=1)
    plain = {param.name: SAMPLES[param.type] for name in NAMES for param in querying.params(name)}
    return plain | JUDGING.usual() | {
        "base_from_ms": at_ms - 24 * HOUR, "base_to_ms": at_ms - HOUR, "after_from_ms": at_ms - HOUR,
        "after_to_ms": at_ms, "flip_ms": [at_ms - 2 * HOUR, at_ms - HOUR // 2], "first_ms": at_ms - 3 * HOUR,
        "from_ms": at_ms - 48 * HOUR, "step_ms": 60_000, "ticks": 180, "from_tick": 0, "until_tick": 180,
        "limit": 1000, "limit_ms": 1.0, "most_ids": 3, "by_failure": False, "table_name": "chatMessages",
        "side": "after", "measure": "duration_ms", "ranks": [1, 2, 3], "priced_models": ["gpt-4o", "model"],
        "input_prices": [2.5, 1.0], "output_prices": [10.0, 2.0], "rules": rules, "wanted": True,
        "reasons": [f"it's \\\\ {rule} ${{env:HOME}}" for rule in rules], "tables": tables, "task_tables": tables,
        "message_tables": [*RULES.owned_by("chatMessages")], "emails": ["ada@example.com"], "users": [],
        "names": ["ada"], "repos": ["acme/app"], "id": first[0][2] if first else "none", "real_ids": [], "test_ids":
        [row[2] for row in first], "known_ids": [],
    }  # fmt: skip


def compared(engine: spark.SparkFrame, frame: Frame, name: str, params: dict[str, Any]) -> tuple[str, bool]:
    """Return what to print of one query, and whether it is as it should be."""
    wanted = querying.run(frame, name, params)
    try:
        found = querying.run(engine, name, params)
    except AnalyzerError as refusal:
        return str(refusal), False
    if repr(found) == repr(wanted):  # types as well, 1 is not 1.0; NaN is NaN
        return f"same, {len(wanted.rows)}", True
    pairs = [(w, f) for w, f in zip(wanted.rows, found.rows, strict=False) if repr(w) != repr(f)]
    return f"DIFFERENT: {len(wanted.rows)} and {len(found.rows)} rows; first {pairs[:1]}", False


def main() -> int:
    """Print a line for each query."""
    said: dict[str, list[str]] = {name: [] for name in NAMES}
    titles, is_fine = [], True
    with tempfile.TemporaryDirectory() as place, spark.started("local[2]") as session:
        for title, path, snapshot, at_ms in frames(Path(place)):
            titles.append(title)
            with Store.read(path) as store:
                frame = store.frame(store.snapshot(snapshot), at_ms)
                querying.export(frame, path.parent / "parquet", JUDGING)
                artifacts.prepare(frame, RULES, LISTS, orphans=True)
                engine = spark.SparkFrame.over(session, str(path.parent / "parquet"))
                params = values(frame)
                for name in NAMES:
                    text, fine = compared(engine, frame, name, params)
                    print(f"{title}: {name}: {text}", file=sys.stderr, flush=True)
                    said[name].append(text)
                    is_fine = is_fine and fine
        unlike = meaning.differing(session, Path(place) / "edges")
    print(f"{'query':30}" + "".join(f"{title:28}" for title in titles))
    for name in sql.names():
        why = exported.why_not(sql.load(name))
        print(f"{name:30}" + (f"refused: {why}" if why else "".join(f"{text:28}" for text in said[name])))
    print("\n".join(["expressions of another meaning: " + (str(len(unlike)) if unlike else "none"), *unlike]))
    return 0 if is_fine and not unlike else 1


if __name__ == "__main__":
    sys.exit(main())
