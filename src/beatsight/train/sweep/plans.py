"""What to train next: a plan names tasks, hears of every epoch, and keeps what became of each run.

:class:`GridPlan` is a list of tasks; the plan that learns from its results is in
:mod:`beatsight.train.sweep.search`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from beatsight.errors import UsageError
from beatsight.train.sweep.task import Outcome, Task, done_before


class Metric(NamedTuple):
    """What runs are compared by: a field of an epoch's line in history.jsonl, and which way is better."""

    field: str
    text: str
    higher_is_better: bool


METRICS = {
    "macro_f1": Metric("val_macro_f1", "validation macro F1", True),
    "micro_f1": Metric("val_micro_f1", "validation micro F1", True),
    "loss": Metric("val_loss", "validation loss", False),
}


class Ended(NamedTuple):
    """A task and how it ended."""

    task: Task
    outcome: Outcome


class Plan(Protocol):
    """What a sweep asks of a plan."""

    def next(self) -> Task | None:
        """The next run to do; None when there is none (now)."""

    def epoch(self, task: Task, row: dict[str, Any]) -> bool:
        """Hear of an epoch; True when the run is to be stopped."""

    def ended(self, task: Task, outcome: Outcome) -> None:
        """Hear of a run's end."""

    @property
    def total(self) -> int:
        """Number of runs, those included that were complete before."""

    @property
    def results(self) -> list[Ended]:
        """All runs that ended, a run that was done before included."""


class GridPlan:
    """Every task once; those whose complete result lies in their folder are not done again."""

    def __init__(self, tasks: Sequence[Task]) -> None:
        self._tasks = list(tasks)
        self.total = len(self._tasks)
        self.results: list[Ended] = []

    def next(self) -> Task | None:
        """See :class:`Plan`."""
        while self._tasks:
            task = self._tasks.pop(0)
            done = None if task.fresh else done_before(task)
            if done is None:
                return task
            self.ended(task, done)
        return None

    def epoch(self, task: Task, row: dict[str, Any]) -> bool:
        """See :class:`Plan`; a grid lets every run finish."""
        return False

    def ended(self, task: Task, outcome: Outcome) -> None:
        """See :class:`Plan`."""
        self.results.append(Ended(task, outcome))


def score_of(row: dict[str, Any], metric: Metric) -> float | None:
    """The metric's value in an epoch's line; None where it is missing or not finite."""
    value = row.get(metric.field)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def fresh_names(rerun: Sequence[str], tasks: Sequence[Task]) -> set[str]:
    """The names of the runs to be done again; ``all`` among them means all.

    Raises:
        UsageError: a name that the grid does not have.
    """
    names = [task.name for task in tasks]
    if "all" in rerun:
        return set(names)
    for name in rerun:
        if name not in names:
            raise UsageError(f"--rerun: the grid has no run {name!r}; its runs: {', '.join(names)}")
    return set(rerun)
