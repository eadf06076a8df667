"""Small inputs for every gate, in which every name is an attack on the page; and the run over all of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from beatsight.gates.alignment import AlignmentSettings
from beatsight.gates.bootstrap import BootstrapSettings
from beatsight.gates.boundary import BoundarySettings
from beatsight.gates.calibration import CalibrationSettings
from beatsight.gates.health import HealthSettings
from beatsight.gates.latency import LatencySettings, Machine, Measured, SongTiming
from beatsight.gates.openset import OpensetSettings
from beatsight.gates.readiness import Job, ReadinessReport, readiness_gate
from beatsight.gates.regression import RegressionSettings
from beatsight.gates.result import write_report

# No slash, so that it can be the name of a file too.
EVIL = "\"'><img src=x onerror=alert(1)><script>alert(1)&amp;"
_RATE = 22_050


def _lines(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def _session(folder: Path, random: np.random.Generator) -> Path:
    """Three microphones of noise bursts, one of them late; names and files are attacks."""
    sound = np.zeros(6 * _RATE)
    for second in range(11):
        start = round((0.3 + 0.5 * second) * _RATE)
        sound[start : start + 800] = random.normal(size=800) * np.exp(-np.arange(800) / 150)
    mics = []
    for name, delay in (("anchor", 0), (EVIL, 40), ("room", 2)):
        path = folder / f"{name}.wav"
        soundfile.write(path, 0.3 * np.roll(sound, delay), _RATE)
        mics.append({"name": name, "path": path.name})
    manifest = folder / "session.json"
    manifest.write_text(json.dumps({"session_id": EVIL, "mics": mics}))
    return manifest


def _events(random: np.random.Generator, count: int = 120) -> list[dict[str, Any]]:
    return [
        {
            "sample_id": f"{EVIL}{n}", "session_id": f"{EVIL}{n % 3}", "onset_time": 0.25 * n,
            "components": [{"label": ("kick", "snare", "hihat_open", EVIL)[n % 4],
                            "velocity": float(random.uniform(0.1, 1)), "openness": float(random.random())}],
            "drummer_id": EVIL, "kit_id": EVIL, "source_set": EVIL, "meter": "4/4",
            "tempo_bpm": 100.0 + n % 9, "is_synthetic": n % 5 == 0, "techniques": ["flam"],
            "audio_path": f"{EVIL}.wav",
        }
        for n in range(count)
    ]  # fmt: skip


def _truths(random: np.random.Generator, labels: Sequence[str], count: int = 60) -> list[dict[str, Any]]:
    return [
        {
            "sample_id": f"{EVIL}{n}", "session_id": f"{EVIL}{n % 6}", "labels": [labels[n % len(labels)]],
            "onset_time": 0.3 * n, "openness": float(random.random()), "velocity": float(random.random()),
            "is_known": n % 3 > 0, "edge": ("leading", "trailing")[n % 2],
            "window_index": 0, "window_size": 1, "hop_size": 1,
        }
        for n in range(count)
    ]  # fmt: skip


def _predictions(random: np.random.Generator, truths: Sequence[dict[str, Any]], labels: Sequence[str]) -> Any:
    return [
        {
            "sample_id": row["sample_id"], "onset_time": row["onset_time"] + 0.01,
            "scores": {label: round(float(0.6 * (label in row["labels"]) + 0.4 * random.random()), 3)
                       for label in labels},
            "openness_pred": 0.5, "velocity_pred": 0.5,
        }
        for row in truths
    ]  # fmt: skip


def _measure(settings: LatencySettings, progress: object) -> Measured:
    songs = [
        SongTiming(path=str(path), duration_s=10.0, runs_s=[1.0, 2.5, 3.0], hits=5) for path in settings.audio
    ]
    machine = Machine(processor=EVIL, cores=2, system=EVIL, python="3.11", torch=EVIL)
    return Measured(
        machine=machine, recogniser=EVIL, is_model=True, load_s=0.5, excerpt_s=10.0,
        first_results_s=[2.0, 3.0], songs=songs,
    )  # fmt: skip


def readiness_run(folder: Path) -> ReadinessReport:
    """A run over every gate: some pass, some fail, one cannot be read."""
    random = np.random.default_rng(5)
    labels = ["kick", "snare", EVIL]
    events = _lines(folder / "events.jsonl", _events(random))
    truths = _truths(random, labels)
    truth = _lines(folder / "truth.jsonl", truths)
    predictions = _predictions(random, truths, labels)
    every = _lines(folder / "every.jsonl", predictions)
    found = _lines(folder / "predictions.jsonl", predictions[:-1])
    health = HealthSettings(
        events=[events], min_class_count=31, max_duplication_rate=0.0, max_unknown_labels=0,
        require_technique=[EVIL, "flam"], require_label=[EVIL, "kick"],
    )  # fmt: skip
    both: dict[str, Any] = {"ground_truth": truth, "predictions": found}
    session, missing = _session(folder, random), folder / f"{EVIL}.json"
    resampled = BootstrapSettings(**both, iterations=50, min_macro_f1=0.1, baseline_predictions=found)
    jobs = [
        Job("alignment", AlignmentSettings(manifest=session, anchor="anchor"), f"alignment: {EVIL}"),
        Job("alignment", AlignmentSettings(manifest=missing), "alignment: missing"),
        Job("health", health, "health", folder / "health.json"),
        Job("boundary", BoundarySettings(**both), "boundary"),
        Job("openset", OpensetSettings(ground_truth=truth, predictions=every), "openset"),
        Job("bootstrap", resampled, "bootstrap"),
        Job("calibration", CalibrationSettings(**both), "calibration"),
        Job("latency", LatencySettings(audio=[Path(f"{EVIL}.wav")]), "latency"),
    ]

    def finished(job: Job, report: Any) -> None:
        if job.report is not None:
            write_report(report, job.report)

    first = readiness_gate(jobs[2:3], measure=_measure, finished=finished)
    assert first.parts[0].report is not None, first.parts[0].error
    baseline = folder / "baseline.json"
    write_report(first.parts[0].report, baseline)
    regression = RegressionSettings(baseline=baseline, candidate=folder / "health.json", max_drop=0)
    jobs.append(Job("regression", regression, "regression"))
    return readiness_gate(jobs, measure=_measure, finished=finished)
