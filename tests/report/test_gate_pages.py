"""Pages of gates: the verdict first, then what failed and by how much, and nothing left out."""

from __future__ import annotations

import re
import sys
import types
from collections.abc import Iterator
from html import unescape
from typing import Any

import msgspec
import pytest
from gate_inputs import EVIL
from hypothesis import given
from hypothesis import strategies as st
from svg_reader import number, of_class, tree

from beatsight.gates.alignment import AlignmentReport
from beatsight.gates.readiness import GATES, Part, ReadinessReport
from beatsight.gates.result import GateReport, GateResult, at_least, at_most, verdict
from beatsight.report.gates import Story, gate_page, write_gate_page
from beatsight.report.gates.results import MOST_OPEN, check, figures, margin_text, result_parts, worst
from beatsight.report.page import (
    Check,
    Checks,
    Column,
    Fact,
    Facts,
    Link,
    Notes,
    Page,
    Section,
    Status,
    Table,
    Text,
    render,
)
from beatsight.report.page import Part as PagePart
from beatsight.report.plots import threshold_bar


class StandInReport(GateReport, tag="stand_in", frozen=True, kw_only=True):
    """A report that no gate makes."""


@pytest.fixture(autouse=True)
def _stand_in(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    module: Any = types.ModuleType("beatsight.report.gates.stand_in")
    module.story = lambda report: Story(
        "A stand-in", "Is it one?", [Section("Its story", [Text("told here")])], Facts((Fact("tile", "8"),))
    )
    monkeypatch.setitem(sys.modules, module.__name__, module)
    yield


def report(*results: GateResult, notes: list[str] | None = None) -> StandInReport:
    return StandInReport(
        passed=verdict(results),
        gating_results=list(results),
        inputs={"events": "a <b>.jsonl"},
        notes=notes or [],
    )


def page_of(given: GateReport) -> str:
    return render(gate_page(given))


def words(html: str) -> str:
    """The text of a page, as read."""
    body = re.sub(r"<(style|script)>.*?</\1>", "", html[html.index("<body>") :], flags=re.S)
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", body)).split())


def test_the_verdict_comes_first_then_failures_then_passes() -> None:
    results = [
        at_least("auroc", 0.93, 0.9),
        at_most("fpr", 0.2, 0.1, "too many"),
        at_least("recall", None, 0.95),
    ]
    shown = words(page_of(report(*results, notes=["one sample was skipped"])))
    order = [
        "A stand-in", "1/3", "gates passed", "✕ Failed: 2 gates",
        "recall: not measured; fpr: over by 0.1 (100 %)", "tile",
        "What to know one sample was skipped", "recall ✕ failed – ≥ 0.95 not measured",
        "fpr too many ✕ failed 0.2 ≤ 0.1 over by 0.1 (100 %)", "auroc ✓ passed 0.93 ≥ 0.9 0.03 to spare",
        "Its story told here", "What was read Measured", "a <b>.jsonl",
    ]  # fmt: skip
    places = [shown.index(text) for text in order]
    assert places == sorted(places)


@pytest.mark.parametrize(
    ("results", "css", "ruling"),
    [
        ([], "open", "No verdict: no threshold was given"),
        ([at_least("a", 1, 1)], "good", "Passed"),
        ([at_least("a", 0, 1)], "bad", "Failed: 1 gate"),
        ([at_least("a", float("nan"), 0)], "bad", "Failed: 1 gate"),
    ],
)
def test_each_verdict_has_colour_sign_and_words(results: list[GateResult], css: str, ruling: str) -> None:
    html = page_of(report(*results))
    assert html.count(f'<div class="verdict {css}">') == 1
    assert f"{ {'open': '•', 'good': '✓', 'bad': '✕'}[css] } {ruling}" in words(html)


@pytest.mark.parametrize(
    ("result", "value", "margin"),
    [
        (at_least("a", 0.93, 0.9), ("0.93", "0.9"), "0.03 to spare"),
        (at_least("a", 0.9, 0.9), ("0.9", "0.9"), "exactly at the limit"),
        (at_least("a", 0.8999996, 0.9), ("0.8999996", "0.9"), "short by 4e-7 (< 0.1 %)"),
        (at_least("a", 20, 5000, unit="hits"), ("20", "5,000"), "short by 4,980 hits (99.6 %)"),
        (at_least("a", 30, 31, unit="hits"), ("30", "31"), "short by 1 hit (3.23 %)"),
        (at_least("a", 0, 5), ("0", "5"), "short by 5 (100 %)"),
        (at_least("a", 1, 7000), ("1", "7,000"), "short by 6,999 (99.9 %)"),
        (at_most("a", 3, 0), ("3", "0"), "over by 3"),
        (at_most("a", 0, 0), ("0", "0"), "none, as it must be"),
        (at_most("a", 0.4, 0.25, unit="ms"), ("0.4", "0.25"), "over by 0.15 ms (60 %)"),
        (at_most("a", -2.5, 0.25), ("-2.5", "0.25"), "2.75 to spare"),
        (at_most("a", 3e-7, 0.25), ("≈ 0", "0.25"), "0.25 to spare"),
        (at_most("a", None, 0.25), ("–", "0.25"), "not measured"),
    ],
)
def test_how_far_a_value_lies_from_its_threshold(
    result: GateResult, value: tuple[str, str], margin: str
) -> None:
    assert (figures(result), margin_text(result)) == (value, margin)


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6), st.booleans())
def test_words_and_figures_never_contradict_the_result(value: float, limit: float, least: bool) -> None:
    result = (at_least if least else at_most)("a", value, limit)
    text, shown = margin_text(result), check(result)
    assert ("short" in text or "over" in text) <= (not result.passed)
    assert result.passed <= ("to spare" in text or text in ("exactly at the limit", "none, as it must be"))
    if abs(value - limit) > 1e-9 * max(abs(value), abs(limit)) and abs(value - limit) > 1e-9:
        assert shown.value != shown.limit.split()[-1]
    tree(shown.bar)


def test_the_bar_shows_value_threshold_and_the_side_that_passes() -> None:
    bar = threshold_bar(0.6, 0.9, "at_least", unit_range=True)
    assert of_class(bar, "level")[0].get("width") == "60.0%"
    assert of_class(bar, "target")[0].get("x1") == "90.0%"
    fair = of_class(bar, "fair")[0]
    assert (fair.get("x"), fair.get("width")) == ("90.0%", "10.0%")
    over = threshold_bar(3.0, 1.0, "at_most")
    level, tick = of_class(over, "level")[0], of_class(over, "target")[0]
    assert float((level.get("width") or "").rstrip("%")) == pytest.approx(
        3 * float((tick.get("x1") or "").rstrip("%")), abs=0.2
    )
    assert of_class(over, "fair")[0].get("x") == "0.0%"
    assert not of_class(threshold_bar(None, 1.0, "at_most"), "level")
    below = threshold_bar(-1.0, 1.0, "at_least")
    assert of_class(below, "target")[0].get("x1") != of_class(below, "level")[0].get("x")
    assert number(of_class(below, "level")[0], "height") > 0


def test_the_worst_is_what_could_not_be_measured_then_what_is_farthest_off() -> None:
    results = [
        at_least("fine", 2, 1), at_least("half", 50, 100), at_most("double", 0.5, 0.25),
        at_least("none", None, 1), at_least("tight", 1.01, 1),
    ]  # fmt: skip
    for name in ("none", "double", "half", "tight", "fine"):
        least = worst(results)
        assert least is not None and least.gate == name
        results = [result for result in results if result.gate != name]
    assert worst([]) is None
    # Nothing where nothing may be cannot be better, so it is no close call.
    closest = worst([at_most("clipped", 0, 0), at_least("tight", 1.01, 1)])
    assert closest is not None and closest.gate == "tight"


def test_a_pass_says_what_is_closest_to_its_limit() -> None:
    results = [at_least("wide", 5, 1), at_least("tight", 1.5, 1), at_most("unknown", 0, 0)]
    assert "✓ Passed Closest to its limit: tight, 0.5 to spare" in words(page_of(report(*results)))
    assert "Closest" not in words(page_of(report(results[-1])))


def test_many_passes_are_folded_and_failures_never() -> None:
    passes = [at_least(f"p{n}", 2, 1) for n in range(MOST_OPEN + 1)]
    (folded,) = result_parts(passes)
    (whole,) = result_parts(passes[:-1])
    (fails,) = result_parts([at_least(f"f{n}", 0, 1) for n in range(30)])
    assert isinstance(folded, Checks) and folded.folded == f"{MOST_OPEN + 1} gates passed"
    assert isinstance(whole, Checks) and not whole.folded
    assert isinstance(fails, Checks) and not fails.folded and len(fails.checks) == 30
    html = page_of(report(*passes))
    assert '<details class="keep"><summary>13 gates passed</summary>' in html
    assert all(f"p{n} " in words(html) for n in range(MOST_OPEN + 1))


def test_every_gate_has_a_page_and_every_result_is_on_it(readiness: ReadinessReport) -> None:
    shown = {}
    for part in readiness.parts:
        if part.report is not None:
            html = page_of(part.report)
            shown[part.name.split(":")[0]] = html
            for result in part.report.gating_results:
                assert " ".join(result.gate.split()) in words(html)
                assert " ".join(result.detail.split()) in words(html)
            for note in part.report.notes:
                assert " ".join(note.split()) in words(html)
            assert html.count("<h2>") >= 3, part.name
            assert "no data" not in words(html), part.name
    assert set(shown) == set(GATES)


def test_the_page_of_a_run_tells_all_of_it(readiness: ReadinessReport) -> None:
    shown = words(page_of(readiness))
    statuses = [part.status for part in readiness.parts]
    assert {"passed", "failed", "error"} <= set(statuses)
    assert f"{statuses.count('passed')}/{len(statuses)} gates passed" in shown
    assert f"Not ready: {statuses.count('failed')} failed, 1 could not run" in shown
    (error,) = [part.error for part in readiness.parts if part.status == "error"]
    # In the summary, in what is in the way, and in its own section.
    assert shown.count(error) == 3
    for part in readiness.parts:
        assert part.name in shown


def test_every_link_of_a_page_leads_somewhere(readiness: ReadinessReport) -> None:
    html = page_of(readiness)
    targets = re.findall(r'\bid="([^"]*)"', html)
    links = re.findall(r'href="#([^"]*)"', html)
    assert len(targets) == len(set(targets))
    # The summary and the bar of sections lead to each gate.
    assert all(links.count(f"gate-{n}") == 2 for n in range(1, len(readiness.parts) + 1))
    assert set(links) <= set(targets)


def _run(*parts: Part, not_configured: tuple[str, ...] = ()) -> ReadinessReport:
    return ReadinessReport(
        passed=all(part.status == "passed" for part in parts), gating_results=[], inputs={},
        parts=list(parts), not_configured=list(not_configured),
    )  # fmt: skip


def test_what_was_not_configured_not_run_and_not_judged_is_said() -> None:
    run = _run(
        Part(name="health", status="not_judged", report=report()),  # type: ignore[arg-type]
        Part(name="boundary", status="not_run"),
        not_configured=("openset", "latency"),
    )
    shown = words(page_of(run))
    assert "0/2 gates passed" in shown
    assert "Not ready: 1 not judged, 1 not run" in shown
    assert "Not configured: openset, latency." in shown
    assert "openset • not configured" in shown
    assert "No threshold was given, so it cannot pass." in shown
    assert "An earlier gate did not pass, and the run was told to stop there." in shown


def test_a_ready_run_is_ready() -> None:
    fine = report(at_least("auroc", 0.95, 0.9))
    run = _run(Part(name="openset", status="passed", report=fine))  # type: ignore[arg-type]
    html = page_of(run)
    assert '<div class="verdict good">' in html
    assert "✓ Ready Every gate was configured." in words(html)
    assert "What is in the way" not in words(html)
    assert "auroc: 0.05 to spare" in words(html)


def test_every_track_names_its_microphone_and_a_fit_looks_the_same_on_all(readiness: ReadinessReport) -> None:
    (report, *_) = [part.report for part in readiness.parts if isinstance(part.report, AlignmentReport)]
    # A drift is planted: this session is too short for one.
    pairs = [msgspec.structs.replace(pair, drift_samples_per_min=0.5) for pair in report.pairs]
    html = page_of(msgspec.structs.replace(report, pairs=pairs))
    for pair in report.pairs:
        assert f"delay of {pair.target} in samples" in unescape(html)
    lines = set(re.findall(r'class="line (series-\w) dashed"', html))
    assert lines == {"series-b"} and html.count(">fit</text>") == len(report.pairs)


def test_texts_of_inputs_stay_texts(readiness: ReadinessReport) -> None:
    for part in [None, *readiness.parts]:
        given = readiness if part is None else part.report
        if given is None:
            continue
        html = page_of(given)
        assert EVIL not in html
        assert html.count("<script") == 1
        assert "<img" not in html
    bar = threshold_bar(1, 2, "at_most")
    parts: list[PagePart] = [
        Notes([EVIL]),
        Checks([Check(Status(False, EVIL), EVIL, EVIL, EVIL, EVIL, bar, EVIL)], EVIL),
        Table([Column(EVIL)], [[Link(EVIL, EVIL)], [Status(None, EVIL)]]),
        Section(EVIL, [], EVIL, EVIL),
    ]
    hostile = Page(EVIL, [Section(EVIL, parts, EVIL, EVIL)], notes=Notes([EVIL]))
    html = render(hostile)
    assert EVIL not in html and html.count("<script") == 1 and "<img" not in html
    assert words(html).count(unescape(EVIL)) + words(html).count(EVIL) >= 12


def test_the_same_report_gives_the_same_bytes(readiness: ReadinessReport, tmp_path: Any) -> None:
    write_gate_page(readiness, tmp_path / "one.html")
    again = msgspec.json.decode(msgspec.json.encode(readiness), type=ReadinessReport)
    write_gate_page(again, tmp_path / "two.html")
    assert (tmp_path / "one.html").read_bytes() == (tmp_path / "two.html").read_bytes()


def test_a_long_table_scrolls_in_its_own_box() -> None:
    long = Table([Column("n")], [[n] for n in range(26)])
    short = Table([Column("n")], [[n] for n in range(25)])
    assert 'class="table-scroll tall" tabindex="0"' in render(Page("t", [Section("s", [long])]))
    assert "table-scroll tall" not in render(Page("t", [Section("s", [short])])).split("<body>")[1]


def test_cells_of_status_and_link_are_no_numbers() -> None:
    table = Table([Column("a", bar=True), Column("b")], [[Status(True, "passed"), 1], [Link("x", "y"), 2]])
    assert table.numeric == [False, True]
    assert table.share(0, 0) is None
    assert Table([Column("a")], []).numeric == [False]
