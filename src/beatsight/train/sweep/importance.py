"""How much each setting mattered: its share of the scores' variance.

A grid is taken apart as in an analysis of variance: the share of a setting is the variance of the means of
its values over the variance of all scores. On a whole grid these shares are exact, and what is missing to 1
is settings acting together. A search is not balanced; there Optuna fits a forest to the runs (fANOVA, Hutter
et al. 2014) or, where scikit-learn is not installed, compares the best tenth with the rest (PED-ANOVA,
Watanabe et al. 2023).
"""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from beatsight.errors import require
from beatsight.train.sweep.space import Value

# Fewer finished runs say nothing about importance.
LEAST_RUNS = 4


def variance_shares(settings: Sequence[Mapping[str, Value]], scores: Sequence[float]) -> dict[str, float]:
    """Share of the scores' variance that each setting explains alone.

    Args:
        settings: of every run, all with the same names.
        scores: of every run.

    Returns:
        setting -> 0..1, largest first; empty when there are too few runs, or all have the same score.

    >>> variance_shares([{"a": x, "b": y} for x in (0, 1) for y in (0, 1)], [0.0, 0.0, 1.0, 1.0])
    {'a': 1.0, 'b': 0.0}
    """
    values = np.array(scores, dtype=float)
    if len(values) < LEAST_RUNS or not np.ptp(values) > 0:
        return {}
    total = float(((values - values.mean()) ** 2).sum())
    shares = {}
    for name in settings[0]:
        column = np.array([run[name] for run in settings], dtype=float)
        _, group, count = np.unique(column, return_inverse=True, return_counts=True)
        means = np.bincount(group, weights=values) / count
        if len(count) > 1:
            shares[name] = float((count * (means - values.mean()) ** 2).sum() / total)
    return dict(sorted(shares.items(), key=lambda item: -item[1]))


def search_importances(study: Any) -> tuple[dict[str, float], str]:
    """Optuna's importances of a study's parameters, and how they were found.

    Returns:
        (setting -> share, largest first, together 1; the method's name); empty when too few runs finished.
    """
    optuna = require("optuna", "sweep")
    module = importlib.import_module("optuna.importance")
    done = [t for t in study.get_trials(deepcopy=False) if t.state == optuna.trial.TrialState.COMPLETE]
    if len(done) < LEAST_RUNS or len({trial.value for trial in done}) < 2 or not done[0].params:
        return {}, ""
    forest = importlib.util.find_spec("sklearn") is not None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PED-ANOVA is called experimental
        evaluator = (
            module.FanovaImportanceEvaluator(seed=0) if forest else module.PedAnovaImportanceEvaluator()
        )
        shares = optuna.importance.get_param_importances(study, evaluator=evaluator)
    return {name: float(share) for name, share in shares.items()}, "fANOVA" if forest else "PED-ANOVA"
