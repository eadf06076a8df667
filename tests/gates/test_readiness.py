"""``gate all``: what runs, in which order, and what counts as ready."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from beatsight.errors import InputError, UsageError
from beatsight.gates import readiness
from beatsight.gates.latency import (
    LatencyReport,
    LatencySettings,
    Machine,
    Measured,
    SongTiming,
    latency_gate,
)
from beatsight.gates.readiness import GATES, AnyGateReport, Gate, Job, ReadinessReport, readiness_gate
from beatsight.gates.result import GateReport, GateResult, at_least, read_report, verdict, write_report

MACHINE = Machine(processor="abacus", cores=1, system="Linux", python="3.11.0")
MEASURED = Measured(
    machine=MACHINE, recogniser="net", is_model=True, load_s=1.0, excerpt_s=10.0, first_results_s=[2.0],
    songs=[SongTiming(path="a.wav", duration_s=10.0, runs_s=[1.0], hits=3)],
)  # fmt: skip


def measure(settings: LatencySettings, progress: object) -> Measured:
    return MEASURED


def report(*results: GateResult) -> LatencyReport:
    return LatencyReport(
        passed=verdict(results), gating_results=list(results), inputs={"audio": "a.wav"}, rtf=0.1,
        audio_s=10.0, processing_s=1.0, first_result_s=2.0, measured=MEASURED, max_rtf=0.2,
    )  # fmt: skip


GOOD, BAD, NONE = report(at_least("good", 1, 1)), report(at_least("bad", 0, 1)), report()


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every gate gives what its settings say (a report or an error), and notes that it was called."""
    called: list[str] = []

    def fake(name: str) -> Callable[..., Any]:
        def gate(settings: Any, *handed: Any, progress: Any = None) -> Any:
            called.append(name)
            assert bool(handed) == (name == "latency")
            if progress is not None:
                progress(1, 2)
            outcome = getattr(settings, "outcome", settings)
            if isinstance(outcome, Exception):
                raise outcome
            return outcome

        return gate

    for name, gate in GATES.items():
        monkeypatch.setitem(readiness.GATES, name, Gate(gate.settings, fake(name)))  # type: ignore[arg-type]
    return called


class Comparison:
    """Settings of a regression that gives a good report."""

    candidate, outcome = Path("health.json"), GOOD


def jobs(**settings: Any) -> list[Job]:
    return [Job(name, given, name) for name, given in settings.items()]


def test_gates_run_in_the_order_of_the_work(calls: list[str]) -> None:
    everything = dict.fromkeys(reversed(GATES), GOOD) | {"regression": Comparison()}
    found = readiness_gate(jobs(**everything), measure=measure)
    order = [
        "alignment", "health", "boundary", "openset", "bootstrap", "calibration", "regression", "latency",
    ]  # fmt: skip
    assert calls == order == [part.name for part in found.parts]
    assert found.passed is True and found.not_configured == []
    assert [result.gate for result in found.gating_results] == [f"{name}/good" for name in order]
    assert found.inputs["health/audio"] == "a.wav"


@pytest.mark.parametrize(
    ("outcome", "status"),
    [(BAD, "failed"), (NONE, "not_judged"), (InputError("f.jsonl:3: labels: is missing"), "error")],
)
def test_ready_is_only_what_passed(calls: list[str], outcome: Any, status: str) -> None:
    found = readiness_gate(jobs(health=GOOD, boundary=outcome, openset=GOOD), measure=measure)
    assert found.passed is False
    assert [part.status for part in found.parts] == ["passed", status, "passed"]
    assert found.parts[1].error == ("f.jsonl:3: labels: is missing" if status == "error" else "")
    assert (found.parts[1].report is None) == (status == "error")
    assert found.not_configured == ["alignment", "bootstrap", "calibration", "regression", "latency"]
    # Alone, too: an empty list of results must not read as all of them passed.
    assert readiness_gate(jobs(boundary=outcome), measure=measure).passed is False
    calls.clear()
    halted = readiness_gate(
        jobs(health=GOOD, boundary=outcome, openset=GOOD, latency=GOOD),
        measure=measure,
        halt_on_first_failure=True,
    )
    assert [part.status for part in halted.parts] == ["passed", status, "not_run", "not_run"]
    assert calls == ["health", "boundary"] and halted.passed is False


def test_errors_of_the_system_are_one_sentence_too(calls: list[str]) -> None:
    found = readiness_gate(jobs(health=OSError(36, "File name too long", "x" * 300)), measure=measure)
    assert found.parts[0].error == f"{'x' * 300}: File name too long"
    with pytest.raises(ZeroDivisionError):  # a bug of ours is not dressed up as bad input
        readiness_gate(jobs(health=ZeroDivisionError()), measure=measure)


def test_nothing_is_not_ready(calls: list[str]) -> None:
    with pytest.raises(UsageError, match="nothing is configured, so nothing can be ready"):
        readiness_gate([], measure=measure)
    with pytest.raises(UsageError, match="health: is configured twice"):
        readiness_gate(jobs(health=GOOD) * 2, measure=measure)
    assert calls == []


def test_progress_names_the_gate_and_reports_are_handed_out_at_once(calls: list[str]) -> None:
    steps: list[tuple[int, int, str]] = []
    finished: list[tuple[str, GateReport, int]] = []
    readiness_gate(
        jobs(health=GOOD, boundary=InputError("no"), openset=BAD),
        measure=measure,
        progress=lambda *step: steps.append(step),
        finished=lambda job, one: finished.append((job.name, one, len(calls))),
    )
    assert steps == [step for name in calls for step in ((0, 1, name), (1, 2, name))]
    assert finished == [("health", GOOD, 1), ("openset", BAD, 3)]


def test_a_regression_never_reads_the_health_report_of_an_earlier_run(calls: list[str]) -> None:
    comparison = Job("regression", Comparison(), "regression")

    def run(outcome: Any, path: str) -> ReadinessReport:
        return readiness_gate([comparison, Job("health", outcome, "health", Path(path))], measure=measure)

    assert [part.status for part in run(BAD, "health.json").parts] == ["failed", "passed"]
    failed = run(InputError("no"), "./health.json")
    assert [part.status for part in failed.parts] == ["error", "error"]
    assert failed.parts[1].error == "health.json: is the report of health, which this run could not make"
    assert run(InputError("no"), "other.json").parts[1].status == "passed"


def test_the_timer_reaches_the_gate_that_needs_it() -> None:
    settings = LatencySettings(audio=[Path("a.wav")], max_rtf=0.05)
    found = readiness_gate([Job("latency", settings, "latency")], measure=measure)
    assert found.parts[0].report == latency_gate(settings, measure)
    assert [(one.gate, one.value) for one in found.gating_results] == [("latency/rtf", 0.1)]


def test_the_report_is_read_back_as_one_of_all_kinds(calls: list[str], tmp_path: Path) -> None:
    found = readiness_gate(jobs(health=GOOD, boundary=InputError("no")), measure=measure)
    for one in (found, GOOD):
        write_report(one, tmp_path / "r.json")
        assert read_report(tmp_path / "r.json", AnyGateReport) == one
    (tmp_path / "r.json").write_text('{"report": "weather"}')
    with pytest.raises(InputError, match=r"r\.json: report: .*weather"):
        read_report(tmp_path / "r.json", AnyGateReport)
