"""Effects on whole batches: on the sound (noise, saturation, codec) and on its mel power (pitch, time, room).

Conventions: sound is float32 (n, samples), mel power float32 (n, mels, frames), on any device; every clip has
its own setting, a clip whose setting is neutral comes out as it went in. Changes of pitch and of time are
made on the mel power, where they are a resampling of one axis each: the two stay independent, and a batch
costs less than a single clip would with a phase vocoder.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import lru_cache

import numpy as np
import soundfile
import torch
from torch import Tensor

from beatsight.audio.features import FeatureConfig, mel_centres

# Of a codec that many listeners would accept for a demo, about 64 kbit/s for a mono signal.
_CODEC_QUALITY = 0.8
_DECAY_DB = 60.0


def add_noise(audio: Tensor, level: Tensor, offset: Tensor) -> Tensor:
    """White noise of standard deviation ``level`` (n,), from a fixed supply of it at ``offset`` (n,)."""
    chosen = torch.nonzero(level > 0).flatten()
    if len(chosen):
        pool = _noise(audio.shape[1], str(audio.device))
        audio[chosen] += pool.unfold(0, audio.shape[1], 1)[offset[chosen]] * level[chosen, None]
    return audio


NOISE_OFFSETS = 1 << 17


@lru_cache(maxsize=4)
def _noise(samples: int, device: str) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(NOISE_OFFSETS + samples, generator=generator).to(device)


def saturate(audio: Tensor, drive: Tensor) -> Tensor:
    """A soft limiter, x (1 + d) / (1 + d |x|), of each clip's drive d (n,); peaks of 1 stay 1."""
    drive = drive[:, None]
    return audio * (1.0 + drive) / (1.0 + drive * audio.abs())


def through_codec(audio: Tensor, rate: int) -> Tensor:
    """A round trip through Ogg Vorbis, all clips end to end: one encoder, no start-up per clip."""
    flat = audio.flatten().cpu().numpy()
    peak = max(1.0, float(np.abs(flat).max()))
    stream = io.BytesIO()
    soundfile.write(
        stream, flat / peak, rate, format="OGG", subtype="VORBIS", compression_level=_CODEC_QUALITY
    )
    stream.seek(0)
    decoded = np.zeros_like(flat)
    found, _ = soundfile.read(stream, dtype="float32")
    decoded[: len(found)] = found[: len(flat)]
    return torch.from_numpy(decoded * np.float32(peak)).view_as(audio).to(audio.device)


def shift_pitch(power: Tensor, factor: Tensor, features: FeatureConfig) -> Tensor:
    """Mel power of the sound with all frequencies times ``factor`` (n,): the mel axis read elsewhere."""
    centres = torch.from_numpy(mel_centres(features)).to(power.device, power.dtype)
    wanted = centres[None, :] / factor[:, None]
    # Band centres rise, so a frequency's place among them is found by bisection and interpolated.
    above = torch.searchsorted(centres, wanted).clamp(1, len(centres) - 1)
    share = ((wanted - centres[above - 1]) / (centres[above] - centres[above - 1])).clamp(0.0, 1.0)
    return _between(power, above, share, dim=1)


def stretch_time(power: Tensor, factor: Tensor, features: FeatureConfig) -> Tensor:
    """Mel power of the sound played ``factor`` (n,) times as long, the onset's frame in its place."""
    frames = torch.arange(features.frames, device=power.device, dtype=power.dtype)
    wanted = (frames[None, :] - features.pre_frames) / factor[:, None] + features.pre_frames
    wanted = wanted.clamp(0, features.frames - 1)
    above = wanted.ceil().long().clamp(1, features.frames - 1)
    return _between(power, above, (wanted - (above - 1)).clamp(0.0, 1.0), dim=2)


def _between(power: Tensor, above: Tensor, share: Tensor, dim: int) -> Tensor:
    """Linear interpolation along one axis: ``share`` (n, k) of the way from ``above - 1`` to ``above``."""
    shape = [len(power), *power.shape[1:]]
    place = above.unsqueeze(2 if dim == 1 else 1).expand(shape)
    part = share.unsqueeze(2 if dim == 1 else 1)
    low = power.gather(dim, place - 1)
    return low + part * (power.gather(dim, place) - low)


def add_room(power: Tensor, decay_s: Tensor, level: Tensor, features: FeatureConfig) -> Tensor:
    """A room behind the sound: a tail of power ``level`` (n,) that falls by 60 dB in ``decay_s`` (n,)."""
    frame_s = features.hop_length / features.sample_rate
    at = torch.arange(features.frames, device=power.device, dtype=power.dtype)
    lag = (at[None, :] - at[:, None]) * frame_s  # (from, to)
    tail = 10.0 ** (-_DECAY_DB / 10.0 * lag.clamp_min(0.0) / decay_s[:, None, None]) * (lag > 0)
    # The tail's power adds up to `level` times that of the sound that made it.
    whole = 10.0 ** (-_DECAY_DB / 10.0 * frame_s / decay_s)
    return power + torch.bmm(power, tail * (level * (1.0 - whole) / whole)[:, None, None])


def on_some(
    batch: Tensor, chosen: np.ndarray, effect: Callable[..., Tensor], *settings: np.ndarray
) -> Tensor:
    """``effect(clips, *settings)`` on the clips that were chosen, the rest as they are.

    Args:
        batch: (n, ...).
        chosen: clip numbers, shape (k,).
        effect: takes the clips (k, ...) and each setting (k,) as tensors.
        settings: one value a clip of the whole batch, shape (n,).
    """
    if not len(chosen):
        return batch
    index = torch.from_numpy(chosen).to(batch.device)
    values = (torch.from_numpy(setting[chosen]).to(batch.device, batch.dtype) for setting in settings)
    batch[index] = effect(batch[index], *values)
    return batch
