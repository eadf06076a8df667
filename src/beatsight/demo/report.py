"""What a run of the demo made, as the records that its page is drawn from."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np

from beatsight import taxonomy
from beatsight.charts import Chart, lane_of
from beatsight.dataset.store import Dataset
from beatsight.demo.scores import TOLERANCE_S, found_hits, score_song, summed, true_hits
from beatsight.evaluate import Evaluation
from beatsight.metrics import Counts, OnsetScores
from beatsight.models.checkpoint import Model
from beatsight.report.demo_data import (
    ClassScore,
    DatasetSummary,
    DemoReport,
    Epoch,
    ExampleSong,
    HitScore,
    PackageSongs,
    SongScore,
)
from beatsight.report.song_data import compared, heard_song
from beatsight.synth.song import Song
from beatsight.train.loop import BEST_NAME, TrainResult
from beatsight.transcription.pipeline import transcribe
from beatsight.transcription.song_transcriber import shipped_transcriber
from beatsight.version import VERSION

# A song's tempo counts beats, a chart's quarter notes.
_QUARTERS_PER_BEAT = {"6/8": 1.5, "7/8": 0.5}


class Scored(NamedTuple):
    """Songs that were transcribed, with their charts and scores, in one order."""

    songs: list[Song]
    charts: list[Chart]
    scores: list[OnsetScores]

    @property
    def total(self) -> OnsetScores:
        return summed(self.scores)

    @property
    def middle(self) -> int:
        """The song whose score is the median: neither the best to show off nor the worst."""
        return int(np.argsort([score.total.f1 for score in self.scores])[len(self.scores) // 2])


def scored(songs: list[Song], charts: list[Chart]) -> Scored:
    """Songs with their charts, scored."""
    return Scored(songs, charts, [score_song(song, chart) for song, chart in zip(songs, charts, strict=True)])


def package_songs(songs: list[Song], folder: Path) -> PackageSongs:
    """What the transcriber that comes with the package finds in songs; the median one is the one to hear."""
    transcriber = shipped_transcriber()
    found = scored(
        songs, [transcribe(folder / f"{song.name}.wav", transcriber=transcriber) for song in songs]
    )
    song = songs[found.middle]
    heard = heard_song(folder / f"{song.name}.wav", found.charts[found.middle], true=true_hits(song))
    return PackageSongs(heard, _hit_score("all", found.total.total), len(songs))


def report_of(
    seconds_by_step: Mapping[str, float],
    dataset: Dataset,
    trained: TrainResult,
    evaluation: Evaluation,
    known: Scored,
    unseen: Scored,
    package: PackageSongs,
    root: Path,
) -> DemoReport:
    """The record of a whole run.

    Args:
        seconds_by_step: time by step so far.
        dataset, trained, evaluation: of the classifier.
        known, unseen: songs on kits of the training songs, and on kits of their own.
        package: what the package's transcriber found.
        root: where the files lie.
    """
    return DemoReport(
        title="Drums found in songs the model never heard",
        generated=datetime.now(UTC).isoformat(timespec="seconds"),
        version=VERSION,
        machine=_machine(trained.model),
        seconds_by_step=dict(seconds_by_step),
        dataset=_dataset_summary(dataset),
        history=[
            Epoch(row.epoch, row.train_loss, row.val_loss, row.val_macro_f1, row.lr)
            for row in trained.history
        ],
        classes=_class_scores(evaluation),
        confusion_labels=[*evaluation.labels, "none"],
        confusion=evaluation.confusion,
        hits=[_hit_score(label, counts) for label, counts in known.total.counts.items()],
        total=_hit_score("all", known.total.total),
        unseen_kits=_hit_score("all", unseen.total.total),
        package=package,
        tolerance_ms=TOLERANCE_S * 1000,
        songs=[_song_score(*row) for row in zip(*known, strict=True)],
        example=_example(known.songs[known.middle], known.charts[known.middle]),
        outputs=_outputs(root),
        next_commands=_next_commands(root),
    )


def _dataset_summary(dataset: Dataset) -> DatasetSummary:
    metadata = dataset.metadata
    counts = {
        label: {split: metadata.label_counts[split][label] for split in metadata.moments}
        for label in metadata.labels
    }
    hours = {split: seconds / 3600 for split, seconds in metadata.split_durations_seconds.items()}
    return DatasetSummary(counts=counts, hours=hours)


def _class_scores(evaluation: Evaluation) -> list[ClassScore]:
    report = evaluation.report
    return [
        ClassScore(
            label,
            float(report.precision[i]),
            float(report.recall[i]),
            float(report.f1[i]),
            int(report.support[i]),
            float(evaluation.thresholds[i]),
        )
        for i, label in enumerate(evaluation.labels)
    ]


def _outputs(root: Path) -> list[tuple[str, str]]:
    return [
        (str(root / "charts"), "the charts, .bsm and .mid"),
        (str(root / "models"), "the trained model, best and final epoch"),
        (str(root / "evaluation"), "per-class report, confusion matrix, predictions"),
        (str(root / "songs"), "the songs and their exact labels"),
    ]


def _next_commands(root: Path) -> list[tuple[str, str]]:
    return [
        (
            f"beatsight transcribe song.mp3 -o song.bsm --ml-model {root / 'models' / BEST_NAME}",
            "a song of your own",
        ),
        ("beatsight collect add song.wav 1.234 kick", "label a hit of a recording"),
        ("beatsight collect stats", "what is still missing to train on"),
    ]


def _hit_score(label: str, counts: Counts) -> HitScore:
    return HitScore(label, counts.tp, counts.fp, counts.fn, counts.precision, counts.recall, counts.f1)


def _machine(model: Model) -> str:
    system = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    return f"{system}, Python {platform.python_version()}, trained on {model.device}"


def _song_score(song: Song, chart: Chart, score: OnsetScores) -> SongScore:
    counts, timing = score.total, chart.timing
    return SongScore(
        name=song.name,
        style=song.style,
        f1=counts.f1,
        tp=counts.tp,
        fp=counts.fp,
        fn=counts.fn,
        tempo_true=song.tempo_bpm * _QUARTERS_PER_BEAT.get(song.meter, 1.0),
        tempo_found=timing.bpm if timing else None,
        meter_true=song.meter,
        meter_found=timing.time_signature if timing else None,
    )


def _example(song: Song, chart: Chart) -> ExampleSong:
    true, found, _ = compared(true_hits(song), found_hits(chart), TOLERANCE_S)
    return ExampleSong(
        name=song.name,
        sample_rate=song.sample_rate,
        audio=song.audio,
        true_hits=true,
        found_hits=found,
        beats_s=song.beats_s,
        tempo_bpm=chart.timing.bpm if chart.timing else None,
        lanes={label: lane_of(label) for label in taxonomy.CLASSIFIER},
    )
