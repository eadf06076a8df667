"""Hits by onsets: where something starts, then what it was, named by a classifier or the rule of thumb.

Long audio is worked on in blocks with overlapping edges: memory is that of a block, whatever the length.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from beatsight.audio.io import SAMPLE_RATE
from beatsight.audio.onsets import HOP_S, Onsets, detect_onsets
from beatsight.transcription.hits import Hit, attack_levels, with_velocities
from beatsight.transcription.recogniser import Recogniser
from beatsight.transcription.transcriber import SingleStrokes

_BLOCK_S, _EDGE_S = 120.0, 2.0


class OnsetTranscriber:
    """Transcriber by onset detection and a :class:`~beatsight.transcription.recogniser.Recogniser`."""

    def __init__(self, recogniser: Recogniser) -> None:
        self.recogniser, self.name = recogniser, recogniser.name
        self.device, self.is_model = recogniser.device, recogniser.is_model

    def find_hits(self, pieces: Iterable[np.ndarray]) -> Iterator[list[Hit]]:
        """All hits of a song in one list, at its end; see :class:`~.transcriber.Transcriber`."""
        hits: list[Hit] = []
        for audio, first, start, end in audio_blocks(pieces):
            onsets = detect_onsets(audio)
            times = onsets.times_s + first / SAMPLE_RATE
            mine = (times >= start / SAMPLE_RATE) & (times < end / SAMPLE_RATE)
            onsets = Onsets(onsets.times_s[mine], onsets.strengths[mine], onsets.power)
            found = self.recogniser.recognise(audio, onsets)
            levels = {label: attack_levels(onsets, label) for label in {x for names in found for x in names}}
            for index, (time, names) in enumerate(zip(times[mine], found, strict=True)):
                hits += [
                    Hit(float(time), label, score, float(levels[label][index]))
                    for label, score in names.items()
                ]
        yield with_velocities(SingleStrokes().of(hits))


def audio_blocks(pieces: Iterable[np.ndarray]) -> Iterator[tuple[np.ndarray, int, int, int]]:
    """(audio with its edges, where its first sample lies, first sample to report, past-the-last)."""
    # Whole frames of the onset detector: every block then sees the frames that the whole file would have, and
    # a stroke at a border is not found on neither side of it.
    hop = round(HOP_S * SAMPLE_RATE)
    block, edge = (round(length_s / HOP_S) * hop for length_s in (_BLOCK_S, _EDGE_S))
    held: list[np.ndarray] = []
    count = first = start = 0  # samples held; where they begin; first sample to report
    for piece in pieces:
        held.append(piece)
        count += len(piece)
        while first + count >= start + block + edge:
            stop = start + block
            audio = np.concatenate(held)
            yield audio[: stop + edge - first], first, start, stop
            held = [audio[stop - edge - first :].copy()]
            count, first, start = len(held[0]), stop - edge, stop
    yield np.concatenate([np.zeros(0, np.float32), *held]), first, start, first + count
