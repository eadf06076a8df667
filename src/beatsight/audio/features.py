"""The log-mel spectrogram that every network of beatsight sees, in training and in inference.

One function, :func:`log_mel`, batched, on any device. Its values equal librosa's
``power_to_db(melspectrogram(..., center=False), ref=np.max, top_db=...)`` (Slaney mel scale and area
normalisation, periodic Hann window), mapped from [-top_db, 0] dB to [0, 1]. The reference is each clip's own
maximum, so a clip's level does not change its features. Networks see it through :func:`clip_features`, which
fades the frames far from the onset.

A clip is cut so that frame ``pre_frames`` is centred on the onset; :func:`clip_span` says which samples that
needs. Audio that the file does not have (before time 0, after its end) is zero: padded, never shifted.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from beatsight.audio.io import SAMPLE_RATE
from beatsight.errors import InputError, require

if TYPE_CHECKING:
    import torch

# Power under which librosa's power_to_db clips (its `amin`).
_POWER_FLOOR = 1e-10
# Frames whose spectra fit the caches of two cores (512 x 2048 float32 = 4 MB): measured fastest. A chunk is
# always full, if need be of silence: sums of another shape may round otherwise, and a clip must not depend on
# how many others are computed with it.
_CPU_CHUNK_FRAMES = 512
# Bands that share a matrix product: with 128 bands, blocks of 32 read a quarter of the spectrum on average.
_BLOCK_BANDS = 32


@dataclass(frozen=True)
class FeatureConfig:
    """Settings of the log-mel clip; a checkpoint carries them and inference uses those, not the defaults.

    Attributes:
        sample_rate: Hz of the audio that goes in.
        n_fft: window length in samples (46 ms: separates a kick's partials from a low tom's).
        hop_length: samples between frames (2.9 ms).
        n_mels: mel bands.
        frames: frames a clip (128 frames span 372 ms).
        pre_frames: frames before the one centred on the onset (93 ms of what rang before).
        f_min, f_max: band edges in Hz.
        top_db: dynamic range kept under the clip's maximum, in dB.
        hold_before_ms, hold_after_ms: around the onset, where the clip is left as it is.
        fade_before_db, fade_after_db: outside of that, dB taken off for each millisecond of distance.
    """

    sample_rate: int = SAMPLE_RATE
    n_fft: int = 2048
    hop_length: int = 128
    n_mels: int = 128
    frames: int = 128
    pre_frames: int = 32
    f_min: float = 20.0
    f_max: float = 16_000.0
    top_db: float = 80.0
    hold_before_ms: float = 12.0
    hold_after_ms: float = 35.0
    fade_before_db: float = 1.15
    fade_after_db: float = 0.46

    def __post_init__(self) -> None:
        whole = ("sample_rate", "n_fft", "hop_length", "n_mels", "frames", "pre_frames")
        for name in whole:
            if not isinstance(getattr(self, name), int):
                raise InputError(
                    f"feature setting {name} must be a whole number, not {getattr(self, name)!r}"
                )
        for name in (*whole[:-1], "top_db"):
            if not getattr(self, name) > 0:
                raise InputError(f"feature setting {name} must be positive, not {getattr(self, name)}")
        if not 0 <= self.pre_frames < self.frames:
            raise InputError(f"feature setting pre_frames must lie in 0..{self.frames - 1}")
        for name in ("hold_before_ms", "hold_after_ms", "fade_before_db", "fade_after_db"):
            if not getattr(self, name) >= 0:
                raise InputError(f"feature setting {name} must not be negative")
        if not 0 <= self.f_min < self.f_max <= self.sample_rate / 2:
            raise InputError("feature settings need 0 <= f_min < f_max <= sample_rate / 2")

    @property
    def clip_samples(self) -> int:
        """Samples that a clip of ``frames`` frames reads."""
        return (self.frames - 1) * self.hop_length + self.n_fft

    @property
    def pre_samples(self) -> int:
        """Samples of the clip that lie before the onset."""
        return self.pre_frames * self.hop_length + self.n_fft // 2

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for checkpoints and metadata."""
        return asdict(self)


def clip_span(onset_sample: int, config: FeatureConfig) -> tuple[int, int]:
    """First and past-the-last sample of the clip around an onset; may reach outside the file.

    >>> clip_span(0, FeatureConfig())
    (-5120, 13184)
    """
    start = onset_sample - config.pre_samples
    return start, start + config.clip_samples


def cut_clips(audio: np.ndarray, onset_samples: np.ndarray, config: FeatureConfig) -> np.ndarray:
    """Cut one clip per onset, zeros where the file has no audio.

    Args:
        audio: mono, shape (samples,).
        onset_samples: integer positions, shape (n,).

    Returns:
        float32 array, shape (n, config.clip_samples).
    """
    before = config.pre_samples
    padded = np.pad(np.asarray(audio, np.float32), (before, config.clip_samples))
    windows = np.lib.stride_tricks.sliding_window_view(padded, config.clip_samples)
    return windows[np.clip(np.asarray(onset_samples, np.int64), 0, len(audio))]


def _hz_to_mel(hz: np.ndarray) -> np.ndarray:
    # Slaney's auditory toolbox: linear under 1 kHz, logarithmic above.
    linear = hz * 3.0 / 200.0
    with np.errstate(divide="ignore"):
        log = 15.0 + np.log(hz / 1000.0) * (27.0 / np.log(6.4))
    return np.where(hz >= 1000.0, log, linear)


def _mel_to_hz(mel: np.ndarray) -> np.ndarray:
    return np.where(mel >= 15.0, 1000.0 * np.exp((mel - 15.0) * (np.log(6.4) / 27.0)), mel * 200.0 / 3.0)


def mel_centres(config: FeatureConfig) -> np.ndarray:
    """Centre frequency of each mel band in Hz, rising, float64, shape (n_mels,)."""
    limits = _hz_to_mel(np.array([config.f_min, config.f_max], float))
    return _mel_to_hz(np.linspace(limits[0], limits[1], config.n_mels + 2))[1:-1]


@lru_cache(maxsize=8)
def mel_filters(sample_rate: int, n_fft: int, n_mels: int, f_min: float, f_max: float) -> np.ndarray:
    """Triangular mel filters of unit area (Slaney), float64, shape (n_mels, n_fft // 2 + 1)."""
    bins = np.linspace(0.0, sample_rate / 2, n_fft // 2 + 1)
    limits = _hz_to_mel(np.array([f_min, f_max], float))
    edges = _mel_to_hz(np.linspace(limits[0], limits[1], n_mels + 2))
    width = np.diff(edges)
    rise = (bins - edges[:-2, None]) / width[:-1, None]
    fall = (edges[2:, None] - bins) / width[1:, None]
    return np.maximum(0.0, np.minimum(rise, fall)) * (2.0 / (edges[2:] - edges[:-2]))[:, None]


@lru_cache(maxsize=16)
def _fade(config: FeatureConfig, device: str, dtype: torch.dtype) -> torch.Tensor:
    """What each frame loses, in units of ``top_db``, shape (frames,)."""
    torch = require("torch", "ml")
    frame_ms = 1000.0 * config.hop_length / config.sample_rate
    at_ms = (torch.arange(config.frames, dtype=torch.float64) - config.pre_frames) * frame_ms
    before = (-at_ms - config.hold_before_ms).clamp_min(0.0) * config.fade_before_db
    after = (at_ms - config.hold_after_ms).clamp_min(0.0) * config.fade_after_db
    return ((before + after) / config.top_db).to(device, dtype)


@dataclass(frozen=True)
class _Block:
    """Neighbouring mel bands and the stretch of the spectrum they read: most filters see few of the bins."""

    bands: slice
    values: slice  # of a spectrum laid out as real, imaginary, real, imaginary …
    weights: torch.Tensor  # (values, bands); a bin's weight stands twice, for either part


@lru_cache(maxsize=16)
def _constants(config: FeatureConfig, device: str, dtype: torch.dtype) -> tuple[torch.Tensor, list[_Block]]:
    torch = require("torch", "ml")
    window = torch.hann_window(config.n_fft, periodic=True, dtype=torch.float64)
    filters = mel_filters(config.sample_rate, config.n_fft, config.n_mels, config.f_min, config.f_max)
    blocks = []
    for first in range(0, config.n_mels, _BLOCK_BANDS):
        rows = filters[first : first + _BLOCK_BANDS]
        bins = np.flatnonzero(rows.any(axis=0))
        low, high = (int(bins[0]), int(bins[-1]) + 1) if len(bins) else (0, 1)
        weights = torch.from_numpy(np.repeat(rows[:, low:high].T, 2, axis=0)).to(device, dtype)
        blocks.append(_Block(slice(first, first + len(rows)), slice(2 * low, 2 * high), weights))
    return window.to(device, dtype), blocks


def mel_power(audio: torch.Tensor, config: FeatureConfig) -> torch.Tensor:
    """Mel power spectrogram, frames not padded.

    Args:
        audio: float tensor, shape (..., samples), at ``config.sample_rate``.

    Returns:
        power, shape (..., n_mels, frames) with frames = 1 + (samples - n_fft) // hop_length.
    """
    torch = require("torch", "ml")
    window, blocks = _constants(config, str(audio.device), audio.dtype)
    frames = audio.unfold(-1, config.n_fft, config.hop_length)
    flat = frames.flatten(0, -3) if frames.dim() > 2 else frames.unsqueeze(0)
    # On a CPU the intermediate spectra must stay in cache; on a GPU one launch is best.
    rows = max(1, _CPU_CHUNK_FRAMES // flat.shape[1]) if audio.device.type == "cpu" else max(1, len(flat))
    mel = audio.new_empty(*flat.shape[:-1], config.n_mels)
    for start in range(0, len(flat), rows):
        part = flat[start : start + rows] * window
        if len(part) < rows:
            part = torch.cat((part, part.new_zeros(rows - len(part), *part.shape[1:])))
        # The filters add real² and imaginary² themselves: adding pairs first costs more than all the rest.
        squares = torch.view_as_real(torch.fft.rfft(part)).flatten(-2).square_()
        kept = len(mel[start : start + rows])
        for block in blocks:
            mel[start : start + rows, :, block.bands] = (squares[..., block.values] @ block.weights)[:kept]
    return mel.reshape(*frames.shape[:-1], config.n_mels).transpose(-1, -2)


def power_to_features(power: torch.Tensor, config: FeatureConfig) -> torch.Tensor:
    """Mel power to dB under the clip's maximum, mapped to 0..1; same shape (..., n_mels, frames)."""
    decibels = 10.0 * power.clamp_min(_POWER_FLOOR).log10()
    peak = decibels.amax(dim=(-1, -2), keepdim=True)
    return ((decibels - peak) / config.top_db + 1.0).clamp_min(0.0)


def focus(features: torch.Tensor, config: FeatureConfig) -> torch.Tensor:
    """Fade the frames far from the onset (``hold_…`` and ``fade_…`` of the config); the same shape.

    A network that averages over time cannot tell the drum at the onset from one that follows 100 ms later;
    what is not at the onset is turned down for it.
    """
    return (features - _fade(config, str(features.device), features.dtype)).clamp_min(0.0)


def clip_features(audio: torch.Tensor, config: FeatureConfig) -> torch.Tensor:
    """The network's input: :func:`focus` of :func:`log_mel`; shape (..., n_mels, frames)."""
    return focus(log_mel(audio, config), config)


def log_mel(audio: torch.Tensor, config: FeatureConfig) -> torch.Tensor:
    """Log-mel of each clip in 0..1.

    Args:
        audio: float tensor, shape (..., samples); the dtype is kept (float64 for comparisons).
        config: the settings, from the checkpoint when there is one.

    Returns:
        tensor of shape (..., n_mels, frames), 1 at the clip's loudest point, 0 at ``top_db`` below and under.

    >>> import torch
    >>> log_mel(torch.zeros(2, FeatureConfig().clip_samples), FeatureConfig()).shape
    torch.Size([2, 128, 128])
    """
    return power_to_features(mel_power(audio, config), config)
