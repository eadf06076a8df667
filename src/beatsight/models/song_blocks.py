"""A song's activations in blocks, each worked out with what lies around it.

What a whole song tells of single hits (:mod:`.song_repetition`, :mod:`.song_ostinato`, :mod:`.song_presence`)
needs the seconds before and after. Blocks begin at fixed places of the song, so the result has the same bits
however the activations arrive, and memory does not grow with the song.

Conventions: frames as the network's; a filter moves the first columns of activations (groups, then perhaps
articulations), the others pass unchanged.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

# Surer than this an activation never is: log-odds are those of 1 in 1000 at most.
LOWEST = 1e-3


def odds(p: np.ndarray, lowest: float = LOWEST) -> np.ndarray:
    """Log-odds of probabilities, which are kept ``lowest`` away from 0 and 1."""
    p = np.clip(p, lowest, 1.0 - lowest)
    return np.log(p / (1.0 - p))


class BlockFilter(ABC):
    """Activations in, moved activations out, a block and a margin late at most.

    Args:
        count: of columns that are moved, the first.
        block, margin: frames of a block, and of what it has to see on either side.
    """

    def __init__(self, count: int, block: int, margin: int) -> None:
        self._count, self._block_frames, self._margin = count, block, margin
        self._rows = np.zeros((0, 0), np.float32)
        # Frame of the song at which the held rows begin, the next to be given out, and those received.
        self._first = self._next = self._received = 0

    @abstractmethod
    def _shift(self, around: np.ndarray, song: slice) -> np.ndarray:
        """By how much the log-odds of the block in the middle move.

        Args:
            around: shape (margin + block + margin, count), zeros where there is no song.
            song: the rows where there is.

        Returns:
            shape (block, count).
        """

    def push(self, activations: np.ndarray) -> np.ndarray:
        """Take frames, shape (n, outputs); give those that are done, perhaps none."""
        self._rows = np.concatenate([self._rows, activations]) if len(self._rows) else activations
        self._received += len(activations)
        done = []
        while self._received - self._next >= self._block_frames + self._margin:
            done.append(self._block(self._block_frames))
        return np.concatenate(done) if done else activations[:0]

    def stream(self, activations: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """All pieces of a song."""
        for piece in activations:
            if len(done := self.push(piece)):
                yield done
        if self._next < self._received:
            yield self.finish()

    def finish(self) -> np.ndarray:
        """The frames that are left, shape (n, outputs)."""
        done = [self._rows[:0]]
        while self._next < self._received:
            done.append(self._block(min(self._block_frames, self._received - self._next)))
        return np.concatenate(done)

    def _block(self, count: int) -> np.ndarray:
        """The next ``count`` frames; a block is the song's last where it is short."""
        low = self._next - self._margin
        high = self._next + self._block_frames + self._margin
        # The held rows begin at ``low``, or at the song's first frame.
        held = self._rows[: high - self._first, : self._count]
        song = slice(self._first - low, self._first - low + len(held))
        around = np.zeros((high - low, self._count), np.float32)
        around[song] = held
        shift = self._shift(around, song)[:count]
        rows = self._rows[self._next - self._first : self._next - self._first + count].copy()
        moved = 1.0 / (1.0 + np.exp(-(odds(rows[:, : self._count]) + shift)))
        rows[:, : self._count] = np.where(shift != 0.0, moved, rows[:, : self._count])
        self._next += count
        drop = max(0, self._next - self._margin - self._first)
        self._rows, self._first = self._rows[drop:], self._first + drop
        return rows


def filtered(activations: np.ndarray, filters: Sequence[BlockFilter]) -> np.ndarray:
    """All frames of a song at once, shape (frames, outputs), through fresh filters one after the other."""
    rows = np.asarray(activations, np.float32)
    for each in filters:
        rows = np.concatenate([each.push(rows), each.finish()])
    return rows
