"""A made-up but lifelike demo run, the same every time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from beatsight.report import (
    ClassScore,
    DatasetSummary,
    DemoReport,
    Epoch,
    ExampleSong,
    Hit,
    HitScore,
    SongScore,
)
from beatsight.taxonomy import CLASSIFIER

if TYPE_CHECKING:
    from beatsight.gates.readiness import ReadinessReport

RATE = 22_050
LANES = {
    "kick": 0, "snare": 2, "hihat_closed": 3, "hihat_open": 3, "tom_high": 4, "tom_mid": 5, "tom_low": 5,
    "crash": 6, "ride": 6, "crash2": 6, "ride_bell": 6, "china": 6,
}  # fmt: skip
DECAY_S = {"kick": 0.12, "snare": 0.1, "hihat_closed": 0.03, "hihat_open": 0.2, "crash": 0.6, "tom_low": 0.2}
PITCH_HZ = {"kick": 60.0, "snare": 190.0, "tom_low": 95.0}


def _sound(label: str, random: np.random.Generator) -> np.ndarray:
    at = np.arange(round(0.5 * RATE)) / RATE
    decay = np.exp(-at / DECAY_S[label])
    noise = random.normal(size=at.size) * decay
    if label in ("hihat_closed", "hihat_open", "crash"):
        return 0.35 * np.diff(noise, prepend=0.0)
    tone = np.sin(2 * np.pi * PITCH_HZ[label] * at) * decay
    return tone + 0.25 * noise if label == "snare" else tone


def _song(random: np.random.Generator, seconds: float = 21.0, tempo: float = 112.0) -> ExampleSong:
    beat = 60.0 / tempo
    true: list[tuple[float, str, float]] = []
    for eighth in range(int(seconds / beat * 2)):
        at, step = 0.1 + eighth * beat / 2, eighth % 8
        hat = "hihat_open" if step == 7 else "hihat_closed"
        true.append((at, hat, 0.75 if step % 2 == 0 else 0.4))
        if step in (0, 3, 4):
            true.append((at, "kick", 0.9))
        if step in (2, 6):
            true.append((at, "snare", 0.85))
        if step == 5:
            true.append((at + beat / 4, "snare", 0.12))
        if eighth % 32 == 0:
            true.append((at, "crash", 1.0))
        if eighth % 32 >= 29:
            true.append((at, "tom_low", 0.8))
    audio = np.zeros(round((seconds + 1) * RATE))
    for at, label, velocity in true:
        sound, start = _sound(label, random), round(at * RATE)
        audio[start : start + sound.size] += velocity * sound
    audio = audio[: round(seconds * RATE)]
    missed = random.random(len(true)) < 0.06
    true_hits = [Hit(t, label, v, not gone) for (t, label, v), gone in zip(true, missed, strict=True)]
    found = [
        Hit(
            hit.time_s + random.normal(0, 0.004),
            hit.label,
            float(np.clip(hit.velocity + random.normal(0, 0.08), 0, 1)),
        )
        for hit in true_hits
        if hit.matched
    ]
    found += [Hit(float(t), "snare", 0.3, matched=False) for t in random.uniform(1, seconds, 6)]
    audio = (0.7 * audio / np.abs(audio).max()).astype(np.float32)
    beats = np.arange(0.1, seconds, beat)
    return ExampleSong(
        "test-03-rock", RATE, audio, true_hits, sorted(found, key=lambda h: h.time_s), beats, tempo, LANES
    )


def _hit_scores(random: np.random.Generator) -> list[HitScore]:
    rows = []
    for index, label in enumerate(CLASSIFIER):
        tp, fp, fn = 900 // (index + 1) + 7, int(random.integers(3, 30)), int(random.integers(2, 40))
        p, r = tp / (tp + fp), tp / (tp + fn)
        rows.append(HitScore(label, tp, fp, fn, p, r, 2 * p * r / (p + r)))
    # A label without a hit in the test songs has no score.
    return [*rows[:-1], HitScore("china", 0, 0, 0, None, float("nan"), None)]


def _dataset(random: np.random.Generator) -> DatasetSummary:
    counts = {
        label: {
            "train": int(random.integers(300, 2600)),
            "val": int(random.integers(40, 300)),
            "test": 60 + index,
        }
        for index, label in enumerate(CLASSIFIER)
    }
    return DatasetSummary(counts, {"train": 0.61, "val": 0.082, "test": 0.0931})


def _songs(random: np.random.Generator) -> list[SongScore]:
    rows = []
    for index, style in enumerate(
        ("rock", "funk", "jazz swing", "punk", "samba", "blast", "waltz", "odd meter")
    ):
        tempo, meter = (
            84.0 + 13 * index,
            "7/8" if style == "odd meter" else "3/4" if style == "waltz" else "4/4",
        )
        found = None if style == "blast" else tempo + float(random.normal(0, 0.4))
        rows.append(
            SongScore(f"test-{index:02d}-{style.replace(' ', '-')}", style, 0.80 + 0.02 * index, 401 + index,
                      11 * index, 23 - index, tempo, found, meter, None if style == "blast" else meter)
        )  # fmt: skip
    return rows


@pytest.fixture(scope="session")
def demo() -> DemoReport:
    """A demo run with misses, false hits, a label without a score and a song without a tempo."""
    random = np.random.default_rng(7)
    confusion = random.integers(0, 4, (12, 12)) * (random.random((12, 12)) < 0.3)
    np.fill_diagonal(confusion, random.integers(48, 70, 12))
    hits = _hit_scores(random)
    tp, fp, fn = (sum(getattr(row, name) for row in hits) for name in ("tp", "fp", "fn"))
    p, r = tp / (tp + fp), tp / (tp + fn)
    history = [
        Epoch(n, 1.9 * np.exp(-n / 5) + 0.05, 1.9 * np.exp(-n / 5) + 0.13 + 0.01 * random.random(),
              0.96 - 0.8 * np.exp(-n / 4), 1e-3 * (1 - n / 16))
        for n in range(1, 16)
    ]  # fmt: skip
    classes = [
        ClassScore(
            label,
            *(float(v) for v in random.uniform(0.8, 0.995, 3)),
            60 + index,
            float(random.uniform(0.3, 0.7)),
        )
        for index, label in enumerate(CLASSIFIER)
    ]
    return DemoReport(
        title="Demo: from nothing to a drum chart",
        generated="2025-01-31 12:00 UTC",
        version="0.1.0",
        machine="a laptop, 2 cores",
        seconds_by_step={"make songs": 14.2, "cut clips": 6.91, "train": 131.7, "chart": 22.4, "score": 0.83},
        dataset=_dataset(random),
        history=history,
        classes=classes,
        confusion_labels=CLASSIFIER,
        confusion=confusion,
        hits=hits,
        total=HitScore("total", tp, fp, fn, p, r, 2 * p * r / (p + r)),
        tolerance_ms=50.0,
        songs=_songs(random),
        example=_song(random),
        outputs=(
            ("demo/model.pth", "the trained network with its labels and thresholds"),
            ("demo/charts/", "a .bsm chart for each test song"),
        ),
        next_commands=(
            ("beatsight transcribe SONG.wav -o SONG.bsm --ml-model demo/model.pth", "Chart a song of yours."),
            ("beatsight collect labels LABELS.txt SONG.wav", "Add hits that you labelled in Audacity."),
            ("beatsight train --dataset dataset --epochs 40", "Train again on what was collected."),
        ),
    )  # fmt: skip


@pytest.fixture(scope="session")
def readiness(tmp_path_factory: pytest.TempPathFactory) -> ReadinessReport:
    """A run over every gate whose inputs attack the page."""
    from gate_inputs import readiness_run

    return readiness_run(tmp_path_factory.mktemp("gates"))
