"""How a gate ended, in words, for the places that are not a page: JUnit, step summary, terminal."""

from __future__ import annotations

from beatsight.gates.readiness import Part, ReadinessReport
from beatsight.gates.result import GateResult
from beatsight.report.gates.results import check
from beatsight.report.text import plural

# What a part without a single result must still say.
NOT_JUDGED = "nothing was judged: no threshold was given"
NOT_RUN = "not run: an earlier gate did not pass"
NOT_CONFIGURED = "not configured"


def value(result: GateResult) -> str:
    """What was measured, with its unit.

    >>> from beatsight.gates.result import at_most
    >>> value(at_most("drift", 2.5, 1.0, unit="ms")), value(at_most("drift", None, 1.0))
    ('2.5 ms', 'not measured')
    """
    return "not measured" if result.value is None else check(result).value


def limit(result: GateResult) -> str:
    """What the value had to be.

    >>> from beatsight.gates.result import at_most
    >>> limit(at_most("drift", 2.5, 1.0, unit="ms"))
    'at most 1 ms'
    """
    return check(result).limit.replace("≥", "at least").replace("≤", "at most")


def shortfall(result: GateResult) -> str:
    """A failed result in one line.

    >>> from beatsight.gates.result import at_least
    >>> shortfall(at_least("auroc", 0.8, 0.9, "12 known, 3 unknown")), shortfall(at_least("auroc", None, 0.9))
    ('0.8, must be at least 0.9: 12 known, 3 unknown', 'not measured, must be at least 0.9')
    """
    return f"{value(result)}, must be {limit(result)}" + (f": {result.detail}" if result.detail else "")


def failures(part: Part) -> list[GateResult]:
    """The results of a part that did not pass, in their order."""
    return [result for result in part.report.gating_results if not result.passed] if part.report else []


def part_outcome(part: Part) -> str:
    """What came of one part, without its name."""
    if part.status == "error":
        return part.error
    if part.status == "not_run":
        return NOT_RUN
    if part.status == "not_judged" or part.report is None:
        return NOT_JUDGED
    total, failed = len(part.report.gating_results), len(failures(part))
    return f"{failed} of {plural(total, 'gate')} failed" if failed else f"{plural(total, 'gate')} passed"


def headline(report: ReadinessReport) -> str:
    """The verdict in one line: ready, or what stands in the way."""
    if report.passed:
        ready = f"Ready: {plural(len(report.gating_results), 'gate')} passed"
        missing = len(report.not_configured)
        return ready + (f", {missing} of {missing + _kinds(report)} kinds not configured" if missing else "")
    failed = sum(not result.passed for result in report.gating_results)
    reasons = [f"{failed} of {plural(len(report.gating_results), 'gate')} failed"] if failed else []
    for status, words in (
        ("error", "could not be checked"),
        ("not_judged", "judged nothing"),
        ("not_run", "not run"),
    ):
        if count := sum(part.status == status for part in report.parts):
            reasons.append(f"{count} {words}")
    return f"Not ready: {', '.join(reasons)}"


def _kinds(report: ReadinessReport) -> int:
    return len({part.name.partition(":")[0] for part in report.parts})
