"""The hardest mistakes: planted ones are found in their order, with the sound of their moment."""

from __future__ import annotations

import io
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given
from hypothesis import strategies as st

from beatsight.audio.features import clip_features
from beatsight.dataset.build import build_dataset
from beatsight.dataset.clips import ClipSource
from beatsight.evaluate.listening import BEFORE_S, CLIP_S, sights_of
from beatsight.evaluate.mistakes import MOST, MOST_A_PAIR, mistakes_of
from beatsight.report.clips import clip_picture
from planted_evaluation import LABELS, planted_evaluation
from tiny_dataset import TINY_FEATURES, events_of, write_song

KICK, SNARE, HAT, OPEN, CRASH, RIDE, TOM = range(7)


def right(moments: int) -> tuple[np.ndarray, np.ndarray]:
    """Kicks that are all heard."""
    truth = np.zeros((moments, 12), bool)
    truth[:, KICK] = True
    return truth, np.where(truth, 0.9, 0.05)


def test_planted_mistakes_by_kind() -> None:
    truth, scores = right(20)
    truth[3, [KICK, SNARE]] = False, True  # a snare heard as a tom, and the kick is rightly not heard
    scores[3, [KICK, SNARE, TOM]] = 0.05, 0.02, 0.97
    scores[5, KICK] = 0.01  # a kick missed
    scores[7, CRASH] = 0.99  # a crash that is not there
    scores[8, CRASH] = 0.75
    count, pairs = mistakes_of(planted_evaluation(truth, scores))
    assert count == 4
    found = {(pair.true, pair.heard): pair for pair in pairs}
    assert {key: pair.count for key, pair in found.items()} == {
        ("snare", "tom_high"): 1, ("kick", None): 1, (None, "crash"): 2,
    }  # fmt: skip
    assert pairs[0].count == 2
    [swapped] = found["snare", "tom_high"].hardest
    assert (swapped.row, swapped.sample_id, swapped.session_id) == (30, "row-30", "session-3")
    assert (swapped.given, swapped.found) == (["snare"], ["tom_high"])
    assert (swapped.true_score, swapped.heard_score) == pytest.approx((0.02, 0.97))
    assert swapped.loss == pytest.approx(-np.log(0.02) - np.log(0.03), rel=1e-5)
    assert swapped.onset_time == pytest.approx(0.3)
    [missed] = found["kick", None].hardest
    assert (missed.row, missed.heard_score, missed.found) == (50, None, [])
    assert [mistake.row for mistake in found[None, "crash"].hardest] == [70, 80]


def test_few_of_a_kind_and_both_kinds_are_described() -> None:
    """A thousand badly missed kicks do not hide the false hits, nor the other way round."""
    truth, scores = right(1000)
    scores[:, KICK] = np.linspace(0.001, 0.2, 1000)
    scores[500, TOM] = 0.6
    scores[501, [SNARE, HAT, OPEN]] = 0.55
    count, pairs = mistakes_of(planted_evaluation(truth, scores))
    assert count == 1002
    found = {(pair.true, pair.heard): pair for pair in pairs}
    assert found["kick", None].count == 998
    assert [mistake.row for mistake in found["kick", None].hardest] == [0, 10, 20, 30]
    assert found["kick", "tom_high"].hardest[0].row == 5000
    assert sum(len(pair.hardest) for pair in pairs) == MOST_A_PAIR + 4
    # With plenty of kinds the list ends at its length, and half of it are false hits.
    random = np.random.default_rng(0)
    truth = random.random((400, 12)) < 0.3
    _, pairs = mistakes_of(planted_evaluation(truth, random.random(truth.shape)))
    kept = [mistake for pair in pairs for mistake in pair.hardest]
    assert len(kept) == MOST
    assert max(len(pair.hardest) for pair in pairs) <= MOST_A_PAIR


@given(st.integers(0, 10**6))
def test_every_missed_and_every_false_label_is_in_one_mistake(seed: int) -> None:
    random = np.random.default_rng(seed)
    truth = random.random((30, 12)) < 0.3
    evaluation = planted_evaluation(truth, random.random(truth.shape))
    count, pairs = mistakes_of(evaluation)
    missed, false = Counter[str](), Counter[str]()
    for pair in pairs:
        assert pair.true is not None or pair.heard is not None
        missed[pair.true or ""] += pair.count
        false[pair.heard or ""] += pair.count
    guess = evaluation.predicted
    for column, label in enumerate(LABELS):
        assert missed[label] == (truth[:, column] & ~guess[:, column]).sum()
        assert false[label] == (guess[:, column] & ~truth[:, column]).sum()
    assert count == np.maximum((truth & ~guess).sum(axis=1), (guess & ~truth).sum(axis=1)).sum()


def test_sounds_and_pictures_are_of_their_moment(tmp_path: Path) -> None:
    hits = [(0.4 + 0.7 * number, (label,)) for number, label in enumerate(("kick", "snare", "kick"))]
    write_song(tmp_path / "a.wav", hits, seconds=2.6)
    dataset = build_dataset(events_of(hits, "a.wav", "s"), tmp_path, tmp_path / "d", val_fraction=0.0)
    sights = sights_of(dataset, [2, 1, 1], TINY_FEATURES)
    assert sorted(sights) == [1, 2]
    for row, sight in sights.items():
        sound, rate = soundfile.read(io.BytesIO(sight.wav))
        assert rate == 22_050 and sound.ndim == 1
        assert len(sound) / rate == pytest.approx(CLIP_S, abs=0.02)
        assert np.abs(sound).max() == pytest.approx(0.9, abs=0.01)
        first = int(np.flatnonzero(np.abs(sound) > 0.05)[0]) / rate
        assert first == pytest.approx(BEFORE_S, abs=0.015)
        clip = torch.from_numpy(ClipSource(dataset, TINY_FEATURES).cut(np.array([row])))
        features = clip_features(clip, TINY_FEATURES)
        assert sight.picture == clip_picture(features[0].numpy(), 4.5 / 16, f"Log-mel clip of row {row}")
    assert sights_of(dataset, [], TINY_FEATURES) == {}
