"""The demo, made tiny: its files, its numbers, and its scores on charts whose score is known."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from beatsight import taxonomy
from beatsight.charts import AudioRef, Chart, Timing, build_chart, read_chart
from beatsight.demo import DemoConfig, DemoResult, found_hits, run_demo, score_song, true_hits
from beatsight.errors import UsageError
from beatsight.synth.song import Song, make_song
from beatsight.train.config import TrainConfig

TINY = DemoConfig(
    train_songs=3,
    test_songs=1,
    unseen_songs=1,
    kits=2,
    styles=("rock", "funk"),
    train_seconds=4.0,
    test_seconds=4.0,
    train=TrainConfig(epochs=1, device="cpu", precision="fp32", augment=None),
)


@pytest.fixture(scope="module")
def song() -> Song:
    return make_song(7, duration_s=6.0, style="rock", meter="4/4")


def chart_of(hits: list[tuple[float, str, float]]) -> Chart:
    reference = AudioRef(filename="s.wav", hash="sha256:" + "0" * 64, duration=6000, sample_rate=44_100)
    return build_chart(hits, title="t", artist="a", audio=reference, timing=Timing(bpm=120.0), difficulty=0.0)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, DemoResult, list[str], set[str]]:
    """One run of the tiny demo: its folder, result, sentences and steps."""
    folder, said, steps = tmp_path_factory.mktemp("demo") / "out", [], set()  # type: Path, list[str], set[str]
    result = run_demo(folder, TINY, say=said.append, progress=lambda step, done, total: steps.add(step))
    return folder, result, said, steps


def test_a_perfect_chart_scores_one(song: Song) -> None:
    score = score_song(song, chart_of(true_hits(song)))
    assert score.total.f1 == 1.0 and score.total.fp == score.total.fn == 0
    assert score.total.tp == len(true_hits(song)) > 10


def test_every_fault_of_a_chart_counts_once(song: Song) -> None:
    truth = true_hits(song)
    kick = next(hit for hit in truth if hit[1] == "kick")
    rest = [hit for hit in truth if hit is not kick]
    late = score_song(song, chart_of([*rest, (kick[0] + 0.06, "kick", 0.8)])).total
    near = score_song(song, chart_of([*rest, (kick[0] + 0.045, "kick", 0.8)])).total
    assert near.f1 == 1.0
    assert (late.tp, late.fp, late.fn) in ((len(rest), 1, 1), (len(truth), 0, 0))
    renamed = score_song(song, chart_of([*rest, (kick[0], "china", 0.8)])).total
    assert (renamed.tp, renamed.fp, renamed.fn) == (len(rest), 1, 1)
    missing = score_song(song, chart_of(rest)).total
    assert (missing.tp, missing.fp, missing.fn) == (len(rest), 0, 1)
    assert score_song(song, chart_of([])).total.f1 == 0.0


def test_true_hits_are_the_strokes_by_class(song: Song) -> None:
    truth = true_hits(song)
    assert {label for _, label, _ in truth} <= set(taxonomy.CLASSIFIER)
    by_hand = [hit for hit in song.hits if taxonomy.fold(hit.label, "classifier") is not None]
    assert [(time, velocity) for time, _, velocity in truth] == [(h.onset_s, h.velocity) for h in by_hand]


def test_found_hits_are_in_seconds() -> None:
    assert found_hits(chart_of([(1.25, "snare", 0.5), (0.5, "kick", 0.75)])) == [
        (0.5, "kick", 0.75), (1.25, "snare", 0.5),
    ]  # fmt: skip


def test_the_files_are_there_and_the_numbers_agree(
    made: tuple[Path, DemoResult, list[str], set[str]],
) -> None:
    folder, result, said, steps = made
    assert result.report == folder / "report.html"
    page = result.report.read_text(encoding="utf-8")
    assert page.lstrip().lower().startswith("<!doctype html") and "http://" not in page.replace(
        "http://www.w3.org", ""
    )
    # One song is there to hear, as the package's own transcriber found it.
    assert page.count('class="listening"') == 1
    heard = json.loads(page.split('application/json">')[1].split("</script>")[0])
    assert heard["seconds"] == pytest.approx(TINY.test_seconds, abs=2.5) and heard["start"] == 0
    summary = json.loads((folder / "summary.json").read_bytes())
    assert 0.0 <= summary["f_measure_package"] <= 1.0
    assert summary["f_measure"] == result.f_measure
    assert summary["f_measure_unseen_kits"] == result.f_measure_unseen_kits
    assert summary["seconds"] == result.seconds == pytest.approx(sum(summary["seconds_by_step"].values()))
    assert 0.0 <= result.f_measure <= 1.0
    # One test song on a known kit, one on its own; each as .bsm and .mid.
    assert len(result.charts) == 4 and all(path.is_file() for path in result.charts)
    assert result.model == folder / "models" / "best_drum_classifier.pth" and result.model.is_file()
    for name in ("songs/events.jsonl", "dataset/metadata.json", "evaluation"):
        assert (folder / name).exists()
    assert said[0].startswith("made 3 songs to train on and 2 to test on, ")
    assert steps == {"Making songs", "Building the dataset", "Training", "Transcribing"}


def test_the_score_is_that_of_the_charts_on_disk(made: tuple[Path, DemoResult, list[str], set[str]]) -> None:
    folder, result, _, _ = made
    known = make_song(900_001, duration_s=4.0, style="rock", kit_seed=0, accompaniment_db=TINY.band_db)
    chart = read_chart(folder / "charts" / f"{known.name}.bsm")
    assert score_song(known, chart).total.f1 == result.f_measure
    unseen = make_song(900_002, duration_s=4.0, style="rock", accompaniment_db=TINY.band_db)
    chart = read_chart(folder / "charts" / f"{unseen.name}.bsm")
    assert score_song(unseen, chart).total.f1 == result.f_measure_unseen_kits


def test_test_songs_are_not_trained_on(made: tuple[Path, DemoResult, list[str], set[str]]) -> None:
    folder, _, _, _ = made
    sessions = json.loads((folder / "dataset" / "metadata.json").read_bytes())["sessions"]
    assert [name[-6:] for name in sessions["test"]] == ["900001"]
    assert not any("900002" in name for members in sessions.values() for name in members)


@pytest.mark.parametrize("name", ["train_songs", "test_songs", "unseen_songs", "kits"])
def test_a_demo_of_nothing_is_refused(name: str) -> None:
    settings: dict[str, Any] = {name: 0}
    with pytest.raises(UsageError, match=f"^the demo needs {name} of at least 1, not 0$"):
        replace(TINY, **settings)


def test_a_second_run_over_the_same_folder_gives_the_same(
    made: tuple[Path, DemoResult, list[str], set[str]],
) -> None:
    folder, first, _, _ = made
    again = run_demo(folder, TINY)
    assert replace(again, seconds=0.0) == replace(first, seconds=0.0)
    assert list(folder.glob(".*")) == []
