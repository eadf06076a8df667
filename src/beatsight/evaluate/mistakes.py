"""The hardest mistakes of an evaluation: which class was heard as which, and the moments to listen to.

A moment's missed labels are paired with its false ones, the surest of either first (a snare heard as a tom is
one mistake, not two); what is left over was missed, or heard where no drum was. A mistake is as hard as the
model was sure: by the cross entropy of the missed label's score, and by that of the false one's.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from itertools import chain, zip_longest

import numpy as np

from beatsight.evaluate.scores import Evaluation
from beatsight.report.evaluation_data import Mistake, Pair

# What one person listens to in ten minutes, and a page of a megabyte; no one pair takes all of them.
MOST = 24
MOST_A_PAIR = 4
# A float32 score can be 0 or 1 exactly.
_LEAST_SCORE = 1e-7

Sides = tuple[int | None, int | None]


@dataclass(frozen=True)
class _Wrong:
    """A mistake at moment ``at``: the missed and the false class, and the loss of either (0 for None)."""

    at: int
    sides: Sides
    losses: tuple[float, float]


def mistakes_of(evaluation: Evaluation) -> tuple[int, list[Pair]]:
    """How many mistakes there are, and all pairs of classes with a mistake, the most frequent first.

    The hardest are described: :data:`MOST` at most, as many false labels as missed ones if there are enough,
    and :data:`MOST_A_PAIR` of a pair.
    """
    wrong = _wrong(evaluation)
    counts = Counter(item.sides for item in wrong)
    kept: dict[Sides, list[Mistake]] = defaultdict(list)
    for item in _hardest(wrong):
        kept[item.sides].append(_mistake(evaluation, item))
    pairs = [
        Pair(
            true=_label(evaluation, sides[0]),
            heard=_label(evaluation, sides[1]),
            count=count,
            hardest=sorted(kept[sides], key=lambda mistake: (-mistake.loss, mistake.row)),
        )
        for sides, count in counts.items()
    ]
    return len(wrong), sorted(pairs, key=lambda pair: (-pair.count, pair.true or "", pair.heard or ""))


def _hardest(wrong: list[_Wrong]) -> list[_Wrong]:
    """By turns the most missed label and the surest false one that is not yet taken."""
    missed = sorted((item for item in wrong if item.sides[0] is not None), key=lambda i: (-i.losses[0], i.at))
    false = sorted((item for item in wrong if item.sides[1] is not None), key=lambda i: (-i.losses[1], i.at))
    taken: dict[_Wrong, None] = {}
    of_pair: Counter[Sides] = Counter()
    for item in chain.from_iterable(zip_longest(missed, false)):
        if item is None or item in taken or of_pair[item.sides] == MOST_A_PAIR:
            continue
        taken[item] = None
        of_pair[item.sides] += 1
        if len(taken) == MOST:
            break
    return list(taken)


def sample_id(row: int) -> str:
    """The id of a dataset row in every file of an evaluation.

    >>> sample_id(12)
    'row-12'
    """
    return f"row-{row}"


def _wrong(evaluation: Evaluation) -> list[_Wrong]:
    """Every mistake."""
    truth, predicted = evaluation.truth, evaluation.predicted
    right = np.where(truth, evaluation.scores, 1.0 - evaluation.scores).astype(np.float64)
    loss = -np.log(right.clip(_LEAST_SCORE))
    found = []
    for at in np.flatnonzero((truth != predicted).any(axis=1)).tolist():
        missed, false = (
            sorted(np.flatnonzero(side).tolist(), key=lambda column: -loss[at, column])
            for side in (truth[at] & ~predicted[at], predicted[at] & ~truth[at])
        )
        for sides in zip_longest(missed, false):
            first, second = (0.0 if column is None else float(loss[at, column]) for column in sides)
            found.append(_Wrong(at, sides, (first, second)))
    return found


def _label(evaluation: Evaluation, column: int | None) -> str | None:
    return None if column is None else evaluation.labels[column]


def _mistake(evaluation: Evaluation, wrong: _Wrong) -> Mistake:
    origin, at, (true, heard) = evaluation.origin, wrong.at, wrong.sides
    row = int(evaluation.rows[at])
    scores = [None if column is None else float(evaluation.scores[at, column]) for column in (true, heard)]
    return Mistake(
        row=row,
        sample_id=sample_id(row),
        true=_label(evaluation, true),
        heard=_label(evaluation, heard),
        true_score=scores[0],
        heard_score=scores[1],
        loss=sum(wrong.losses),
        session_id=origin.session[at],
        audio_path=origin.audio_file[at],
        onset_time=float(origin.onset_s[at]),
        given=evaluation.names(evaluation.truth[at]),
        found=evaluation.names(evaluation.predicted[at]),
    )
