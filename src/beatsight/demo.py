"""The whole chain on songs it makes itself: songs, dataset, training, evaluation, transcription, report.

Nothing is downloaded. The test songs have kits, grooves and seeds that training never sees; the F-measure at
the end is over their hits, classes and times as a chart has them.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np

from beatsight import taxonomy
from beatsight.charts import Chart, lane_of, write_chart
from beatsight.dataset.augment import NOTHING
from beatsight.dataset.build import build_dataset
from beatsight.dataset.store import Dataset
from beatsight.errors import UsageError
from beatsight.evaluate import Evaluation, evaluate_model, write_evaluation
from beatsight.events import Event, write_records
from beatsight.files import write_bytes
from beatsight.metrics import Counts, OnsetScores, transcription_scores
from beatsight.models.checkpoint import Model
from beatsight.report.demo import demo_page
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
from beatsight.report.page import write_page
from beatsight.report.song_data import compared, heard_song
from beatsight.synth.song import Song, make_song, write_song
from beatsight.synth.styles import STYLES
from beatsight.train.config import TrainConfig
from beatsight.train.loop import BEST_NAME, EpochResult, TrainResult, train_classifier
from beatsight.transcription.choice import load_transcriber
from beatsight.transcription.pipeline import transcribe
from beatsight.transcription.song_transcriber import shipped_transcriber
from beatsight.version import VERSION

TOLERANCE_S = 0.05
_TEST_SEED = 900_000  # far from the training songs' seeds
_VAL_FRACTION = 0.08
# A song's tempo counts beats, a chart's quarter notes.
_QUARTERS_PER_BEAT = {"6/8": 1.5, "7/8": 0.5}

Say = Callable[[str], None]
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class DemoConfig:
    """How much the demo makes.

    Attributes:
        train_songs, test_songs: how many songs of each; many short ones teach more than few long ones.
        unseen_songs: test songs more, on kits that nobody trained on, scored apart.
        kits: drum kits of the studio, on which training and test songs are played.
        styles: played in turn. Metal is left out: its double kick at 180 bpm needs longer training.
        train_seconds, test_seconds: length of a song.
        band_db: level of bass and chords against the drums.
        seed: of the first training song.
        train: settings of the training run.
    """

    train_songs: int = 126
    test_songs: int = 9
    unseen_songs: int = 4
    kits: int = 3
    styles: tuple[str, ...] = tuple(style for style in STYLES if style != "metal")
    train_seconds: float = 10.0
    test_seconds: float = 20.0
    band_db: float = -16.0
    seed: int = 1
    train: TrainConfig = field(
        default_factory=lambda: TrainConfig(
            epochs=7,
            batch_size=16,
            lr=0.003,
            patience=0,
            augment=replace(NOTHING, jitter_ms=3.0),
        )
    )

    def __post_init__(self) -> None:
        for name in ("train_songs", "test_songs", "unseen_songs", "kits"):
            if getattr(self, name) < 1:
                raise UsageError(f"the demo needs {name} of at least 1, not {getattr(self, name)}")
        if not self.styles:
            raise UsageError("the demo needs at least one style")


@dataclass(frozen=True)
class DemoResult:
    """What came out: the micro F-measure over unseen songs, on known and on unseen kits, and the files."""

    f_measure: float
    f_measure_unseen_kits: float
    report: Path
    model: Path
    charts: tuple[Path, ...]
    seconds: float


class _Clock:
    """Seconds by step."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - started


def run_demo(
    folder: str | os.PathLike[str],
    config: DemoConfig | None = None,
    *,
    say: Say = lambda text: None,
    progress: Progress = lambda text, done, total: None,
) -> DemoResult:
    """Run the chain into a folder and write ``report.html`` there.

    Args:
        folder: made when missing; files of an earlier run are written over.
        config: how much to make.
        say: called with a sentence after each step.
        progress: called with (step, done, total).
    """
    config, root, clock = config or DemoConfig(), Path(folder), _Clock()
    with clock.step("make songs"):
        train, test, unseen = _make_songs(config, root / "songs", progress)
    strokes = sum(len(song.hits) for song in train + test + unseen)
    say(f"made {len(train)} songs to train on and {len(test + unseen)} to test on, {strokes:,} strokes")
    with clock.step("build the dataset"):
        events: list[Event] = [event for song in train + test + unseen for event in song.events]
        write_records(root / "songs" / "events.jsonl", events)
        known = {song.name for song in train + test}
        dataset = build_dataset(
            [event for event in events if event.session_id in known],
            root / "songs",
            root / "dataset",
            val_fraction=_VAL_FRACTION,
            test_sessions=[song.name for song in test],
            seed=config.seed,
            progress=lambda done, total: progress("Building the dataset", done, total),
        )
    say(f"built a dataset of {len(dataset.moments)} moments")
    with clock.step("train"):
        trained = train_classifier(
            dataset,
            root / "models",
            config.train,
            on_epoch=lambda row: say(_epoch_line(row, config.train.epochs)),
            on_step=lambda done, total: progress("Training", done, total),
        )
    with clock.step("evaluate on unseen clips"):
        evaluation = evaluate_model(trained.model, dataset, "test")
        write_evaluation(evaluation, dataset, root / "evaluation")
    with clock.step("transcribe unseen songs"):
        own = load_transcriber(trained.best_path, device=config.train.device)
        charts, paths = [], []
        for number, song in enumerate(test + unseen, start=1):
            charts.append(transcribe(root / "songs" / f"{song.name}.wav", transcriber=own))
            for suffix in (".bsm", ".mid"):
                paths.append(root / "charts" / f"{song.name}{suffix}")
                write_chart(charts[-1], paths[-1])
            progress("Transcribing", number, len(test + unseen))
    scores = [score_song(song, chart) for song, chart in zip(test + unseen, charts, strict=True)]
    total, other = _sum(scores[: len(test)]), _sum(scores[len(test) :])
    with clock.step("transcribe with the package's model"):
        package = _package_songs(unseen, root / "songs")
    with clock.step("write the report"):
        heard = (test, charts[: len(test)], scores[: len(test)])
        data = _report(clock, dataset, trained, evaluation, heard, total, other, package, root)
        write_page(demo_page(data), root / "report.html")
    seconds = sum(clock.seconds.values())
    summary = {
        "f_measure": total.total.f1, "macro_f1": total.macro_f1, "f_measure_unseen_kits": other.total.f1,
        "f_measure_package": package.total.f1,
        "tolerance_ms": TOLERANCE_S * 1000,
        "seconds": seconds, "seconds_by_step": clock.seconds,
    }  # fmt: skip
    write_bytes(root / "summary.json", msgspec.json.format(msgspec.json.encode(summary), indent=2))
    return DemoResult(
        total.total.f1, other.total.f1, root / "report.html", trained.best_path, tuple(paths), seconds
    )


def _make_songs(
    config: DemoConfig, folder: Path, progress: Progress
) -> tuple[list[Song], list[Song], list[Song]]:
    """Songs to train on; to test on, by the same kits; and to test on, by kits of their own."""
    plan: list[tuple[int, int, float, int | None]] = [
        (config.seed + i, i // config.kits, config.train_seconds, i % config.kits)
        for i in range(config.train_songs)
    ]
    first_test = _TEST_SEED + config.seed
    plan += [(first_test + i, i, config.test_seconds, i % config.kits) for i in range(config.test_songs)]
    first_unseen = first_test + config.test_songs
    plan += [(first_unseen + i, i, config.test_seconds, None) for i in range(config.unseen_songs)]
    songs = []
    for number, (seed, turn, seconds, kit) in enumerate(plan, start=1):
        style = config.styles[turn % len(config.styles)]
        song = make_song(seed, duration_s=seconds, style=style, kit_seed=kit, accompaniment_db=config.band_db)
        write_song(song, folder)
        songs.append(song)
        progress("Making songs", number, len(plan))
    train, test = config.train_songs, config.train_songs + config.test_songs
    return songs[:train], songs[train:test], songs[test:]


def _sum(scores: list[OnsetScores]) -> OnsetScores:
    total = scores[0]
    for score in scores[1:]:
        total = total + score
    return total


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


def _package_songs(songs: list[Song], folder: Path) -> PackageSongs:
    """What the transcriber that comes with the package finds in songs; the median one is the one to hear."""
    transcriber = shipped_transcriber()
    charts = [transcribe(folder / f"{song.name}.wav", transcriber=transcriber) for song in songs]
    scores = [score_song(song, chart) for song, chart in zip(songs, charts, strict=True)]
    middle = int(np.argsort([score.total.f1 for score in scores])[len(scores) // 2])
    song = songs[middle]
    heard = heard_song(folder / f"{song.name}.wav", charts[middle], true=true_hits(song))
    return PackageSongs(heard, _hit_score("all", _sum(scores).total), len(songs))


def _epoch_line(row: EpochResult, epochs: int) -> str:
    score = "" if row.val_macro_f1 is None else f", macro F1 {row.val_macro_f1:.3f}"
    return f"epoch {row.epoch}/{epochs}: loss {row.train_loss:.3f}{score}, {row.clips_per_s:.0f} clips/s"


def _hit_score(label: str, counts: Counts) -> HitScore:
    return HitScore(label, counts.tp, counts.fp, counts.fn, counts.precision, counts.recall, counts.f1)


def _machine(model: Model) -> str:
    system = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    return f"{system}, Python {platform.python_version()}, trained on {model.device}"


def _report(
    clock: _Clock,
    dataset: Dataset,
    trained: TrainResult,
    evaluation: Evaluation,
    heard: tuple[list[Song], list[Chart], list[OnsetScores]],
    total: OnsetScores,
    other: OnsetScores,
    package: PackageSongs,
    root: Path,
) -> DemoReport:
    songs, charts, scores = heard
    metadata, report = dataset.metadata, evaluation.report
    # The song whose score is the median: neither the best to show off nor the worst.
    example = int(np.argsort([score.total.f1 for score in scores])[len(scores) // 2])
    classes = [*evaluation.labels, "none"]
    return DemoReport(
        title="Drums found in songs the model never heard",
        generated=datetime.now(UTC).isoformat(timespec="seconds"),
        version=VERSION,
        machine=_machine(trained.model),
        seconds_by_step=dict(clock.seconds),
        dataset=DatasetSummary(
            counts={
                label: {split: metadata.label_counts[split][label] for split in metadata.moments}
                for label in metadata.labels
            },
            hours={split: s / 3600 for split, s in metadata.split_durations_seconds.items()},
        ),
        history=[
            Epoch(row.epoch, row.train_loss, row.val_loss, row.val_macro_f1, row.lr)
            for row in trained.history
        ],
        classes=[
            ClassScore(
                label,
                float(report.precision[i]),
                float(report.recall[i]),
                float(report.f1[i]),
                int(report.support[i]),
                float(evaluation.thresholds[i]),
            )
            for i, label in enumerate(evaluation.labels)
        ],
        confusion_labels=classes,
        confusion=evaluation.confusion,
        hits=[_hit_score(label, counts) for label, counts in total.counts.items()],
        total=_hit_score("all", total.total),
        unseen_kits=_hit_score("all", other.total),
        package=package,
        tolerance_ms=TOLERANCE_S * 1000,
        songs=[
            _song_score(song, chart, score) for song, chart, score in zip(songs, charts, scores, strict=True)
        ],
        example=_example(songs[example], charts[example]),
        outputs=[
            (str(root / "charts"), "the charts, .bsm and .mid"),
            (str(root / "models"), "the trained model, best and final epoch"),
            (str(root / "evaluation"), "per-class report, confusion matrix, predictions"),
            (str(root / "songs"), "the songs and their exact labels"),
        ],
        next_commands=[
            (
                f"beatsight transcribe song.mp3 -o song.bsm --ml-model {root / 'models' / BEST_NAME}",
                "a song of your own",
            ),
            ("beatsight collect add song.wav 1.234 kick", "label a hit of a recording"),
            ("beatsight collect stats", "what is still missing to train on"),
        ],
    )


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
