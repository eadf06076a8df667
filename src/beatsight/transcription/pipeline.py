"""Song in, chart out: the steps in order.

    audio -> onset candidates -> labels of every drum at each -> velocity -> tempo and meter -> chart

Long files are read in blocks with overlapping edges: memory is that of a block, whatever the length.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from beatsight.audio.io import SAMPLE_RATE, probe, stream
from beatsight.audio.onsets import HOP_S, Onsets, detect_onsets
from beatsight.charts import Chart
from beatsight.charts.build import audio_ref, build_chart, iso_utc
from beatsight.charts.chart import GenerationMetadata, Timing, TimingPoint
from beatsight.transcription.difficulty import difficulty
from beatsight.transcription.hits import Hit, attack_levels, with_velocities
from beatsight.transcription.recogniser import Recogniser, choose_recogniser
from beatsight.transcription.tempo import estimate_timing
from beatsight.version import VERSION

_BLOCK_S, _EDGE_S = 120.0, 2.0
# The same drum twice within this is one stroke found twice; the closest flams are wider.
_SAME_STROKE_S = 0.025


def transcribe(
    path: str | os.PathLike[str],
    *,
    model: str | os.PathLike[str] | None = None,
    use_ml: bool | None = None,
    device: str = "auto",
    recogniser: Recogniser | None = None,
) -> Chart:
    """Transcribe the drums of a recording.

    Args:
        path: any audio file that can be decoded.
        model: a model file; by default decided as :mod:`beatsight.transcription.recogniser` says.
        use_ml: False for the heuristic, True for a model and nothing else.
        device: where the model runs.
        recogniser: one already loaded, for many songs; the three above are then not looked at.

    Returns:
        the chart; ``beatsight.charts.write_chart`` writes it.

    Raises:
        InputError: the audio or the model cannot be used.
    """
    recogniser = recogniser or choose_recogniser(model, use_ml=use_ml, device=device)
    hits, length = find_hits(path, recogniser)
    return make_chart(path, hits, length / SAMPLE_RATE, recogniser.name)


def find_hits(path: str | os.PathLike[str], recogniser: Recogniser) -> tuple[list[Hit], int]:
    """All hits of a file, in order of time, and the file's length in samples at 44.1 kHz."""
    hits: list[Hit] = []
    length = 0
    for audio, first, start, end in _blocks(path):
        onsets = detect_onsets(audio)
        times = onsets.times_s + first / SAMPLE_RATE
        mine = (times >= start / SAMPLE_RATE) & (times < end / SAMPLE_RATE)
        onsets = Onsets(onsets.times_s[mine], onsets.strengths[mine], onsets.power)
        found = recogniser.recognise(audio, onsets)
        levels = {label: attack_levels(onsets, label) for label in {x for names in found for x in names}}
        for index, (time, names) in enumerate(zip(times[mine], found, strict=True)):
            hits += [
                Hit(float(time), label, score, float(levels[label][index])) for label, score in names.items()
            ]
        length = end
    return with_velocities(_single_strokes(hits)), length


def _blocks(path: str | os.PathLike[str]) -> Iterator[tuple[np.ndarray, int, int, int]]:
    """(audio with its edges, where its first sample lies, first sample to report, past-the-last)."""
    # Whole frames of the onset detector: every block then sees the frames that the whole file would have, and
    # a stroke at a border is not found on neither side of it.
    hop = round(HOP_S * SAMPLE_RATE)
    block, edge = (round(length_s / HOP_S) * hop for length_s in (_BLOCK_S, _EDGE_S))
    held = np.zeros(0, np.float32)
    first = start = 0
    for chunk in stream(path):
        held = np.concatenate([held, chunk])
        while first + len(held) >= start + block + edge:
            stop = start + block
            yield held[: stop + edge - first], first, start, stop
            held, first, start = held[stop - edge - first :], stop - edge, stop
    yield held, first, start, first + len(held)


def _single_strokes(hits: list[Hit]) -> list[Hit]:
    """One hit where a drum was found twice within ``_SAME_STROKE_S``: the earlier time, the higher score."""
    kept: list[Hit] = []
    latest: dict[str, int] = {}
    for hit in sorted(hits, key=lambda hit: (hit.time_s, hit.label)):
        index = latest.get(hit.label)
        if index is not None and hit.time_s - kept[index].time_s < _SAME_STROKE_S:
            first = kept[index]
            kept[index] = replace(
                first,
                confidence=max(first.confidence, hit.confidence),
                level_db=max(first.level_db, hit.level_db),
            )
        else:
            latest[hit.label] = len(kept)
            kept.append(hit)
    return kept


def make_chart(path: str | os.PathLike[str], hits: list[Hit], duration_s: float, recogniser: str) -> Chart:
    """The chart of found hits: tempo and meter estimated, lanes and difficulty set, provenance noted."""
    timing = estimate_timing(
        np.array([hit.time_s for hit in hits]),
        np.array([hit.velocity for hit in hits]),
        [hit.label for hit in hits],
        duration_s,
    )
    points = [
        TimingPoint(time=round(time_s * 1000), bpm=round(bpm, 3), time_signature=timing.meter)
        for time_s, bpm in timing.points
    ]
    return build_chart(
        [(hit.time_s, hit.label, hit.velocity) for hit in hits],
        title=Path(path).stem,
        artist="",
        audio=audio_ref(path, duration_s=duration_s, sample_rate=probe(path).sample_rate),
        timing=Timing(
            bpm=round(timing.bpm, 3),
            offset=round(timing.offset_s * 1000),
            time_signature=timing.meter,
            timing_points=points,
        ),
        difficulty=difficulty([(hit.time_s, hit.label, hit.velocity) for hit in hits], timing),
        generation=GenerationMetadata(
            model_version=f"beatsight {VERSION}, {recogniser}",
            confidence=round(float(np.mean([hit.confidence for hit in hits])), 4) if hits else 0.0,
            processed_at=iso_utc(datetime.now(UTC)),
            manual_edits=False,
        ),
    )
