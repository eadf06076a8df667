"""Time and memory of a command as a whole process, with all processes that it starts."""

from __future__ import annotations

import resource
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

# Looking at memory costs the processes some; more often, and the times would show it.
_SAMPLE_S = 0.25


@dataclass
class Measured:
    """Wall and processor seconds of a process tree, and its peak memory in MB."""

    wall_s: float
    cpu_s: float
    peak_mb: float


def _tree_mb(group: int) -> float:
    """Proportional memory of all processes of a group."""
    total = 0
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            # The command may hold spaces and brackets; what follows the last bracket does not.
            if int((entry / "stat").read_text().rpartition(")")[2].split()[2]) != group:
                continue
            rollup = (entry / "smaps_rollup").read_text()
        except (OSError, ValueError, IndexError):
            continue
        total += next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
    return total / 1024


def measure(words: Sequence[str], log: Path) -> Measured:
    """Run one process, its answer into ``log``."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    peak = 0.0
    with log.open("wb") as out:
        process = subprocess.Popen(words, stdout=out, stderr=subprocess.STDOUT, start_new_session=True)
        done = threading.Event()

        def watch() -> None:
            nonlocal peak
            while not done.wait(_SAMPLE_S):
                peak = max(peak, _tree_mb(process.pid))

        watcher = threading.Thread(target=watch)
        if Path("/proc/self/smaps_rollup").exists():
            watcher.start()
        code = process.wait()
        wall = time.perf_counter() - started
        done.set()
        if watcher.is_alive():
            watcher.join()
    if code:
        sys.exit(f"{' '.join(words)} exited with {code}:\n{log.read_text()[-2000:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Measured(wall, cpu, peak)
