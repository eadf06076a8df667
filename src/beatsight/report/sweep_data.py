"""What the report of a sweep is made from, and what its JSON file holds: one record for both.

Conventions: scores 0..1 (losses: 0 and up), times in seconds; what was not measured is None. Runs stand in
the order of the report: complete ones from best to worst, then pruned, then failed ones.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

FORMAT_VERSION = 1


class SweepAxis(msgspec.Struct, frozen=True, kw_only=True):
    """A setting that was varied: a list of ``values``, or a range ``low``..``high`` (by ratio if ``log``)."""

    name: str
    values: list[float] = []
    low: float | None = None
    high: float | None = None
    log: bool = False


class SweepEpoch(msgspec.Struct, frozen=True, kw_only=True):
    """One epoch of a run."""

    epoch: int
    train_loss: float | None = None
    val_loss: float | None = None
    val_macro_f1: float | None = None
    val_micro_f1: float | None = None


class SweepRun(msgspec.Struct, frozen=True, kw_only=True):
    """One run.

    Attributes:
        name: of its folder.
        settings: its value of every axis.
        status: ``complete``, ``pruned`` (stopped because it fell behind) or ``failed``.
        score: by the sweep's metric, of the epoch that was kept; of a pruned run, of its last epoch.
        best_epoch: the epoch that was kept.
        best: that epoch's line, as training wrote it.
        history: all epochs.
        seconds: of its process.
        exit_code, error: how it failed.
    """

    name: str
    settings: dict[str, float]
    status: Literal["running", "complete", "failed", "pruned"]
    score: float | None = None
    best_epoch: int | None = None
    best: dict[str, Any] = {}
    history: list[SweepEpoch] = []
    seconds: float | None = None
    exit_code: int | None = None
    error: str = ""


class SweepReport(msgspec.Struct, frozen=True, kw_only=True):
    """A whole sweep.

    Attributes:
        kind: ``grid`` or ``search``.
        metric, metric_text: the field of an epoch's line that runs are compared by, and its name in words.
        fixed: flags that were equal in all runs.
        axes: what was varied.
        runs: see the module.
        importances: setting -> share 0..1 of the scores' variance, largest first; empty if not known.
        importance_method: how they were found.
    """

    format_version: int = FORMAT_VERSION
    program_version: str
    kind: Literal["grid", "search"]
    dataset: str
    dataset_sha256: str
    metric: str
    metric_text: str
    higher_is_better: bool
    fixed: dict[str, str]
    axes: list[SweepAxis]
    runs: list[SweepRun]
    importances: dict[str, float]
    importance_method: str

    def of(self, status: str) -> list[SweepRun]:
        """The runs that ended so, in the report's order."""
        return [run for run in self.runs if run.status == status]

    @property
    def best(self) -> SweepRun | None:
        """The best complete run that has a score."""
        return next((run for run in self.of("complete") if run.score is not None), None)
