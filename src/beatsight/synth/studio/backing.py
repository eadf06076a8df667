"""Everything in a song that is not its drums: a band, recordings, voices, percussion, noise.

It is there to be ignored, so it must sound like what fools a drum transcriber: bass notes that begin like
kicks, strummed strings and sibilants that look like cymbals, hand claps, tambourines and shakers.

Conventions: mono float32 at 44.1 kHz, RMS 1. Percussion in it is labelled (a clap is a stroke to be told
apart, not one to be missed); recordings are taken to be free of drums.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.signal import sosfilt

from beatsight.audio import io
from beatsight.audio.io import SAMPLE_RATE
from beatsight.errors import InputError
from beatsight.synth.accompaniment import make_accompaniment
from beatsight.synth.grooves import make_groove
from beatsight.synth.room import convolve, make_room, shelf
from beatsight.synth.studio.bank import Bank
from beatsight.synth.studio.codec import through_codec
from beatsight.synth.studio.drumset import Drumset, DrumsetConfig
from beatsight.synth.studio.filters import high_pass, low_pass
from beatsight.synth.studio.guitars import guitars_of, play_guitar
from beatsight.synth.studio.instruments import Instrument, play_instruments
from beatsight.synth.studio.mixing import place_strokes
from beatsight.synth.studio.performances import Stroke
from beatsight.synth.studio.strings import play_strings, strum
from beatsight.synth.studio.voice import sing

_PERCUSSION = ("clap", "tambourine", "shaker", "cowbell")
_INT16 = 32767.0


@dataclass(frozen=True, eq=False)
class Recordings:
    """Sounds without drums, int16 with their factor to float, sorted by length; and instruments by notes."""

    long: tuple[tuple[np.ndarray, float], ...]
    short: tuple[tuple[np.ndarray, float], ...]
    instruments: tuple[Instrument, ...] = ()


def load_recordings(files: Sequence[Path], long_from_s: float = 6.0) -> Recordings:
    """Decode recordings; those of ``long_from_s`` and more can carry a song by themselves.

    Raises:
        InputError: one of them cannot be read.
    """
    long: list[tuple[np.ndarray, float]] = []
    short: list[tuple[np.ndarray, float]] = []
    for path in files:
        audio = io.load(path)
        peak = float(np.abs(audio).max(initial=0.0))
        if peak == 0.0:
            raise InputError(f"{path}: is silent")
        entry = (np.round(audio * (_INT16 / peak)).astype(np.int16), 1.0 / _INT16)
        (long if len(audio) >= long_from_s * SAMPLE_RATE else short).append(entry)
    return Recordings(tuple(long), tuple(short))


def _unit(audio: np.ndarray) -> np.ndarray:
    rms = float(np.sqrt(np.mean(np.square(audio, dtype=np.float64))))
    return (audio / np.float32(rms)).astype(np.float32) if rms > 1e-9 else audio.astype(np.float32)


def _varied(rng: np.random.Generator, entry: tuple[np.ndarray, float], spread: float) -> np.ndarray:
    """A recording as float, faster or slower."""
    stored, scale = entry
    ratio = 2.0 ** (rng.normal(0.0, spread) / 12.0)
    at = np.arange(0.0, len(stored) - 1.0, ratio)
    return np.interp(at, np.arange(len(stored)), stored).astype(np.float32) * np.float32(scale)


def _long_recording(rng: np.random.Generator, recordings: Recordings, n: int) -> np.ndarray | None:
    if not recordings.long:
        return None
    stored, scale = recordings.long[int(rng.integers(len(recordings.long)))]
    need = round(n * 1.4)
    first = int(rng.integers(max(1, len(stored) - need + 1)))
    audio = _varied(rng, (stored[first : first + need], scale), 2.0)
    return np.resize(audio, n) if len(audio) < n else audio[:n]


def _short_recordings(rng: np.random.Generator, recordings: Recordings, n: int) -> np.ndarray | None:
    """One-shots strewn over the song, some in a steady rhythm."""
    if not recordings.short:
        return None
    track = np.zeros(n, np.float32)
    for _ in range(int(rng.integers(1, 5))):
        audio = _varied(rng, recordings.short[int(rng.integers(len(recordings.short)))], 4.0)
        audio = audio[: round(rng.uniform(0.3, 4.0) * SAMPLE_RATE)]
        audio[-min(len(audio), 800) :] *= np.linspace(1, 0, min(len(audio), 800), dtype=np.float32)
        gap = rng.uniform(0.25, 4.0)
        for time in np.arange(rng.uniform(0.0, gap), n / SAMPLE_RATE, gap):
            if rng.random() < 0.75:
                first = min(n - 1, max(0, round((time + rng.normal(0.0, 0.01)) * SAMPLE_RATE)))
                part = audio[: n - first]
                track[first : first + len(part)] += part * np.float32(rng.uniform(0.5, 1.0))
    return track


def _band(rng: np.random.Generator, n: int) -> np.ndarray:
    """Bass, chords and lead of the built-in band, clean or driven."""
    performance = make_groove(rng, None, None, None, n / SAMPLE_RATE)
    audio = make_accompaniment(rng, performance, n)
    if rng.random() < 0.3:
        audio = np.tanh(audio * np.float32(rng.uniform(1.0, 8.0)))
    return audio


def _percussion(
    rng: np.random.Generator, bank: Bank, n: int, config: DrumsetConfig | None = None
) -> tuple[np.ndarray, list[Stroke]] | None:
    """One or two percussion instruments in a steady pattern."""
    known = [label for label in _PERCUSSION if config or label in bank.pieces]
    if not known:
        return None
    seconds, strokes = n / SAMPLE_RATE, []
    for label in rng.choice(known, size=min(len(known), int(rng.integers(1, 3))), replace=False):
        gap = float(rng.uniform(0.1, 0.35) if label in ("shaker", "tambourine") else rng.uniform(0.25, 1.2))
        pattern = rng.random(8) < rng.uniform(0.5, 1.0)
        accents = rng.uniform(0.3, 1.0, 8)
        for index, time in enumerate(np.arange(rng.uniform(0.05, 0.4), seconds - 0.2, gap)):
            if pattern[index % 8]:
                velocity = float(np.clip(accents[index % 8] + rng.normal(0.0, 0.08), 0.05, 1.0))
                strokes.append(Stroke(max(0.0, float(time + rng.normal(0.0, 0.008))), str(label), velocity))
    strokes.sort(key=lambda s: s.time_s)
    drums = Drumset(rng, bank, config or DrumsetConfig(own_kit_share=0.0))
    placed = place_strokes(rng, drums, strokes, n)
    return placed.track, placed.strokes


def _noise(rng: np.random.Generator, n: int) -> np.ndarray:
    """Hiss or rumble, swelling now and then as surf and cymbal-like washes do."""
    audio = rng.standard_normal(n, dtype=np.float32)
    edge = float(np.exp(rng.uniform(np.log(300.0), np.log(12000.0))))
    sections = high_pass(edge, 1) if rng.random() < 0.6 else low_pass(edge, 1)
    audio = sosfilt(sections, audio).astype(np.float32)
    points = np.arange(0.0, n / SAMPLE_RATE + 1.0, rng.uniform(0.3, 3.0))
    swell = 10 ** (rng.uniform(-25.0, 0.0, len(points)) / 20)
    return audio * np.interp(np.arange(n) / SAMPLE_RATE, points, swell).astype(np.float32)


def _treated(rng: np.random.Generator, audio: np.ndarray) -> np.ndarray:
    if rng.random() < 0.5:
        audio = convolve(audio, make_room(rng))
    if rng.random() < 0.6:
        filters = [
            shelf(rng.uniform(100.0, 300.0), rng.normal(0.0, 4.0), high=False),
            shelf(rng.uniform(2500.0, 8000.0), rng.normal(0.0, 5.0), high=True),
        ]
        if rng.random() < 0.2:
            filters.append(low_pass(float(np.exp(rng.uniform(np.log(3000.0), np.log(14000.0))))))
        audio = sosfilt(np.vstack(filters), audio).astype(np.float32)
    if rng.random() < 0.3:
        drive = rng.uniform(0.5, 4.0)
        audio = np.tanh(_unit(audio) * np.float32(drive))
    if rng.random() < 0.05:
        audio = through_codec(audio, float(rng.uniform(0.0, 0.35)))
    return audio


@dataclass(frozen=True)
class BackingConfig:
    """How backings are drawn.

    Attributes:
        strum_share: of songs with strummed steel strings.
        synthetic_percussion_share: of songs with invented tambourines, shakers, claps and bells.
        instrument_share: of songs with recorded instruments, where there are any.
        guitar_share: of songs with a strummed guitar of recorded notes, likewise.
    """

    strum_share: float = 0.0
    synthetic_percussion_share: float = 0.0
    instrument_share: float = 0.0
    guitar_share: float = 0.0


def make_backing(
    rng: np.random.Generator,
    bank: Bank,
    recordings: Recordings,
    n: int,
    config: BackingConfig | None = None,
) -> tuple[np.ndarray, list[Stroke]]:
    """The rest of a song.

    Args:
        rng: source of every choice.
        bank: where percussion comes from.
        recordings: sounds without drums.
        n: length in samples.
        config: what is drawn beside the rest.

    Returns:
        float32 of shape (n,), RMS 1 (zeros if nothing plays); and the percussion strokes in it.
    """
    layers: list[tuple[float, Callable[[], np.ndarray | None]]] = [
        (0.4, lambda: _band(rng, n)),
        (0.5, lambda: play_strings(rng, n)),
        (0.35, lambda: sing(rng, n)),
        (0.35, lambda: _long_recording(rng, recordings, n)),
        (0.2, lambda: _short_recordings(rng, recordings, n)),
        (0.15, lambda: _noise(rng, n)),
    ]
    track = np.zeros(n, np.float32)
    for share, make in layers:
        if rng.random() < share:
            layer = make()
            if layer is not None and float(np.abs(layer).max(initial=0.0)) > 0.0:
                track += _unit(layer) * np.float32(10 ** (rng.normal(0.0, 4.0) / 20))
    config = config or BackingConfig()
    if config.strum_share and rng.random() < config.strum_share:
        track += _unit(strum(rng, n)) * np.float32(10 ** (rng.normal(0.0, 4.0) / 20))
    if recordings.instruments and config.instrument_share and rng.random() < config.instrument_share:
        band = play_instruments(rng, list(recordings.instruments), n)
        track += _unit(band) * np.float32(10 ** (rng.normal(2.0, 4.0) / 20))
    guitars = guitars_of(recordings.instruments)
    if guitars and config.guitar_share and rng.random() < config.guitar_share:
        track += _unit(play_guitar(rng, guitars, n)) * np.float32(10 ** (rng.normal(2.0, 4.0) / 20))
    strokes: list[Stroke] = []
    if config.synthetic_percussion_share and rng.random() < config.synthetic_percussion_share:
        found = _percussion(
            rng, Bank({}, ()), n, DrumsetConfig(own_kit_share=0.0, synthetic_percussion_share=1.0)
        )
        if found is not None:
            audio, strokes = found
            track += _unit(audio) * np.float32(10 ** (rng.normal(-4.0, 5.0) / 20))
    elif rng.random() < 0.28 and (found := _percussion(rng, bank, n)) is not None:
        audio, strokes = found
        if float(np.abs(audio).max(initial=0.0)) > 0.0:
            track += _unit(audio) * np.float32(10 ** (rng.normal(-5.0, 4.0) / 20))
    return _unit(_treated(rng, track)), strokes
