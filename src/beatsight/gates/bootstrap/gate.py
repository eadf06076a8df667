"""Files in, report out: reads, groups samples into clusters, resamples, compares, judges, remarks."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from beatsight.errors import InputError
from beatsight.gates.bootstrap.judging import against_report, judge, report_notes, unpaired_notes
from beatsight.gates.bootstrap.measures import Measures, measure
from beatsight.gates.bootstrap.records import METRICS, BootstrapReport, BootstrapSettings, Estimate
from beatsight.gates.bootstrap.resampling import resample
from beatsight.gates.inputs import Truth, join, named, read_predictions, read_thresholds, read_truths
from beatsight.gates.result import read_report, verdict

if TYPE_CHECKING:
    from beatsight.manifest.engine.table import Progress

UNJUDGED = "the scores themselves are not judged: no baseline and no minimum was given"
# With fewer clusters intervals are too narrow (measured: tests/metrics/test_bootstrap_intervals.py).
FEW_CLUSTERS = 20
# Fewer resamples than this beyond each end leave the ends to chance.
LEAST_TAIL = 10


def bootstrap_gate(settings: BootstrapSettings, *, progress: Progress | None = None) -> BootstrapReport:
    """Measure, resample, compare, judge.

    Args:
        settings: what to read and how.
        progress: called with (resamples done, resamples in all).

    Raises:
        InputError: a file cannot be read, is empty or faulty (line and field are named), truth and
            predictions share no id, or sessions are asked for and a sample has none.
    """
    truths = read_truths(settings.ground_truth)
    thresholds = read_thresholds(settings.thresholds_file) if settings.thresholds_file else {}
    candidate, notes = _measured(truths, settings.predictions, thresholds, settings)
    baseline_measures: Measures | None = None
    if settings.baseline_predictions is not None:
        baseline_measures, remarks = _measured(truths, settings.baseline_predictions, thresholds, settings)
        notes += [f"baseline: {remark}" for remark in remarks]
    index, count, cluster = clusters_of(truths, settings)
    outcome = resample(candidate, baseline_measures, index, count, settings, progress)
    digest, baseline = truth_digest(truths), outcome.baseline
    if settings.baseline is not None:
        earlier = _earlier(settings.baseline)
        baseline = against_report(outcome.metrics, earlier, digest)
        notes += report_notes(earlier, baseline, settings)
    notes += _threshold_notes(thresholds, candidate)
    notes += _cluster_notes(truths, cluster, count, settings)
    notes += _metric_notes(outcome.metrics, settings)
    notes += unpaired_notes(outcome.metrics, baseline) if baseline is not None else []
    if baseline is None and settings.min_macro_f1 is None:
        notes.append(UNJUDGED)
    results = judge(outcome.metrics, baseline, settings)
    return BootstrapReport(
        passed=verdict(results),
        gating_results=results,
        inputs=_inputs(settings),
        notes=notes,
        macro_f1=outcome.metrics.get("macro_f1"),
        micro_f1=outcome.metrics.get("micro_f1"),
        example_f1=outcome.metrics.get("example_f1"),
        onset_f1_20ms=outcome.metrics.get("onset_f1_20ms"),
        onset_f1_50ms=outcome.metrics.get("onset_f1_50ms"),
        openness_mae=outcome.metrics.get("openness_mae"),
        velocity_mae=outcome.metrics.get("velocity_mae"),
        ece=outcome.metrics.get("ece"),
        per_class_f1=outcome.per_class_f1,
        samples=len(truths),
        predicted=candidate.predicted,
        clusters=count,
        cluster=cluster,
        iterations=settings.iterations,
        seed=settings.seed,
        confidence=settings.confidence,
        method=settings.method,
        threshold=settings.threshold,
        thresholds=thresholds,
        truth_digest=digest,
        min_macro_f1=settings.min_macro_f1,
        max_macro_f1_drop=settings.max_macro_f1_drop,
        max_openness_mae_rise=settings.max_openness_mae_rise,
        baseline=baseline,
    )


def _earlier(path: Path) -> BootstrapReport:
    """The report of an earlier run.

    Raises:
        InputError: it is none, or states what cannot have been measured.
    """
    report: BootstrapReport = read_report(path, BootstrapReport)
    for name, estimate in report.metrics.items():
        if not 0.0 <= estimate.point_estimate <= 1.0:
            raise InputError(f"{path}: {name}.point_estimate: is {estimate.point_estimate:g}, not in 0..1")
    return report


def _measured(
    truths: Sequence[Truth], path: Path, thresholds: Mapping[str, float], settings: BootstrapSettings
) -> tuple[Measures, list[str]]:
    """One model's measures, and what to know about them."""
    joined = join(truths, read_predictions(path), str(settings.ground_truth), str(path))
    found = measure(joined.truths, joined.predictions, thresholds, settings.threshold)
    notes = joined.notes
    if joined.missing:
        notes.append("a sample without a prediction counts as one where nothing was heard; ECE leaves it out")
    if found.untimed:
        notes.append(f"{found.untimed} predictions without an onset_time; in onset F1 their hits are wrong")
    if found.copied_times:
        notes.append("every predicted onset_time is the true one, so onset F1 says nothing of timing")
    if found.unlabelled:
        notes.append(f"samples without a label on either side count 0 in example_f1: {found.unlabelled}")
    return found, notes


def clusters_of(
    truths: Sequence[Truth], settings: BootstrapSettings
) -> tuple[npt.NDArray[np.int64], int, Literal["session", "sample"]]:
    """The cluster of every sample, how many clusters there are, and what they are.

    Raises:
        InputError: sessions are asked for, and a sample names none.
    """
    without = [row.sample_id for row in truths if row.session_id is None]
    if settings.cluster == "session" and without:
        raise InputError(f"{settings.ground_truth}: sample {without[0]!r}: session_id: is missing")
    if settings.cluster == "sample" or len(without) == len(truths):
        return np.arange(len(truths)), len(truths), "sample"
    numbers: dict[object, int] = {}
    # A sample without a session is a cluster of its own; a tuple can never be the name of a session.
    index = [numbers.setdefault(row.session_id or (at,), len(numbers)) for at, row in enumerate(truths)]
    return np.array(index), len(numbers), "session"


def truth_digest(truths: Sequence[Truth]) -> str:
    """SHA-256 of the ids with their labels, in any order of the file."""
    rows = sorted((row.sample_id, sorted(row.names)) for row in truths)
    return hashlib.sha256(msgspec.json.encode(rows)).hexdigest()


def _inputs(settings: BootstrapSettings) -> dict[str, str]:
    paths = {
        role: getattr(settings, role)
        for role in ("ground_truth", "predictions", "thresholds_file", "baseline", "baseline_predictions")
    }
    return {role: str(path) for role, path in paths.items() if path is not None}


def _threshold_notes(thresholds: Mapping[str, float], candidate: Measures) -> list[str]:
    unused = sorted(thresholds.keys() - candidate.known)
    return [f"{named(unused, 'threshold')} of labels that are neither true nor scored"] if unused else []


def _cluster_notes(
    truths: Sequence[Truth], cluster: str, count: int, settings: BootstrapSettings
) -> list[str]:
    lone = sum(row.session_id is None for row in truths)
    notes = []
    if lone == len(truths):
        notes.append(
            "the truth names no session_id: samples are drawn as if independent, and intervals are too "
            "narrow where several come from one song"
        )
    elif cluster == "sample":
        notes.append("samples of one session are drawn as if independent, as asked: intervals are too narrow")
    elif lone:
        notes.append(f"samples without a session_id are drawn one by one: {lone}")
    if count < FEW_CLUSTERS:
        notes.append(
            f"{count} {cluster}{'' if count == 1 else 's'} to draw from: with fewer than {FEW_CLUSTERS}, "
            "intervals are too narrow, and with one there are none"
        )
    tail = settings.iterations * (1.0 - settings.confidence) / 2.0
    if tail < LEAST_TAIL:
        notes.append(
            f"{settings.iterations} iterations leave {tail:.2g} resamples beyond each end of an interval: "
            "more iterations make the ends steadier"
        )
    return notes


def _metric_notes(metrics: Mapping[str, Estimate], settings: BootstrapSettings) -> list[str]:
    notes = []
    if missing := [name for name in METRICS if name not in metrics]:
        notes.append(f"not measured, since no sample gives what they need: {', '.join(missing)}")
    for name, estimate in metrics.items():
        if estimate.undefined_resamples:
            notes.append(
                f"{name}: undefined in {estimate.undefined_resamples} of {settings.iterations} resamples, "
                "which are left out"
            )
    return notes
