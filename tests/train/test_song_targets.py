"""What the transcriber is asked for: planted strokes give triangles; what cannot be heard counts little."""

from __future__ import annotations

import numpy as np
import pytest

from beatsight.audio.frames import FrameConfig
from beatsight.dataset.frames.shards import stroke_table
from beatsight.models.song_labels import ARTICULATIONS, GROUPS
from beatsight.synth.studio.performances import Stroke
from beatsight.train.songs.targets import TargetConfig, audibility, make_targets

FRAMES = FrameConfig()
QUIET = np.full((100, 80), -60.0, np.float32)


def targets(strokes: list[Stroke], heard: list[float] | None = None):
    ears = np.array([1.0] * len(strokes) if heard is None else heard)
    return make_targets(QUIET, stroke_table([strokes]), ears, TargetConfig(), FRAMES)


@pytest.mark.parametrize("position", [20.0, 20.25, 20.5, 20.9])
def test_an_onset_is_a_triangle_around_its_exact_time(position: float) -> None:
    made = targets([Stroke(position * FRAMES.hop_s, "snare", 0.7)])
    column = made.onsets[:, GROUPS.index("SD")]
    expected = np.maximum(0.0, 1.0 - np.abs(np.arange(100) - position) / 2.0)
    assert np.allclose(column, expected, atol=1e-4)
    assert np.array_equal(column, made.onsets[:, len(GROUPS) + ARTICULATIONS.index("snare")])
    assert made.onsets.sum() == pytest.approx(2 * column.sum())


def test_velocity_and_openness_are_asked_for_at_the_onset_only() -> None:
    made = targets([Stroke(0.3, "hihat_half", 0.4, 0.45)])
    asked = np.flatnonzero(made.velocity_weights[:, GROUPS.index("HH")])
    assert asked.tolist() == [29, 30, 31]
    assert np.allclose(made.velocity[asked, GROUPS.index("HH")], 0.4)
    assert np.allclose(made.openness[asked, 0], 0.45)
    assert made.velocity_weights.sum() == 3 and made.openness_weights.sum() == 3


def test_the_pedal_has_no_openness_and_percussion_no_group() -> None:
    made = targets([Stroke(0.3, "hihat_pedal", 0.4, 0.0), Stroke(0.6, "tambourine", 0.5)])
    assert made.openness_weights.sum() == 0
    assert made.onsets[60, : len(GROUPS)].sum() == 0
    assert made.onsets[60, len(GROUPS) + ARTICULATIONS.index("tambourine")] == pytest.approx(1.0, abs=1e-4)


def test_the_louder_of_two_strokes_of_a_group_gives_the_velocity() -> None:
    made = targets([Stroke(0.3, "crash", 0.9), Stroke(0.3, "ride_bow", 0.2)])
    assert made.velocity[30, GROUPS.index("CY")] == pytest.approx(0.9)


def test_a_stroke_that_nobody_hears_weighs_next_to_nothing() -> None:
    loud, faint = (targets([Stroke(0.3, "kick", 0.5)], [heard]) for heard in (1.0, 0.0))
    column = GROUPS.index("KD")
    assert loud.weights[30, column] == pytest.approx(2.0)
    assert faint.weights[30, column] == pytest.approx(2.0 * TargetConfig().inaudible_weight)
    assert faint.weights[50, column] == 1.0


def test_audibility_is_the_stroke_s_share_of_the_mix() -> None:
    levels = QUIET.copy()
    levels[30:34, 20:40] = -10.0
    own, buried = np.full(80, -90.0), np.full(80, -90.0)
    own[20:40], buried[20:40] = -10.0, -30.0
    found = audibility(levels, np.array([30.0, 30.0]), np.stack([own, buried]))
    assert found.tolist() == [1.0, 0.0]


def test_where_the_attack_is_not_known_the_rise_of_the_mix_tells() -> None:
    levels = QUIET.copy()
    levels[30:34, 20:40] = -10.0
    unknown = np.full((2, 80), -90.0)
    assert audibility(levels, np.array([30.0, 70.0]), unknown).tolist() == [1.0, 0.0]


def test_strokes_at_the_ends_of_a_piece_do_not_reach_out_of_it() -> None:
    made = targets([Stroke(0.0, "kick", 0.5), Stroke(0.999, "kick", 0.5)])
    assert made.onsets[0, 0] == pytest.approx(1.0, abs=1e-4) and made.onsets[99, 0] > 0.4
