"""Conditions of the machine: no room, no right to write, no file descriptors, another clock, another country."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.torture import works
from tests.torture.campaigns import BrokenError, Run, _export

TMPFS_BYTES = 14 * 1024 * 1024  # room for a small store, not for two and what a transaction needs besides


def disk_full(run: Run) -> None:
    """Collect into a file system that is full soon: one line, the store as it was, and on it goes with more room."""
    made = {f"v{number}": _export(run, number) for number in range(3)}
    path, held = made["v0"]
    store, room = run.store, run.folder / "small"
    if _can_mount():
        room.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={TMPFS_BYTES}", "tmpfs", str(room)], check=True)
    try:
        if _can_mount():
            store = room / "store.duckdb"
        run.must(works.collect_export, path, store)
        ballast = room / "ballast"
        for left_bytes in (0, 4_096, 100_000, 400_000):
            if _can_mount():
                ballast.unlink(missing_ok=True)
                free = shutil.disk_usage(room).free
                ballast.write_bytes(bytes(max(0, free - left_bytes)))
                run.attempt(works.collect_export, made["v1"][0], store)
            else:
                run.attempt(_limited_collect, made["v1"][0], store, store.stat().st_size + left_bytes)
            ballast.unlink(missing_ok=True)
            wrong, there = run.must(works.look, store)
            if wrong or there["v0"] != held:
                raise BrokenError(f"with {left_bytes} bytes left: {wrong}")
        run.must(works.collect_export, made["v1"][0], store)
        wrong, there = run.must(works.look, store)
        if wrong or there["v1"] != made["v1"][1]:
            raise BrokenError(f"afterwards: {wrong}")
    finally:
        if _can_mount():
            subprocess.run(["umount", str(room)], check=False)


def _limited_collect(path: Path, store: Path, limit_bytes: int) -> int:
    sys.dont_write_bytecode = True  # compiled modules would be cut off as well
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, limit_bytes))
    return works.collect_export(path, store)


def _can_mount() -> bool:
    global _mounts  # noqa: PLW0603  # asked once
    if _mounts is None:
        probe = "mount -t tmpfs -o size=4096 tmpfs /mnt && umount /mnt"
        command = ["unshare", "--mount", "sh", "-c", probe]
        is_root = os.geteuid() == 0 and shutil.which("unshare") is not None
        _mounts = is_root and subprocess.run(command, capture_output=True, check=False).returncode == 0
    return _mounts


_mounts: bool | None = None


def read_only(run: Run) -> None:
    """Collect into a folder that must not be written: one line, and nothing changed; what is there can be read."""
    path, held = _export(run, 0)
    other, _ = _export(run, 1)
    place = run.folder / "place"
    place.mkdir()
    if _can_mount():
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(place)], check=True)
    elif os.geteuid() == 0:
        return  # nothing is read-only for root, and it may not mount
    try:
        store = place / "store.duckdb"
        run.must(works.collect_export, path, store)
        before = store.read_bytes()
        _forbid(place)
        for target in (store, place / "new.duckdb"):
            if run.attempt(works.collect_export, other, target).kind != "refused":
                raise BrokenError(f"{target.name} was written where nothing may be")
        wrong, there = run.must(works.look, store)
        if wrong or there != {"v0": held} or store.read_bytes() != before:
            raise BrokenError(f"{wrong} {sorted(there)}")
    finally:
        if _can_mount():
            subprocess.run(["umount", str(place)], check=False)
        else:
            place.chmod(0o700)


def _forbid(place: Path) -> None:
    if _can_mount():
        subprocess.run(["mount", "-o", "remount,ro", str(place)], check=True)
    else:
        (place / "store.duckdb").chmod(0o400)
        place.chmod(0o500)


def descriptors(run: Run) -> None:
    """Collect with few file descriptors: one line or success; with enough of them it goes on."""
    made = [_export(run, number) for number in range(2)]
    run.must(works.collect_export, made[0][0], run.store)
    for limit in (8, 10, 12, 14, 16, 18, 20, 24, 32):
        found = run.attempt(_with_descriptors, limit, made[1][0], run.store)
        run.check({"v0": made[0][1]})
        if found.kind == "done":
            break
    run.must(works.collect_export, made[1][0], run.store)
    run.check({f"v{number}": held for number, (_, held) in enumerate(made)}, exactly=True)


def _with_descriptors(limit: int, path: Path, store: Path) -> int:
    resource.setrlimit(resource.RLIMIT_NOFILE, (_open_descriptors() + limit, _open_descriptors() + limit))
    return works.collect_export(path, store)


def _open_descriptors() -> int:
    return max(int(entry.name) for entry in Path("/proc/self/fd").iterdir()) + 1


def clock_back(run: Run) -> None:
    """Collect while the clock of this machine steps back by a day: snapshots stand by the time of their source."""
    made = [_export(run, number) for number in range(3)]
    for number, step_s in enumerate((0, -86_400, -2 * 86_400)):
        run.must(_at_another_time, step_s, made[number][0], run.store)
    run.check({f"v{number}": held for number, (_, held) in enumerate(made)}, exactly=True)


def _at_another_time(step_s: int, path: Path, store: Path) -> int:
    import time

    real = time.time_ns
    time.time_ns = lambda: real() + step_s * 10**9  # the only clock: see analyzer.clock
    return works.collect_export(path, store)


def countries(run: Run) -> None:
    """Ask the same in other time zones and languages: the same bytes."""
    made = [_export(run, number) for number in range(2)]
    for path, _ in made:
        run.must(works.collect_export, path, run.store)
    asked = [("health", "--format", "json"), ("explain",), ("snapshots",), ("store", "check")]
    said: dict[tuple[str, ...], tuple[int, str]] = {}
    for zone, language in (("UTC", "C.UTF-8"), ("Asia/Kathmandu", "tr_TR.UTF-8"), ("America/St_Johns", "ar_EG.UTF-8")):
        variables = os.environ | {"TZ": zone, "LC_ALL": language, "LANG": language}
        for words in asked:
            command = [sys.executable, "-m", "analyzer", *words, "--db", str(run.store)]
            done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
            text = "\n".join(line for line in done.stdout.splitlines() if " ago" not in line)
            if said.setdefault(words, (done.returncode, text)) != (done.returncode, text):
                raise BrokenError(f"{words} says something else in {zone}, {language}: {text}")
    run.check({f"v{number}": held for number, (_, held) in enumerate(made)}, exactly=True)


CONDITIONS: Mapping[str, Callable[[Run], None]] = {
    "disk-full": disk_full,
    "read-only": read_only,
    "descriptors": descriptors,
    "clock-back": clock_back,
    "countries": countries,
}
NOTES: Mapping[str, Callable[[], str]] = {
    "disk-full": lambda: "a tmpfs" if _can_mount() else "RLIMIT_FSIZE, for want of the right to mount a tmpfs",
    "read-only": lambda: (
        "a tmpfs, read-only"
        if _can_mount()
        else "left out: root may write anywhere, and may not mount here"
        if os.geteuid() == 0
        else "a folder without the right to write"
    ),
}
