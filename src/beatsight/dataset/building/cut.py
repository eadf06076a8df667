"""The work on one audio file, done in worker processes: decode it, find moments without a drum, cut.

Only stretches around the moments are kept (*segments*), as 16-bit integers. What is kept follows from the
file, its moments and the seed alone, so that any number of workers gives the same bytes. Positions are
samples at ``SAMPLE_RATE``, times seconds from the start of the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from beatsight.audio.io import SAMPLE_RATE, load, stream
from beatsight.audio.onsets import detect_onsets
from beatsight.dataset.store import to_int16
from beatsight.errors import InputError
from beatsight.manifest.engine.blocks import Block, Rows
from beatsight.manifest.engine.pool import WithBytes

CUT, CHECK = f"{__name__}:cut", f"{__name__}:check"
# Audio kept around a moment: more than a clip reaches, so that clips can be shifted and stretched.
KEEP_BEFORE_S, KEEP_AFTER_S = 0.3, 0.8
# A detected onset this far from every labelled one is a moment without a drum.
NEGATIVE_DISTANCE_S = 0.06
# At most this many detected non-drums, and this many random instants, per labelled moment of a song.
NEGATIVE_SHARE, RANDOM_SHARE = 0.3, 0.05
# Under this many moments a file is a one-shot or a fragment: its unlabelled rest may hold drums.
SONG_MOMENTS = 8
# The detector holds several copies of what it hears, so a longer recording is heard in stretches; each begins
# and ends with so much of its neighbours that the borders are heard in their surroundings.
STRETCH_S, STRETCH_MARGIN_S = 600, 2
_BLOCK = 1 << 20  # samples converted at once


@dataclass(frozen=True)
class Layout:
    """Where the moments of a file lie, and what is kept of it.

    Attributes:
        order: which moment each row is: below ``len(times)`` a labelled one, else a negative, shape (rows,).
        times_s: of the rows, rising, shape (rows,).
        onsets: their samples, shape (rows,).
        segment: which segment each lies in, shape (rows,).
        starts, ends: first and past-the-last sample of every segment, rising, shape (segments,).
    """

    order: np.ndarray
    times_s: np.ndarray
    onsets: np.ndarray
    segment: np.ndarray
    starts: np.ndarray
    ends: np.ndarray

    @property
    def lengths(self) -> np.ndarray:
        """Samples of every segment."""
        return self.ends - self.starts


def lay_out(times_s: np.ndarray, negatives_s: np.ndarray, length: int) -> Layout:
    """Rows and segments of a file: moments close to each other share a segment.

    Args:
        times_s: labelled moments, rising, shape (moments,), at least one.
        negatives_s: moments without a drum.
        length: samples of the file.
    """
    times = np.concatenate([times_s, negatives_s])
    order = np.argsort(times, kind="stable")
    onsets = np.minimum(np.round(times[order] * SAMPLE_RATE).astype(np.int64), length - 1)
    before, after = int(KEEP_BEFORE_S * SAMPLE_RATE), int(KEEP_AFTER_S * SAMPLE_RATE)
    starts, ends = np.maximum(onsets - before, 0), np.minimum(onsets + after, length)
    new = np.r_[True, starts[1:] > ends[:-1]]
    last = np.r_[np.flatnonzero(new)[1:] - 1, len(onsets) - 1]
    return Layout(order, times[order], onsets, np.cumsum(new) - 1, starts[new], ends[last])


def cut(rows: Rows, block: Block, params: Mapping[str, Any]) -> WithBytes:
    """Decode the file ``block.path`` and cut its segments.

    ``block.extra`` holds ``times`` (the labelled moments) and ``hits`` (every event's time), both rising and
    as bytes of float64, and ``seed``.

    Returns:
        ``length`` (samples of the file) and ``negatives`` (seconds); the segments end to end, little-endian.

    Raises:
        InputError: the file is missing or damaged, or an event lies after its end.
    """
    times, hits = (np.frombuffer(block.extra[name], np.float64) for name in ("times", "hits"))
    audio = load(block.path)
    if len(late := times[times * SAMPLE_RATE >= len(audio)]):
        raise InputError(after_the_end(block.path, float(late[0]), len(audio)))
    rng = np.random.default_rng(block.extra["seed"])
    negatives = _negatives(times, hits, audio, rng)
    layout = lay_out(times, negatives, len(audio))
    peak = max(1.0, float(audio.max()), -float(audio.min()))  # an ogg may decode past full scale
    kept = bytearray()
    for start, end in zip(layout.starts.tolist(), layout.ends.tolist(), strict=True):
        for at in range(start, end, _BLOCK):
            kept += to_int16(audio[at : min(at + _BLOCK, end)] / peak).astype("<i2").tobytes()
    return WithBytes({"length": len(audio), "negatives": negatives.tolist()}, bytes(kept))


def check(rows: Rows, block: Block, params: Mapping[str, Any]) -> dict[str, Any]:
    """Decode the file ``block.path`` and keep nothing: its ``length`` in samples, or its ``fault``."""
    try:
        return {"length": sum(len(part) for part in stream(block.path))}
    except InputError as error:
        return {"fault": str(error)}


def after_the_end(path: str, time_s: float, length: int) -> str:
    """The sentence about an event that its audio is too short for."""
    return (
        f"{path}: an event lies at {time_s:.3f} s, after the end of the audio ({length / SAMPLE_RATE:.3f} s)"
    )


def _detected(audio: np.ndarray) -> np.ndarray:
    """Onsets, in seconds, rising."""
    stretch, margin = STRETCH_S * SAMPLE_RATE, STRETCH_MARGIN_S * SAMPLE_RATE
    if len(audio) <= stretch:
        return detect_onsets(audio).times_s
    found = []
    for start in range(0, len(audio), stretch):
        first = max(0, start - margin)
        times = detect_onsets(audio[first : start + stretch + margin]).times_s + first / SAMPLE_RATE
        found.append(times[(times >= start / SAMPLE_RATE) & (times < (start + stretch) / SAMPLE_RATE)])
    return np.concatenate(found)


def _negatives(
    times: np.ndarray, hits: np.ndarray, audio: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Times of a song at which no labelled drum starts: false alarms of the detector, and random ones."""
    if len(times) < SONG_MOMENTS:
        return np.zeros(0)
    found = _detected(audio)
    count = int(RANDOM_SHARE * len(times)) + 1
    # Random instants lie where there is known music: between the first and the last labelled moment.
    random = rng.uniform(hits[0], hits[-1], count)

    def far(instants: np.ndarray) -> np.ndarray:
        after = np.clip(np.searchsorted(hits, instants), 1, len(hits) - 1)
        distance = np.minimum(np.abs(instants - hits[after]), np.abs(instants - hits[after - 1]))
        between = (instants > hits[0]) & (instants < hits[-1])
        return instants[(distance > NEGATIVE_DISTANCE_S) & between]

    false_alarms = far(found)
    limit = int(NEGATIVE_SHARE * len(times))
    if len(false_alarms) > limit:
        false_alarms = rng.choice(false_alarms, limit, replace=False)
    return np.sort(np.concatenate([false_alarms, far(random)]))
