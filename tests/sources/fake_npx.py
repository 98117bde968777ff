"""Stands in for `npx` as a real program: answers `convex run`, `env get` and `export` as the Convex CLI does.

It is configured by files beside it: answers/<function>, variables/<NAME>, export.zip; what is not there fails as the
CLI does. Every call is appended to calls.jsonl.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main(words: list[str]) -> int:
    with (HERE / "calls.jsonl").open("a") as calls:
        calls.write(json.dumps(words) + "\n")
    if words[:1] != ["convex"]:
        return 127
    if words[1] == "run":
        answer = HERE / "answers" / words[2].replace("/", ".")
        print("✔ some progress", file=sys.stderr)
        if not answer.exists():
            print(f'\x1b[31m✖\x1b[39m Failed to run function "{words[2]}":', file=sys.stderr)
            print("Error: key prod:happy-animal-123|eyJ2MiI6 is wrong", file=sys.stderr)
            return 1
        sys.stdout.write(answer.read_text())
    elif words[1:3] == ["env", "get"]:
        variable = HERE / "variables" / words[3]
        if variable.exists():
            print(variable.read_text())
        else:
            print(f'✖ Environment variable "{words[3]}" not found.', file=sys.stderr)
    elif words[1] == "export":
        return export(Path(words[words.index("--path") + 1]))
    return 0


def export(path: Path) -> int:
    source = HERE / "export.zip"
    if not source.exists():
        print("✖ Export failed. Please try again later.", file=sys.stderr)
        return 1
    if path.is_dir():
        if (HERE / "wants-a-file").exists():
            print(f"Error: EISDIR: illegal operation on a directory, open '{path}'", file=sys.stderr)
            return 1
        path /= "snapshot_happy-animal-123_1765889880000000000.zip"
    shutil.copy(source, path)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
