"""A transcribed song as its page needs it: hits with their verdicts, beats, and the numbers per class.

Conventions: times in seconds from the start of the song, velocities 0..1. Found and true hits are named
in one vocabulary: fold both first (``beatsight.taxonomy.fold``).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from beatsight.audio.io import SAMPLE_RATE
from beatsight.charts import Chart
from beatsight.charts.beat_grid import BeatGrid
from beatsight.metrics import ONSET_TOLERANCE_S, Counts, OnsetScores, match_onsets
from beatsight.report.song_sound import busiest_stretch, load_stretch, longest_s
from beatsight.report.timeline import Hit
from beatsight.taxonomy import EXTENDED, FIVE_CLASS, resolve

# (time in s, label, velocity or None where it is not known)
NamedHit = tuple[float, str, float | None]
# Decimal times such as 1.25 and 1.30 differ from 0.05 by float rounding; a hit on the very edge counts.
_ROUNDING_S = 1e-6


@dataclass(frozen=True)
class HeardSong:
    """A song to hear with its hits.

    Attributes:
        title: of the song.
        length_s: of the whole song.
        start_s: where ``audio`` begins in it.
        audio: the stretch to hear, mono, shape (samples,).
        sample_rate: of ``audio``, Hz.
        found: all hits found in the song, in order of time.
        true: all hits that there are, or None where nobody knows them; ``matched`` of both says whether the
            other has them too.
        scores: per label, where ``true`` is known.
        tolerance_s: largest distance of a match.
        beats_s, bars_s: beats, and those of them that begin a bar, in the whole song.
        tempo_bpm, meter: at the beginning, or None.
        by: who found the hits.
    """

    title: str
    length_s: float
    start_s: float
    audio: np.ndarray
    sample_rate: int
    found: Sequence[Hit]
    true: Sequence[Hit] | None = None
    scores: OnsetScores | None = None
    tolerance_s: float = ONSET_TOLERANCE_S
    beats_s: Sequence[float] = ()
    bars_s: Sequence[float] = ()
    tempo_bpm: float | None = None
    meter: str | None = None
    by: str = ""

    @property
    def end_s(self) -> float:
        """Where the stretch to hear ends."""
        return self.start_s + self.audio.size / self.sample_rate

    @property
    def labels(self) -> list[str]:
        """Every label found or true, in the taxonomy's order."""
        return in_order({hit.label for hit in (*self.found, *(self.true or ()))})


def in_order(labels: Iterable[str]) -> list[str]:
    """Labels from kick to cymbals and percussion, whichever vocabulary they are of.

    >>> in_order({"crash", "kick", "hihat_open"}), in_order({"CY", "KD"})
    (['kick', 'hihat_open', 'crash'], ['KD', 'CY'])
    """
    return sorted(set(labels), key=lambda label: (_rank(label), label))


def _rank(label: str) -> int:
    return (
        FIVE_CLASS.index(label)
        if label in FIVE_CLASS
        else (*EXTENDED, "aux_percussion").index(resolve(label))
    )


def compared(
    true: Sequence[NamedHit], found: Sequence[NamedHit], tolerance_s: float = ONSET_TOLERANCE_S
) -> tuple[list[Hit], list[Hit], OnsetScores]:
    """True and found hits with their verdicts, and the scores per label.

    Args:
        true, found: hits of one vocabulary, in any order.
        tolerance_s: largest distance of a match, inclusive.

    Returns:
        true hits, found hits, both in order of time, and scores over every label that occurs.

    >>> true, found, scores = compared([(1.0, "kick", None)], [(1.01, "kick", 0.5), (2.0, "snare", 0.4)])
    >>> [hit.matched for hit in found], scores.counts["kick"].f1, scores.counts["snare"].fp
    ([True, False], 1.0, 1)
    """
    true, found = sorted(true, key=lambda hit: hit[0]), sorted(found, key=lambda hit: hit[0])
    true_matched, found_matched = np.zeros(len(true), bool), np.zeros(len(found), bool)
    counts: dict[str, Counts] = {}
    errors: dict[str, np.ndarray] = {}
    for label in in_order({label for _, label, _ in (*true, *found)}):
        at = np.array([i for i, hit in enumerate(true) if hit[1] == label], dtype=np.int64)
        out = np.array([i for i, hit in enumerate(found) if hit[1] == label], dtype=np.int64)
        true_s = np.array([true[i][0] for i in at], dtype=np.float64)
        found_s = np.array([found[i][0] for i in out], dtype=np.float64)
        pairs = match_onsets(true_s, found_s, tolerance_s + _ROUNDING_S)
        true_matched[at[pairs[:, 0]]] = found_matched[out[pairs[:, 1]]] = True
        counts[label] = Counts(len(pairs), len(out) - len(pairs), len(at) - len(pairs))
        errors[label] = found_s[pairs[:, 1]] - true_s[pairs[:, 0]]
    return (
        [Hit(*hit, bool(ok)) for hit, ok in zip(true, true_matched, strict=True)],
        [Hit(*hit, bool(ok)) for hit, ok in zip(found, found_matched, strict=True)],
        OnsetScores(counts, errors),
    )


def heard_song(
    path: str | os.PathLike[str], chart: Chart, *, true: Sequence[NamedHit] | None = None
) -> HeardSong:
    """A song from its file and its chart.

    Args:
        path: the audio.
        chart: what was found in it.
        true: what is really played there, in the chart's vocabulary, where that is known.

    Raises:
        InputError: the audio cannot be read, or the chart's timing makes no sense.
    """
    found: list[NamedHit] = [(hit.time / 1000, hit.component, hit.velocity) for hit in chart.hit_objects]
    ends = [time_s for time_s, _, _ in (*found, *(true or ()))]
    length_s = chart.audio.duration / 1000 if chart.audio else max(ends, default=0.0) + 1.0
    times_s = np.array([time_s for time_s, _, _ in found])
    start_s, end_s = busiest_stretch(times_s, length_s, longest_s())
    beats = list(BeatGrid(chart.timing, path).beats(end_s * 1000)) if chart.timing else []
    true_hits, found_hits, scores = compared(true or [], found)
    generation = chart.editor.generation if chart.editor else None
    return HeardSong(
        title=chart.metadata.title or Path(path).stem,
        length_s=length_s,
        start_s=start_s,
        audio=load_stretch(path, start_s, end_s),
        sample_rate=SAMPLE_RATE,
        found=found_hits if true is not None else [Hit(*hit) for hit in found],
        true=None if true is None else true_hits,
        scores=None if true is None else scores,
        beats_s=[beat.time_ms / 1000 for beat in beats],
        bars_s=[beat.time_ms / 1000 for beat in beats if beat.position == 1],
        tempo_bpm=chart.timing.bpm if chart.timing else None,
        meter=chart.timing.time_signature if chart.timing else None,
        by=(generation.model_version or "") if generation else "",
    )
