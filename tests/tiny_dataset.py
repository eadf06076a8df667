"""Tiny songs of decaying sines and noise bursts, and datasets made of them, for tests of several rooms."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import soundfile

from beatsight.audio.features import FeatureConfig
from beatsight.audio.io import SAMPLE_RATE
from beatsight.events import Component, Event

# A small, quick log-mel clip: 16 frames of 16 bands.
TINY_FEATURES = FeatureConfig(n_fft=512, hop_length=256, n_mels=16, frames=16, pre_frames=4, f_min=40.0)

Hit = tuple[float, tuple[str, ...]]


def drum(label: str, rng: np.random.Generator, seconds: float = 0.15) -> np.ndarray:
    """One stroke: kick and toms are decaying sines, the rest noise bursts of different colour."""
    t = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    pitches = {"kick": 90.0, "tom_low": 150.0, "tom_mid": 220.0, "tom_high": 330.0}
    if label in pitches:
        return 0.4 * np.sin(2 * np.pi * pitches[label] * t) * np.exp(-t / 0.04)
    noise = rng.standard_normal(len(t))
    bright = np.diff(noise, prepend=0.0) if "hihat" in label else noise
    return 0.1 * bright * np.exp(-t / 0.03)


def write_song(path: Path, hits: Iterable[Hit], seconds: float, seed: int = 0) -> None:
    """A mono 16-bit song with these strokes over a faint noise."""
    rng = np.random.default_rng(seed)
    audio = 1e-4 * rng.standard_normal(int(seconds * SAMPLE_RATE))
    for onset_s, labels in hits:
        at = round(onset_s * SAMPLE_RATE)
        for label in labels:
            stroke = drum(label, rng)[: max(0, len(audio) - at)]
            audio[at : at + len(stroke)] += stroke
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, audio.clip(-1, 1), SAMPLE_RATE, subtype="PCM_16")


def events_of(hits: Iterable[Hit], path: str, session: str) -> list[Event]:
    """One event a label: drums that start together are several events at one time."""
    return [
        Event(
            sample_id=f"{path}:{onset_s}:{label}",
            session_id=session,
            onset_time=onset_s,
            components=[Component(label=label)],
            audio_path=path,
            source_set="tiny",
        )
        for onset_s, labels in hits
        for label in labels
    ]


def pattern(beats: int, labels: tuple[str, ...], start_s: float = 0.2, gap_s: float = 0.25) -> list[Hit]:
    """``beats`` strokes, the labels in turn."""
    return [(round(start_s + i * gap_s, 6), (labels[i % len(labels)],)) for i in range(beats)]


def tiny_songs(root: Path, sessions: int, labels: tuple[str, ...], beats: int = 6) -> list[Event]:
    """One song a session under ``root``; the events of all."""
    events: list[Event] = []
    for number in range(sessions):
        hits = pattern(beats, labels)
        write_song(root / f"song{number}.wav", hits, seconds=0.4 + 0.25 * beats, seed=number)
        events += events_of(hits, f"song{number}.wav", f"session-{number}")
    return events
