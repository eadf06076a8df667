"""Charts of made songs against the songs' own strokes: hits in seconds, over the 12 classes."""

from __future__ import annotations

from beatsight import taxonomy
from beatsight.charts import Chart
from beatsight.metrics import OnsetScores, transcription_scores
from beatsight.synth.song import Song

TOLERANCE_S = 0.05


def true_hits(song: Song) -> list[tuple[float, str, float]]:
    """Strokes of a song as the classifier names them: (time in s, class, velocity)."""
    folded = [(hit.onset_s, taxonomy.fold(hit.label, "classifier"), hit.velocity) for hit in song.hits]
    return [(time_s, label, velocity) for time_s, label, velocity in folded if label is not None]


def found_hits(chart: Chart) -> list[tuple[float, str, float]]:
    """Hits of a chart: (time in s, class, velocity)."""
    return [(hit.time / 1000.0, hit.component, hit.velocity) for hit in chart.hit_objects]


def score_song(song: Song, chart: Chart) -> OnsetScores:
    """Onset scores of a chart against the song's own strokes, over the 12 classes."""
    reference = [(time_s, label) for time_s, label, _ in true_hits(song)]
    estimated = [(time_s, label) for time_s, label, _ in found_hits(chart)]
    return transcription_scores(reference, estimated, taxonomy.CLASSIFIER, TOLERANCE_S)


def summed(scores: list[OnsetScores]) -> OnsetScores:
    """The scores of several songs as one; at least one is needed."""
    total = scores[0]
    for score in scores[1:]:
        total = total + score
    return total
