"""Performances from MIDI, and the parts drawn from them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beatsight.errors import InputError
from beatsight.synth.studio.performances import Groove, Stroke, read_groove, read_grooves
from beatsight.synth.studio.playing import (
    PlayingConfig,
    draw_part,
    draw_strokes,
    groove_weights,
    single_strokes,
)
from beatsight.synth.studio.variations import percussion
from beatsight.taxonomy import is_hihat
from planted_kits import plant_groove

PLAIN = PlayingConfig(
    random_share=0.0, tempo_spread=0.0, swap_share=0.0, tom_share=0.0, crash_share=0.0, stick_share=0.0,
    pedal_share=0.0, silent_shares={}, flam_share=0.0, double_share=0.0, velocity_power_spread=0.0,
)  # fmt: skip


@pytest.fixture(scope="module")
def grooves(tmp_path_factory: pytest.TempPathFactory) -> list[Groove]:
    folder = tmp_path_factory.mktemp("midi files")
    plant_groove(folder / "one.mid", bpm=120.0)
    plant_groove(folder / "deeper" / "two.mid", bpm=90.0)
    (folder / "info.csv").write_text(
        "drummer,midi_filename,split\ndrummer1,one.mid,train\ndrummer2,deeper/two.mid,validation\n"
    )
    found, skipped = read_grooves(folder)
    assert not skipped
    return found


def test_a_file_is_read_with_velocity_openness_and_tempo(grooves: list[Groove]) -> None:
    two, one = grooves
    assert (one.drummer, two.drummer, one.meter) == ("drummer1", "drummer2", "4/4")
    assert one.bpm == pytest.approx(120.0) and two.bpm == pytest.approx(90.0, abs=0.01)
    first, second, third = sorted(one.strokes[:3], key=lambda s: (s.time_s, s.label))
    # The pedal is up on the first eighth and down on the second.
    assert (first.label, first.openness, first.velocity) == ("hihat_open", 1.0, pytest.approx(60 / 127))
    assert (second.label, second.openness) == ("kick", None)
    assert (third.label, third.openness, third.time_s) == ("hihat_closed", 0.0, pytest.approx(0.25))


def test_split_and_drummer(grooves: list[Groove], tmp_path: Path) -> None:
    plant_groove(tmp_path / "a.mid")
    with pytest.raises(InputError, match=r"has no info\.csv, so it has no split 'train'"):
        read_grooves(tmp_path, split="train")
    (tmp_path / "info.csv").write_text("drummer,midi_filename,split\nx,a.mid,train\n")
    assert len(read_grooves(tmp_path, split="train")[0]) == 1
    with pytest.raises(InputError, match="holds no drum performance in MIDI that can be used"):
        read_grooves(tmp_path, drummers=["y"])
    with pytest.raises(InputError, match="no such folder"):
        read_grooves(tmp_path / "absent")


def test_a_damaged_file_is_listed_and_the_others_are_read(tmp_path: Path) -> None:
    plant_groove(tmp_path / "good.mid")
    (tmp_path / "bad.mid").write_bytes((tmp_path / "good.mid").read_bytes()[:60])
    found, skipped = read_grooves(tmp_path)
    assert [g.name for g in found] == ["good"] and [path.name for path, _ in skipped] == ["bad.mid"]
    assert "bad.mid" in skipped[0][1]


def test_a_file_that_states_no_tempo_has_none(tmp_path: Path) -> None:
    import mido

    file = mido.MidiFile()
    track = mido.MidiTrack([mido.Message("note_on", channel=9, note=36, velocity=100)])
    file.tracks.append(track)
    file.save(tmp_path / "bare.mid")
    groove = read_groove(tmp_path / "bare.mid")
    assert (groove.bpm, groove.meter, len(groove.strokes)) == (None, None, 1)


def test_a_plain_part_is_the_performance(grooves: list[Groove]) -> None:
    one = [g for g in grooves if g.name == "one"]
    part = draw_part(np.random.default_rng(1), one, groove_weights(one), 8.0, PLAIN)
    times = np.array([s.time_s for s in part.strokes if is_hihat(s.label)])
    assert np.allclose(np.diff(times), 0.25, atol=0.13) and len(times) > 25
    assert {p.name for p in part.passages} == {"one"}
    assert all(p.bpm == pytest.approx(120.0) and p.drummer == "drummer1" for p in part.passages)


def test_a_stretched_performance_states_the_tempo_that_sounds(grooves: list[Groove]) -> None:
    one = [g for g in grooves if g.name == "one"]
    config = PlayingConfig(**{**PLAIN.__dict__, "tempo_spread": 0.3})
    for seed in range(5):
        part = draw_part(np.random.default_rng(seed), one, groove_weights(one), 7.0, config)
        until = part.passages[1].start_s if len(part.passages) > 1 else 7.0
        kicks = np.array([s.time_s for s in part.strokes if s.label == "kick" and s.time_s < until])
        bpm = part.passages[0].bpm
        assert bpm is not None and len(kicks) > 2
        # A kick every other quarter.
        assert 120.0 / np.median(np.diff(kicks)) == pytest.approx(bpm, rel=0.01)


@settings(max_examples=40)
@given(st.integers(0, 2**31))
def test_any_part_is_in_order_and_in_range(grooves: list[Groove], seed: int) -> None:
    weights = groove_weights(grooves)
    strokes = draw_strokes(np.random.default_rng(seed), grooves, weights, 6.0)
    assert strokes == draw_strokes(np.random.default_rng(seed), grooves, weights, 6.0)
    times = [s.time_s for s in strokes]
    assert times == sorted(times) and all(0.0 <= t < 5.95 for t in times)
    for stroke in strokes:
        assert 0.0 < stroke.velocity <= 1.0
        assert stroke.openness is None or (is_hihat(stroke.label) and 0.0 <= stroke.openness <= 1.0)
    latest: dict[str, float] = {}
    for stroke in strokes:
        drum = "hihat" if is_hihat(stroke.label) else stroke.label
        # 28 ms, or a flam's two strokes on one drum; bending velocities moves nothing.
        assert stroke.time_s - latest.get(drum, -1.0) >= 0.0279
        latest[drum] = stroke.time_s


def test_of_two_strokes_too_close_the_louder_stays() -> None:
    strokes = [Stroke(0.0, "snare", 0.2), Stroke(0.02, "snare", 0.9), Stroke(0.02, "kick", 0.1)]
    assert single_strokes(strokes) == [Stroke(0.02, "kick", 0.1), Stroke(0.02, "snare", 0.9)]


def test_hand_percussion_plays_along_and_takes_nothing_away() -> None:
    strokes = [Stroke(0.5 * k, "kick" if k % 2 else "snare", 0.8) for k in range(60)]
    followed = {"kick": 0, "snare": 0}
    for seed in range(40):
        more = percussion(np.random.default_rng(seed), strokes)
        added = [s for s in more if s.label not in ("kick", "snare")]
        assert [s for s in more if s.label in ("kick", "snare")] == strokes
        assert len({s.label for s in added}) == 1 and all(0.0 < s.velocity <= 1.0 for s in added)
        for drum in followed:
            times = np.array([s.time_s for s in strokes if s.label == drum])
            on_it = [np.abs(times - s.time_s).min() < 0.06 for s in added]
            # The other drum falls halfway between this one's strokes.
            followed[drum] += all(on_it)
    assert followed["snare"] > 3 and followed["kick"] > 3
