"""What befalls a recording: drums heard on other drums' microphones, an old tape, an MP3.

Apart from the drum bus (:func:`beatsight.synth.studio.mixing.treat_bus`), because a tape moves time: its
speed wavers (IEC 60386 calls it wow below 6 Hz and flutter above), and what is heard moves with it by some
milliseconds. :meth:`Damage.heard_at` moves the labels in the same way. All draws come from a generator of
their own, so that a song without damage is the same song.

Conventions: mono float32 at 44.1 kHz, times in seconds from the first sample; nothing changes a length.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.signal import sosfilt

from beatsight.audio.io import SAMPLE_RATE
from beatsight.synth.studio.codec import through_mp3
from beatsight.synth.studio.filters import high_pass, low_pass
from beatsight.synth.studio.mixing import BusConfig

# Hz and peak deviation of the speed: slow drift of a belt, wow of a reel, flutter of a capstan. Domestic
# machines of the seventies are specified at 0.1 to 0.3 % (weighted peak); worn ones do several times that.
_WAVERS = (((0.05, 0.3), 0.002), ((0.5, 2.0), 0.003), ((6.0, 14.0), 0.0015))
# The place on the tape is computed at so many points a second and drawn through them.
_POINTS_HZ = 200.0
# Close microphones that hear the rest of the set: how many, how far away (m), how loud against it (dB).
_NEIGHBOURS, _DISTANCE_M, _BLEED_DB = (2, 5), (0.3, 1.6), (-32.0, -14.0)
_SOUND_M_S = 343.0
# Qualities of MP3: some 45 to 80 kbit/s of a mono track, as files of the early years are.
_MP3 = (0.2, 0.7)


@dataclass(frozen=True, eq=False)
class Tape:
    """An old tape.

    Attributes:
        offset_s: how much later in the original lies what is heard at each point, seconds; shape (points,),
            0 at both ends, so that nothing is cut off.
        drive: linear gain into the saturation, of a track whose 99.9th percentile is 1.
        top_hz: what lies above is gone.
        hiss: RMS of the noise, of a track whose 99.9th percentile is 1.
        dropouts: (second, length in s, gain) of places where the coating came off.
    """

    offset_s: np.ndarray
    drive: float
    top_hz: float
    hiss: float
    dropouts: tuple[tuple[float, float, float], ...]


@dataclass(frozen=True, eq=False)
class Damage:
    """What one song suffers; None for each that it does not.

    Attributes:
        seconds: length of the song.
        bleed: (delay in samples, gain, upper Hz) of each microphone that hears the whole set.
        tape: the tape.
        mp3: quality 0..1.
        seed: of the noise.
    """

    seconds: float
    bleed: tuple[tuple[int, float, float], ...] = ()
    tape: Tape | None = None
    mp3: float | None = None
    seed: int = 0

    def names(self) -> list[str]:
        """What befell the song, in its order."""
        marks = (("bleed", self.bleed), ("tape", self.tape), ("mp3", self.mp3 is not None))
        return [name for name, there in marks if there]

    def bled(self, track: np.ndarray) -> np.ndarray:
        """Dry drums and their bleed: late, dull and soft, shape kept."""
        out = track
        for delay, gain, top_hz in self.bleed:
            late = np.zeros_like(track)
            late[delay:] = track[: len(track) - delay]
            out = out + sosfilt(low_pass(top_hz, 1), late).astype(np.float32) * np.float32(gain)
        return out

    def warped(self, audio: np.ndarray) -> np.ndarray:
        """The audio as the wavering tape plays it: linear, so stems stay stems of their mix."""
        if self.tape is None:
            return audio
        at = np.arange(len(audio))
        offset = np.interp(at, self._points() * SAMPLE_RATE, self.tape.offset_s * SAMPLE_RATE)
        return _read_at(audio, at + offset)

    def heard_at(self, times_s: np.ndarray) -> np.ndarray:
        """When a moment of the original is heard, seconds: where :meth:`warped` puts it."""
        if self.tape is None:
            return times_s
        points = self._points()
        return np.interp(times_s, points + self.tape.offset_s, points)

    def worn(self, audio: np.ndarray) -> np.ndarray:
        """The tape's saturation, treble, drop-outs and hiss, and the coding; not linear, shape kept."""
        scale = np.float32(np.percentile(np.abs(audio), 99.9)) if len(audio) else np.float32(0.0)
        if self.tape is not None and scale > 0.0:
            tape, drive = self.tape, np.float32(self.tape.drive)
            audio = np.tanh(audio * (drive / scale)) * (scale / drive)
            audio = sosfilt(low_pass(tape.top_hz), audio).astype(np.float32)
            audio = audio * self._gain(len(audio))
            noise = np.random.default_rng(self.seed).standard_normal(len(audio), dtype=np.float32)
            noise = sosfilt(high_pass(1500.0, 1), noise).astype(np.float32)
            audio = audio + noise * (scale * np.float32(tape.hiss))
        if self.mp3 is not None:
            audio = through_mp3(audio, self.mp3)
        return audio.astype(np.float32, copy=False)

    def _points(self) -> np.ndarray:
        assert self.tape is not None
        return np.linspace(0.0, self.seconds, len(self.tape.offset_s))

    def _gain(self, n: int) -> np.ndarray:
        assert self.tape is not None
        gain = np.ones(n, np.float32)
        for start_s, length_s, depth in self.tape.dropouts:
            first, size = round(start_s * SAMPLE_RATE), round(length_s * SAMPLE_RATE)
            part = gain[first : first + size]
            part -= (np.float32(1.0 - depth) * np.hanning(size).astype(np.float32))[: len(part)]
        return np.maximum(gain, np.float32(0.0))


def _read_at(audio: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Samples between samples, by a cubic through four (Catmull and Rom): 0.3 dB lost at 8 kHz, 1.5 at 12."""
    last = len(audio) - 1
    base = np.floor(at).astype(np.int64)
    x = (at - base).astype(np.float32)
    a, b, c, d = (audio[np.clip(base + k, 0, last)] for k in (-1, 0, 1, 2))
    half = np.float32(0.5)
    three = half * (d - a) + np.float32(1.5) * (b - c)
    two = a - np.float32(2.5) * b + np.float32(2.0) * c - half * d
    return ((three * x + two) * x + half * (c - a)) * x + b


def _draw_tape(rng: np.random.Generator, seconds: float) -> Tape:
    count = max(3, round(seconds * _POINTS_HZ) + 1)
    time = np.linspace(0.0, seconds, count)
    offset = np.zeros(count)
    worn = float(np.exp(rng.uniform(np.log(0.2), np.log(1.5))))
    for (low, high), depth in _WAVERS:
        hz = rng.uniform(low, high)
        size = worn * depth * rng.uniform(0.3, 1.0) / (2 * np.pi * hz)
        offset += size * np.sin(2 * np.pi * hz * time + rng.uniform(0.0, 2 * np.pi))
    # From the first sample to the last, and never backwards.
    edge = np.minimum(1.0, np.minimum(time, seconds - time) / min(0.5, seconds / 4))
    number = int(rng.poisson(0.05 * seconds))
    dropouts = tuple(
        (float(rng.uniform(0.0, seconds)), float(rng.uniform(0.02, 0.15)), float(rng.uniform(0.1, 0.7)))
        for _ in range(number)
    )
    return Tape(
        offset_s=offset * edge,
        drive=float(10 ** (rng.uniform(-6.0, 6.0) / 20)),
        top_hz=float(np.exp(rng.uniform(np.log(5000.0), np.log(15000.0)))),
        hiss=float(10 ** (rng.uniform(-62.0, -38.0) / 20)),
        dropouts=dropouts,
    )


def _draw_bleed(rng: np.random.Generator) -> tuple[tuple[int, float, float], ...]:
    return tuple(
        (
            round(rng.uniform(*_DISTANCE_M) / _SOUND_M_S * SAMPLE_RATE),
            float(10 ** (rng.uniform(*_BLEED_DB) / 20)),
            float(np.exp(rng.uniform(np.log(1500.0), np.log(9000.0)))),
        )
        for _ in range(int(rng.integers(_NEIGHBOURS[0], _NEIGHBOURS[1] + 1)))
    )


def draw_damage(rng: np.random.Generator, seconds: float, config: BusConfig) -> Damage:
    """What a song suffers.

    Args:
        rng: source of every choice; nothing else may draw from it.
        seconds: length of the song.
        config: its ``bleed_share``, ``tape_share`` and ``mp3_share`` say how likely each is.

    >>> draw_damage(np.random.default_rng(1), 5.0, BusConfig()).names()
    []
    """
    bleed, tape, mp3 = _draw_bleed(rng), _draw_tape(rng, seconds), float(rng.uniform(*_MP3))
    seed = int(rng.integers(1 << 32))
    with_bleed, with_tape, with_mp3 = rng.random(3) < (
        config.bleed_share,
        config.tape_share,
        config.mp3_share,
    )
    return Damage(
        seconds=seconds,
        bleed=bleed if with_bleed else (),
        tape=tape if with_tape else None,
        mp3=mp3 if with_mp3 else None,
        seed=seed,
    )
