"""Operating thresholds: from which score on a class counts as present, fitted on validation.

Songs are taken as they are. A validation split of one-shots has no frequencies of its own (a kit may hold as
many toms as kicks), so there moments are weighted as if each class occurred as often as in played music; else
toms, frequent in kits and rare in songs, would be accepted far too easily.
"""

from __future__ import annotations

import numpy as np

from beatsight.metrics import best_thresholds

# Share of moments (hits within 20 ms) in which each class starts, over the 839 training performances of the
# Groove MIDI Dataset 1.0.0 (Gillick et al., ICML 2019). Its e-kits have no china: a tenth of the rarest.
SONG_PREVALENCE = {
    "kick": 0.2532, "snare": 0.4054, "hihat_closed": 0.3073, "hihat_open": 0.0391, "crash": 0.0098,
    "ride": 0.1718, "tom_high": 0.0539, "tom_mid": 0.0157, "tom_low": 0.0385, "crash2": 0.0113,
    "ride_bell": 0.021, "china": 0.001,
}  # fmt: skip
# A class's threshold counts this many clips of all classes together beside its own.
_PRIOR_CLIPS = 50.0


def song_weights(truth: np.ndarray, labels: tuple[str, ...]) -> np.ndarray:
    """How often each cell of ``truth`` (moments, classes) counts, to make classes as frequent as in songs."""
    share = truth.mean(axis=0)
    wanted = np.array([SONG_PREVALENCE[label] for label in labels])
    present = np.divide(wanted, share, out=np.ones_like(share), where=share > 0)
    absent = np.divide(1.0 - wanted, 1.0 - share, out=np.ones_like(share), where=share < 1)
    return np.where(truth, present, absent)


def fit_thresholds(truth: np.ndarray, scores: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """F1-best threshold per class, drawn towards the one that is best for all classes together.

    A class with few validation clips, or none, gets what suits the network as a whole: on kits it does not
    know it is unsure of every drum, not only of those that validation happens to hold.

    Args:
        truth: bool, shape (moments, classes).
        scores: 0..1, the same shape.
        weights: how often each cell counts, the same shape; None: once.

    Returns:
        thresholds, shape (classes,).
    """
    support = truth.sum(axis=0)
    trust = support / (support + _PRIOR_CLIPS)
    together = best_thresholds(
        truth.reshape(-1, 1), scores.reshape(-1, 1), None if weights is None else weights.reshape(-1, 1)
    )
    return trust * best_thresholds(truth, scores, weights) + (1.0 - trust) * together
