"""Speed and memory of the readiness gates: ``python benchmarks/gates.py [EVENTS]``.

Each gate runs as a whole process that writes its report and its page: alignment on 8 microphones of 60 s
(WAV, 24 bit), bootstrap on 20 000 samples of 16 classes with 1000 resamples (by session, and sample by
sample), health on a million events. Goals, and the processor seconds of the system this program replaces, are
for these sizes on a 2-core machine without GPU.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from manifests import manifests
from rich.console import Console
from rich.table import Table
from whole_process import measure

from beatsight.audio.io import SAMPLE_RATE, save
from beatsight.synth.kit import make_kit
from beatsight.taxonomy import PRODUCTION

MILLION = 1_000_000
_MICS, _SECONDS, _HITS_PER_S = 8, 60.0, 4.0
_DRUMS = ("kick", "snare", "hihat_closed", "crash", "tom_low", "ride_bow")
_SAMPLES, _SESSIONS, _CLASSES = 20_000, 200, 16


@dataclass(frozen=True)
class Row:
    """A gate: its words, with the names of inputs in braces; goals on a 2-core machine."""

    name: str
    words: str
    goal_s: float
    goal_mb: float | None
    old: str


ROWS = (
    Row("alignment, 8 x 60 s", "alignment --manifest {session}", 3, None, "45 CPU s, 618 MB"),
    Row("bootstrap by session", "bootstrap --ground-truth {truth} --predictions {predictions}", 1.5, None,
        "146 CPU s"),
    Row("bootstrap by sample",
        "bootstrap --ground-truth {truth} --predictions {predictions} --cluster sample", 1.5, None,
        "146 CPU s"),
    Row("health, JSON lines", "health --events {a} --max-duplication-rate 0.005", 8, 500, "27 CPU s"),
    Row("health, Parquet", "health --events {ap} --max-duplication-rate 0.005", 2, 500, ""),
)  # fmt: skip


def make_session(folder: Path) -> Path:
    """Microphones of one performance, each with its own levels, delay and noise; the manifest."""
    random, kit = np.random.default_rng(0), make_kit(3)
    sounds = {label: kit.render(label, 0.8) for label in _DRUMS}
    length = int(_SECONDS * SAMPLE_RATE)
    starts = np.sort(random.uniform(0.1, _SECONDS - 0.1, int(_HITS_PER_S * _SECONDS))) * SAMPLE_RATE
    labels = random.choice(_DRUMS, len(starts))
    for mic in range(_MICS):
        gains = dict(zip(_DRUMS, random.uniform(0.05, 0.3, len(_DRUMS)), strict=True))
        audio = random.normal(0, 1e-4, length)
        for start, label in zip(starts.astype(int) + mic, labels, strict=True):
            sound = sounds[label][: length - start]
            audio[start : start + len(sound)] += gains[label] * sound
        save(folder / f"mic{mic}.wav", np.clip(audio, -0.99, 0.99), subtype="PCM_24")
    mics = [{"name": f"mic{mic}", "path": f"mic{mic}.wav"} for mic in range(_MICS)]
    manifest = folder / "session.json"
    manifest.write_text(json.dumps({"session_id": "benchmark", "mics": mics}))
    return manifest


def make_samples(folder: Path) -> tuple[Path, Path]:
    """Truth with times, openness and velocity, and a model's predictions."""
    random, labels = np.random.default_rng(1), PRODUCTION[:_CLASSES]
    true = random.random((_SAMPLES, _CLASSES)) < np.geomspace(0.4, 0.01, _CLASSES)
    scores = np.clip(0.15 + 0.6 * true + 0.22 * random.standard_normal(true.shape), 0, 1).round(4)
    per = _SAMPLES // _SESSIONS
    paths = folder / "truth.jsonl", folder / "predictions.jsonl"
    with paths[0].open("wb") as truths, paths[1].open("wb") as predictions:
        for at in range(_SAMPLES):
            onset = round(at % per * 0.2, 4)
            row = {
                "sample_id": f"s{at:06d}", "session_id": f"session_{at // per:03d}", "onset_time": onset,
                "labels": [labels[k] for k in np.flatnonzero(true[at])],
                "velocity": round(float(random.random()), 3), "openness": round(float(random.random()), 3),
            }  # fmt: skip
            found = {
                "sample_id": row["sample_id"], "onset_time": round(onset + 0.01 * float(random.random()), 4),
                "scores": dict(zip(labels, scores[at].tolist(), strict=True)),
                "velocity_pred": round(float(random.random()), 3),
                "openness_pred": round(float(random.random()), 3),
            }  # fmt: skip
            truths.write(msgspec.json.encode(row) + b"\n")
            predictions.write(msgspec.json.encode(found) + b"\n")
    return paths


def bench(folder: Path, count: int) -> Table:
    """Measure every gate."""
    truth, predictions = make_samples(folder)
    names = {"session": make_session(folder), "truth": truth, "predictions": predictions}
    inputs = {key: str(path) for key, path in (names | manifests(folder, count, "{ap}")).items()}
    table = Table(
        title=f"gates, health on {count:,} events; {platform.machine()}, {os.cpu_count()} cores, "
        f"Python {platform.python_version()}"
    )
    for column in ("gate", "wall s", "CPU s", "peak MB", "goal", "", "old system"):
        table.add_column(column, justify="left" if column in ("gate", "goal", "", "old system") else "right")
    for row in ROWS:
        words = [word.format(**inputs) for word in row.words.split()]
        report = ["--report", str(folder / "report.json")]
        found = measure([sys.executable, "-m", "beatsight", "gate", *words, *report], folder / "log.txt")
        scale = max(count / MILLION, 1.0) if row.name.startswith("health") else 1.0
        limit_mb = row.goal_mb if scale == 1.0 or row.goal_mb is None else 2 * row.goal_mb
        met = found.wall_s <= row.goal_s * scale and (limit_mb is None or found.peak_mb <= limit_mb)
        goal = f"{row.goal_s * scale:g} s" + (f", {limit_mb:g} MB" if limit_mb else "")
        table.add_row(
            row.name, f"{found.wall_s:.1f}", f"{found.cpu_s:.1f}", f"{found.peak_mb:.0f}", goal,
            "met" if met else "missed", row.old,
        )  # fmt: skip
        Console(stderr=True).print(f"{row.name}: {found.wall_s:.1f} s, {found.peak_mb:.0f} MB")
    return table


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("events", nargs="?", type=int, default=MILLION, help="events for the health gate")
    parser.add_argument("--folder", type=Path, help="where the inputs lie, or shall lie; kept afterwards")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = options.folder or Path(name)
        folder.mkdir(parents=True, exist_ok=True)
        Console(width=130).print(bench(folder, options.events))


if __name__ == "__main__":
    main()
