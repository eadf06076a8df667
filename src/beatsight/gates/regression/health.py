"""Two health reports: hits by label, gates by name, unknown labels."""

from __future__ import annotations

from beatsight.errors import InputError
from beatsight.gates.inputs import canonical, named
from beatsight.gates.regression.drops import ARROW, drop_gates, ignored_notes, worst_first
from beatsight.gates.regression.reading import Health, Hits, Judged, number_of
from beatsight.gates.regression.records import (
    MAX_DROP_HITS,
    Change,
    Count,
    GateChange,
    RegressionReport,
    RegressionSettings,
    Seen,
    Status,
)
from beatsight.gates.result import GateResult, at_most, verdict


def compare_health(
    settings: RegressionSettings, before: Health, after: Health, ignored: set[str]
) -> RegressionReport:
    """The report on two health reports; ``ignored`` holds canonical labels.

    Raises:
        InputError: the baseline counts no labels.
    """
    if not any(map(_total, before.labels.values())):
        raise InputError(f"{settings.baseline}: labels: has no hits, so there is nothing to compare with")
    limit, share = settings.limit(MAX_DROP_HITS)
    changes = worst_first(_label_changes(before, after, ignored, limit, share))
    gates = _GateChanges(before.gates, after.gates, ignored)
    unknown, results = _unknown_labels(before.unknown, after.unknown, ignored)
    results = [*drop_gates(changes, limit, "%" if share else "hits"), *gates.results(), *results]
    notes = [*_notes(changes, limit, share), *gates.notes(), *ignored_notes(changes, settings, ignored)]
    return RegressionReport(
        passed=verdict(results),
        gating_results=results,
        inputs={"baseline": str(settings.baseline), "candidate": str(settings.candidate)},
        notes=notes,
        kind="health",
        max_drop=limit,
        unit="%" if share else "hits",
        labels=changes,
        ignored=sorted(ignored),
        macro_f1=None,
        new_failures=gates.new_failures,
        still_failing=gates.still_failing,
        fixed=gates.fixed,
        missing_gates=gates.missing,
        unknown_labels=unknown,
    )


def _total(hits: Hits | None) -> int:
    return hits.real + hits.synthetic if hits else 0


def _label_changes(
    before: Health, after: Health, ignored: set[str], limit: float, share: bool
) -> dict[str, Change]:
    # A label that the baseline did not know is no loss when it goes.
    unknown = {canonical(label) for label in before.unknown or ()}
    changes = {}
    for label in before.labels.keys() | after.labels.keys():
        old, new = before.labels.get(label), after.labels.get(label)
        drop: float | None = None
        status: Status = "ignored" if label in ignored else "unknown" if label in unknown else "new"
        if status == "new" and _total(old):
            drop = _drop(_total(old), _total(new), share)
            status = "dropped" if drop > limit else "kept"
        changes[label] = Change(
            baseline=_total(old) if old else None,
            candidate=_total(new) if new else None,
            drop=drop,
            status=status,
            baseline_real=old.real if old else None,
            candidate_real=new.real if new else None,
        )
    return changes


def _drop(baseline: int, candidate: int, share: bool) -> float:
    lost = baseline - candidate
    # One division of whole numbers, so a drop of exactly the limit is that very double.
    return 100 * lost / baseline if share else float(lost)


def _notes(changes: dict[str, Change], limit: float, share: bool) -> list[str]:
    kept = {label: change for label, change in changes.items() if change.status == "kept"}
    notes = []
    if gone := [label for label, change in kept.items() if not change.candidate]:
        notes.append(f"{named(gone, 'label')} within the limit, but with no hit left")
    swapped = [
        label
        for label, change in kept.items()
        if change.baseline_real and _drop(change.baseline_real, change.candidate_real or 0, share) > limit
    ]
    if swapped:
        notes.append(f"{named(swapped, 'label')} with recorded hits lost that synthetic ones make up for")
    return notes


class _GateChanges:
    """The gates of both reports, by what became of them."""

    def __init__(self, before: dict[str, Judged], after: dict[str, Judged], ignored: set[str]) -> None:
        self._before, self._after = before, after
        changes = [self._change(name) for name in dict.fromkeys([*before, *after])]
        self.new_failures = [c for c in changes if c.candidate == "failed" and c.baseline != "failed"]
        self.still_failing = [c for c in changes if c.candidate == "failed" == c.baseline]
        self.fixed = [c for c in changes if c.candidate == "passed" and c.baseline == "failed"]
        self.missing = [
            c
            for c in changes
            # "min_count.kick" goes with the label when that is ignored.
            if c.candidate == "absent" and canonical(c.gate.partition(".")[2]) not in ignored
        ]

    def _change(self, name: str) -> GateChange:
        old, new = self._before.get(name), self._after.get(name)
        shown = self._before[name] if new is None else new
        return GateChange(
            gate=name,
            baseline=_seen(old),
            candidate=_seen(new),
            value=number_of(shown.value),
            threshold=number_of(shown.threshold),
            detail=shown.detail if isinstance(shown.detail, str) else "",
        )

    def results(self) -> list[GateResult]:
        """Two gates, where a report judged anything at all."""
        if not self._before and not self._after:
            return []
        names = [change.gate for change in self.new_failures]
        why = named(names, "gate") + " failed that did not fail in the baseline" if names else "none"
        gone = [change.gate for change in self.missing]
        absent = named(gone, "gate") + " of the baseline not judged in the candidate" if gone else "none"
        return [
            at_most("new_failures", len(names), 0, why),
            at_most("missing_gates", len(gone), 0, absent),
        ]

    def notes(self) -> list[str]:
        """What was loosened or not judged at all."""
        if not self._before and not self._after:
            return ["neither report judged a gate, so none can have begun to fail"]
        moved = []
        for name in self._before.keys() & self._after.keys():
            old, new = (number_of(side[name].threshold) for side in (self._before, self._after))
            if None not in (old, new) and old != new:
                moved.append(f"{name} {old:g} {ARROW} {new:g}")
        return [f"thresholds that differ from the baseline's: {', '.join(sorted(moved))}"] if moved else []


def _seen(result: Judged | None) -> Seen:
    return "absent" if result is None else "passed" if result.passed else "failed"


def _unknown_labels(
    before: dict[str, int] | None, after: dict[str, int] | None, ignored: set[str]
) -> tuple[dict[str, Count] | None, list[GateResult]]:
    """Hits under unknown labels on both sides, and the gate on those that the baseline lacks."""
    if after is None or (before is None and after):
        side = "candidate" if after is None else "baseline"
        return None, [at_most("unknown_labels", None, 0, f"the {side} does not list unknown labels", "hits")]
    old, new = before or {}, after
    counts = {
        label: Count(baseline=old.get(label, 0), candidate=new.get(label, 0))
        for label in sorted(old.keys() | new.keys())
        if canonical(label) not in ignored
    }
    more = {label: c.candidate - c.baseline for label, c in counts.items() if c.candidate > c.baseline}
    why = f"more hits of {named(sorted(more), 'unknown label')} than in the baseline" if more else "none more"
    return counts, [at_most("unknown_labels", sum(more.values()), 0, why, "hits")]
