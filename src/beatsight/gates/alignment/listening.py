"""Microphone files to what the gate needs of them, streamed: memory stays that of a few seconds of sound.

A file is decoded twice: :func:`listen` takes its level, loudness over time and mean spectrum, and later
:func:`windows` cuts out the moments around the hits. Of loudness and spectrum the first difference of the
signal is taken, as cymbals and sticks would drown in the low drums otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, repeat
from pathlib import Path

import numpy as np
import numpy.typing as npt
import scipy.fft

from beatsight.audio.io import probe, stream

Floats = npt.NDArray[np.float32]

# A microphone below this peak heard nothing of a drum kit.
SILENT_PEAK = 10.0 ** (-60.0 / 20.0)
# Full scale, less what a lossless 16-bit file or a rounding may lack; three such samples in a row are a flat
# top, which a wave that only just reaches full scale does not have.
_CLIP_LEVEL = 0.9995
_CLIP_RUN = 3
# Short against a stroke's attack and its ringing.
_HOP_MS = 5.8
# The part of a hit that is looked for: its attack and first ringing.
_TEMPLATE_MS = 46.0
# Paths from the drums of one kit to two microphones differ by no more: 4 m of air.
_SPREAD_MS = 12.0
_FADE_MS = 5.8


@dataclass(frozen=True)
class Layout:
    """Lengths in samples at one sample rate.

    Attributes:
        rate: in Hz.
        hop: one value of loudness; a power of two.
        template: the part of a hit that is looked for.
        search: the largest delay.
        spread: how far the delays of single hits may lie from the common one.
        fade: soft edge of a window.
        size: of the Fourier transforms: a multiple of ``hop`` with small factors.
    """

    rate: int
    hop: int
    template: int
    search: int
    spread: int
    fade: int
    size: int

    @property
    def reach(self) -> int:
        """Largest lag that is computed."""
        return self.search + self.spread

    @property
    def window(self) -> int:
        """Length of the target's window around a hit."""
        return self.template + 2 * (self.reach + self.fade)

    @property
    def before(self) -> int:
        """How much of the template lies before the frame in which the hit was noticed."""
        return self.hop


def layout(rate: int, search_ms: float) -> Layout:
    """Lengths for one rate.

    >>> layout(44100, 50.0).search, layout(44100, 50.0).hop
    (2205, 256)
    """

    def samples(ms: float) -> int:
        return max(1, round(ms / 1000.0 * rate))

    hop = 2 ** max(0, round(math.log2(_HOP_MS / 1000.0 * rate)))
    template, search, spread, fade = map(samples, (_TEMPLATE_MS, search_ms, _SPREAD_MS, _FADE_MS))
    needed = template + 2 * (search + spread + fade)
    size = hop * scipy.fft.next_fast_len(-(-needed // hop), real=True)
    return Layout(rate, hop, template, search, spread, fade, size)


@dataclass(frozen=True)
class Sound:
    """What one file sounds like as a whole.

    Attributes:
        sample_rate, channels, seconds: of the file.
        peak: largest absolute sample.
        clipped: runs of samples at full scale.
        energy: mean square of the differenced signal in every hop, at the session's rate: shape (hops,).
        power: mean power spectrum of the signal, shape (size / 2 + 1,).
    """

    sample_rate: int
    channels: int
    seconds: float
    peak: float
    clipped: int
    energy: Floats
    power: Floats

    @property
    def silent(self) -> bool:
        """Whether nothing of a drum kit can be in it."""
        return self.peak < SILENT_PEAK


class _Level:
    """Length, peak and clipping of a file at its own rate."""

    def __init__(self) -> None:
        self.frames, self.peak, self.clipped = 0, 0.0, 0
        self._run = 0

    def add(self, block: Floats) -> None:
        peak = float(np.abs(block).max())
        self.frames, self.peak = self.frames + len(block), max(self.peak, peak)
        if peak < _CLIP_LEVEL:
            self._run = 0
            return
        # Where each run begins and ends; a run of the block before goes on.
        full = np.concatenate([np.ones(self._run, bool), np.abs(block) >= _CLIP_LEVEL, [False]])
        edges = np.flatnonzero(np.diff(full, prepend=False))
        lengths = edges[1::2] - edges[::2]
        open_run = int(lengths[-1]) if len(lengths) and edges[-1] == len(full) - 1 else 0
        counted = self._run >= _CLIP_RUN  # the run that goes on was counted with the block before
        self.clipped += int((lengths >= _CLIP_RUN).sum()) - counted
        self._run = min(open_run, _CLIP_RUN)


class _Shape:
    """Loudness over time and mean spectrum, at the session's rate."""

    def __init__(self, lengths: Layout) -> None:
        self._lengths = lengths
        self._rest = np.zeros(0, np.float32)
        self._last = np.float32(0.0)
        self._energy: list[Floats] = []
        self._power = np.zeros(lengths.size // 2 + 1)
        self._units = 0
        self._taper = np.hanning(lengths.size + 1)[:-1].astype(np.float32)

    def add(self, block: Floats) -> None:
        held = np.concatenate([self._rest, block])
        whole = len(held) // self._lengths.size * self._lengths.size
        self._rest = held[whole:]
        if not whole:
            return
        units = held[:whole].reshape(-1, self._lengths.size)
        spectrum = scipy.fft.rfft(units * self._taper, axis=1)
        self._power += (spectrum.real**2 + spectrum.imag**2).sum(axis=0, dtype=np.float64)
        self._units += len(units)
        rise = np.diff(held[:whole], prepend=self._last)
        self._last = held[whole - 1]
        self._energy.append((rise.reshape(-1, self._lengths.hop) ** 2).mean(axis=1))

    def finish(self) -> tuple[Floats, Floats]:
        """Energy of every hop and mean power, the last unit filled with silence."""
        if len(self._rest):
            self.add(np.zeros(self._lengths.size - len(self._rest), np.float32))
        return np.concatenate(self._energy), (self._power / self._units).astype(np.float32)


def listen(path: Path, lengths: Layout) -> Sound:
    """Decode a file once.

    Raises:
        InputError: the file is missing, no audio, cut short, or holds NaN.
    """
    info = probe(path)
    level, shape = _Level(), _Shape(lengths)
    for block in stream(path, info.sample_rate):
        level.add(block)
        if info.sample_rate == lengths.rate:
            shape.add(block)
    if info.sample_rate != lengths.rate:
        for block in stream(path, lengths.rate):
            shape.add(block)
    energy, power = shape.finish()
    seconds = level.frames / info.sample_rate
    return Sound(info.sample_rate, info.channels, seconds, level.peak, level.clipped, energy, power)


def windows(path: Path, rate: int, starts: Sequence[int], length: int) -> Iterator[Floats]:
    """Cut windows out of a file, in one pass.

    Args:
        path: the file; brought to ``rate``, several channels averaged.
        rate: in Hz.
        starts: first sample of each window, rising; may be negative or past the end: silence there.
        length: of each window.

    Yields:
        float32 arrays of shape (length,), one a start.

    Raises:
        InputError: the file cannot be read any more.
    """
    if not len(starts):
        return
    first = min(0, starts[0])
    held = np.zeros(-first, np.float32)
    index = 0
    for block in chain(stream(path, rate), repeat(np.zeros(length, np.float32))):
        held = np.concatenate([held, block])
        while starts[index] + length <= first + len(held):
            at = starts[index] - first
            yield held[at : at + length]
            index += 1
            if index == len(starts):
                return
        drop = min(starts[index] - first, len(held))
        first, held = first + drop, held[drop:]
