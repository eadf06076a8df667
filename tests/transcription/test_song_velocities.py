"""Velocities from the whole song: planted loudness is told, however the song is cut and whatever its gain."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from statistics import median

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beatsight.audio.io import SAMPLE_RATE
from beatsight.dataset.frames.shards import STROKE
from beatsight.models.song_labels import GROUPS
from beatsight.models.song_velocity import COEFFICIENTS, PARTS, attack_parts, song_evidence, weighed
from beatsight.train.songs import fitting
from beatsight.train.songs.validation import LABELS, ValidationSong
from beatsight.transcription import song_transcriber, song_velocities
from beatsight.transcription.decoding import NO_GROUP, Decoder, Struck
from beatsight.transcription.engine import BLOCK, Engine
from beatsight.transcription.hits import Hit
from beatsight.transcription.song_transcriber import SongTranscriber
from beatsight.transcription.song_velocities import HeldLevels, SongVelocities
from song_models import SMALL, quiet, random_model, strike

# Velocity is half the median's, and all of what the network says above it, and a share of each dB.
PLAIN = [0.1, 0.5, 1.0, *[0.01] * PARTS]
RNG = np.random.default_rng(5)
AUDIO = (0.3 * RNG.standard_normal(3 * SAMPLE_RATE) * (RNG.random(3 * SAMPLE_RATE) > 0.99)).astype(np.float32)
MODEL = random_model(seed=3, song_velocities=dict.fromkeys(GROUPS, PLAIN))
TRANSCRIBER = SongTranscriber(MODEL, "planted")


def all_hits(batches: Iterator[list[Hit]]) -> list[Hit]:
    return list(itertools.chain.from_iterable(batches))


WHOLE = all_hits(TRANSCRIBER.find_hits([AUDIO]))
BEFORE = all_hits(SongTranscriber(random_model(seed=3), "planted").find_hits([AUDIO]))


def by_hand(
    said: list[float], parts: list[list[float]], articulations: list[int], numbers: list[float]
) -> list[float]:
    """The same rule for the hits of one group, written without arrays."""
    middle, found = median(said), []
    over = [[row[k] - median(r[k] for r in parts) for k in range(PARTS)] for row in parts]
    for i, articulation in enumerate(articulations):
        same = [over[j] for j, other in enumerate(articulations) if other == articulation]
        total = numbers[0] + numbers[1] * middle + numbers[2] * (said[i] - middle)
        for k in range(PARTS):
            db = over[i][k] - len(same) / (len(same) + 4) * median(row[k] for row in same)
            total += numbers[3 + k] * middle * min(8.0, max(-12.0, db))
        found.append(min(1.0, max(0.02, total)))
    return found


def attack(quarters: list[float], frame: int, frames: int = 12, bands: int = 16) -> np.ndarray:
    """Levels of silence but for one frame."""
    levels = np.full((frames, bands), -90.0, np.float32)
    levels[frame] = np.repeat(quarters, bands // PARTS)
    return levels


def test_the_attack_of_each_quarter_is_its_loudest_frames_power() -> None:
    levels = np.full((1, 4, 16), -90.0, np.float32)
    levels[0, 1, :4] = -10.0
    levels[0, 2, 4:6], levels[0, 3, 6:8] = -20.0, -30.0  # each band's own loudest frame
    levels[0, 0, 8:] = -40.0
    expected = [-10.0, 10 * np.log10((2 * 10**-2 + 2 * 10**-3) / 4), -40.0, -40.0]
    np.testing.assert_allclose(attack_parts(levels)[0], expected, atol=1e-4)


@given(
    hits=st.lists(
        st.tuples(st.floats(0, 1), st.integers(0, 2), st.lists(st.floats(-90, 20), min_size=4, max_size=4)),
        min_size=1,
        max_size=12,
    ),
    numbers=st.lists(st.floats(-1, 1), min_size=COEFFICIENTS, max_size=COEFFICIENTS),
    gain_db=st.floats(-30, 30),
)
@settings(max_examples=80)
def test_velocities_are_those_worked_out_by_hand(
    hits: list[tuple[float, int, list[float]]], numbers: list[float], gain_db: float
) -> None:
    said, articulations = np.array([h[0] for h in hits]), np.array([h[1] for h in hits])
    parts = np.array([h[2] for h in hits])
    one = np.zeros(len(hits), int)
    found = weighed(song_evidence(said, parts, one, articulations), numbers)
    by = by_hand(said.tolist(), parts.tolist(), articulations.tolist(), numbers)
    np.testing.assert_allclose(found, by, atol=1e-9)
    louder = weighed(song_evidence(said, parts + gain_db, one, articulations), numbers)
    np.testing.assert_allclose(louder, found, atol=1e-9)


def test_groups_do_not_hear_each_other() -> None:
    said, groups = RNG.random(40), np.arange(40) % 2
    parts, articulations = RNG.uniform(-60, 0, (40, PARTS)), np.arange(40) % 6
    both = song_evidence(said, parts, groups, articulations)
    for group in (0, 1):
        mine = groups == group
        alone = song_evidence(said[mine], parts[mine], groups[mine], articulations[mine])
        np.testing.assert_array_equal(both[mine], alone)


def test_a_louder_attack_is_a_harder_stroke() -> None:
    """The network says the same of all; the levels tell the third apart."""
    quarters = [[-30.0] * 4, [-30.0] * 4, [-24.0] * 4, [-30.0] * 4]
    held = HeldLevels([attack(levels, 5) for levels in quarters])
    list(held)
    velocities = SongVelocities(GROUPS, {"SD": PLAIN})
    snare = GROUPS.index("SD")
    struck = [Struck(Hit(i / 10, "snare", 0.9, velocity=0.7), 12 * i + 5, snare, 1, 0.6) for i in range(4)]
    velocities.add(struck, held)
    told = [hit.velocity for hit in all_hits(velocities.hits())]
    # .1 + .5 * .6, and .6 * .01 for each of 4 * 6 dB.
    assert told == [0.4, 0.4, pytest.approx(0.4 + 0.6 * 0.01 * 24, abs=1e-3), 0.4]


def test_hits_without_numbers_keep_what_they_have() -> None:
    held = HeldLevels([attack([-30.0] * 4, 5)])
    list(held)
    velocities = SongVelocities(GROUPS, {"KD": PLAIN})
    hits = [
        Hit(0.05, "clap", 0.9),
        Hit(0.05, "kick", 0.9, velocity=0.2),
        Hit(0.05, "snare", 0.9, velocity=0.3),
    ]
    groups = (NO_GROUP, GROUPS.index("KD"), GROUPS.index("SD"))
    velocities.add([Struck(hit, 5, g, 0, 0.5) for hit, g in zip(hits, groups, strict=True)], held)
    assert [hit.velocity for hit in all_hits(velocities.hits())] == [0.8, 0.35, 0.3]
    empty = SongVelocities(GROUPS, {"KD": PLAIN})
    empty.add([], held)
    assert all_hits(empty.hits()) == []


def test_two_cymbals_of_one_moment_count_once_and_share_a_velocity() -> None:
    quarters = [[-30.0] * 4, [-24.0] * 4, [-36.0] * 4]
    cymbals, crash, ride = GROUPS.index("CY"), 11, 8
    strongest = [
        Struck(Hit(i, "crash", 0.9), 12 * i + 5, cymbals, crash, said)
        for i, said in enumerate((0.6, 0.9, 0.3))
    ]
    # Labels are in order: the second one may stand before the one that it belongs to.
    second = Struck(Hit(1.0, "bell", 0.5), 17, cymbals, ride, 0.9, strongest=False)
    told = []
    for struck in (strongest, [strongest[0], second, strongest[1], strongest[2]]):
        held = HeldLevels([attack(levels, 5) for levels in quarters])
        list(held)
        velocities = SongVelocities(GROUPS, {"CY": PLAIN})
        velocities.add(struck, held)
        told.append([hit.velocity for hit in all_hits(velocities.hits())])
    alone, both = told
    assert len(set(alone)) == 3
    assert both == [alone[0], alone[1], alone[1], alone[2]]


def test_a_hit_is_measured_as_when_the_numbers_were_fitted(monkeypatch: pytest.MonkeyPatch) -> None:
    """All that is known of a song's hits, as training and as transcription work it out."""
    rng, frames = np.random.default_rng(2), 600
    told = msgspec.structs.replace(MODEL.settings, second_thresholds={"crash": 0.4})
    activations, levels = quiet(frames), rng.uniform(-60, 0, (frames, 16)).astype(np.float32)
    at = np.array([0, *range(20, 580, 20), frames - 1])
    for k, frame in enumerate(at):
        strike(activations, "CY", int(frame), float(rng.uniform(0.6, 0.9)))
        strike(activations, ("ride_bow", "splash")[k % 2], int(frame), 0.8)
        strike(activations, "crash", int(frame), (0.2, 0.5, 0.9)[k % 3])
    activations[:, SMALL.onsets : -1] = rng.random((frames, len(GROUPS)))
    strokes = np.zeros(len(at), STROKE)
    strokes["time_s"], strokes["label"] = at * MODEL.frames.hop_s, LABELS.index("crash")
    song = ValidationSong("drums", levels, strokes, np.ones(len(at)))
    seen: list[np.ndarray] = []

    def watched(evidence: np.ndarray, _: object) -> np.ndarray:
        seen.append(evidence)
        return evidence[:, 0]

    monkeypatch.setattr(fitting, "_ridge", watched)
    fitting._song_velocity([song], [activations], MODEL, "CY", 0.5)
    monkeypatch.setattr(song_velocities, "weighed", watched)
    held = HeldLevels([levels])
    list(held)
    velocities = SongVelocities(GROUPS, {"CY": PLAIN})
    for _, struck in Decoder(replace(MODEL, settings=told)).strokes(np.split(activations, [100, 101, 350])):
        velocities.add(struck, held)
    assert len(all_hits(velocities.hits())) == len(at) * 4 // 3
    fitted, used = seen
    assert len(fitted) == len(at)
    np.testing.assert_allclose(used, fitted, atol=1e-6)


def test_levels_are_kept_as_long_as_they_are_wanted() -> None:
    levels = RNG.uniform(-60, 0, (30, 16)).astype(np.float32)
    held = HeldLevels(np.split(levels, [0, 7, 7, 20]))
    assert sum(len(piece) for piece in held) == 30
    np.testing.assert_array_equal(
        held.attacks(np.array([0, 29]))[:, :, 0], levels[[[0, 0, 1, 2], [28, 29, 29, 29]], 0]
    )
    held.forget(19)
    np.testing.assert_array_equal(held.attacks(np.array([10]))[0], levels[9:13])
    held.forget(20)
    np.testing.assert_array_equal(held.attacks(np.array([21]))[0], levels[20:24])


def test_only_velocities_change() -> None:
    assert len(WHOLE) > 10
    assert [replace(hit, velocity=0.0) for hit in WHOLE] == [replace(hit, velocity=0.0) for hit in BEFORE]
    assert sum(a.velocity != b.velocity for a, b in zip(WHOLE, BEFORE, strict=True)) > len(WHOLE) / 2
    assert {hit.velocity for hit in WHOLE if hit.label == "clap"} <= {0.8}


@given(cuts=st.lists(st.integers(0, len(AUDIO)), max_size=8))
@settings(max_examples=20)
def test_velocities_are_the_same_bits_however_the_audio_is_cut(cuts: list[int]) -> None:
    assert all_hits(TRANSCRIBER.find_hits(np.split(AUDIO, sorted(cuts)))) == WHOLE


class Blocks:
    """The whole song's activations, given in blocks of some length as soon as they can be known."""

    device = "cpu"

    def __init__(self, length: int) -> None:
        self.length = length

    def stream(self, levels: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        pieces = list(levels)
        activations = Engine(MODEL).activations(np.concatenate(pieces))
        yield from np.split(activations, range(self.length, len(activations), self.length))


@pytest.mark.parametrize("length", [1, 2, 7, 100, 10_000])
def test_velocities_do_not_depend_on_the_blocks(length: int) -> None:
    key: Callable[[Hit], tuple[str, float]] = lambda hit: (hit.label, hit.time_s)  # noqa: E731
    cut = sorted(all_hits(SongTranscriber(MODEL, "cut", Blocks(length)).find_hits([AUDIO])), key=key)
    whole = sorted(WHOLE, key=key)
    assert [(hit.label, hit.velocity) for hit in cut] == [(hit.label, hit.velocity) for hit in whole]


def test_no_lookahead_needs_no_more_levels_than_there_are() -> None:
    network = SMALL.__class__(**{**SMALL.to_dict(), "lookahead": 0})
    model = random_model(network, seed=4, song_velocities=dict.fromkeys(GROUPS, PLAIN))
    transcriber = SongTranscriber(model, "causal")
    whole = all_hits(transcriber.find_hits([AUDIO]))
    assert len(whole) > 10
    assert all_hits(transcriber.find_hits(np.split(AUDIO, range(441, len(AUDIO), 441)))) == whole


def test_live_hits_have_the_networks_velocity() -> None:
    live = all_hits(TRANSCRIBER.listen(iter([AUDIO])))
    assert [hit.velocity for hit in live] == pytest.approx([hit.velocity for hit in BEFORE], abs=2e-3)


def test_levels_are_let_go_while_the_song_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[int] = []

    class Watched(HeldLevels):
        def forget(self, before: int) -> None:
            super().forget(before)
            held.append(sum(len(piece) for piece in self._held))

    monkeypatch.setattr(song_transcriber, "HeldLevels", Watched)
    seconds = 60
    assert all_hits(TRANSCRIBER.find_hits(AUDIO[:SAMPLE_RATE] for _ in range(seconds)))
    # A block, the second of audio that came last, and the network's context.
    assert len(held) > 4 and max(held) <= BLOCK + 101 + sum(SMALL.context()) < 100 * seconds / 4
