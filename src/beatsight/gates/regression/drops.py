"""Drops by label, as both comparisons need them: their order, their gates, their sentences."""

from __future__ import annotations

from collections.abc import Mapping

from beatsight.gates.inputs import named
from beatsight.gates.regression.records import Change, RegressionSettings, Status, Unit
from beatsight.gates.result import GateResult, at_most

ARROW = "→"
_ORDER: tuple[Status, ...] = ("unmeasured", "dropped", "kept", "new", "unknown", "ignored")
_JUDGED = ("unmeasured", "dropped", "kept")


def worst_first(changes: Mapping[str, Change]) -> dict[str, Change]:
    """The changes in the order in which a person should read them."""

    def key(item: tuple[str, Change]) -> tuple[int, float, str]:
        label, change = item
        return _ORDER.index(change.status), -(change.drop or 0.0), label

    return dict(sorted(changes.items(), key=key))


def drop_gates(changes: Mapping[str, Change], limit: float, unit: Unit) -> list[GateResult]:
    """A gate for every label that the baseline has something of."""
    return [
        at_most(f"drop.{label}", change.drop, limit, _sentence(change), unit)
        for label, change in changes.items()
        if change.status in _JUDGED
    ]


def _sentence(change: Change) -> str:
    if change.baseline_support is None:
        recorded = f"{change.baseline_real or 0:,} {ARROW} {change.candidate_real or 0:,}"
        return f"{change.baseline or 0:,} {ARROW} {change.candidate or 0:,} hits, of them recorded {recorded}"
    if change.status == "unmeasured":
        return f"{change.baseline_support:,} true hits in the baseline, none in the candidate: not measured"
    support = f"{change.baseline_support:,} {ARROW} {change.candidate_support or 0:,}"
    return f"F1 {change.baseline:.4f} {ARROW} {change.candidate:.4f}, true hits {support}"


def ignored_notes(
    changes: Mapping[str, Change], settings: RegressionSettings, ignored: set[str]
) -> list[str]:
    """What to know about labels that were left out."""
    notes = []
    if absent := sorted(ignored - changes.keys()):
        notes.append(f"{named(absent, 'ignored label')} in neither report")
    if not any(change.status in _JUDGED for change in changes.values()):
        notes.append(f"no label of {settings.baseline} was compared")
    return notes
