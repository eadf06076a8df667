"""Sound that a page carries in itself: short 16-bit mono WAV files, and clicks laid over a song.

Conventions: audio is float, mono, in -1..1, shape ``(samples,)``; times in seconds.
"""

from __future__ import annotations

import io
import math
import wave
from collections.abc import Iterable

import numpy as np

from beatsight.errors import UsageError

PAGE_SAMPLE_RATE = 22_050  # hi-hats are still told apart, and twenty seconds stay under 1.2 MB of text
_CLICK_S = 0.03
_CLICK_LEVEL = 0.5
_LEVEL = 0.9
_SILENT = 1e-6
_SONG_LEVEL = 0.45  # the song steps back so that clicks stand out


def for_page(audio: np.ndarray, sample_rate: int, seconds: float) -> tuple[np.ndarray, int]:
    """The first ``seconds`` of a signal at a rate that a page can carry.

    Args:
        audio: shape ``(samples,)``, finite.
        sample_rate: Hz, of ``audio``.
        seconds: how much to keep.

    Returns:
        The signal (``float32``, scaled down where it passes ±1) and its rate, at most ``PAGE_SAMPLE_RATE``.

    Raises:
        UsageError: the signal is not mono, is empty or holds NaN or infinity.
    """
    if audio.ndim != 1 or not audio.size or not np.isfinite(audio).all():
        raise UsageError(f"audio for a page must be mono, finite and not empty; its shape is {audio.shape}")
    cut = np.asarray(audio[: max(1, round(seconds * sample_rate))], dtype=np.float64)
    rate = min(sample_rate, PAGE_SAMPLE_RATE)
    if rate != sample_rate:
        shared = math.gcd(rate, sample_rate)
        # Imported here: it takes longer to load than all that draws a page.
        from scipy.signal import resample_poly

        cut = resample_poly(cut, rate // shared, sample_rate // shared)
    return (cut / max(1.0, float(np.abs(cut).max()))).astype(np.float32), rate


def with_clicks(
    audio: np.ndarray, sample_rate: int, clicks: Iterable[tuple[float, float, float]]
) -> np.ndarray:
    """The song, quieter, with a short decaying tone at every click.

    Args:
        audio: shape ``(samples,)``.
        sample_rate: Hz.
        clicks: (time in seconds, pitch in Hz, strength 0..1); those outside the song are left out.

    Returns:
        ``float32`` of the same shape, within ±1.
    """
    out = audio.astype(np.float64) * _SONG_LEVEL
    at = np.arange(round(_CLICK_S * sample_rate)) / sample_rate
    decay = np.exp(-at / (_CLICK_S / 5))
    for time_s, pitch_hz, strength in clicks:
        start = round(time_s * sample_rate)
        if 0 <= start < out.size:
            tone = _CLICK_LEVEL * strength * np.sin(2 * np.pi * pitch_hz * at) * decay
            out[start : start + tone.size] += tone[: out.size - start]
    return (out / max(1.0, float(np.abs(out).max(initial=0.0)))).astype(np.float32)


def clip_wav(audio: np.ndarray, sample_rate: int, seconds: float) -> bytes:
    """A short sound (samples,) as a WAV file for a page, its peak at 0.9; silence stays silent.

    Arguments and errors as :func:`for_page`.
    """
    # Levelled last: what resampling takes away, such as a hi-hat's top octave, changes the peak.
    cut, rate = for_page(audio, sample_rate, seconds)
    return encode_wav(levelled(cut), rate)


def levelled(audio: np.ndarray) -> np.ndarray:
    """The same sound with its peak at 0.9, so that clips can be compared by ear; silence stays silent.

    >>> levelled(np.array([0.0, -0.3, 0.1])).round(2).tolist()
    [0.0, -0.9, 0.3]
    """
    peak = float(np.abs(audio).max(initial=0.0))
    return audio * (_LEVEL / peak) if peak > _SILENT else audio


def encode_wav(audio: np.ndarray, sample_rate: int) -> bytes:
    """A mono 16-bit WAV file; values beyond ±1 are clipped."""
    stream = io.BytesIO()
    with wave.open(stream, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(sample_rate)
        out.writeframes(np.round(np.clip(audio, -1.0, 1.0) * 32767).astype("<i2").tobytes())
    return stream.getvalue()
