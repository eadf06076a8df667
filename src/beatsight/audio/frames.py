"""The mel spectrogram of a whole song, frame by frame: what the transcriber sees, in training and in use.

Conventions: mono float32 at 44.1 kHz; frame k is centred on sample ``k * hop_length`` (audio before the start
and after the end is silence); levels in dB, 10 log10 of the mel power of :mod:`beatsight.audio.features`
(Slaney scale and areas, periodic Hann window), not under ``FLOOR_DB``.

It is computed with NumPy alone, so that transcription needs no torch; blocks of a fixed number of frames make
a frame's values the same bits wherever it stands in a song and however the song is cut into blocks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import scipy.fft

from beatsight.audio.features import mel_filters
from beatsight.audio.io import SAMPLE_RATE
from beatsight.errors import InputError

FLOOR_DB = -90.0
# Frames that are transformed together: their spectra stay in the cache.
_BLOCK = 128
_BAND_BLOCK = 20


@dataclass(frozen=True)
class FrameConfig:
    """Settings of the frames; a model file carries them.

    Attributes:
        sample_rate: Hz of the audio.
        n_fft: window in samples (46 ms).
        hop_length: samples between frames (10 ms).
        n_mels: bands.
        f_min, f_max: their outer edges in Hz.
    """

    sample_rate: int = SAMPLE_RATE
    n_fft: int = 2048
    hop_length: int = 441
    n_mels: int = 80
    f_min: float = 25.0
    f_max: float = 16_000.0

    def __post_init__(self) -> None:
        for name in ("sample_rate", "n_fft", "hop_length", "n_mels"):
            value = getattr(self, name)
            if not isinstance(value, int) or value <= 0:
                raise InputError(f"frame setting {name} must be a positive whole number, not {value!r}")
        if not 0 <= self.f_min < self.f_max <= self.sample_rate / 2:
            raise InputError("frame settings need 0 <= f_min < f_max <= sample_rate / 2")

    @property
    def hop_s(self) -> float:
        """Seconds between frames."""
        return self.hop_length / self.sample_rate

    def frames_of(self, samples: int) -> int:
        """How many frames a song of ``samples`` samples has.

        >>> FrameConfig().frames_of(44_100)
        101
        """
        return samples // self.hop_length + 1

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for model files."""
        return asdict(self)


@lru_cache(maxsize=4)
def _bank(config: FrameConfig) -> tuple[np.ndarray, list[tuple[slice, slice, np.ndarray]]]:
    """Window, and blocks of bands with the bins they read and their weights."""
    window = np.hanning(config.n_fft + 1)[:-1].astype(np.float32)
    filters = mel_filters(config.sample_rate, config.n_fft, config.n_mels, config.f_min, config.f_max)
    blocks = []
    for first in range(0, config.n_mels, _BAND_BLOCK):
        rows = filters[first : first + _BAND_BLOCK]
        bins = np.flatnonzero(rows.any(axis=0))
        low, high = (int(bins[0]), int(bins[-1]) + 1) if len(bins) else (0, 1)
        weights = np.ascontiguousarray(rows[:, low:high].T, np.float32)
        blocks.append((slice(first, first + len(rows)), slice(low, high), weights))
    return window, blocks


def frame_levels(padded: np.ndarray, config: FrameConfig) -> np.ndarray:
    """Mel levels of all whole windows of ``padded``.

    Args:
        padded: float32, shape (samples,); the first window starts at its first sample, so a whole song is
            padded by ``n_fft // 2`` zeros on either side (:func:`song_levels` does).
        config: the settings.

    Returns:
        dB, float32, shape (frames, n_mels) with frames = 1 + (samples - n_fft) // hop_length (0 where the
        audio is shorter than a window).
    """
    window, blocks = _bank(config)
    if len(padded) < config.n_fft:
        return np.zeros((0, config.n_mels), np.float32)
    view = np.lib.stride_tricks.sliding_window_view(padded, config.n_fft)[:: config.hop_length]
    out = np.empty((len(view), config.n_mels), np.float32)
    part = np.zeros((_BLOCK, config.n_fft), np.float32)
    for start in range(0, len(view), _BLOCK):
        rows = view[start : start + _BLOCK]
        np.multiply(rows, window, out=part[: len(rows)])
        part[len(rows) :] = 0.0
        spectrum = scipy.fft.rfft(part, axis=1)
        power = spectrum.real**2 + spectrum.imag**2
        for bands, bins, weights in blocks:
            out[start : start + len(rows), bands] = (power[:, bins] @ weights)[: len(rows)]
    np.maximum(out, np.float32(10 ** (FLOOR_DB / 10)), out=out)
    return np.float32(10.0) * np.log10(out)


def song_levels(audio: np.ndarray, config: FrameConfig) -> np.ndarray:
    """Mel levels of a whole song in memory, dB, float32, shape (:meth:`FrameConfig.frames_of`, n_mels).

    >>> song_levels(np.zeros(44_100, np.float32), FrameConfig()).shape
    (101, 80)
    """
    half = config.n_fft // 2
    wanted = (config.frames_of(len(audio)) - 1) * config.hop_length + config.n_fft
    padded = np.zeros(max(wanted, half + len(audio)), np.float32)
    padded[half : half + len(audio)] = audio
    return frame_levels(padded[:wanted], config)


class LevelStream:
    """Mel levels of audio that arrives in pieces; the same values as :func:`song_levels` of the whole.

    Attributes:
        samples: how many have come.
    """

    def __init__(self, config: FrameConfig) -> None:
        self.config, self.samples = config, 0
        self._held = np.zeros(config.n_fft // 2, np.float32)  # silence before the song
        self._frames = 0

    def feed(self, audio: np.ndarray) -> np.ndarray:
        """Levels of the frames that this piece completes, shape (frames, n_mels)."""
        self.samples += len(audio)
        self._held = np.concatenate([self._held, np.asarray(audio, np.float32)])
        levels = frame_levels(self._held, self.config)
        self._held = self._held[len(levels) * self.config.hop_length :]
        self._frames += len(levels)
        return levels

    def finish(self) -> np.ndarray:
        """Levels of the last frames, whose windows reach past the end."""
        missing = self.config.frames_of(self.samples) - self._frames
        wanted = (missing - 1) * self.config.hop_length + self.config.n_fft if missing > 0 else 0
        padded = np.zeros(max(wanted, 0), np.float32)
        padded[: min(wanted, len(self._held))] = self._held[:wanted]
        return frame_levels(padded, self.config)


def stream_levels(pieces: Iterable[np.ndarray], stream: LevelStream) -> Iterator[np.ndarray]:
    """Levels of pieces of audio as they come, the end included."""
    for piece in pieces:
        yield stream.feed(piece)
    yield stream.finish()
