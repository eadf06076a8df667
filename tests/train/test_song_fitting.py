"""Thresholds and calibration: the planted answer is found, and what nobody hears is not counted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
from song_shards import FRAMES, write_songs

from beatsight.models.song_config import SongNetworkConfig
from beatsight.models.song_labels import ARTICULATIONS, GROUPS
from beatsight.models.song_model import SongModel, SongSettings
from beatsight.models.song_repetition import RepetitionConfig
from beatsight.models.song_velocity import attack_parts, song_evidence, weighed
from beatsight.train.songs.fitting import fit
from beatsight.train.songs.thresholds import _second, fit_second_thresholds
from beatsight.train.songs.validation import LABELS, f_measure, score_times, validation_songs
from beatsight.transcription.decoding import calibrated

CONFIG = SongNetworkConfig()
MODEL = SongModel(SongSettings(groups=GROUPS, articulations=ARTICULATIONS), CONFIG, FRAMES, {})


def told(song, rng: np.random.Generator) -> np.ndarray:
    """Activations of .6 at every stroke, false ones of .3 as often, and velocities that are squared."""
    said = np.zeros((len(song.levels), CONFIG.outputs), np.float32)
    for group, index in zip(GROUPS, range(len(GROUPS)), strict=True):
        heard, _ = song.onsets(group)
        for time in heard:
            said[round(time / FRAMES.hop_s), index] = 0.6
            wrong = int(rng.integers(3, len(said) - 3))
            if said[wrong - 3 : wrong + 4, index].max() == 0.0:
                said[wrong, index] = 0.3
    said[:, CONFIG.onsets : -1] = 0.36
    return said


@pytest.fixture(scope="module")
def songs(tmp_path_factory: pytest.TempPathFactory):
    folder = write_songs(tmp_path_factory.mktemp("validation"), songs=8, frames=1000)
    return validation_songs(folder, FRAMES, 6, 10.0)


def test_the_threshold_lies_between_true_and_false_peaks(songs) -> None:
    rng = np.random.default_rng(0)
    fitted = fit(MODEL, songs, [told(song, rng) for song in songs])
    for group in ("KD", "SD", "HH"):
        assert 0.3 < fitted.thresholds[group] < 0.6
        assert fitted.f_measure[group] == 1.0


def test_thresholds_rise_above_what_a_band_alone_makes(songs) -> None:
    rng, said = np.random.default_rng(0), []
    for song in songs:
        activation = told(song, rng)
        if song.kind == "band":
            activation[50::100, GROUPS.index("SD")] = 0.58
        said.append(activation)
    fitted = fit(MODEL, songs, said)
    assert 0.58 < fitted.thresholds["SD"] < 0.6
    assert fitted.thresholds["KD"] < 0.58


def test_a_band_that_is_surer_than_the_drums_silences_nobody(songs) -> None:
    rng, said = np.random.default_rng(0), []
    for song in songs:
        activation = told(song, rng)
        if song.kind == "band":
            activation[50::100, GROUPS.index("SD")] = 0.75
        said.append(activation)
    # Strokes reach .6: above that there would be no snare at all.
    assert fit(MODEL, songs, said).thresholds["SD"] <= 0.6


def test_velocities_are_calibrated_to_what_was_played(songs) -> None:
    rng = np.random.default_rng(0)
    fitted = fit(MODEL, songs, [told(song, rng) for song in songs])
    assert calibrated(0.36, fitted.velocity_curves["KD"]) == pytest.approx(0.6, abs=0.01)


def test_a_songs_velocities_are_told_by_its_own_levels(songs) -> None:
    """Loudness follows the velocity, but every song has a gain of its own and the network says nothing."""
    rng, planted, said = np.random.default_rng(1), [], []
    for song in [song for song in songs if song.kind != "band"] * 3:
        strokes = song.strokes.copy()
        strokes["velocity"] = rng.uniform(0.35, 0.65, len(strokes))
        levels = np.full_like(song.levels, -80.0)
        for stroke in strokes:
            loudness = rng.uniform(-0.5, 0.5) + 40.0 * (stroke["velocity"] - 0.5)
            levels[round(float(stroke["time_s"]) / FRAMES.hop_s)] = loudness - 30.0
        planted.append(replace(song, strokes=strokes, levels=levels + np.float32(rng.uniform(-20, 20))))
        said.append(told(planted[-1], rng))
        said[-1][:, CONFIG.onsets : -1] = 0.5
    fitted = fit(MODEL, planted, said)
    assert "TT" not in fitted.song_velocities  # too few of them
    gaps = []
    for song, activation in zip(planted, said, strict=True):
        frames = np.flatnonzero(activation[:, GROUPS.index("SD")] == np.float32(0.6))
        mine = [s for s in song.strokes if round(float(s["time_s"]) / FRAMES.hop_s) in frames]
        true: dict[int, float] = {round(float(s["time_s"]) / FRAMES.hop_s): s["velocity"] for s in mine}
        around = np.clip(frames[:, None] + np.arange(-1, 3), 0, len(song.levels) - 1)
        one = np.zeros(len(frames), int)
        evidence = song_evidence(one + 0.5, attack_parts(song.levels[around]), one, one)
        found = weighed(evidence, fitted.song_velocities["SD"])
        gaps += [abs(v - true[int(f)]) for f, v in zip(frames, found, strict=True)]
    assert np.mean(gaps) < 0.05  # 0.075 for one velocity throughout


def test_all_kinds_are_there_and_the_same_every_time(songs, tmp_path: Path) -> None:
    assert [song.kind for song in songs] == ["drums"] * 6 + ["mix"] * 6 + ["band"] * 6
    again = validation_songs(write_songs(tmp_path, songs=8, frames=1000), FRAMES, 6, 10.0)
    assert all(np.array_equal(a.levels, b.levels) for a, b in zip(songs, again, strict=True))


def test_a_hit_on_a_stroke_that_nobody_hears_is_neither_right_nor_wrong() -> None:
    assert score_times(np.array([1.0]), np.array([2.0]), np.array([1.0, 2.0])) == (1, 0, 0)
    assert score_times(np.array([1.0]), np.array([2.0]), np.array([1.0])) == (1, 0, 0)
    assert score_times(np.array([1.0]), np.zeros(0), np.array([1.0, 2.0])) == (1, 1, 0)


def test_f_of_nothing_to_find_and_nothing_found_is_one() -> None:
    assert f_measure((0, 0, 0)) == 1.0
    assert f_measure((0, 1, 0)) == 0.0


def test_where_repetition_moves_activations_listening_has_thresholds_of_its_own(songs) -> None:
    rng = np.random.default_rng(0)
    said = [told(song, rng) for song in songs]
    repeating = replace(
        MODEL, settings=msgspec.structs.replace(MODEL.settings, repetition=RepetitionConfig(up=0.9, down=0.9))
    )
    plain, fitted = fit(MODEL, songs, said), fit(repeating, songs, said)
    assert plain.listening_thresholds == {}
    assert fitted.listening_thresholds == plain.thresholds
    assert set(fitted.thresholds) == set(GROUPS)


def test_a_second_hit_needs_examples_and_to_be_right() -> None:
    said = np.array([0.9] * 10 + [0.5] * 4 + [0.2] * 40)
    true = np.array([True] * 10 + [False] * 4 + [False] * 40)
    assert _second(said, true) == 0.9
    assert _second(said, np.arange(54) < 7) is None  # too few
    rng = np.random.default_rng(1)
    assert _second(rng.random(400), rng.random(400) < 0.2) is None  # says nothing of them


def test_second_thresholds_are_fitted_where_two_cymbals_fall_together(tmp_path: Path) -> None:
    folder = write_songs(tmp_path, songs=8, frames=1000)
    songs = [song for song in validation_songs(folder, FRAMES, 6, 10.0) if song.kind != "band"]
    crash, ride = (len(GROUPS) + ARTICULATIONS.index(label) for label in ("crash", "ride_bow"))
    said, doubled = [], []
    for song in songs:
        activation = np.zeros((len(song.levels), CONFIG.outputs), np.float32)
        strokes = np.repeat(song.strokes, 2)
        strokes["label"][::2] = LABELS.index("ride_bow")
        # Every second ride has a crash with it.
        strokes["label"][1::2] = LABELS.index("ride_bow")
        strokes["label"][1::4] = LABELS.index("crash")
        for k, time in enumerate(song.strokes["time_s"]):
            frame = round(float(time) / FRAMES.hop_s)
            activation[frame, [GROUPS.index("CY"), ride]] = 0.9
            activation[frame, crash] = 0.7 if k % 2 == 0 else 0.2
        said.append(activation)
        doubled.append(replace(song, strokes=strokes))
    found = fit_second_thresholds(doubled, said, FRAMES.hop_s, dict.fromkeys(GROUPS, 0.5))
    assert set(found) == {"crash"} and 0.5 < found["crash"] <= 0.7
