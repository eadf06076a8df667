"""Lossy coding as a recording effect: Ogg Vorbis or MP3 there and back, aligned to the sample.

Conventions: mono float32 at 44.1 kHz in and out, of the same length. Vorbis has no start delay; of an MP3
libsndfile writes the encoder's delay into the file and takes it off when it decodes.
"""

from __future__ import annotations

import io as bytes_io

import numpy as np
import soundfile

from beatsight.audio.io import SAMPLE_RATE

# The encoder must be fed in pieces: one long write overflows its stack.
_PIECE = 16384
# libsndfile's MP3 encoder takes levels below 1 only.
_WORST_MP3 = 0.99


def _coded(audio: np.ndarray, kind: str, subtype: str, level: float) -> np.ndarray:
    peak = max(float(np.abs(audio).max(initial=0.0)), 1e-9)
    buffer = bytes_io.BytesIO()
    with soundfile.SoundFile(
        buffer, "w", SAMPLE_RATE, 1, format=kind, subtype=subtype, compression_level=level
    ) as file:
        for start in range(0, len(audio), _PIECE):
            file.write(audio[start : start + _PIECE] / np.float32(peak))
    buffer.seek(0)
    decoded, _ = soundfile.read(buffer, dtype="float32")
    out = np.zeros(len(audio), np.float32)
    n = min(len(out), len(decoded))
    out[:n] = decoded[:n]
    return out * np.float32(peak)


def through_codec(audio: np.ndarray, quality: float) -> np.ndarray:
    """What Ogg Vorbis leaves of a recording.

    Args:
        audio: float32, shape (samples,).
        quality: 0 (worst) to 1.

    Returns:
        float32 of the same shape and timing.
    """
    return _coded(audio, "OGG", "VORBIS", 1.0 - quality)


def through_mp3(audio: np.ndarray, quality: float) -> np.ndarray:
    """What MP3 leaves of a recording: pre-echo, and little above the encoder's cut-off.

    Args:
        audio: float32, shape (samples,).
        quality: 0 (about 34 kbit/s for noise, cut off under 5 kHz), 0.3 (53, 12 kHz), 0.6 (75, 16 kHz) to
            1 (130).

    Returns:
        float32 of the same shape and timing. Where libsndfile was built without MP3, Vorbis takes its place.
    """
    if "MP3" not in soundfile.available_formats():
        return through_codec(audio, quality)
    return _coded(audio, "MP3", "MPEG_LAYER_III", min(1.0 - quality, _WORST_MP3))
