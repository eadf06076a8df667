"""Planted activations must become the hits that were planted, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beatsight.models.song_labels import ARTICULATIONS, GROUPS
from beatsight.models.song_model import SongModel
from beatsight.transcription.decoding import Decoder, calibrated
from beatsight.transcription.hits import Hit
from beatsight.transcription.transcriber import SingleStrokes
from song_models import ONSETS, quiet, random_model, strike

MODEL = random_model()


def hits_of(activations: np.ndarray, cuts: list[int] | None = None, model: SongModel = MODEL) -> list[Hit]:
    blocks = np.split(activations, sorted(cuts or []))
    return [hit for some in Decoder(model).hits(blocks) for hit in some]


def labels_of(activations: np.ndarray, model: SongModel = MODEL) -> list[str]:
    return [hit.label for hit in hits_of(activations, model=model)]


def struck(*strokes: tuple[str, str, int], frames: int = 60, height: float = 0.9) -> np.ndarray:
    """Activations with strokes (group, articulation, frame)."""
    activations = quiet(frames)
    for group, articulation, frame in strokes:
        strike(activations, group, frame, height)
        strike(activations, articulation, frame, height)
    return activations


def test_a_stroke_has_its_time_label_velocity_and_score() -> None:
    activations = struck(("KD", "kick", 30))
    activations[30, ONSETS] = 0.625
    (hit,) = hits_of(activations)
    assert (hit.label, hit.velocity, hit.openness) == ("kick", 0.625, None)
    assert hit.time_s == pytest.approx(0.3) and hit.confidence == pytest.approx(0.9)


def test_a_time_between_frames_is_found() -> None:
    activations = struck(("KD", "kick", 30))
    activations[[29, 31, 32], GROUPS.index("KD")] = [0.5, 0.7, 0.4]
    (hit,) = hits_of(activations)
    assert 0.300 < hit.time_s < 0.304


@pytest.mark.parametrize("apart", [3, 4, 6])
def test_flams_are_two_hits(apart: int) -> None:
    hits = hits_of(struck(("SD", "snare", 20), ("SD", "snare", 20 + apart)))
    assert [hit.label for hit in hits] == ["snare", "snare"]
    assert hits[1].time_s - hits[0].time_s == pytest.approx(apart / 100, abs=0.005)
    assert SingleStrokes().of(hits) == hits


def test_a_stroke_two_frames_wide_is_one_hit() -> None:
    activations = struck(("SD", "snare", 20))
    activations[21] = activations[20]  # a plateau
    assert labels_of(activations) == ["snare"]


def test_drums_struck_together_are_all_found() -> None:
    activations = struck(
        ("KD", "kick", 20), ("SD", "cross_stick", 20), ("HH", "hihat_half", 20), ("CY", "crash", 20)
    )
    activations[20, -1] = 0.4
    hits = hits_of(activations)
    assert [hit.label for hit in hits] == ["crash", "cross_stick", "hihat_half", "kick"]
    assert [hit.time_s for hit in hits] == pytest.approx([0.2] * 4)
    assert [hit.openness for hit in hits] == [None, None, pytest.approx(0.4), None]


def test_crash_and_ride_at_once_where_both_are_sure() -> None:
    activations = struck(("CY", "crash", 20))
    strike(activations, "ride_bow", 20, 0.7)
    said = {"second_thresholds": {"ride_bow": 0.7 - 1e-6}}
    assert labels_of(activations, random_model(**said)) == ["crash", "ride_bow"]  # type: ignore[arg-type]
    higher = {"second_thresholds": {"ride_bow": 0.71, "crash": 0.1}}
    assert labels_of(activations, random_model(**higher)) == ["crash"]  # type: ignore[arg-type]
    assert labels_of(activations) == ["crash"]  # no threshold: never a second
    # One hand, one snare: only toms and cymbals are struck two at a time.
    snare = struck(("SD", "snare", 20), ("SD", "cross_stick", 20))
    assert labels_of(snare, random_model(second_thresholds={"cross_stick": 0.1})) == ["snare"]


def test_the_threshold_itself_counts() -> None:
    at, below = struck(("TT", "tom_mid", 20)), struck(("TT", "tom_mid", 20))
    at[20, GROUPS.index("TT")] = 0.5
    below[20, GROUPS.index("TT")] = np.nextafter(np.float32(0.5), np.float32(0))
    at[[18, 19, 21, 22], GROUPS.index("TT")] = below[[18, 19, 21, 22], GROUPS.index("TT")] = 0.2
    assert labels_of(at) == ["tom_mid"] and labels_of(below) == []


@pytest.mark.parametrize("frame", [0, 1, 2, 57, 58, 59])
def test_strokes_at_the_ends(frame: int) -> None:
    (hit,) = hits_of(struck(("KD", "kick", frame)))
    assert hit.time_s >= 0.0 and hit.time_s == pytest.approx(frame / 100, abs=0.01)


def test_percussion_is_named_where_it_is_certain() -> None:
    for height, expected in ((0.59, []), (0.61, ["clap"])):
        activations = quiet(40)
        strike(activations, "clap", 20, height)
        assert labels_of(activations) == expected


def test_times_are_corrected_by_group_and_never_negative() -> None:
    model = random_model(offsets_ms={"KD": -8.0, "SD": 5.0})
    hits = hits_of(struck(("KD", "kick", 20), ("SD", "snare", 20), ("SD", "snare", 0)), model=model)
    assert [(hit.label, round(hit.time_s, 4)) for hit in hits[1:]] == [("snare", 0.195), ("kick", 0.208)]
    assert hits[0].time_s == pytest.approx(0.0, abs=0.004) and hits[0].time_s >= 0.0


def test_velocities_follow_their_curve() -> None:
    activations = struck(("KD", "kick", 30))
    activations[30, ONSETS] = 0.5
    model = random_model(velocity_curves={"KD": [(0.0, 0.0), (0.5, 0.9), (1.0, 1.0)]})
    assert hits_of(activations, model=model)[0].velocity == 0.9
    assert calibrated(2.0, []) == 1.0 and calibrated(-1.0, [(0.0, 0.1), (1.0, 0.9)]) == 0.1


@given(
    cuts=st.lists(st.integers(0, 150), max_size=12),
    seed=st.integers(0, 1000),
    steps=st.sampled_from([4, 1000]),
)
@settings(max_examples=60)
def test_hits_do_not_depend_on_the_blocks(cuts: list[int], seed: int, steps: int) -> None:
    # Few steps make many equal neighbours.
    random = np.random.default_rng(seed).integers(0, steps + 1, (150, len(quiet(1)[0])))
    activations = (random / steps).astype(np.float32)
    whole, cut = hits_of(activations), hits_of(activations, cuts)
    key = lambda hit: (round(hit.time_s, 9), hit.label)  # noqa: E731
    assert [replace(hit, time_s=0.0) for hit in sorted(cut, key=key)] == [
        replace(hit, time_s=0.0) for hit in sorted(whole, key=key)
    ]
    np.testing.assert_allclose(
        sorted(hit.time_s for hit in cut), sorted(hit.time_s for hit in whole), atol=1e-9
    )
    assert whole and {hit.label for hit in whole} <= set(ARTICULATIONS)
