"""Two evaluations: F1 by label, and macro F1."""

from __future__ import annotations

from beatsight.errors import InputError, UsageError
from beatsight.gates.inputs import named
from beatsight.gates.regression.drops import ARROW, drop_gates, ignored_notes, worst_first
from beatsight.gates.regression.reading import Evaluation, Score
from beatsight.gates.regression.records import (
    MAX_DROP_POINTS,
    Change,
    RegressionReport,
    RegressionSettings,
    Status,
)
from beatsight.gates.result import GateResult, at_most, verdict

_POINTS = 100.0
# 0.80 - 0.77 is more than 0.03 in doubles; a drop must not fail its own limit by rounding.
_DIGITS = 9


def compare_evaluations(
    settings: RegressionSettings, before: Evaluation, after: Evaluation, ignored: set[str]
) -> RegressionReport:
    """The report on two evaluations; ``ignored`` holds canonical labels.

    Raises:
        InputError: the baseline measured nothing.
        UsageError: the limit is a share.
    """
    limit, share = settings.limit(MAX_DROP_POINTS)
    if share or limit > _POINTS:
        raise UsageError(
            f"max_drop between evaluations is in points of F1, 0..100 (such as 3), not {settings.max_drop}"
        )
    if not any(score.support for score in before.labels.values()):
        raise InputError(
            f"{settings.baseline}: per_class: no label has support, so there is nothing to compare"
        )
    changes = worst_first(
        {
            label: _change(before.labels.get(label), after.labels.get(label), label in ignored, limit)
            for label in before.labels.keys() | after.labels.keys()
        }
    )
    macro = _macro(before, after, ignored, limit)
    results = drop_gates(changes, limit, "points")
    if macro is not None:
        results.append(_macro_gate(macro, limit, bool(ignored & changes.keys())))
    return RegressionReport(
        passed=verdict(results),
        gating_results=results,
        inputs={"baseline": str(settings.baseline), "candidate": str(settings.candidate)},
        notes=[*_notes(before, after), *ignored_notes(changes, settings, ignored)],
        kind="evaluation",
        max_drop=limit,
        unit="points",
        labels=changes,
        ignored=sorted(ignored),
        macro_f1=macro,
        new_failures=[],
        still_failing=[],
        fixed=[],
        missing_gates=[],
        unknown_labels=None,
    )


def _points(baseline: float, candidate: float) -> float:
    return round(_POINTS * (baseline - candidate), _DIGITS)


def _change(before: Score | None, after: Score | None, ignored: bool, limit: float) -> Change:
    drop: float | None = None
    status: Status = "ignored" if ignored else "new"
    if before and before.support and not ignored:
        if after and after.support:
            drop = _points(before.f1, after.f1)
            status = "dropped" if drop > limit else "kept"
        else:
            status = "unmeasured"
    return Change(
        # The F1 of a label without a true hit is no measurement.
        baseline=before.f1 if before and before.support else None,
        candidate=after.f1 if after and after.support else None,
        drop=drop,
        status=status,
        baseline_support=before.support if before else 0,
        candidate_support=after.support if after else 0,
    )


def _macro(before: Evaluation, after: Evaluation, ignored: set[str], limit: float) -> Change | None:
    """Macro F1 on both sides; recomputed without the ignored labels where there are any."""
    sides = []
    for side in (before, after):
        kept = [score.f1 for label, score in side.labels.items() if label not in ignored]
        without = len(kept) < len(side.labels)
        sides.append((sum(kept) / len(kept) if kept else None) if without else side.macro_f1)
    old, new = sides
    if old is None:
        return None
    measured = any(score.support for label, score in after.labels.items() if label not in ignored)
    drop = _points(old, new) if new is not None and measured else None
    status: Status = "unmeasured" if drop is None else "dropped" if drop > limit else "kept"
    return Change(baseline=old, candidate=new, drop=drop, status=status)


def _macro_gate(macro: Change, limit: float, without: bool) -> GateResult:
    if macro.drop is None:
        return at_most("drop.macro_f1", None, limit, "the candidate has no true hit: not measured", "points")
    why = f"macro F1 {macro.baseline:.4f} {ARROW} {macro.candidate:.4f}"
    if without:
        why += ", without the ignored labels"
    return at_most("drop.macro_f1", macro.drop, limit, why, "points")


def _notes(before: Evaluation, after: Evaluation) -> list[str]:
    notes = []
    if before.split != after.split:
        notes.append(f"the baseline was measured on split {before.split!r}, the candidate on {after.split!r}")
    if before.moments != after.moments:
        notes.append(
            f"the baseline was measured on {before.moments} moments, the candidate on {after.moments}"
        )
    if other := sorted(before.labels.keys() ^ after.labels.keys()):
        notes.append(f"{named(other, 'label')} in one report only, so the macro F1s are of different labels")
    return notes
