"""How cost grows with documents: each size against a tenth of it, and a chart over all of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.context import SIZES, TAKEN_AGAIN_AT, Context, Row
from benchmarks.measure import Cost, Figure, run

if TYPE_CHECKING:
    from matplotlib.axes import Axes

STEPS = ("collect", "collect 0.1 % changed", "health", "explain --full")


def rows(context: Context) -> list[Row]:
    """Return time and memory at this size for each tenfold of documents, and draw the chart."""
    sizes = list(SIZES)[: list(SIZES).index(context.size) + 1]
    if len(sizes) == 1:
        return []
    costs = {size: measured(context.at(size), is_largest=size == "10m") for size in sizes}
    draw(kept(costs, context.results / "growth.json"), context.results / "growth.png")
    smaller, larger = (costs[size] for size in sizes[-2:])
    found = []
    for step in larger:
        ratio = larger[step].wall_s / smaller[step].wall_s
        found.append(
            context.row(
                f"growth: {step}",
                Figure.of([ratio]),
                floor="time with a tenth of the documents; linear is at most 10",
                command=f"analyzer {step}",
                limit=11.0 if step == "collect" else None,
                judged_at="any",
            )
        )
    return found


def measured(context: Context, *, is_largest: bool) -> Mapping[str, Cost]:
    """Run the steps once at one size. The largest is collected once only: a second time does not fit in the run."""
    if is_largest:
        store = context.store
        assert context.store_cost is not None
        found = {"collect": context.store_cost}
    else:
        store = context.folder / f"growth-{context.size}.duckdb"
        found = {"collect": run(context.collect(context.first, store))}
        found[STEPS[1]] = run(context.collect(context.second, store, taken_at=TAKEN_AGAIN_AT))
    found[STEPS[2]] = run([*context.analyzer, "health", "--db", str(store)])
    found[STEPS[3]] = run([*context.analyzer, "explain", "--full", "--policy", "strict", "--db", str(store)])
    if not is_largest:
        store.unlink()
    return found


def kept(costs: Mapping[str, Mapping[str, Cost]], path: Path) -> dict[str, Mapping[str, Cost]]:
    """Return costs together with those of the sizes that only an earlier run measured, and keep all of them."""
    known: dict[str, dict[str, Any]] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    earlier = {size: {step: Cost(**cost) for step, cost in steps.items()} for size, steps in known.items()}
    found = {size: (earlier | dict(costs))[size] for size in SIZES if size in earlier or size in costs}
    told = {size: {step: asdict(cost) for step, cost in steps.items()} for size, steps in found.items()}
    path.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    return found


def draw(costs: Mapping[str, Mapping[str, Cost]], path: Path) -> None:
    """Draw seconds and peak memory over messages, both axes logarithmic; a dotted line is linear growth."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib.figure import Figure as Drawing
    from matplotlib.ticker import NullFormatter

    drawing = Drawing(figsize=(10, 4.6), layout="constrained")
    times, memory = drawing.subplots(1, 2)
    for step in STEPS:
        sizes = [size for size in costs if step in costs[size]]
        documents = [SIZES[size] for size in sizes]
        times.plot(documents, [costs[size][step].wall_s for size in sizes], marker="o", label=step)
        memory.plot(documents, [costs[size][step].peak_bytes / 2**20 for size in sizes], marker="o", label=step)
    _linear(times, [SIZES[size] for size in costs], costs[list(costs)[-1]]["collect"].wall_s)
    for axes, unit in ((times, "seconds"), (memory, "peak memory, MiB")):
        axes.set(xscale="log", yscale="log", xlabel="messages", ylabel=unit)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", color="#e6e6e6")
        axes.set_axisbelow(True)
        axes.xaxis.set_major_formatter(lambda n, _: f"{n:,.0f}")
        axes.yaxis.set_major_formatter(lambda n, _: f"{n:g}")
        axes.yaxis.set_minor_formatter(NullFormatter())
    times.legend(frameon=False)
    drawing.suptitle("How does cost grow?", x=0.01, ha="left", fontweight="bold")
    drawing.savefig(path, dpi=120, metadata={"Software": None})


def _linear(axes: Axes, documents: Sequence[int], last_s: float) -> None:
    axes.plot(
        documents, [last_s * n / documents[-1] for n in documents], linestyle=":", color="#888888", label="linear"
    )
