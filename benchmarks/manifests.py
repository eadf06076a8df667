"""Speed and memory of the manifest operations: ``python benchmarks/manifests.py [EVENTS ...]``.

Each operation runs as a whole process on manifests that ``make_events.py`` writes (100 k and 1 M events; give
``7391699`` for the production size). Beside it stand the goal, the processor seconds of the system this
program replaces (measured on a 2-core x86 machine, one million events), and two limits measured here and now:
Python's ``json.loads`` over the same lines, and reading the file's bytes. Memory is the peak of the whole
process tree, pages that processes share counted once (Linux; "-" elsewhere).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table
from whole_process import measure

HERE = Path(__file__).parent
SIZES = (100_000, 1_000_000)
MILLION = 1_000_000


@dataclass(frozen=True)
class Row:
    """An operation: its words, with ``{a}``, ``{b}`` for manifests, ``{ap}``, ``{bp}`` for them in Parquet,
    ``{preds}`` for predictions and ``{out}`` for a folder; goals for a million events."""

    name: str
    words: str
    goal_s: float | None = None
    goal_mb: float | None = 500
    old_cpu_s: str = "-"


ROWS = (
    Row("validate", "validate {a}"),
    Row("convert to Parquet", "convert {a} {out}/c.parquet"),
    Row("convert from Parquet", "convert {ap} {out}/c.jsonl"),
    Row("stats (health's counts)", "stats {a}", 8, 500, "27"),
    Row("  from Parquet", "stats {ap}", 2),
    Row("weights", "weights {a} --profile prod_combined -o {out}/w.json", 8, 500, "60 to 70"),
    Row("  from Parquet", "weights {ap} --profile prod_combined -o {out}/w.json", 2),
    Row("merge, two manifests", "merge -i {a} -i {b} -o {out}/m.jsonl --on-conflict first", 20, 500, "42"),
    Row("diff, two manifests", "diff {a} {b} --json-output {out}/d.json", 15, None, "65"),
    Row("  from Parquet", "diff {ap} {bp} --json-output {out}/d.json", 3, None),
    Row("openness", "openness --events {a} --output {out}/o.jsonl", 10, None, "71"),
    Row("techniques", "techniques {a} -o {out}/t.jsonl", 12, None, "83"),
    Row("hard negatives",
        "negatives --predictions {preds} --ground-truth {a} --output {out}/n.jsonl --min-confidence 0.7 "
        "--max-per-label 150", 12, 500, "54"),
    Row("boundary pack", "boundary-pack --events {a} --output {out}/b.jsonl", 12, 500, "78"),
    Row("split", "split {a} -o {out}/s.json"),
)  # fmt: skip


def limits(path: Path) -> str:
    """What Python's json and the disk need for the same file."""
    started, cpu = time.perf_counter(), time.process_time()
    with path.open("rb") as stream:
        for line in stream:
            json.loads(line)
    parsed, parsed_cpu = time.perf_counter() - started, time.process_time() - cpu
    started = time.perf_counter()
    with path.open("rb", buffering=0) as stream:
        while stream.read(1 << 22):
            pass
    read = time.perf_counter() - started
    return f"json.loads alone {parsed:.1f} s ({parsed_cpu:.1f} CPU s), reading the bytes {read:.2f} s"


def manifests(folder: Path, count: int, words: str) -> dict[str, Path]:
    """The manifests of a size, predictions and Parquet files that some words name; made where missing."""
    paths = {
        "a": folder / f"events-{count}-1.jsonl", "b": folder / f"events-{count}-2.jsonl",
        "preds": folder / f"predictions-{count}.jsonl", "ap": folder / f"events-{count}-1.parquet",
        "bp": folder / f"events-{count}-2.parquet",
    }  # fmt: skip
    make = [sys.executable, str(HERE / "make_events.py"), str(count)]
    second = "{b" in words
    if not (paths["a"].exists() and paths["preds"].exists()):
        subprocess.run([*make, str(paths["a"]), "--preds", str(paths["preds"])], check=True)
    if second and not paths["b"].exists():
        subprocess.run([*make, str(paths["b"]), "--seed", "2"], check=True)
    for source, target in (("a", "ap"), ("b", "bp")):
        if f"{{{target}}}" in words and not paths[target].exists():
            command = [sys.executable, "-m", "beatsight", "manifest", "convert"]
            subprocess.run(
                [*command, str(paths[source]), str(paths[target])], check=True, stdout=subprocess.DEVNULL
            )
    return paths


def bench(folder: Path, count: int, only: Sequence[str]) -> Table:
    """Measure every operation on manifests of a size."""
    rows = [row for row in ROWS if not only or any(name in row.words.split() for name in only)]
    paths = manifests(folder, count, " ".join(row.words for row in rows))
    size = paths["a"].stat().st_size
    table = Table(
        title=f"{count:,} events, {size / 1e9:.2f} GB; {platform.machine()}, {os.cpu_count()} cores, "
        f"Python {platform.python_version()}\n{limits(paths['a'])}"
    )
    for column in ("operation", "wall s", "CPU s", "peak MB", "goal", "", "old system, CPU s a million"):
        table.add_column(column, justify="left" if column in ("operation", "goal", "") else "right")
    out = folder / "out"
    shared = {name: str(path) for name, path in paths.items()} | {"out": str(out)}
    for row in rows:
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir(parents=True)
        words = [word.format(**shared) for word in row.words.split()]
        found = measure([sys.executable, "-m", "beatsight", "manifest", *words], folder / "log.txt")
        # A goal is for a million events; time may grow in proportion, memory may not.
        scale = max(count / MILLION, 1.0)
        goal = f"{row.goal_s * scale:.0f} s" if row.goal_s else "-"
        missed = []
        if row.goal_s and found.wall_s > row.goal_s * scale:
            missed.append("slow")
        if row.goal_mb:
            limit = row.goal_mb if count <= MILLION else 1000
            goal += f", {limit:.0f} MB"
            if found.peak_mb > limit:
                missed.append("large")
        peak = f"{found.peak_mb:.0f}" if found.peak_mb else "-"
        table.add_row(
            row.name, f"{found.wall_s:.1f}", f"{found.cpu_s:.1f}", peak, goal,
            " and ".join(missed) or "met", row.old_cpu_s,
        )  # fmt: skip
        Console(stderr=True).print(f"{row.name.strip()}: {found.wall_s:.1f} s, {peak} MB")
    shutil.rmtree(out, ignore_errors=True)
    return table


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("events", nargs="*", type=int, default=list(SIZES), help="numbers of events")
    parser.add_argument("--folder", type=Path, help="where the manifests lie, or shall lie; kept afterwards")
    parser.add_argument("--only", action="append", default=[], help="measure only this operation; repeat")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = options.folder or Path(name)
        folder.mkdir(parents=True, exist_ok=True)
        for count in options.events:
            Console(width=130).print(bench(folder, count, options.only))


if __name__ == "__main__":
    main()
