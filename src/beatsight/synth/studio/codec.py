"""Lossy coding as a recording effect: Ogg Vorbis there and back, aligned to the sample."""

from __future__ import annotations

import io as bytes_io

import numpy as np
import soundfile

from beatsight.audio.io import SAMPLE_RATE

# The encoder must be fed in pieces: one long write overflows its stack.
_PIECE = 16384


def through_codec(audio: np.ndarray, quality: float) -> np.ndarray:
    """What Ogg Vorbis leaves of a recording.

    Args:
        audio: float32, shape (samples,).
        quality: 0 (worst) to 1.

    Returns:
        float32 of the same shape and timing (Vorbis has no start delay).
    """
    peak = max(float(np.abs(audio).max(initial=0.0)), 1e-9)
    buffer = bytes_io.BytesIO()
    with soundfile.SoundFile(
        buffer, "w", SAMPLE_RATE, 1, format="OGG", subtype="VORBIS", compression_level=1.0 - quality
    ) as file:
        for start in range(0, len(audio), _PIECE):
            file.write(audio[start : start + _PIECE] / np.float32(peak))
    buffer.seek(0)
    decoded, _ = soundfile.read(buffer, dtype="float32")
    out = np.zeros(len(audio), np.float32)
    n = min(len(out), len(decoded))
    out[:n] = decoded[:n]
    return out * np.float32(peak)
