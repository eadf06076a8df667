"""Performances: meter, tempo and beats as asked, all drums played, feel within human bounds."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beatsight.errors import UsageError
from beatsight.synth.grooves import make_groove
from beatsight.synth.styles import METERS, STYLES, grid
from beatsight.taxonomy import CLASSIFIER, PRODUCTION, fold, is_hihat, is_known


def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_patterns_are_whole_bars() -> None:
    for name, style in STYLES.items():
        length = 4 * style.steps
        lines = [*style.kick, *style.snare, *style.keeper, *(line for _, line, _ in style.extras)]
        lines.append((style.pedal * 2)[:length] if len(style.pedal) < length else style.pedal[:length])
        assert all(len(line) == length and set(line) <= set(".Xxlgos") for line in lines), name
        assert len(style.pedal) >= length
        assert all(is_known(label) for label, _ in style.keepers)


@pytest.mark.parametrize("meter", METERS)
def test_bars_of_every_meter_have_their_length(meter: str) -> None:
    quarters = METERS[meter].beats * METERS[meter].quarters_per_beat
    assert quarters == int(meter[0]) * 4 / int(meter[2])
    for style in STYLES.values():
        steps = grid(style, METERS[meter])
        if steps is not None and not (style.steps == 3 and meter == "6/8"):
            assert len(steps) == quarters * style.steps
            assert len(steps) % METERS[meter].beats == 0


@given(
    seed=st.integers(0, 10_000),
    style=st.sampled_from(sorted(STYLES)),
    meter=st.sampled_from(sorted(METERS)),
    tempo=st.floats(60.0, 190.0),
)
@settings(max_examples=80, deadline=None)
def test_what_is_asked_is_played(seed: int, style: str, meter: str, tempo: float) -> None:
    if grid(STYLES[style], METERS[meter]) is None:
        with pytest.raises(UsageError, match=f"{style} is played in triplets, which do not fit into {meter}"):
            make_groove(rng(seed), style, meter, tempo, 12.0)
        return
    played = make_groove(rng(seed), style, meter, tempo, 12.0)
    beats, downbeats = played.beats_s, played.downbeats_s
    gaps = np.diff(beats)
    assert np.all(np.abs(gaps * tempo / 60.0 - 1.0) < 0.06)
    assert abs(gaps.mean() * tempo / 60.0 - 1.0) < 0.03
    assert np.array_equal(downbeats, beats[:: METERS[meter].beats])
    assert played.meter.name == meter and played.style == style
    assert [time for time, _ in played.tempo_map] == pytest.approx(downbeats.tolist())
    onsets = [hit.onset_s for hit in played.hits]
    assert onsets == sorted(onsets) and onsets[0] >= 0.0 and onsets[-1] < 12.0
    for hit in played.hits:
        assert 0.0 < hit.velocity <= 1.0
        assert (hit.openness is not None) == is_hihat(hit.label)
        assert hit.openness is None or 0.0 <= hit.openness <= 1.0


def test_drawn_tempi_lie_in_the_usual_range() -> None:
    tempi = [make_groove(rng(seed), duration_s=4.0).tempo_bpm for seed in range(200)]
    assert min(tempi) >= 60 and max(tempi) <= 190
    assert max(tempi) - min(tempi) > 90


def test_every_meter_and_style_is_drawn() -> None:
    played = [make_groove(rng(seed), duration_s=4.0) for seed in range(200)]
    assert {p.style for p in played} == set(STYLES)
    assert {p.meter.name for p in played} == set(METERS)
    for meter in METERS:
        assert make_groove(rng(3), meter=meter, duration_s=4.0).meter.name == meter


@pytest.mark.parametrize("first", [0, 1000, 2000])
def test_twenty_songs_hold_enough_of_every_class(first: int) -> None:
    classes: Counter[str | None] = Counter()
    production: Counter[str | None] = Counter()
    for seed in range(first, first + 20):
        for hit in make_groove(rng(seed)).hits:
            classes[fold(hit.label)] += 1
            production[fold(hit.label, "production")] += 1
    assert {label: classes[label] for label in CLASSIFIER if classes[label] < 60} == {}
    assert {label: production[label] for label in PRODUCTION if production[label] < 5} == {}


def test_backbeat_of_disco_is_where_it_belongs() -> None:
    played = make_groove(rng(4), "disco", "4/4", 120.0)
    kicks = np.array([hit.onset_s for hit in played.hits if hit.label == "kick"])
    near = [np.abs(kicks - beat).min() < 0.03 for beat in played.beats_s[:-2]]
    assert np.mean(near) > 0.75  # four on the floor, but for fills
    backbeats = np.array(
        [h.onset_s for h in played.hits if h.label in ("snare", "rimshot") and h.velocity > 0.8]
    )
    on_two_or_four = [np.abs(played.beats_s[1::2] - hit).min() < 0.03 for hit in backbeats]
    assert np.mean(on_two_or_four) > 0.6


def test_timing_is_human() -> None:
    """Kicks on beats scatter by milliseconds: neither exact nor sloppy."""
    errors = []
    for seed in range(12):
        played = make_groove(rng(seed), "disco", "4/4", 120.0)
        for beat in played.beats_s[:-2]:
            gap = min((hit.onset_s - beat for hit in played.hits if hit.label == "kick"), key=abs)
            if abs(gap) < 0.04:
                errors.append(gap)
    assert 0.002 < np.std(errors) < 0.010


def test_jazz_swings_in_triplets() -> None:
    played = make_groove(rng(8), "jazz", "4/4", 140.0)
    beat = 60.0 / 140.0
    phases = []
    for hit in played.hits:
        index = int(np.searchsorted(played.beats_s, hit.onset_s, side="right")) - 1
        if hit.label == "ride_bow" and index >= 0:
            phases.append((hit.onset_s - played.beats_s[index]) / beat)
    off = [phase for phase in phases if 0.25 < phase < 0.85]
    assert len(off) > 10 and abs(np.median(off) - 2 / 3) < 0.04


def test_flams_and_ghosts_occur() -> None:
    ghosts = flams = 0
    for seed in range(20):
        snares = [hit for hit in make_groove(rng(seed)).hits if hit.label == "snare"]
        ghosts += sum(hit.velocity < 0.25 for hit in snares)
        flams += sum(0.018 < b.onset_s - a.onset_s < 0.036 for a, b in pairwise(snares))
    assert ghosts > 30 and flams > 3


def test_no_two_hat_strokes_on_one_step() -> None:
    for seed in range(30):
        hats = [hit for hit in make_groove(rng(seed)).hits if is_hihat(hit.label)]
        assert all(b.onset_s - a.onset_s > 0.012 for a, b in pairwise(hats)), seed


def test_refusals() -> None:
    with pytest.raises(UsageError, match="unknown style 'polka'; known: rock, funk"):
        make_groove(rng(0), "polka")
    with pytest.raises(UsageError, match="unknown meter '4'; known: 4/4, 3/4"):
        make_groove(rng(0), "rock", "4")
    with pytest.raises(UsageError, match="tempo 500 is not between 40 and 300"):
        make_groove(rng(0), "rock", "4/4", 500)
    with pytest.raises(UsageError, match="a song must last at least 3 s, not nan"):
        make_groove(rng(0), "rock", "4/4", 120, float("nan"))
