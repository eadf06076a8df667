"""Velocities that need the whole song: its hits wait for the end, a few numbers of each kept beside it.

See :mod:`beatsight.models.song_velocity` for what is measured and why. A peak is measured once, as when the
numbers were fitted: two cymbals of one moment have one attack, so they share its velocity and count once in
the medians. Memory is that of the hits and of the levels between those that the network was given and those
it has answered for.
"""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from beatsight.models.song_velocity import ATTACK_FRAMES, PARTS, attack_parts, song_evidence, weighed
from beatsight.transcription.decoding import Struck
from beatsight.transcription.hits import Hit


class HeldLevels:
    """Passes mel levels on, and keeps them until nobody asks for them any more."""

    def __init__(self, levels: Iterable[np.ndarray]) -> None:
        self._levels = levels
        self._held: deque[np.ndarray] = deque()
        self._first = 0  # frame of the first that is held

    def __iter__(self) -> Iterator[np.ndarray]:
        for piece in self._levels:
            if len(piece):
                self._held.append(piece)
            yield piece

    def attacks(self, frames: np.ndarray) -> np.ndarray:
        """Levels around some peaks, dB, shape (peaks, frames of an attack, bands).

        Args:
            frames: of the peaks, shape (peaks,), one at least. Beyond the ends the last frame counts.
        """
        held = np.concatenate(self._held)
        near = frames[:, None] + ATTACK_FRAMES - self._first
        return held[np.clip(near, 0, len(held) - 1)]

    def forget(self, before: int) -> None:
        """Drop the pieces that end before a frame."""
        while self._held and self._first + len(self._held[0]) <= before:
            self._first += len(self._held.popleft())


class SongVelocities:
    """Collects the hits of a song, and gives them their velocities at its end.

    Args:
        groups: the model's, in order.
        coefficients: group -> numbers of :func:`beatsight.models.song_velocity.weighed`. Hits of others keep
            the velocity they have.
    """

    def __init__(self, groups: Sequence[str], coefficients: Mapping[str, Sequence[float]]) -> None:
        self._coefficients = {i: coefficients[g] for i, g in enumerate(groups) if g in coefficients}
        self._batches: deque[list[Hit]] = deque()
        # Of each peak, and to which peak each hit belongs.
        self._said, self._parts = array("f"), array("f")
        self._groups, self._articulations = array("b"), array("h")
        self._peaks = array("q")

    def add(self, struck: Sequence[Struck], levels: HeldLevels) -> None:
        """Some more hits, in the order in which they are to come out."""
        if not struck:
            return
        self._batches.append([one.hit for one in struck])
        # Percussion of one frame shares a number, which nobody asks for: it keeps its own velocity.
        strongest = [one for one in struck if one.strongest]
        numbers = {(one.frame, one.group): len(self._said) + i for i, one in enumerate(strongest)}
        self._peaks.extend(numbers[one.frame, one.group] for one in struck)
        parts = attack_parts(levels.attacks(np.array([one.frame for one in strongest])))
        self._parts.frombytes(parts.tobytes())
        self._said.extend(one.said for one in strongest)
        self._groups.extend(one.group for one in strongest)
        self._articulations.extend(one.articulation for one in strongest)

    def hits(self) -> Iterator[list[Hit]]:
        """All hits, batch by batch as they were added; each is let go as it is given."""
        velocities = self._velocities()
        start = 0
        while self._batches:
            batch = self._batches.popleft()
            told = velocities[start : start + len(batch)]
            yield [
                hit if np.isnan(velocity) else replace(hit, velocity=round(float(velocity), 3))
                for hit, velocity in zip(batch, told, strict=True)
            ]
            start += len(batch)

    def _velocities(self) -> np.ndarray:
        """Of every hit; NaN where its own stays."""
        groups = np.array(self._groups)
        parts = np.array(self._parts, np.float32).reshape(-1, PARTS)
        evidence = song_evidence(np.array(self._said), parts, groups, np.array(self._articulations))
        velocities = np.full(len(groups), np.nan)
        for group, coefficients in self._coefficients.items():
            mine = groups == group
            velocities[mine] = weighed(evidence[mine], coefficients)
        return velocities[np.array(self._peaks)]
