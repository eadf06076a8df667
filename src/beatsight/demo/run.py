"""The steps of the demo, one after the other, each timed."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from beatsight.charts import Chart, write_chart
from beatsight.dataset.build import build_dataset
from beatsight.dataset.store import Dataset
from beatsight.demo.config import DemoConfig
from beatsight.demo.report import Scored, package_songs, report_of, scored
from beatsight.demo.scores import TOLERANCE_S
from beatsight.evaluate import evaluate_model, write_evaluation
from beatsight.events import Event, write_records
from beatsight.files import write_bytes
from beatsight.report.demo import demo_page
from beatsight.report.demo_data import PackageSongs
from beatsight.report.page import write_page
from beatsight.synth.song import Song, make_song, write_song
from beatsight.train.loop import EpochResult, TrainResult, train_classifier
from beatsight.transcription.choice import load_transcriber
from beatsight.transcription.pipeline import transcribe

_TEST_SEED = 900_000  # far from the training songs' seeds
_VAL_FRACTION = 0.08

Say = Callable[[str], None]
Progress = Callable[[str, int, int], None]


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
        dataset = _build(config, train, test, unseen, root, progress)
    say(f"built a dataset of {len(dataset.moments)} moments")
    with clock.step("train"):
        trained = _train(config, dataset, root, say, progress)
    with clock.step("evaluate on unseen clips"):
        evaluation = evaluate_model(trained.model, dataset, "test")
        write_evaluation(evaluation, dataset, root / "evaluation")
    with clock.step("transcribe unseen songs"):
        charts, paths = _transcribe(config, test + unseen, trained.best_path, root, progress)
    known, other = scored(test, charts[: len(test)]), scored(unseen, charts[len(test) :])
    with clock.step("transcribe with the package's model"):
        package = package_songs(unseen, root / "songs")
    with clock.step("write the report"):
        data = report_of(clock.seconds, dataset, trained, evaluation, known, other, package, root)
        write_page(demo_page(data), root / "report.html")
    seconds = _write_summary(clock, known, other, package, root)
    f_measures = known.total.total.f1, other.total.total.f1
    return DemoResult(*f_measures, root / "report.html", trained.best_path, tuple(paths), seconds)


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


def _build(
    config: DemoConfig,
    train: list[Song],
    test: list[Song],
    unseen: list[Song],
    root: Path,
    progress: Progress,
) -> Dataset:
    """The labels of all songs, and the dataset of those on known kits."""
    events: list[Event] = [event for song in train + test + unseen for event in song.events]
    write_records(root / "songs" / "events.jsonl", events)
    known = {song.name for song in train + test}
    return build_dataset(
        [event for event in events if event.session_id in known],
        root / "songs",
        root / "dataset",
        val_fraction=_VAL_FRACTION,
        test_sessions=[song.name for song in test],
        seed=config.seed,
        progress=lambda done, total: progress("Building the dataset", done, total),
    )


def _train(config: DemoConfig, dataset: Dataset, root: Path, say: Say, progress: Progress) -> TrainResult:
    return train_classifier(
        dataset,
        root / "models",
        config.train,
        on_epoch=lambda row: say(_epoch_line(row, config.train.epochs)),
        on_step=lambda done, total: progress("Training", done, total),
    )


def _epoch_line(row: EpochResult, epochs: int) -> str:
    score = "" if row.val_macro_f1 is None else f", macro F1 {row.val_macro_f1:.3f}"
    return f"epoch {row.epoch}/{epochs}: loss {row.train_loss:.3f}{score}, {row.clips_per_s:.0f} clips/s"


def _transcribe(
    config: DemoConfig, songs: list[Song], model: Path, root: Path, progress: Progress
) -> tuple[list[Chart], list[Path]]:
    """What the model just trained finds in songs, and the files it was written into."""
    own = load_transcriber(model, device=config.train.device)
    charts, paths = [], []
    for number, song in enumerate(songs, start=1):
        charts.append(transcribe(root / "songs" / f"{song.name}.wav", transcriber=own))
        for suffix in (".bsm", ".mid"):
            paths.append(root / "charts" / f"{song.name}{suffix}")
            write_chart(charts[-1], paths[-1])
        progress("Transcribing", number, len(songs))
    return charts, paths


def _write_summary(clock: _Clock, known: Scored, other: Scored, package: PackageSongs, root: Path) -> float:
    """Write ``summary.json``; returns the seconds of all steps."""
    seconds = sum(clock.seconds.values())
    summary = {
        "f_measure": known.total.total.f1,
        "macro_f1": known.total.macro_f1,
        "f_measure_unseen_kits": other.total.total.f1,
        "f_measure_package": package.total.f1,
        "tolerance_ms": TOLERANCE_S * 1000,
        "seconds": seconds,
        "seconds_by_step": clock.seconds,
    }
    write_bytes(root / "summary.json", msgspec.json.format(msgspec.json.encode(summary), indent=2))
    return seconds
