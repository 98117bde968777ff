"""Write the demo: `python data/demo/generate.py [--seed N] [--out FOLDER]`.

The same seed always gives the same bytes. Existing files of the same names are replaced.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent))  # the checkout, so that the generator runs without an installation

from demo_rollout import log, schedule, story  # noqa: E402
from demo_rollout.deployment import NAME, NUMBERS  # noqa: E402

from analyzer.convex.archive_writer import write_export  # noqa: E402

SEED = 412


def main() -> None:
    """Parse the command line, write, and say what the deployment reported at each step."""
    parser = argparse.ArgumentParser(description="Write the recordings of the demo.")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--out", type=Path, default=HERE)
    options = parser.parse_args()
    print(story.table(write(options.seed, options.out)))


def write(seed: int, out: Path) -> story.Story:
    """Write every recording and the log into a folder."""
    told = story.tell(seed)
    out.mkdir(parents=True, exist_ok=True)
    for step in schedule.STEPS:
        _write_recording(told, step, out / step.name)
    (out / "rollout-log.md").write_text(log.text(told), encoding="utf-8")
    return told


def _write_recording(told: story.Story, step: schedule.Step, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    taken = datetime.fromtimestamp(step.at_ms / 1000, UTC)
    write_export(
        folder / f"snapshot_{NAME}_{step.at_ms * 1_000_000}.zip",
        told.deployment.as_of(step.at_ms),
        table_numbers=NUMBERS,
        storage=told.deployment.files_as_of(step.at_ms),
        mtime=(taken.year, taken.month, taken.day, taken.hour, taken.minute, taken.second),
    )
    for name, answer in story.answers(told, step.at_ms).items():
        _write_json(folder / f"{name}.json", answer)
    _write_json(folder / "flags.json", schedule.environment(step.at_ms))


def _write_json(path: Path, value: Any) -> None:
    """Write JSON as `npx convex run` prints it."""
    text = json.dumps(_as_javascript(value), indent=2, sort_keys=True, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")


def _as_javascript(value: Any) -> Any:
    """Turn whole floats into ints: JavaScript prints 1, not 1.0."""
    if isinstance(value, dict):
        return {key: _as_javascript(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_as_javascript(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


if __name__ == "__main__":
    main()
