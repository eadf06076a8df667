"""From activations to hits: what was struck, when, how hard, how open.

The network answers a hundred times a second for each of the five groups (kick, snare, toms, hats, cymbals)
and for every articulation. A hit is a peak of its group; its articulation is the strongest of that group's at
the peak. Toms and cymbals may be struck two at a time, so a second articulation that peaks there in its own
right is a hit of its own. Percussion that belongs to no group is found by its own peaks.

Conventions: activations 0..1, shape (frames, outputs): onsets of groups, of articulations, velocities of
groups, openness. Frame k lies at ``k * hop_s`` seconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from beatsight.audio.peaks import REACH, find_peaks
from beatsight.models.song_labels import DOUBLED, PERCUSSION, group_of
from beatsight.models.song_model import SongModel, SongSettings
from beatsight.taxonomy import is_hihat
from beatsight.transcription.hits import Hit

# Percussion is not the transcriber's business; it is named only where it is certain.
_PERCUSSION_THRESHOLD = 0.6
# Frames on either side that decide whether one is a peak, and where exactly.
EDGE = REACH
# Percussion belongs to no group.
NO_GROUP = -1


@dataclass(frozen=True, slots=True)
class Struck:
    """A hit, and what the activations said at its peak.

    Attributes:
        hit: with the velocity that can be told at once.
        frame: of the peak, from the start of the song.
        group, articulation: numbers of the model's outputs; :data:`NO_GROUP` for percussion.
        said: the network's velocity, mean of the peak's frame and its neighbours.
        strongest: False for a second one at a peak that already has its hit.
    """

    hit: Hit
    frame: int
    group: int
    articulation: int
    said: float
    strongest: bool = True


class Decoder:
    """Turns activations into hits, block by block; memory is that of a block."""

    def __init__(self, model: SongModel) -> None:
        self._settings, self._hop_s = model.settings, model.frames.hop_s
        settings = model.settings
        self._groups, self._articulations = settings.groups, settings.articulations
        self._members = {
            group: [i for i, label in enumerate(settings.articulations) if group_of(label) == group]
            for group in settings.groups
        }
        self._onsets = model.network.onsets

    def hits(self, activations: Iterable[np.ndarray]) -> Iterator[list[Hit]]:
        """Hits of a song.

        Args:
            activations: blocks in order, shape (frames, outputs) each.

        Yields:
            the hits that each block completes, in order of time; hits of a block are never earlier than those
            of the one before by more than the groups' time corrections differ.
        """
        for _, struck in self.strokes(activations):
            yield [one.hit for one in struck]

    def strokes(self, activations: Iterable[np.ndarray]) -> Iterator[tuple[int, list[Struck]]]:
        """As :meth:`hits`, with what their velocities can be told from.

        Yields:
            how many frames are decided, and the hits whose peaks lie between these and those before.
        """
        held: np.ndarray | None = None
        first = reported = 0  # frame of held[0]; first frame whose peaks are not yet reported
        for block in activations:
            held = block if held is None else np.concatenate([held, block])
            until = first + len(held) - EDGE
            if until > reported:
                yield until, self._between(held, first, reported, until)
                reported = until
                drop = max(0, reported - EDGE - first)
                held, first = held[drop:], first + drop
        if held is not None:
            until = first + len(held)
            yield until, self._between(held, first, reported, until)

    def _between(self, held: np.ndarray, first: int, start: int, end: int) -> list[Struck]:
        """Hits whose peaks lie in frames start..end."""
        hits: list[Struck] = []
        for index, group in enumerate(self._groups):
            peaks = find_peaks(held[:, index], self._settings.thresholds[group])
            for frame, position, height in zip(peaks.frames, peaks.positions, peaks.heights, strict=True):
                if start <= first + frame < end:
                    hits += self._struck(held, first, index, int(frame), first + position, float(height))
        for index, label in enumerate(self._articulations):
            if label in PERCUSSION:
                peaks = find_peaks(held[:, len(self._groups) + index], _PERCUSSION_THRESHOLD)
                for frame, position, height in zip(peaks.frames, peaks.positions, peaks.heights, strict=True):
                    if start <= first + frame < end:
                        time = max(0.0, (first + float(position)) * self._hop_s)
                        hit = Hit(time, label, float(height))
                        hits.append(Struck(hit, first + int(frame), NO_GROUP, index, 0.0))
        return sorted(hits, key=lambda one: (one.hit.time_s, one.hit.label))

    def _struck(
        self, held: np.ndarray, first: int, index: int, frame: int, position: float, height: float
    ) -> list[Struck]:
        """The hit or hits of one peak of a group."""
        settings, offset, group = self._settings, len(self._groups), self._groups[index]
        near = held[max(0, frame - 1) : frame + 2]
        members = self._members[group]
        strengths = near[:, [offset + i for i in members]].max(axis=0)
        time = max(0.0, float(position) * self._hop_s - settings.offsets_ms.get(group, 0.0) / 1000)
        velocity = calibrated(
            float(held[frame, self._onsets + index]), settings.velocity_curves.get(group, [])
        )
        said = float(near[:, self._onsets + index].astype(np.float64).mean())
        openness = calibrated(float(held[frame, -1]), settings.openness_curve)
        best = int(np.argmax(strengths))
        chosen = [best]
        if group in DOUBLED:
            chosen += [
                i
                for i, strength in enumerate(strengths)
                if i != best and strength >= self._second_threshold(members[i], settings)
            ]
        hits = []
        for i in chosen:
            label = self._articulations[members[i]]
            stick = is_hihat(label) and label != "hihat_pedal"
            score = height if i == best else float(strengths[i])
            hit = Hit(time, label, score, velocity=round(velocity, 3), openness=openness if stick else None)
            hits.append(Struck(hit, first + frame, index, members[i], said, i == best))
        return hits

    def _second_threshold(self, articulation: int, settings: SongSettings) -> float:
        return settings.second_thresholds.get(self._articulations[articulation], 1.1)


def calibrated(value: float, curve: list[tuple[float, float]]) -> float:
    """A raw value through a rising piecewise linear curve; as it is where there is none.

    >>> calibrated(0.25, [(0.0, 0.0), (0.5, 1.0)])
    0.5
    """
    if not curve:
        return min(1.0, max(0.0, value))
    raw, true = zip(*curve, strict=True)
    return float(np.interp(value, raw, true))
