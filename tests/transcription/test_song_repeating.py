"""What the whole song tells: same hits however the audio is cut, and none of it while listening."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beatsight.audio.io import SAMPLE_RATE
from beatsight.models.song_labels import GROUPS, PERCUSSION
from beatsight.models.song_ostinato import OstinatoConfig
from beatsight.models.song_presence import PresenceConfig
from beatsight.models.song_repetition import RepetitionConfig
from beatsight.models.song_velocity import PARTS
from beatsight.transcription.hits import Hit
from beatsight.transcription.song_transcriber import SongTranscriber
from song_models import random_model

RNG = np.random.default_rng(8)
# A bar of clicks, again and again; longer than a block of repetition with what it looks at.
BAR = (0.3 * RNG.standard_normal(SAMPLE_RATE) * (RNG.random(SAMPLE_RATE) > 0.999)).astype(np.float32)
AUDIO = np.tile(BAR, 34)
TOLD = {
    "repetition": RepetitionConfig(),
    "ostinato": OstinatoConfig(groups=GROUPS),
    "presence": PresenceConfig(unsure=0.1, sure=0.99),
}
VELOCITIES = {group: [0.1, 0.5, 1.0, *[0.01] * PARTS] for group in GROUPS}
REPEATING = SongTranscriber(random_model(seed=3, song_velocities=VELOCITIES, **TOLD), "planted")


@pytest.fixture(scope="module")
def whole() -> list[Hit]:
    return [*itertools.chain(*REPEATING.find_hits([AUDIO]))]


@pytest.mark.parametrize("cut", [1013, 100_000])
def test_the_same_hits_however_the_audio_is_cut(cut: int, whole: list[Hit]) -> None:
    pieces = np.split(AUDIO, range(cut, len(AUDIO), cut))
    assert len(whole) > 100
    assert [*itertools.chain(*REPEATING.find_hits(pieces))] == whole


@given(cuts=st.lists(st.integers(0, len(AUDIO)), max_size=12))
@settings(max_examples=3, deadline=None)
def test_the_same_hits_at_odd_cuts(cuts: list[int], whole: list[Hit]) -> None:
    assert [*itertools.chain(*REPEATING.find_hits(np.split(AUDIO, sorted(cuts))))] == whole


@pytest.mark.parametrize("samples", [0, 1, 440, 441, 1025, 2205])
def test_songs_of_a_few_frames(samples: int) -> None:
    short = AUDIO[:samples]
    found = [*itertools.chain(*REPEATING.find_hits([short]))]
    one_by_one = np.split(short, max(1, samples))
    assert [*itertools.chain(*REPEATING.find_hits(one_by_one))] == found
    assert [*itertools.chain(*REPEATING.find_hits([short[:0], short, short[:0]]))] == found
    assert all(0.0 <= hit.time_s <= samples / SAMPLE_RATE + 0.03 for hit in found)
    assert all(hit.velocity is not None and 0.0 < hit.velocity <= 1.0 for hit in found)


def test_what_the_song_tells_changes_what_is_found() -> None:
    plain = SongTranscriber(random_model(seed=3), "planted")
    found = [[*itertools.chain(*plain.find_hits([AUDIO]))]]
    for name, told in TOLD.items():
        transcriber = SongTranscriber(random_model(seed=3, **{name: told}), "planted")
        found.append([*itertools.chain(*transcriber.find_hits([AUDIO]))])
    assert found[0]
    assert all(one != other for one, other in itertools.combinations(found, 2))


def test_listening_has_thresholds_of_its_own() -> None:
    never = random_model(
        seed=3, repetition=RepetitionConfig(), listening_thresholds=dict.fromkeys(GROUPS, 2.0)
    )
    heard = itertools.chain(*SongTranscriber(never, "planted").listen([AUDIO]))
    assert {hit.label for hit in heard} <= PERCUSSION
    plain = SongTranscriber(random_model(seed=3), "planted")
    assert [*itertools.chain(*REPEATING.listen([AUDIO]))] == [*itertools.chain(*plain.listen([AUDIO]))]
