"""The truth of rendered drums: attacks where the labels are, chokes, levels, openness, microphones."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beatsight.errors import InputError
from beatsight.synth.sample_kit import find_kits, read_kit, unique_hits
from beatsight.synth.studio.bank import Bank, Piece, load_take, role_of
from beatsight.synth.studio.drumset import Drumset, DrumsetConfig
from beatsight.synth.studio.mixing import Placed, place_strokes, treat_bus
from beatsight.synth.studio.playing import Stroke, random_strokes, single_strokes
from beatsight.taxonomy import resolve
from planted_kits import ATTACK, DELAY, NEUTRAL, RATE, plant_bank


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Bank:
    return plant_bank(tmp_path_factory.mktemp("kits") / "planted")


def placed(bank: Bank, strokes: list[Stroke], seconds: float = 2.0, seed: int = 1) -> Placed:
    rng = np.random.default_rng(seed)
    return place_strokes(rng, Drumset(rng, bank, NEUTRAL), strokes, round(seconds * RATE))


def steepest(audio: np.ndarray) -> int:
    """Onset by another measure: the best split of the sound into a quiet part and a loud one (AIC picker).

    Source: N. Maeda, "A method for reading and checking phase times in autoprocessing system of seismic wave
    data", 1985.
    """
    power = np.cumsum(np.square(audio, dtype=np.float64)) + 1e-12
    k = np.arange(1, len(audio))
    before, after = power[:-1] / k, (power[-1] - power[:-1] + 1e-12) / (len(audio) - k)
    return int(np.argmin(k * np.log(before + 1e-12) + (len(audio) - k) * np.log(after)) + 1)


def test_every_planted_attack_is_where_its_label_says(bank: Bank) -> None:
    labels = {take.label for pieces in bank.pieces.values() for piece in pieces for take in piece.takes}
    assert len(labels) == 10
    for label in sorted(labels):
        openness = {"hihat_half": 0.4, "hihat_open": 0.9}.get(label)
        out = placed(bank, [Stroke(0.5, label, 0.8, openness)])
        (stroke,) = out.strokes
        assert stroke.label == label and stroke.source.startswith("planted:")
        first = int(np.flatnonzero(np.abs(out.track) > 1e-6)[0])
        assert first == round(stroke.time_s * RATE) == round(0.5 * RATE), label
        assert abs(steepest(out.track[first - 2000 : first + 2000]) - 2000) <= 44, label


def test_microphone_delays_are_real(bank: Bank) -> None:
    (piece,) = bank.pieces["kick"]
    take = piece.takes[0]
    assert int(np.argmax(take.mics["oh"] != 0)) - int(np.argmax(take.mics["near"] != 0)) == DELAY
    track = placed(bank, [Stroke(0.5, "kick", 1.0)]).track
    at = round(0.5 * RATE)
    dry = placed(bank, [Stroke(0.5, "kick", 1.0)]).track[at : at + 3000].astype(np.float64)
    # The sound comes again DELAY samples later: the autocorrelation has its highest peak there.
    lags = np.array([dry[:-lag] @ dry[lag:] for lag in range(20, 1000)])
    assert int(np.argmax(lags)) + 20 == DELAY
    assert not np.abs(track[:at]).any() and ATTACK > 0


def test_a_closed_hat_ends_the_ring_of_an_open_one(bank: Bank) -> None:
    closing = Stroke(0.5, "hihat_closed", 0.8, 0.05)
    both = placed(bank, [Stroke(0.2, "hihat_open", 0.8, 0.9), closing], seed=3)
    alone = placed(bank, [Stroke(0.2, "hihat_open", 0.8, 0.9)], seed=3)
    choked, rings = round(0.532 * RATE), round(0.9 * RATE)
    # After the longest choke only the closed stroke is left, which lasts a quarter of a second.
    assert np.abs(alone.track[rings : rings + 4000]).max() > 1e-3
    assert not np.abs(both.track[rings : rings + 4000]).any()
    assert np.abs(both.track[choked : choked + 2000]).max() > 1e-3
    # Before it the open hat is as it was.
    assert np.array_equal(both.track[: round(0.5 * RATE) - 1], alone.track[: round(0.5 * RATE) - 1])


def test_a_ringing_crash_is_not_choked_by_a_hat(bank: Bank) -> None:
    out = placed(bank, [Stroke(0.2, "crash", 0.8), Stroke(0.5, "hihat_closed", 0.8, 0.05)])
    assert np.abs(out.track[round(0.9 * RATE) : round(1.0 * RATE)]).max() > 1e-3


def test_levels_follow_velocity(bank: Bank) -> None:
    levels = []
    for velocity in (0.1, 0.3, 0.5, 0.7, 1.0):
        track = placed(bank, [Stroke(0.5, "snare", velocity)], seed=5).track
        levels.append(float(np.sqrt(np.mean(np.square(track[round(0.5 * RATE) :][:3528], dtype=np.float64)))))
    assert all(a < b for a, b in itertools.pairwise(levels))
    slope = np.diff(np.log(levels)) / np.diff(np.log([0.1, 0.3, 0.5, 0.7, 1.0]))
    # One exponent for a song, whatever recording plays: the recordings' own levels are divided out.
    assert np.allclose(slope, slope[0], atol=1e-3) and 0.7 <= slope[0] < 2.5


def test_openness_is_that_of_the_recording_and_labels_too(bank: Bank) -> None:
    asked = [0.0, 0.2, 0.3, 0.55, 0.7, 1.0]
    strokes = [Stroke(0.2 + 0.3 * i, "hihat_open", 0.5, value) for i, value in enumerate(asked)]
    got = placed(bank, strokes, seconds=3.0).strokes
    assert [s.openness for s in got] == [0.05, 0.05, 0.4, 0.4, 0.9, 0.9]
    assert [s.label for s in got] == ["hihat_closed"] * 2 + ["hihat_half"] * 2 + ["hihat_open"] * 2
    assert placed(bank, [Stroke(0.2, "kick", 0.5)]).strokes[0].openness is None


def test_takes_of_one_layer_take_turns(bank: Bank) -> None:
    strokes = [Stroke(0.3 * i + 0.1, "kick", 0.9) for i in range(12)]
    track = placed(bank, strokes, seconds=4.0).track
    heads = {track[round(s.time_s * RATE) :][:200].tobytes() for s in strokes}
    assert len(heads) == 2


def test_a_drum_that_no_kit_has_is_neither_heard_nor_labelled(bank: Bank) -> None:
    out = placed(bank, [Stroke(0.5, "china", 0.9), Stroke(1.0, "kick", 0.9)])
    assert [s.label for s in out.strokes] == ["kick"]
    assert not np.abs(out.track[: round(1.0 * RATE)]).any()


def test_strokes_at_the_edges(bank: Bank) -> None:
    n = 2 * RATE
    out = placed(
        bank, [Stroke(0.0, "kick", 1.0), Stroke((n - 1) / RATE, "snare", 1.0), Stroke(2.0, "tom_low", 1.0)]
    )
    assert [s.label for s in out.strokes] == ["kick", "snare"]
    assert out.track.shape == (n,) and abs(out.track[0]) > 0.1 and abs(out.track[-1]) > 0.1
    empty = placed(bank, [])
    assert empty.strokes == [] and not empty.track.any() and len(empty.attacks_db) == 0


@settings(max_examples=12)
@given(st.integers(0, 2**31))
def test_whatever_is_drawn_is_finite_and_labels_lie_in_the_song(bank: Bank, seed: int) -> None:
    rng = np.random.default_rng(seed)
    strokes = single_strokes(random_strokes(rng, 3.0))
    n = round(3.0 * RATE)
    out = place_strokes(rng, Drumset(rng, bank, DrumsetConfig()), strokes, n)
    audio = treat_bus(rng, out.track, out.send)
    assert audio.shape == (n,) and np.isfinite(audio).all() and np.isfinite(out.attacks_db).all()
    times = [s.time_s for s in out.strokes]
    assert times == sorted(times) and all(0.0 <= t < 3.0 for t in times)
    for stroke in out.strokes:
        assert 0.0 < stroke.velocity <= 1.0
        assert (stroke.openness is not None) == stroke.label.startswith("hihat_")


def _attack(audio: np.ndarray) -> int:
    """The first sample of a tenth of the peak, counted by hand: the measure of the data's trim table."""
    return int(np.flatnonzero(np.abs(audio) >= 0.1 * np.abs(audio).max())[0])


def test_attacks_of_every_label_of_the_development_kits(shared: Path) -> None:
    """A stroke alone and dry begins within a millisecond of its label; two strokes of each label and kit."""
    seen: dict[tuple[str, str], int] = {}
    wrong, swells = [], 0
    for kit, hit in unique_hits([read_kit(folder) for folder in find_kits(shared / "data" / "kits")]):
        key = (kit.name, hit.label)
        if hit.choke or seen.get(key, 0) >= 2 or (hit.velocity or 1.0) < 0.3:
            continue
        seen[key] = seen.get(key, 0) + 1
        take = load_take(kit, hit)
        role = role_of(resolve(hit.label))
        mics = {name: mic.role for name, mic in kit.mics.items()}
        only = Bank({role: (Piece(kit.name, role, "it", (take,), mics),)}, ())
        try:
            out = placed(only, [Stroke(0.5, hit.label, 1.0, hit.openness)], seconds=1.5)
        except InputError as error:  # pragma: no cover - a silent take must not come this far
            wrong.append((key, str(error)))
            continue
        assert out.strokes, key
        error_ms = (_attack(out.track) - round(0.5 * RATE)) / RATE * 1000
        if hit.label in ("hihat_pedal", "hihat_foot_splash") and error_ms < 0.0:
            # The pedal's squeak comes before the hats meet, which is the onset.
            assert error_ms > -60.0
            swells += 1
        elif abs(error_ms) > 1.0:
            wrong.append((key, f"{error_ms:.2f} ms"))
    assert len(seen) > 45 and swells < 10
    assert not wrong


def test_the_distractors_of_the_development_data_have_names(shared: Path) -> None:
    folders = [*find_kits(shared / "data" / "percussion"), *find_kits(shared / "data" / "kits" / "avl")]
    by_kit = {kit.name: {resolve(hit.label) for hit in kit.hits} for kit in map(read_kit, folders)}
    assert by_kit["body_percussion"] == {"clap"} and by_kit["dim-cabasa"] == {"shaker"}
    assert {"clap", "tambourine", "shaker", "cowbell", "cross_stick"} <= by_kit["avl/black_pearl"]
    assert {role_of(label) for label in ("cross_stick", "snare")} == {"cross_stick", "snare"}
