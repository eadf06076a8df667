"""Sessions of several microphones with delays, drifts and faults put in on purpose, exact to the fraction."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from beatsight.audio.io import save

Audio = npt.NDArray[np.float64]
RATE = 44_100
_MARGIN = 2048


def delayed(audio: Audio, samples: float, per_minute: float = 0.0, rate: int = RATE) -> Audio:
    """The sound, later by ``samples`` at its start and by ``per_minute`` more each minute.

    Blocks are moved as a whole by their phase. A drifting block is short: within it the delay changes by less
    than a hundredth of a sample, and the first derivative follows it (what is left out is below -90 dB).
    """
    out = np.empty(len(audio))
    block = 4096 if per_minute else 32_768
    size = block + 2 * _MARGIN
    turn = 2j * np.pi * np.fft.rfftfreq(size)
    turn[-1] = 0.0  # the highest frequency has no phase of its own
    for start in range(0, len(audio), block):
        delay = samples + per_minute * (start + block / 2) / rate / 60
        whole = round(delay)
        first = start - _MARGIN - whole
        part = np.zeros(size)
        low, high = max(first, 0), min(first + size, len(audio))
        if high > low:
            part[low - first : high - first] = audio[low:high]
        spectrum = np.fft.rfft(part) * np.exp(-turn * (delay - whole))
        here = slice(_MARGIN, _MARGIN + min(block, len(audio) - start))
        out[start : start + block] = np.fft.irfft(spectrum, size)[here]
        if per_minute:
            steps = np.arange(here.stop - here.start) - block / 2
            slope = np.fft.irfft(turn * spectrum, size)[here]
            out[start : start + block] -= steps / rate / 60 * per_minute * slope
    return out


def placed(
    kinds: Sequence[Mapping[str, Audio]], seconds: float, hits: int, seed: int, rate: int = RATE
) -> dict[str, Audio]:
    """Hits at random times, of random kinds and loudness, as each microphone heard them."""
    rng = np.random.default_rng(seed)
    out = {name: np.zeros(int(seconds * rate)) for name in kinds[0]}
    for time in np.sort(rng.uniform(0.3, seconds - 0.3, hits)):
        kind, gain, start = kinds[rng.integers(len(kinds))], rng.uniform(0.1, 0.4), int(time * rate)
        for name, audio in out.items():
            sound = kind[name][: len(audio) - start]
            audio[start : start + len(sound)] += gain * sound
    return out


def bursts(seconds: float, hits: int = 100, seed: int = 1, rate: int = RATE) -> Audio:
    """Decaying bursts of white noise, each of its own."""
    rng = np.random.default_rng(seed)
    length = int(0.1 * rate)
    kinds = [
        {"noise": np.clip(rng.normal(0, 0.5, length) * np.exp(-np.arange(length) / (0.02 * rate)), -2, 2)}
        for _ in range(40)
    ]
    return placed(kinds, seconds, hits, seed, rate)["noise"]


def write_session(
    folder: Path, mics: Mapping[str, npt.NDArray[np.floating]], rate: int = RATE, name: str = "session.json"
) -> Path:
    """The microphones as 24-bit files in ``folder``, and their manifest."""
    for mic, audio in mics.items():
        save(folder / f"{mic}.wav", np.asarray(audio, np.float32), rate, "PCM_24")
    return write_manifest(folder / name, {mic: f"{mic}.wav" for mic in mics})


def write_manifest(path: Path, mics: Mapping[str, str], session_id: str = "session_001") -> Path:
    """A manifest alone."""
    entries = [{"name": name, "path": where} for name, where in mics.items()]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"session_id": session_id, "mics": entries}), encoding="utf-8")
    return path
