"""Hits while the music plays: from pieces of audio as they arrive to lines of JSON.

A line is one hit: ``time`` in seconds from the start of the stream, ``label``, ``velocity`` 0..1,
``openness`` 0..1 of a hat under a stick (null elsewhere), ``confidence`` 0..1.
"""

from __future__ import annotations

import queue
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec
import numpy as np

from beatsight.audio.io import SAMPLE_RATE
from beatsight.errors import BeatSightError, require
from beatsight.transcription.hits import Hit
from beatsight.transcription.song_transcriber import SongTranscriber
from beatsight.transcription.transcriber import SingleStrokes, folded

# Samples that a microphone gives together, and how often somebody looks whether to stop.
MICROPHONE_PIECE = 441
_LOOK_S = 0.2


class HitLine(msgspec.Struct, frozen=True):
    """One hit of a stream; see the module's text."""

    time: float
    label: str
    velocity: float
    openness: float | None
    confidence: float


def listen(
    pieces: Iterable[np.ndarray],
    transcriber: SongTranscriber,
    vocabulary: str = "classifier",
    left_out: Counter[str] | None = None,
) -> Iterator[HitLine]:
    """Hits of audio that is being played, each as soon as it is certain.

    Args:
        pieces: mono float32 at 44.1 kHz, of any length.
        transcriber: what finds the hits.
        vocabulary: of the labels.
        left_out: counts the hits that have no class there.

    Yields:
        hits in order of time, but for those that lie within some milliseconds of each other.
    """
    left_out = Counter() if left_out is None else left_out
    strokes = SingleStrokes()
    for some in transcriber.listen(pieces):
        yield from map(_line, strokes.of(folded(some, vocabulary, left_out)))


def _line(hit: Hit) -> HitLine:
    openness = None if hit.openness is None else round(hit.openness, 3)
    return HitLine(
        round(hit.time_s, 4), hit.label, round(hit.velocity, 3), openness, round(hit.confidence, 4)
    )


def microphone_pieces(stopped: Callable[[], bool]) -> Iterator[np.ndarray]:
    """Sound from the default microphone, mono float32 at 44.1 kHz, until ``stopped`` says so.

    Raises:
        MissingDependencyError: ``sounddevice`` is not installed.
        BeatSightError: there is no microphone, or no sound system.
    """
    try:
        sounddevice: Any = require("sounddevice", "live")
    except OSError as error:  # its PortAudio library is not there
        raise BeatSightError(f"the microphone cannot be used: {error}") from error
    waiting: queue.SimpleQueue[np.ndarray] = queue.SimpleQueue()

    def keep(data: np.ndarray, frames: int, time: object, status: object) -> None:
        waiting.put(data[:, 0].copy())

    try:
        with sounddevice.InputStream(
            samplerate=SAMPLE_RATE, channels=1, dtype="float32", blocksize=MICROPHONE_PIECE, callback=keep
        ):
            while not stopped():
                try:
                    yield waiting.get(timeout=_LOOK_S)
                except queue.Empty:
                    continue
    except sounddevice.PortAudioError as error:
        raise BeatSightError(f"the microphone cannot be used: {error}") from error
