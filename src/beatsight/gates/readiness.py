"""All gates of one release, run in a fixed order into one report: the wrapper ``gate all``.

A :class:`Job` is one gate with its settings. Jobs come from a ``readiness.toml`` or from flags
(:mod:`beatsight.gates.readiness_file`) and run in the order of :data:`GATES`. A gate whose input is faulty
becomes a part with status ``error`` and its sentence, and the others still run. Ready means that every part
passed: a part that judged nothing, could not run or was not reached is not a pass.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec

from beatsight.errors import BeatSightError, UsageError
from beatsight.files import reason
from beatsight.gates.alignment import AlignmentReport, AlignmentSettings, alignment_gate
from beatsight.gates.bootstrap import BootstrapReport, BootstrapSettings, bootstrap_gate
from beatsight.gates.boundary import BoundaryReport, BoundarySettings, boundary_gate
from beatsight.gates.calibration import CalibrationReport, CalibrationSettings, calibration_gate
from beatsight.gates.health import HealthReport, HealthSettings, health_gate
from beatsight.gates.latency import LatencyReport, LatencySettings, Measure, latency_gate
from beatsight.gates.openset import OpensetReport, OpensetSettings, openset_gate
from beatsight.gates.regression import RegressionReport, RegressionSettings, regression_gate
from beatsight.gates.result import GateReport, GateResult

OneReport = (
    AlignmentReport
    | HealthReport
    | BoundaryReport
    | OpensetReport
    | BootstrapReport
    | CalibrationReport
    | RegressionReport
    | LatencyReport
)
Status = Literal["passed", "failed", "not_judged", "error", "not_run"]
# Called with (steps done, steps in all, the gate that runs).
NamedProgress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Gate:
    """A kind of gate: the settings it takes, and the function from settings to report."""

    settings: type[Any]
    function: Callable[..., Any]


# In the order of the work: the sound, the data, the model, what changed, the machine.
GATES: Mapping[str, Gate] = {
    "alignment": Gate(AlignmentSettings, alignment_gate),
    "health": Gate(HealthSettings, health_gate),
    "boundary": Gate(BoundarySettings, boundary_gate),
    "openset": Gate(OpensetSettings, openset_gate),
    "bootstrap": Gate(BootstrapSettings, bootstrap_gate),
    "calibration": Gate(CalibrationSettings, calibration_gate),
    "regression": Gate(RegressionSettings, regression_gate),
    "latency": Gate(LatencySettings, latency_gate),
}


@dataclass(frozen=True)
class Job:
    """One gate to run.

    Attributes:
        gate: a key of :data:`GATES`.
        settings: of that gate.
        name: its part's name; several sessions of one gate differ in it.
        report: where its own report goes, for whoever writes it.
    """

    gate: str
    settings: Any
    name: str
    report: Path | None = None


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """How one gate ended.

    Attributes:
        name: the gate, and the session where there are several: ``alignment: session_001``.
        status: ``not_judged``: it had no threshold; ``not_run``: an earlier one did not pass.
        error: with status ``error``, the sentence.
        report: where it ran.
    """

    name: str
    status: Status
    error: str = ""
    report: OneReport | None = None


class ReadinessReport(GateReport, tag="readiness", frozen=True, kw_only=True):
    """All parts in the order in which they ran, and the gates that nobody configured.

    ``gating_results`` holds the results of all parts, named ``part/gate``.
    """

    parts: list[Part]
    not_configured: list[str]


AnyGateReport = OneReport | ReadinessReport


def readiness_gate(
    jobs: Sequence[Job],
    *,
    measure: Measure,
    halt_on_first_failure: bool = False,
    progress: NamedProgress | None = None,
    finished: Callable[[Job, GateReport], None] | None = None,
) -> ReadinessReport:
    """Run every job.

    Args:
        jobs: in any order; they run in that of :data:`GATES`.
        measure: times the transcriber, for the gate ``latency``.
        halt_on_first_failure: after the first part that did not pass, the rest are ``not_run``.
        progress: called with (steps done, in all, name of the part).
        finished: called with each job that gave a report, at once; writes it, if it has a place to go. A
            ``regression`` that compares this run's health report reads what was written here.

    Raises:
        UsageError: there are no jobs, or two of one name.
        InputError: ``finished`` could not write.
    """
    ordered = sorted(jobs, key=lambda job: list(GATES).index(job.gate))
    if not ordered:
        raise UsageError("nothing is configured, so nothing can be ready")
    names = [job.name for job in ordered]
    if twice := [name for name in names if names.count(name) > 1]:
        raise UsageError(f"{twice[0]}: is configured twice")
    parts: list[Part] = []
    for job in ordered:
        if halt_on_first_failure and any(part.status != "passed" for part in parts):
            parts.append(Part(name=job.name, status="not_run"))
            continue
        part = _run(job, _stale(job, ordered, parts), measure, progress)
        parts.append(part)
        if part.report is not None and finished is not None:
            finished(job, part.report)
    return _combined(parts, [name for name in GATES if name not in {job.gate for job in ordered}])


def _combined(parts: list[Part], not_configured: list[str]) -> ReadinessReport:
    reports = [(part.name, part.report) for part in parts if part.report is not None]
    return ReadinessReport(
        passed=all(part.status == "passed" for part in parts),
        gating_results=[_named(name, result) for name, report in reports for result in report.gating_results],
        inputs={f"{name}/{role}": path for name, report in reports for role, path in report.inputs.items()},
        parts=parts,
        not_configured=not_configured,
    )


def _named(part: str, result: GateResult) -> GateResult:
    return msgspec.structs.replace(result, gate=f"{part}/{result.gate}")


def _run(job: Job, error: str, measure: Measure, progress: NamedProgress | None) -> Part:
    """One job as a part; ``error`` is why it cannot run, if so."""
    if error:
        return Part(name=job.name, status="error", error=error)
    handed = (measure,) if job.gate == "latency" else ()
    try:
        report = GATES[job.gate].function(job.settings, *handed, progress=_steps(progress, job.name))
    except BeatSightError as fault:
        return Part(name=job.name, status="error", error=str(fault))
    except OSError as fault:  # a name too long, a folder that may not be entered, a disk that fails
        named = f"{fault.filename}: " if fault.filename else ""
        return Part(name=job.name, status="error", error=f"{named}{reason(fault)}")
    statuses: dict[bool | None, Status] = {True: "passed", False: "failed", None: "not_judged"}
    return Part(name=job.name, status=statuses[report.passed], report=report)


def _steps(progress: NamedProgress | None, name: str) -> Callable[[int, int], None] | None:
    if progress is None:
        return None
    progress(0, 1, name)
    return lambda done, total: progress(done, total, name)


def _stale(job: Job, jobs: Sequence[Job], parts: Sequence[Part]) -> str:
    """Why a regression cannot be judged: it would read the health report of an earlier run."""
    if job.gate != "regression":
        return ""
    candidate = job.settings.candidate
    for other, part in zip(jobs, parts, strict=False):
        if other.report is not None and _same(other.report, candidate) and part.report is None:
            return f"{candidate}: is the report of {other.name}, which this run could not make"
    return ""


def _same(a: Path, b: Path) -> bool:
    return os.path.realpath(a) == os.path.realpath(b)
