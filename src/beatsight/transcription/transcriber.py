"""What turns audio into hits, and what is then done with the hits: one protocol, two implementations.

- :class:`beatsight.transcription.song_transcriber.SongTranscriber`: a network that hears the whole mix frame
  by frame. Its hits come as the audio does.
- :class:`beatsight.transcription.onset_transcriber.OnsetTranscriber`: onsets are found first, and a
  classifier or the rule of thumb names each. Its hits come at the end, since their velocities are relative to
  the song.

:mod:`beatsight.transcription.choice` says which of them is used.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Protocol

import numpy as np

from beatsight.taxonomy import fold
from beatsight.transcription.hits import Hit

# What charts are written in; the others are for scores.
CHART_VOCABULARIES = ("classifier", "production", "extended")
# The same drum twice within this is one stroke found twice; the closest flams (28 ms) are wider.
SAME_STROKE_S = 0.025


class Method(Protocol):
    """How hits are found: what a chart and a report say of it."""

    @property
    def name(self) -> str:
        """What is written into the chart's metadata."""

    @property
    def device(self) -> str:
        """Where it computes, e.g. ``cpu``."""

    @property
    def is_model(self) -> bool:
        """False for the rule of thumb."""


class Transcriber(Method, Protocol):
    """Finds the hits of a song."""

    def find_hits(self, pieces: Iterable[np.ndarray]) -> Iterator[list[Hit]]:
        """The hits of one song.

        Args:
            pieces: its audio in order, mono float32 at 44.1 kHz, shape (samples,) each, of any length; the
                hits do not depend on how it is cut.

        Yields:
            hits as soon as they are certain, each list in order of time, and labels of any vocabulary.
        """


def folded(hits: Iterable[Hit], vocabulary: str, left_out: Counter[str]) -> list[Hit]:
    """The hits by their classes in a vocabulary; those that have none there are counted and left out.

    >>> left_out = Counter()
    >>> hits = [Hit(0.1, "cross_stick", 0.9), Hit(0.2, "clap", 0.9)]
    >>> [hit.label for hit in folded(hits, "classifier", left_out)]
    ['snare']
    >>> dict(left_out)
    {'clap': 1}
    """
    kept = []
    for hit in hits:
        label = fold(hit.label, vocabulary)
        if label is None:
            left_out[hit.label] += 1
        else:
            kept.append(hit if label == hit.label else replace(hit, label=label))
    return kept


class SingleStrokes:
    """Makes one hit of those that are one stroke: the same label within :data:`SAME_STROKE_S`.

    The earlier time stays, with the highest confidence and level among the hits given together. A hit that
    was given before cannot be changed any more; one that repeats it is dropped.
    """

    def __init__(self) -> None:
        self._latest: dict[str, float] = {}

    def of(self, hits: Iterable[Hit]) -> list[Hit]:
        """The strokes of some more hits, in order of time.

        >>> [hit.time_s for hit in SingleStrokes().of([Hit(1.0, "crash", 0.5), Hit(1.0, "crash", 0.9)])]
        [1.0]
        """
        kept: list[Hit] = []
        at: dict[str, int] = {}
        for hit in sorted(hits, key=lambda hit: (hit.time_s, hit.label)):
            latest = self._latest.get(hit.label)
            if latest is None or not abs(hit.time_s - latest) < SAME_STROKE_S:
                self._latest[hit.label], at[hit.label] = hit.time_s, len(kept)
                kept.append(hit)
            elif (index := at.get(hit.label)) is not None:
                first = kept[index]
                kept[index] = replace(
                    first,
                    confidence=max(first.confidence, hit.confidence),
                    level_db=max(first.level_db, hit.level_db),
                )
        return kept
