"""What became of a sweep's runs, as the record that the report room shows and writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from beatsight.report.sweep_data import SweepAxis, SweepEpoch, SweepReport, SweepRun
from beatsight.train.sweep.importance import search_importances, variance_shares
from beatsight.train.sweep.plans import METRICS, Ended, Metric, Plan, score_of
from beatsight.train.sweep.search import SearchPlan
from beatsight.train.sweep.space import SETTINGS, Range, Space
from beatsight.train.sweep.task import finished, read_history
from beatsight.version import VERSION


def summarise(
    dataset: Path, space: Space, metric_name: str, fixed: dict[str, str], plan: Plan
) -> SweepReport:
    """The report of a plan that was carried out: complete runs by score, then pruned, then failed ones."""
    metric = METRICS[metric_name]
    # A search may propose the same settings twice: one folder, one row, and the last word on it counts.
    runs = [_run(ended, metric) for ended in {ended.task.name: ended for ended in plan.results}.values()]
    if isinstance(plan, SearchPlan):
        importances, method = search_importances(plan.study)
    else:
        scored = [run for run in runs if run.status == "complete" and run.score is not None]
        importances = variance_shares([run.settings for run in scored], [run.score or 0.0 for run in scored])
        method = "share of variance" if importances else ""
    tasks = [ended.task for ended in plan.results]
    return SweepReport(
        program_version=VERSION,
        kind="search" if isinstance(plan, SearchPlan) else "grid",
        dataset=str(dataset),
        dataset_sha256=tasks[0].key.dataset_sha256 if tasks else "",
        metric=metric.field,
        metric_text=metric.text,
        higher_is_better=metric.higher_is_better,
        fixed=fixed,
        axes=[_axis(name, space) for name in SETTINGS if name in space],
        runs=sorted(runs, key=lambda run: _rank(run, metric)),
        importances=importances,
        importance_method=method,
    )


def _axis(name: str, space: Space) -> SweepAxis:
    values = space[name]
    if isinstance(values, Range):
        return SweepAxis(name=name, low=values.low, high=values.high, log=SETTINGS[name].log)
    return SweepAxis(name=name, values=sorted(values))


def _rank(run: SweepRun, metric: Metric) -> tuple[int, float, float, str]:
    """Better runs first; of equal scores the lower validation loss, then the name."""
    order = ["complete", "pruned", "failed", "running"].index(run.status)
    sign = -1.0 if metric.higher_is_better else 1.0
    score = float("inf") if run.score is None else sign * run.score
    loss = score_of(run.best, METRICS["loss"])
    return order, score, float("inf") if loss is None else loss, run.name


def _run(ended: Ended, metric: Metric) -> SweepRun:
    task, outcome = ended
    metrics = finished(task) if outcome.status == "complete" else None
    rows = metrics.history if metrics else read_history(task.path)
    history = [epoch for epoch in map(_epoch, rows) if epoch is not None]
    best: dict[str, Any] = metrics.best if metrics else {}
    return SweepRun(
        name=task.name,
        settings=task.key.settings,
        status=outcome.status,
        # A pruned run is judged by what it had reached when it was stopped.
        score=score_of(best if metrics else (rows[-1] if rows else {}), metric),
        best_epoch=metrics.best_epoch if metrics else None,
        best=best,
        history=history,
        seconds=outcome.seconds,
        exit_code=outcome.exit_code,
        error=outcome.error,
    )


def _epoch(row: dict[str, Any]) -> SweepEpoch | None:
    number = row.get("epoch")
    if not isinstance(number, int):
        return None
    names = ("train_loss", "val_loss", "val_macro_f1", "val_micro_f1")
    values = {name: score_of(row, Metric(name, "", True)) for name in names}
    return SweepEpoch(epoch=number, **values)
