"""Songs with truth and predictions, and the files and settings that the gate's tests make of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from beatsight.gates.bootstrap import BootstrapSettings

LABELS = ("crash", "kick", "ride_bow", "snare", "tom_low")
Rows = list[dict[str, Any]]


def lines(path: Path, rows: Rows) -> Path:
    """A JSON lines file."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def songs(seed: int = 0, sessions: int = 6, each: int = 12) -> tuple[Rows, Rows]:
    """Truth and predictions of songs: every metric has something to measure."""
    random = np.random.default_rng(seed)
    truths, predictions = [], []
    for at in range(sessions * each):
        name, true = f"s{at:03d}", random.random(len(LABELS)) < (0.5, 0.4, 0.3, 0.2, 0.1)
        row: dict[str, Any] = {
            "sample_id": name, "session_id": f"song {at // each}", "onset_time": at % each * 0.3,
            "labels": [label for label, is_true in zip(LABELS, true, strict=True) if is_true],
            "velocity": random.random(),
        }  # fmt: skip
        if at % 2:
            row["openness"] = random.random()
        truths.append(row)
        scores = np.clip(0.2 + 0.5 * true + 0.25 * random.standard_normal(len(LABELS)), 0, 1).round(3)
        predictions.append(
            {
                "sample_id": name, "scores": dict(zip(LABELS, scores.tolist(), strict=True)),
                "onset_time": max(0.0, row["onset_time"] + random.normal(0, 0.03)),
                "openness_pred": random.random(), "velocity_pred": random.random(),
            }
        )  # fmt: skip
    return truths, predictions


def asked(folder: Path, truths: Rows, predictions: Rows, **more: Any) -> BootstrapSettings:
    """Settings over files written for them; few resamples unless asked otherwise."""
    return BootstrapSettings(
        ground_truth=lines(folder / "truth.jsonl", truths),
        predictions=lines(folder / "predictions.jsonl", predictions),
        **{"iterations": 60, **more},
    )


def one(name: str, *labels: str, **more: Any) -> dict[str, Any]:
    """A truth."""
    return {"sample_id": name, "labels": list(labels), **more}


def says(name: str, *labels: str, **more: Any) -> dict[str, Any]:
    """A prediction that is sure of its labels."""
    return {"sample_id": name, "scores": dict.fromkeys(labels, 1.0), **more}
