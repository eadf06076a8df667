"""Operating thresholds: planted scores whose best cut is known."""

from __future__ import annotations

import numpy as np
import pytest

from beatsight.metrics import best_thresholds
from beatsight.taxonomy import CLASSIFIER
from beatsight.train.thresholds import SONG_PREVALENCE, fit_thresholds, song_weights


def test_thresholds_of_rare_classes_lean_on_the_one_for_all() -> None:
    truth = np.zeros((400, 3), bool)
    truth[:200, 0] = truth[0, 1] = True  # class 2 never occurs
    scores = np.where(truth, 0.2, 0.1)
    scores[0, 1] = 0.6  # the rare class alone would put its threshold at 0.35
    np.testing.assert_allclose(fit_thresholds(truth, scores), [0.15, 0.35 / 51 + 0.15 * 50 / 51, 0.15])


def test_weights_make_classes_as_frequent_as_in_songs() -> None:
    random = np.random.default_rng(0)
    truth = random.random((500, len(CLASSIFIER))) < 0.3
    weights = song_weights(truth, CLASSIFIER)
    share = (weights * truth).sum(axis=0) / weights.sum(axis=0)
    np.testing.assert_allclose(share, [SONG_PREVALENCE[label] for label in CLASSIFIER])
    assert song_weights(np.zeros((4, 12), bool), CLASSIFIER).min() > 0


def test_a_class_rare_in_songs_is_accepted_less_easily() -> None:
    random = np.random.default_rng(1)
    truth = np.zeros((2000, len(CLASSIFIER)), bool)
    tom = CLASSIFIER.index("tom_mid")
    truth[:1000, tom] = True  # half of a kit's one-shots, 1.6 % of a song
    scores = np.clip(random.normal(np.where(truth, 0.6, 0.4), 0.15), 0, 1)
    plain = fit_thresholds(truth, scores)[tom]
    as_in_songs = fit_thresholds(truth, scores, song_weights(truth, CLASSIFIER))[tom]
    assert as_in_songs > plain + 0.1


def test_weights_count_like_repeated_rows() -> None:
    random = np.random.default_rng(2)
    truth = random.random((60, 3)) < 0.4
    scores = random.random((60, 3))
    times = random.integers(1, 5, 60)
    weighted = best_thresholds(truth, scores, np.repeat(times[:, None], 3, axis=1))
    repeated = best_thresholds(np.repeat(truth, times, axis=0), np.repeat(scores, times, axis=0))
    assert weighted == pytest.approx(repeated)


def test_every_class_has_a_prevalence() -> None:
    assert tuple(SONG_PREVALENCE) == CLASSIFIER
