"""Recordings of a collection: audio files kept once each, under a name made from their content."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from beatsight.audio import io as audio_io
from beatsight.files import atomic_path, sha256_file

AUDIO_FOLDER = "audio"
# 64 bits: the chance that two of a million recordings share a name is below 1e-7.
_HASH_DIGITS = 16


@dataclass(frozen=True)
class Recording:
    """An audio file that decodes, and its name relative to the collection's folder."""

    path: Path
    name: str
    duration_s: float
    sample_rate: int
    channels: int


def stored_name(root: Path, audio: Path) -> str:
    """Where a recording of this content lies in the collection, or will lie; relative to ``root``.

    The suffix is that of the first file added with this content.

    Raises:
        InputError: the file cannot be read.
    """
    digest = sha256_file(audio)[:_HASH_DIGITS]
    there = sorted((root / AUDIO_FOLDER).glob(f"{digest}*"))
    return f"{AUDIO_FOLDER}/{there[0].name if there else digest + audio.suffix.lower()}"


def check_recording(root: Path, audio: Path) -> Recording:
    """Decode a whole file once: only that finds damage, and the true length of an MP3.

    Raises:
        InputError: missing, empty, not audio, cut short, or holding NaN or infinity.
    """
    info = audio_io.probe(audio)
    frames = sum(len(block) for block in audio_io.stream(audio, info.sample_rate))
    duration_s = frames / info.sample_rate
    return Recording(audio, stored_name(root, audio), duration_s, info.sample_rate, info.channels)


def keep(root: Path, recording: Recording) -> None:
    """Copy a recording into the collection, unless it is there."""
    target = root / recording.name
    if not target.exists():
        with atomic_path(target) as temporary:
            shutil.copyfile(recording.path, temporary)
