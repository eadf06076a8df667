"""Which sounds a training batch is made of: one flat list of strokes, drawn before any audio is read.

Every clip of a batch is a sum of strokes: the moment itself, other moments that start with it (their labels
are added to its own), and one-shots that start shortly before or after (not labelled). Everything random
about a batch follows from the seed and the batch's number alone, so a run that is resumed, or divided over
several processes, draws the very same strokes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from beatsight.dataset.augment import AugmentConfig

# A neighbour starts this long before the moment (its tail rings on) or after it.
_EARLIER_S, _LATER_S = (0.04, 0.30), (0.03, 0.20)
_EARLIER_SHARE = 0.75
_MOST_LAYERS = 2  # other clips at the moment, and neighbours, at most
_LAYER_JITTER_S = 0.004


@dataclass(frozen=True)
class Strokes:
    """Sounds to be added up; all arrays have one value a stroke.

    Attributes:
        clip: which clip of the batch it belongs to, rising within each kind of stroke.
        pick: which row of the split it is cut from.
        shift: samples by which its window moves (positive: later audio), int64.
        gain: factor on its peak-normalised sound, float32.
        labelled: whether its labels are the clip's as well.
    """

    clip: np.ndarray
    pick: np.ndarray
    shift: np.ndarray
    gain: np.ndarray
    labelled: np.ndarray

    def of(self, clips: slice) -> Strokes:
        """Those of a stretch of clips, which are numbered from 0 again."""
        mine = (self.clip >= clips.start) & (self.clip < clips.stop)
        return Strokes(
            self.clip[mine] - clips.start, self.pick[mine], self.shift[mine], self.gain[mine],
            self.labelled[mine],
        )  # fmt: skip


def plain_strokes(picks: np.ndarray) -> Strokes:
    """The moments themselves and nothing else, at their own level."""
    n = len(picks)
    return Strokes(np.arange(n), picks, np.zeros(n, np.int64), np.ones(n, np.float32), np.ones(n, bool))


def draw_strokes(
    picks: np.ndarray,
    weights: np.ndarray,
    isolated: np.ndarray,
    config: AugmentConfig,
    rate: int,
    random: np.random.Generator,
) -> Strokes:
    """The strokes of a batch.

    Args:
        picks: rows of the split, one a clip, shape (n,).
        weights: probability of each row of the split to be drawn, shape (rows,).
        isolated: whether each row of the split is a one-shot, shape (rows,).
        config: probabilities and ranges.
        rate: Hz.
        random: the batch's own generator.
    """
    n, alone = len(picks), isolated[picks]
    jitter = random.uniform(-config.jitter_ms, config.jitter_ms, n) / 1000.0
    base = plain_strokes(picks)
    parts = [Strokes(base.clip, picks, _samples(jitter, rate), base.gain, base.labelled)]
    mix = np.where(alone, config.mix_isolated, config.mix) / _MOST_LAYERS
    for _ in range(_MOST_LAYERS):
        clip = np.flatnonzero(random.random(n) < mix)
        apart = jitter[clip] + random.uniform(-_LAYER_JITTER_S, _LAYER_JITTER_S, len(clip))
        others = random.choice(len(weights), len(clip), p=weights)
        gain = _gains(random, config.mix_gain_db, len(clip))
        parts.append(Strokes(clip, others, _samples(apart, rate), gain, np.ones(len(clip), bool)))
    # Only one-shots can be neighbours: a clip of a song holds other hits, which could fall on the moment.
    single = np.flatnonzero(isolated & (weights > 0))
    near = np.where(alone, config.neighbour_isolated, config.neighbour) / _MOST_LAYERS
    for _ in range(_MOST_LAYERS if len(single) else 0):
        clip = np.flatnonzero(random.random(n) < near)
        others = random.choice(single, len(clip), p=weights[single] / weights[single].sum())
        earlier = random.random(len(clip)) < _EARLIER_SHARE
        # The cut moves to after the neighbour's onset, so its tail lies under the moment.
        apart = np.where(
            earlier, random.uniform(*_EARLIER_S, len(clip)), -random.uniform(*_LATER_S, len(clip))
        )
        gain = _gains(random, config.neighbour_gain_db, len(clip))
        parts.append(Strokes(clip, others, _samples(apart, rate), gain, np.zeros(len(clip), bool)))
    columns = ((getattr(part, name) for part in parts) for name in Strokes.__dataclass_fields__)
    return Strokes(*(np.concatenate(list(column)) for column in columns))


def _samples(seconds: np.ndarray, rate: int) -> np.ndarray:
    return np.round(seconds * rate).astype(np.int64)


def _gains(random: np.random.Generator, range_db: tuple[float, float], count: int) -> np.ndarray:
    return (10.0 ** (random.uniform(*range_db, count) / 20.0)).astype(np.float32)
