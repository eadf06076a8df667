"""The sound of a song for a page: its busiest stretch, compressed, small enough to stand in the file itself.

Conventions: audio is float32, mono, -1..1, shape ``(samples,)``; times in seconds from the start of the song.
Ogg/Opus is used where libsndfile can write it: about 60 kbit/s, and, unlike MP3, decoded to exactly as many
samples as went in, so that clicks laid over it stay where they belong. Where it cannot, a 16-bit WAV file is.
"""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import soundfile

from beatsight.audio.io import SAMPLE_RATE, resample, stream
from beatsight.errors import UsageError
from beatsight.report.images import data_uri
from beatsight.report.ogg import fixed_serial
from beatsight.report.sound import encode_wav, for_page

# A minute shows verse and chorus; as Opus it makes 0.6 MB of page, and as much WAV would make 3.5.
MOST_S = 60.0
MOST_WAV_S = 25.0
_LEAD_S = 0.25  # before the first hit of a stretch, so that it is not cut
_OPUS_RATE = 48_000  # the only full-band rate of the format


@dataclass(frozen=True)
class Sound:
    """A whole sound file: its bytes, their MIME type, and its length in seconds."""

    data: bytes
    mime: str
    seconds: float

    @cached_property
    def source(self) -> str:
        """The sound as a ``data:`` address."""
        return data_uri(self.data, self.mime)


def can_compress() -> bool:
    """Whether libsndfile was built with Opus."""
    return "OPUS" in soundfile.available_subtypes("OGG")


def longest_s() -> float:
    """How much of a song a page can carry."""
    return MOST_S if can_compress() else MOST_WAV_S


def busiest_stretch(times_s: np.ndarray, length_s: float, most_s: float) -> tuple[float, float]:
    """Start and end of the part of a song with the most hits, ``most_s`` long; the earliest of equals.

    Args:
        times_s: hits, in any order, shape (hits,).
        length_s: of the song.
        most_s: the longest stretch.

    >>> busiest_stretch(np.array([1.0, 50.0, 51.0]), 60.0, 10.0)
    (49.75, 59.75)
    >>> busiest_stretch(np.array([1.0]), 8.0, 10.0)
    (0.0, 8.0)
    """
    if length_s <= most_s or not times_s.size:
        return 0.0, min(length_s, most_s)
    times = np.sort(times_s)
    # The best stretch can be moved until it begins with a hit, or ends with the song.
    starts = np.clip(np.append(times - _LEAD_S, 0.0), 0.0, length_s - most_s)
    starts.sort()
    counts = np.searchsorted(times, starts + most_s) - np.searchsorted(times, starts)
    start = float(starts[int(np.argmax(counts))])
    return start, start + most_s


def load_stretch(path: str | os.PathLike[str], start_s: float, end_s: float) -> np.ndarray:
    """Part of a file as mono float32 at 44.1 kHz, shape (samples,); no more than it is held in memory.

    Raises:
        InputError: the file cannot be read.
        UsageError: the stretch holds no sound.
    """
    first, last = round(start_s * SAMPLE_RATE), round(end_s * SAMPLE_RATE)
    parts, at = [], 0
    for block in stream(path):
        parts.append(block[max(0, first - at) : max(0, last - at)])
        at += len(block)
        if at >= last:
            break
    audio = np.concatenate(parts)
    if not audio.size:
        raise UsageError(f"{path}: there is no sound from {start_s:g} s to {end_s:g} s")
    return audio


def compressed(audio: np.ndarray, sample_rate: int) -> Sound:
    """A sound for a page: Ogg/Opus, or WAV at 22.05 kHz where that cannot be written.

    Args:
        audio: shape (samples,), finite; scaled down where it passes ±1.
        sample_rate: Hz.

    Raises:
        UsageError: the audio is not mono, is empty or not finite.
    """
    if not can_compress():
        cut, rate = for_page(audio, sample_rate, audio.size / sample_rate)
        return Sound(encode_wav(cut, rate), "audio/wav", cut.size / rate)
    if audio.ndim != 1 or not audio.size or not np.isfinite(audio).all():
        raise UsageError(f"audio for a page must be mono, finite and not empty; its shape is {audio.shape}")
    full = resample(audio, sample_rate, _OPUS_RATE)
    full = full / max(1.0, float(np.abs(full).max()))
    out = io.BytesIO()
    with soundfile.SoundFile(out, "w", _OPUS_RATE, 1, "OPUS", format="OGG") as file:
        # By the second: libsndfile's Ogg encoders are not safe with minutes at once.
        for start in range(0, full.size, _OPUS_RATE):
            file.write(full[start : start + _OPUS_RATE])
    return Sound(fixed_serial(out.getvalue()), "audio/ogg", full.size / _OPUS_RATE)
