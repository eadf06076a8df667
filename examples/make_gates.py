"""Make the inputs of the readiness gates in ``examples/gates`` again; ``make.py`` calls it.

Everything is made up: tables with planted answers, and six seconds of the built-in kit on three microphones.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from beatsight.audio.io import SAMPLE_RATE, save
from beatsight.events import Component, Event, Loudness, dynamic_bucket, read_events, write_records
from beatsight.files import write_text
from beatsight.gates.health import health_gate
from beatsight.gates.readiness_file import read_jobs
from beatsight.gates.result import write_report
from beatsight.synth.kit import make_kit

_SECONDS = 6.0
_BEAT_S = 0.5
# How loud each microphone hears kick, snare and hats, and by how many samples it is late.
_MICS = {
    "kick_in": ((0.8, 0.12, 0.06), 0),
    "snare_top": ((0.15, 0.7, 0.15), 6),
    "overhead": ((0.3, 0.4, 0.35), 0),
}


def alignment_inputs(folder: Path) -> None:
    """Write ``session/session.json`` and its three recordings; ``snare_top`` is 6 samples (0.136 ms) late."""
    kit, rng = make_kit(7), np.random.default_rng(7)
    labels = ("kick", "snare", "hihat_closed")
    hits = [(step * _BEAT_S / 2 + 0.1, "hihat_closed") for step in range(23)]
    hits += [(beat * _BEAT_S + 0.1, ("kick", "snare")[beat % 2]) for beat in range(11)]
    for name, (gains, late) in _MICS.items():
        audio = rng.normal(0.0, 2e-4, int(_SECONDS * SAMPLE_RATE))
        for take, (time, label) in enumerate(hits):
            sound = kit.render(label, 0.7, take=take)
            start = int(time * SAMPLE_RATE) + late
            sound = sound[: len(audio) - start]
            audio[start : start + len(sound)] += 0.6 * gains[labels.index(label)] * sound
        save(folder / "session" / f"{name}.ogg", audio)
    mics = [{"name": name, "path": f"{name}.ogg"} for name in _MICS]
    text = json.dumps({"session_id": "session_001", "mics": mics}, indent=2)
    write_text(folder / "session" / "session.json", text + "\n")


_HEALTH_LABELS = ("kick", "snare", "hihat_closed", "hihat_open", "crash", "ride_bow")
_TECHNIQUES = {"hihat_open": "hihat_bark", "crash": "multi_cymbal_same_class"}
_SIDES = ("train", "train", "val")
# Moments of a session: one bar of each of these hits, over and over.
_BAR = (
    ("kick", "crash"),
    ("hihat_closed",),
    ("snare", "hihat_closed"),
    ("hihat_open",),
    ("kick", "ride_bow"),
)


def health_inputs(folder: Path) -> None:
    """Three sessions of three drummers, what they must hold, and which side of the split each is on."""
    write_records(
        folder / "health_events.jsonl", [_event(n, i) for n in range(len(_SIDES)) for i in range(20)]
    )
    write_text(folder / "health_components.json", json.dumps({"components": list(_HEALTH_LABELS)}) + "\n")
    write_text(
        folder / "health_labels.txt", "# must occur in every release\nkick\nsnare\nhihat_open\nride_bow\n"
    )
    write_text(folder / "health_techniques.txt", "# must occur in every release\nhihat_bark\n")
    write_text(folder / "health_min_counts.json", json.dumps({"kick": 20, "snare": 10, "crash": 10}) + "\n")
    sides = {f"session_{number}": side for number, side in enumerate(_SIDES)}
    write_text(
        folder / "health_split.json", json.dumps({"format": "beatsight-split/1", "sessions": sides}) + "\n"
    )
    durations = {"train": 20.0, "val": 10.0}
    metadata = {
        "split_durations_seconds": durations,
        "duration_seconds_by_source": {"own": 20.0, "synth": 10.0},
    }
    write_text(folder / "health_metadata.json", json.dumps(metadata) + "\n")


def _event(number: int, index: int) -> Event:
    velocity = 0.2 + 0.04 * index
    parts = [
        Component(
            label=label,
            velocity=round(velocity, 2),
            dynamic_bucket=dynamic_bucket(velocity),
            openness={"hihat_open": 0.8, "hihat_closed": 0.05}.get(label),
            instrument_variant=f"crash_{1 + index % 2}" if label == "crash" else None,
        )
        for label in _BAR[index % len(_BAR)]
    ]
    return Event(
        sample_id=f"h{number}-{index:03d}", session_id=f"session_{number}", onset_time=0.5 * index,
        components=parts, drummer_id=f"drummer_{number}", kit_id=f"kit_{number}", room_id=f"room_{number}",
        source_set="synth" if number == 1 else "own", is_synthetic=number == 1, tempo_bpm=100.0 + 20 * number,
        meter="5/4", techniques=[_TECHNIQUES[p.label] for p in parts if p.label in _TECHNIQUES] or None,
        bleed_level="low", mix_context="full_mix",
        loudness=Loudness(LUFS_i=-24.0 + index % 7, peak_dbfs=-6.0 + index % 4),
    )  # fmt: skip


# Window, hop (ms) as `beatsight manifest boundary-pack` writes them by default.
_WINDOW, _HOP = 2048, 512
_EDGE_LABELS = ("kick", "snare", "hihat_closed", "ride_bow", "tom_low", "crash")


def boundary_inputs(folder: Path) -> None:
    """Forty hits at window edges; a model that misses one trailing low tom and invents one crash."""
    truths, predictions = [], []
    for index in range(40):
        edge = "leading" if index % 2 == 0 else "trailing"
        label = _EDGE_LABELS[index // 2 % len(_EDGE_LABELS)]
        row = {
            "sample_id": f"boundary_{index + 1:04d}",
            "labels": [label] if label != "crash" else ["crash", "kick"],
            "window_index": index // 2,
            "window_size": _WINDOW,
            "hop_size": _HOP,
            "edge": edge,
        }
        truths.append(row)
        scores = {name: 0.04 + 0.01 * (index % 5) for name in _EDGE_LABELS}
        scores |= {name: 0.93 - 0.01 * (index % 7) for name in row["labels"]}
        if label == "tom_low" and index == 33:
            scores["tom_low"] = 0.31
        if index == 18:
            scores["crash"] = 0.58
        predictions.append(
            {
                "sample_id": row["sample_id"],
                "scores": {name: round(score, 2) for name, score in scores.items()},
            }
        )
    for name, rows in (("boundary_labels", truths), ("boundary_predictions", predictions)):
        write_text(folder / f"{name}.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    thresholds = {"tom_low": 0.3, "crash": 0.6}
    write_text(folder / "boundary_thresholds.json", json.dumps(thresholds, indent=2) + "\n")


# Of forecasts at this score, so many in so many are true.
_LEVELS = ((0.9, 9, 10), (0.7, 7, 10), (0.5, 5, 10), (0.3, 3, 10), (0.1, 2, 20), (0.025, 1, 40))


def _write_rows(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def rank_inputs(folder: Path) -> None:
    """Write ``openset_*`` and ``calibration_*`` into ``folder``."""
    openset_inputs(folder)
    calibration_inputs(folder)


def openset_inputs(folder: Path) -> None:
    """40 drums that a model knows and 20 sounds that it does not; one of each lies on the wrong side."""
    truth, predictions = [], []
    for index in range(60):
        known = index % 3 != 2
        # Steps of a golden-ratio sequence: spread evenly, without a random generator.
        step = (index * 0.618034) % 1
        best = 0.6 + 0.39 * step if known else 0.05 + 0.4 * step
        if index in (15, 20):
            best = 0.31 if known else 0.88
        first, second = ("snare", "kick") if index % 2 else ("hihat_closed", "tom_low")
        sample = f"open_{index:04d}"
        truth.append({"sample_id": sample, "is_known": known})
        predictions.append(
            {
                "sample_id": sample,
                "scores": {first: round(best, 3), second: round(best * 0.2, 3)},
                "rejection_score": round(1.5 - 2 * best + 0.3 * step, 3),
            }
        )
    _write_rows(folder / "openset_truth.jsonl", truth)
    _write_rows(folder / "openset_predictions.jsonl", predictions)


def calibration_inputs(folder: Path) -> None:
    """100 moments, loud and soft in turn, with scores that keep their word to a few hundredths."""
    forecasts = [(score, index < true) for score, true, count in _LEVELS for index in range(count)]
    truth, predictions = [], []
    for index in range(100):
        parts, scores = [], {}
        # Each label takes the same forecasts in an order of its own.
        for label, stride, bias in (("kick", 7, 0.25), ("snare", 11, 0.0), ("hihat_closed", 13, -0.2)):
            score, true = forecasts[(index * stride + stride) % 100]
            # Where it is unsure, the model says kick too often and hi-hat too seldom.
            unsure = score * (1 - score)
            scores[label] = round(score + unsure * (bias + 0.1 * (index % 5 - 2)), 3)
            if true:
                parts.append({"label": label, "velocity": (0.1, 0.25, 0.5, 0.9)[index % 4]})
        sample = f"cal_{index:04d}"
        row = {"sample_id": sample, "session_id": "take_1", "onset_time": index / 4, "components": parts}
        truth.append(row if parts else row | {"negative_example": True})
        predictions.append({"sample_id": sample, "scores": scores})
    _write_rows(folder / "calibration_truth.jsonl", truth)
    _write_rows(folder / "calibration_predictions.jsonl", predictions)


_SONG_LABELS = ("kick", "snare", "hihat_open", "ride_bow", "crash")
_SESSIONS, _HITS = 24, 4


def bootstrap_inputs(folder: Path) -> None:
    """Four hits of each of 24 songs, and what a model and the one before it make of them."""
    random = np.random.default_rng(5)
    truths, models = [], {"bootstrap_predictions": [], "bootstrap_earlier_predictions": []}
    for at in range(_SESSIONS * _HITS):
        true = [
            label
            for label, is_true in zip(
                _SONG_LABELS, random.random(5) < (0.5, 0.4, 0.3, 0.3, 0.15), strict=True
            )
            if is_true
        ]
        row = {
            "sample_id": f"song{at // _HITS + 1:02d}_{at % _HITS + 1}",
            "session_id": f"song{at // _HITS + 1:02d}",
            "onset_time": round(1.0 + at % _HITS * 0.5, 3),
            "labels": true or ["kick"],
            "velocity": round(float(random.uniform(0.2, 1.0)), 2),
        }
        if "hihat_open" in row["labels"]:
            row["openness"] = round(float(random.uniform(0.4, 1.0)), 2)
        truths.append(row)
        for name, noise in (("bootstrap_predictions", 0.19), ("bootstrap_earlier_predictions", 0.2)):
            scores = [
                0.25 + 0.5 * (label in row["labels"]) + noise * random.standard_normal()
                for label in _SONG_LABELS
            ]
            found = {
                "sample_id": row["sample_id"],
                "scores": {
                    label: round(min(1.0, max(0.0, score)), 2)
                    for label, score in zip(_SONG_LABELS, scores, strict=True)
                },
                "onset_time": round(row["onset_time"] + float(random.normal(0.0, 0.015)), 3),
                "velocity_pred": round(
                    min(1.0, max(0.0, row["velocity"] + float(random.normal(0.0, 0.1)))), 2
                ),
            }
            if "openness" in row:
                found["openness_pred"] = round(min(1.0, row["openness"] + float(random.normal(0.0, 0.1))), 2)
            models[name].append(found)
    for name, rows in {"bootstrap_truth": truths, **models}.items():
        write_text(folder / f"{name}.jsonl", "".join(json.dumps(row) + "\n" for row in rows))


# The release before had this many moments more, so that a comparison has something to show.
_MORE = 10
_LATER_S = 100.0


def all_inputs(folder: Path) -> None:
    """``health-baseline.json``: the health of ``health_events.jsonl`` when it was larger, by today's limits.

    Needs ``readiness.toml`` and the files of its section ``[health]`` in ``folder``; call it last.
    """
    target = folder.resolve() / "health-baseline.json"
    with tempfile.TemporaryDirectory() as copy:
        for path in [folder / "readiness.toml", *folder.glob("health_*")]:
            shutil.copy(path, copy)
        with contextlib.chdir(copy):
            [job] = [job for job in read_jobs("readiness.toml") if job.gate == "health"]
            [manifest] = job.settings.events
            again = read_events(manifest)[:_MORE]
            for event in again:
                event.sample_id += "-later"
                event.onset_time += _LATER_S
            write_records(manifest, [*read_events(manifest), *again])
            write_report(health_gate(job.settings), target)


def main(folder: Path) -> None:
    """Write every input; ``readiness.toml`` is written by hand and must lie there."""
    alignment_inputs(folder)
    health_inputs(folder)
    boundary_inputs(folder)
    rank_inputs(folder)
    bootstrap_inputs(folder)
    all_inputs(folder)


if __name__ == "__main__":
    main(Path(__file__).parent / "gates")
