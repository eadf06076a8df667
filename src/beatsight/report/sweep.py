"""The report of a sweep: which settings won and by how much, what mattered, how the best runs learnt.

:func:`sweep_page` turns a :class:`~beatsight.report.sweep_data.SweepReport` into a page.
"""

from __future__ import annotations

import os
import shlex
import statistics
from collections.abc import Sequence

from beatsight.report.page import (
    Column,
    Commands,
    Fact,
    Facts,
    Figure,
    Page,
    Section,
    SideBySide,
    Table,
    Text,
    Verdict,
)
from beatsight.report.parallel import ParallelAxis, ParallelLine, parallel_chart
from beatsight.report.plots import Bar, Series, bar_chart, line_chart
from beatsight.report.sweep_data import SweepReport, SweepRun
from beatsight.report.text import UNKNOWN, Value, duration, number, plural

# More lines in one plot cannot be told apart.
_CURVES = 3
# A setting may be called so on the page.
_NAMES = {"batch_size": "batch size", "lr": "learning rate"}
_FLAGS = {"batch_size": "--batch-size", "epochs": "--epochs", "lr": "--lr", "dropout": "--dropout"}


def sweep_page(report: SweepReport, output_root: str | os.PathLike[str]) -> Page:
    """The page of a sweep whose runs lie under ``output_root``."""
    sections = [_how_to_go_on(report, os.fspath(output_root)), _paths(report)]
    if report.importances:
        sections.append(_importances(report))
    if report.best is not None:
        sections.append(_curves(report))
    sections.append(_runs(report))
    if report.of("failed"):
        sections.append(_failures(report))
    return Page(
        title="Sweep of training settings",
        subtitle=f"{report.dataset}, {plural(len(report.runs), 'run')}, beatsight {report.program_version}",
        verdict=_verdict(report),
        facts=_facts(report),
        sections=sections,
    )


def _setting(value: float) -> str:
    return repr(value).removesuffix(".0")


def _settings(run: SweepRun) -> str:
    return ", ".join(f"{_NAMES.get(name, name)} {_setting(value)}" for name, value in run.settings.items())


def _verdict(report: SweepReport) -> Verdict:
    best = report.best
    if best is None:
        return Verdict(UNKNOWN, f"no run has a {report.metric_text}", None, "Nothing can be recommended")
    failed = plural(len(report.of("failed")), "run")
    return Verdict(
        value=number(best.score, 3),
        name=f"{report.metric_text} of the best run, {best.name}",
        passed=False if report.of("failed") else None,
        ruling=f"{failed} failed" if report.of("failed") else f"Best: {_settings(best)}",
        detail=_margin(report, best),
        share=best.score if report.higher_is_better else None,
    )


def _margin(report: SweepReport, best: SweepRun) -> str:
    others = [run.score for run in report.of("complete") if run is not best and run.score is not None]
    said = f"Settings: {_settings(best)}; the weights of epoch {best.best_epoch} were kept. "
    if not others or best.score is None:
        return said + "There is no other complete run to compare it with."
    behind, middle = abs(best.score - others[0]), statistics.median([best.score, *others])
    return said + (
        f"The next run is {number(behind, 3)} behind, the middle one reached {number(middle, 3)}. Every run "
        "was trained once and all were judged on the same validation clips, so the best figure is flattered: "
        "before small differences are believed, train the first few again with other seeds."
    )


def _facts(report: SweepReport) -> Facts:
    seconds = [run.seconds for run in report.runs if run.seconds is not None]
    fixed = " ".join(f"{flag} {value}" for flag, value in report.fixed.items())
    return Facts(
        (
            Fact("Complete", f"{len(report.of('complete'))}", "trained to their end"),
            Fact("Stopped early", f"{len(report.of('pruned'))}", "fell behind the others"),
            Fact("Failed", f"{len(report.of('failed'))}", "see the last section"),
            Fact("Training time", duration(sum(seconds) if seconds else None), "of all runs together"),
            Fact("Same in all runs", fixed or UNKNOWN, "all else as train does by default"),
        )
    )


def _how_to_go_on(report: SweepReport, output_root: str) -> Section:
    best = report.best
    if best is None:
        return Section("How to go on", (Text("No run can be recommended; the table says what happened."),))
    flags = [word for name, value in best.settings.items() for word in (_FLAGS[name], _setting(value))]
    flags += [word for pair in report.fixed.items() for word in pair if pair[0] != "--seed"]
    seed = str(int(report.fixed.get("--seed", "0")) + 1)
    model = os.path.join(output_root, best.name, "best_drum_classifier.pth")  # noqa: PTH118
    lines = (
        (
            shlex.join(["beatsight", "evaluate", "--dataset", report.dataset, "--model", model]),
            "scores of the best run's model, class by class",
        ),
        (
            shlex.join(["beatsight", "train", "--dataset", report.dataset, *flags, "--seed", seed]),
            "the same settings with another seed, to see how much is luck",
        ),
    )
    return Section("How to go on", (Commands(lines),))


def _levels(report: SweepReport) -> dict[str, float]:
    """For every run with a score, its rank from 0 (worst) to 1 (best): robust against a run far off."""
    scored = [run for run in report.runs if run.score is not None]
    sign = 1.0 if report.higher_is_better else -1.0
    ordered = sorted(scored, key=lambda run: sign * (run.score or 0.0))
    return {run.name: index / max(1, len(ordered) - 1) for index, run in enumerate(ordered)}


def _paths(report: SweepReport) -> Section:
    levels = _levels(report)
    scored = [run for run in report.runs if run.score is not None]
    scores = [run.score for run in scored if run.score is not None]
    axes = [
        ParallelAxis(
            _NAMES.get(axis.name, axis.name), axis.values, axis.low or 0.0, axis.high or 1.0, axis.log
        )
        for axis in report.axes
        if len(axis.values) != 1
    ]
    low, high = (min(scores), max(scores)) if scores else (0.0, 1.0)
    axes.append(ParallelAxis(report.metric_text, low=low, high=high))
    lines = []
    for run in scored:
        values = {_NAMES.get(name, name): value for name, value in run.settings.items()}
        ended = "" if run.status == "complete" else f" ({run.status})"
        lines.append(
            ParallelLine(
                f"{run.name}: {number(run.score, 4)}{ended}",
                {**values, report.metric_text: run.score or 0.0},
                levels[run.name],
                run is report.best,
                run.status != "complete",
            )
        )
    caption = (
        "Every line is a run that has a score: it passes each axis at the run's setting and ends at its "
        "score. Where the strong lines meet on an axis, that setting matters; where strong and faint ones "
        "mix, it does not."
    )
    return Section("Which settings lead where", (Figure(parallel_chart("Runs", axes, lines), caption),))


def _importances(report: SweepReport) -> Section:
    bars = [
        Bar(_NAMES.get(name, name), share, f"{100 * share:.0f} %")
        for name, share in report.importances.items()
    ]
    chart = bar_chart("Importance of each setting", bars, "share of the scores' variance (0..1)", 1.0)
    if report.kind == "grid":
        how = "What is missing to 100 % is settings that act together."
    else:
        how = f"As {report.importance_method} estimates it; the shares together make 100 %."
    count = len(report.of("complete"))
    caption = (
        f"How much of the difference between {plural(count, 'complete run')} goes back to each setting. "
        f"{how} It holds for the values tried here, and with few runs it is a hint."
    )
    return Section("What mattered", (Figure(chart, caption),))


def _curves(report: SweepReport) -> Section:
    best = [run for run in report.of("complete") if run.score is not None][:_CURVES]

    def lines(field: str) -> list[Series]:
        return [
            Series(run.name, [row.epoch for row in run.history], [getattr(row, field) for row in run.history])
            for run in best
        ]

    loss = line_chart("Validation loss per epoch", lines("val_loss"), "epoch", "validation loss")
    score = line_chart(
        "Validation macro F1 per epoch", lines("val_macro_f1"), "epoch", "validation macro F1 (0..1)"
    )
    columns = (Column("run"), Column("epoch"), *(Column(name, 4) for name in _CURVE_COLUMNS))
    rows: list[tuple[Value, ...]] = [
        (run.name, row.epoch, row.train_loss, row.val_loss, row.val_macro_f1)
        for run in best
        for row in run.history
    ]
    text = (
        "A loss that still falls in the last epoch asks for more epochs; one that rises again asks for "
        "fewer, or for more dropout."
    )
    figures = (Figure(loss, text, Table(columns, rows)), Figure(score, "The same runs by macro F1."))
    return Section("How the best runs learnt", (SideBySide(figures),))


_CURVE_COLUMNS = ("training loss", "validation loss", "validation macro F1")


def _runs(report: SweepReport) -> Section:
    names = [axis.name for axis in report.axes]
    columns = (
        Column("run"),
        *(Column(_NAMES.get(name, name)) for name in names),
        Column("status"),
        Column(report.metric_text, 4, bar=report.higher_is_better),
        Column("kept epoch"),
        Column("epochs done"),
        Column("time"),
    )
    rows: list[Sequence[Value]] = [
        (
            run.name,
            *(_setting(run.settings[name]) for name in names),
            run.status,
            run.score,
            run.best_epoch,
            len(run.history),
            duration(run.seconds),
        )
        for run in report.runs
    ]
    intro = "Complete runs from best to worst; then those that were stopped early, then those that failed."
    return Section("All runs", (Table(columns, rows),), intro)


def _failures(report: SweepReport) -> Section:
    columns = (Column("run"), Column("exit code"), Column("what it said last"))
    rows: list[tuple[Value, ...]] = [(run.name, run.exit_code, run.error) for run in report.of("failed")]
    intro = "Each run's whole output is in train.log in its folder."
    return Section("Failed runs", (Table(columns, rows),), intro)
