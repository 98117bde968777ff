"""Run a stand-in deployment: `python -m tests.deployment --documents 1000 --key-file keys.env`.

Prints its URL, and keeps keys out of the output: they go to the key file, as variables of an .env file.
"""

from __future__ import annotations

import argparse
import os
import signal
import threading
from pathlib import Path

from tests.deployment import Clock, Deployment
from tests.deployment.sample import fill


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.deployment", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--port-file", type=Path, help="the port is written here as soon as it listens")
    parser.add_argument("--key-file", type=Path, help="URL and keys are written here, mode 0600")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--documents", type=int, default=0, help="about how many documents to begin with")
    parser.add_argument("--kind", default="dev", choices=("prod", "dev", "preview", "custom", "selfHosted"))
    parser.add_argument("--name", default="happy-animal-123")
    parser.add_argument("--start-ms", type=float, help="time at the start, milliseconds since the epoch; default: now")
    parser.add_argument("--rate", type=float, default=1.0, help="how fast the clock runs; 0: it stands still")
    args = parser.parse_args()
    clock = Clock.real() if args.start_ms is None else Clock(args.start_ms)
    clock.run(args.rate)
    deployment = Deployment(seed=args.seed, clock=clock, port=args.port, kind=args.kind, name=args.name)
    fill(deployment, args.documents, args.seed)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with deployment:
        if args.key_file:
            write_keys(deployment, args.key_file)
        if args.port_file:
            _write(args.port_file, deployment.url.rpartition(":")[2])
        print(deployment.url, flush=True)
        stop.wait()
    return 0


def write_keys(deployment: Deployment, path: Path) -> None:
    """Write where a deployment is and its keys, for its owner alone."""
    _write(path, _variables(deployment))


def _variables(deployment: Deployment) -> str:
    """Return what a client needs, under the names that the platform's own CLI reads."""
    keys = {"ANALYZER_WRITE_KEY": deployment.admin_key}
    if deployment.settings.is_self_hosted:
        keys |= {"CONVEX_SELF_HOSTED_URL": deployment.url, "CONVEX_SELF_HOSTED_ADMIN_KEY": deployment.read_key}
    else:
        keys |= {"CONVEX_URL": deployment.url, "CONVEX_DEPLOY_KEY": deployment.read_key}
    return "".join(f"{name}='{value}'\n" for name, value in keys.items())


def _write(path: Path, text: str) -> None:
    """Write a file at once, readable by its owner alone: whoever waits for it never sees half of it."""
    part = path.with_name(path.name + ".part")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    part.replace(path)


if __name__ == "__main__":
    raise SystemExit(main())
