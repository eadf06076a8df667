"""Reads both files and hands them to the comparison of their kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from beatsight.errors import InputError
from beatsight.gates.inputs import canonical
from beatsight.gates.regression.evaluation import compare_evaluations
from beatsight.gates.regression.health import compare_health
from beatsight.gates.regression.reading import Evaluation, Health, read_compared
from beatsight.gates.regression.records import RegressionReport, RegressionSettings

if TYPE_CHECKING:
    from beatsight.manifest.engine.table import Progress


def regression_gate(settings: RegressionSettings, *, progress: Progress | None = None) -> RegressionReport:
    """Compare two health reports, or two evaluations.

    Args:
        settings: the files and what is allowed.
        progress: called with (files read, files in all).

    Raises:
        InputError: a file cannot be read or is of neither kind, the two are of different kinds, or the
            baseline has nothing to compare with.
        UsageError: ``max_drop`` is a share, and the files are evaluations.
    """
    reports = []
    for path in (settings.baseline, settings.candidate):
        reports.append(read_compared(path))
        if progress:
            progress(len(reports), 2)
    before, after = reports
    ignored = {canonical(label) for label in settings.ignore_label}
    if isinstance(before, Health) and isinstance(after, Health):
        return compare_health(settings, before, after, ignored)
    if isinstance(before, Evaluation) and isinstance(after, Evaluation):
        return compare_evaluations(settings, before, after, ignored)
    kinds = ["a health report" if isinstance(report, Health) else "an evaluation" for report in reports]
    raise InputError(
        f"{settings.candidate}: is {kinds[1]}, but {settings.baseline} is {kinds[0]}; give two of one kind"
    )
