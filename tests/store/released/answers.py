"""What a store answers, by the forms that no version may change: the test of upgrades compares them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from analyzer import cli
from analyzer.store import Store


def answers(path: Path) -> dict[str, Any]:
    """Return documents, health, artifacts, marks, rollouts and receipts of every deployment in a store."""
    found: dict[str, Any] = {"snapshots": []}
    with Store.read(path) as store:
        snapshots = store.snapshots()
        names = sorted({snapshot.deployment.name for snapshot in snapshots})
        for shot in snapshots:
            frame = store.frame(shot)
            documents = {
                view: sorted(
                    (row["id"], row.get("status"), row["leftovers"]) for row in frame.records(f"staging/{view}")
                )
                for view in ("stg_users", "stg_tasks", "stg_messages", "stg_traces", "stg_other")
            }
            covered = sorted((c.table.component, c.table.name, c.status, c.documents) for c in shot.coverage)
            functions = [answer.function for answer in store.answers(shot)]
            found["snapshots"].append(
                [shot.id, shot.label, shot.deployment.name, shot.as_of_ns, covered, documents, functions]
            )
        found["marks"] = [[m.id, m.verdict, m.because, m.actor] for name in names for m in store.marks(name)]
        found["rollouts"] = [[r.id, r.deployment, r.title, r.plan.hash, r.log_name] for r in store.rollouts.all()]
        found["receipts"] = [[r["id"], r["deployment"], len(r["deleted"])] for r in store.receipts.all()]
        found["cursors"] = {name: store.sync_cursor(name) for name in names}
        found["spans"] = {name: [[s.stream, s.is_gap] for s in store.observations.spans(name)] for name in names}
    for shot in snapshots:
        chosen = ["--snapshot", str(shot.id), "--deployment", shot.deployment.name, "--db", str(path)]
        found[f"health {shot.id}"] = {
            name: value
            for name, value in _json("health", *chosen).items()
            if name in ("status", "raw_status", "reported", "raw", "without_tests", "excluded")
        }
        listed = _json("artifacts", "list", *chosen)["artifacts"]
        found[f"artifacts {shot.id}"] = sorted([a["table"], a["id"], a["tier"]] for a in listed)
    read: dict[str, Any] = json.loads(json.dumps(found))  # as it reads from a file
    return read


def _json(*words: str) -> Any:
    done = CliRunner().invoke(cli.main, [*words, "--format", "json"])
    assert done.stdout, done.stderr
    return json.loads(done.stdout)
