"""Song in, chart out: the steps in order.

    audio -> hits (a :class:`~.transcriber.Transcriber`) -> classes of a vocabulary -> tempo and meter ->
    chart

Audio is read and worked on in blocks: but for the hits themselves, memory is that of a block, whatever the
length.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from beatsight.audio.io import SAMPLE_RATE, probe, stream
from beatsight.charts import Chart
from beatsight.charts.build import audio_ref, build_chart, iso_utc
from beatsight.charts.chart import GenerationMetadata, Timing, TimingPoint
from beatsight.errors import UsageError
from beatsight.transcription.choice import Choice, choose_transcriber
from beatsight.transcription.difficulty import difficulty
from beatsight.transcription.hits import Hit
from beatsight.transcription.tempo import estimate_timing
from beatsight.transcription.transcriber import CHART_VOCABULARIES, SingleStrokes, Transcriber, folded
from beatsight.version import VERSION


@dataclass(frozen=True)
class Found:
    """What was heard in a song.

    Attributes:
        hits: in order of time.
        duration_s: length of the audio in seconds.
        left_out: label -> count of hits without a class in the vocabulary.
    """

    hits: list[Hit]
    duration_s: float
    left_out: dict[str, int] = field(default_factory=dict)


def transcribe(
    path: str | os.PathLike[str],
    *,
    model: str | os.PathLike[str] | None = None,
    use_ml: bool | None = None,
    device: str = "auto",
    engine: str | None = None,
    vocabulary: str = "classifier",
    transcriber: Transcriber | None = None,
) -> Chart:
    """Transcribe the drums of a recording.

    Args:
        path: any audio file that can be decoded.
        model: a model file; by default decided as :mod:`beatsight.transcription.choice` says.
        use_ml: False for the rule of thumb, True for a model and nothing else.
        device: where the model runs.
        engine: ``numpy``, ``onnx`` or ``torch``.
        vocabulary: of the chart's labels: ``classifier`` (12), ``production`` (18) or ``extended`` (24).
        transcriber: one already loaded, for many songs; model, use_ml, device and engine are then not looked
        at.

    Returns:
        the chart; ``beatsight.charts.write_chart`` writes it. ``skipped`` counts the hits that have no class
        in the vocabulary. A hit of a hat under a stick carries its ``openness`` in ``extra``.

    Raises:
        InputError: the audio or the model cannot be used.
        UsageError: no such vocabulary, device or engine.
    """
    transcriber = transcriber or choose_transcriber(Choice(model, use_ml, device, engine))
    found = find_hits(path, transcriber, vocabulary)
    return make_chart(path, found.hits, found.duration_s, transcriber.name, found.left_out)


def find_hits(
    path: str | os.PathLike[str], transcriber: Transcriber, vocabulary: str = "classifier"
) -> Found:
    """All hits of a file, by the classes of a vocabulary.

    Raises:
        InputError: the audio cannot be used.
        UsageError: no such vocabulary of charts.
    """
    check_vocabulary(vocabulary)
    audio = _Counted(stream(path))
    left_out: Counter[str] = Counter()
    strokes, hits = SingleStrokes(), []
    for some in transcriber.find_hits(audio):
        hits += strokes.of(folded(some, vocabulary, left_out))
    hits.sort(key=lambda hit: (hit.time_s, hit.label))
    return Found(hits, audio.samples / SAMPLE_RATE, dict(left_out))


def check_vocabulary(vocabulary: str) -> None:
    """Refuse a vocabulary that charts are not written in.

    Raises:
        UsageError: the known ones are listed.
    """
    if vocabulary not in CHART_VOCABULARIES:
        raise UsageError(f"unknown vocabulary {vocabulary!r}; known: {', '.join(CHART_VOCABULARIES)}")


class _Counted:
    """Pieces of audio, counted as they go by."""

    def __init__(self, pieces: Iterable[np.ndarray]) -> None:
        self._pieces, self.samples = pieces, 0

    def __iter__(self) -> Iterator[np.ndarray]:
        for piece in self._pieces:
            self.samples += len(piece)
            yield piece


def make_chart(
    path: str | os.PathLike[str],
    hits: list[Hit],
    duration_s: float,
    name: str,
    left_out: Mapping[str, int] | None = None,
) -> Chart:
    """The chart of found hits: tempo and meter estimated, lanes and difficulty set, provenance noted.

    Args:
        path: the song.
        hits: in order of time.
        duration_s: of the song.
        name: of what found the hits.
        left_out: what was found and is not in the chart, for ``Chart.skipped``.
    """
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
    chart = build_chart(
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
            model_version=f"beatsight {VERSION}, {name}",
            confidence=round(float(np.mean([hit.confidence for hit in hits])), 4) if hits else 0.0,
            processed_at=iso_utc(datetime.now(UTC)),
            manual_edits=False,
        ),
    )
    chart.skipped = dict(left_out or {})
    _add_openness(chart, hits)
    return chart


def _add_openness(chart: Chart, hits: list[Hit]) -> None:
    """Openness beside the chart's own keys, where it is known."""
    known = {(round(hit.time_s * 1000), hit.label): hit.openness for hit in hits if hit.openness is not None}
    for drawn in chart.hit_objects:
        if (openness := known.get((drawn.time, drawn.component))) is not None:
            drawn.extra["openness"] = round(openness, 3)
