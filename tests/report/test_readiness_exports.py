"""JUnit XML and step summary: what CI shows of a run, whatever the names in it."""

from __future__ import annotations

import math
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beatsight.errors import InputError
from beatsight.gates.latency import LatencyReport, Machine, Measured, SongTiming
from beatsight.gates.readiness import GATES, Part, ReadinessReport
from beatsight.gates.result import GateResult, at_least, at_most, verdict
from beatsight.report.junit import junit_xml, write_junit
from beatsight.report.step_summary import append_step_summary, step_summary

MEASURED = Measured(
    machine=Machine(processor="abacus", cores=1, system="Linux", python="3.11.0"), recogniser="net",
    is_model=True, load_s=1.0, excerpt_s=10.0, first_results_s=[2.0],
    songs=[SongTiming(path="a.wav", duration_s=10.0, runs_s=[1.0], hits=3)],
)  # fmt: skip


def part(name: str, *results: GateResult) -> Part:
    report = LatencyReport(
        passed=verdict(results), gating_results=list(results), inputs={}, rtf=0.1, audio_s=10.0,
        processing_s=1.0, first_result_s=2.0, measured=MEASURED, max_rtf=0.2,
    )  # fmt: skip
    status = {True: "passed", False: "failed", None: "not_judged"}[report.passed]
    return Part(name=name, status=status, report=report)  # type: ignore[arg-type]


def ready(*parts: Part) -> ReadinessReport:
    configured = {one.name.partition(":")[0] for one in parts}
    return ReadinessReport(
        passed=all(one.status == "passed" for one in parts),
        gating_results=[result for one in parts if one.report for result in one.report.gating_results],
        inputs={},
        parts=list(parts),
        not_configured=[name for name in GATES if name not in configured],
    )


MIXED = ready(
    part("alignment: one", at_most("delay.kick", 0.1, 0.25, unit="ms"), at_most("drift.kick", None, 1.0)),
    part("health"),
    Part(name="boundary", status="error", error="labels.jsonl:3: labels: is missing"),
    Part(name="openset", status="not_run"),
    part("bootstrap", at_least("macro_f1", 0.8, 0.75)),
)


def test_junit_has_a_suite_a_part_and_a_case_a_gate() -> None:
    root = ET.fromstring(junit_xml(MIXED))
    assert root.tag == "testsuites"
    kinds = ("tests", "failures", "errors", "skipped")
    counts = {suite.get("name"): tuple(int(suite.get(kind, "-1")) for kind in kinds) for suite in root}
    assert counts == {
        "alignment: one": (2, 1, 0, 0),
        "health": (1, 1, 0, 0),
        "boundary": (1, 0, 1, 0),
        "openset": (1, 0, 0, 1),
        "bootstrap": (1, 0, 0, 0),
        "calibration": (1, 0, 0, 1),
        "regression": (1, 0, 0, 1),
        "latency": (1, 0, 0, 1),
    }
    assert [root.get(kind) for kind in kinds] == ["9", "2", "1", "4"]
    messages = {
        (case.get("classname"), case.get("name")): (mark.tag, mark.get("message"))
        for case in root.iter("testcase")
        for mark in case
    }
    assert messages == {
        ("readiness.alignment: one", "drift.kick"): ("failure", "not measured, must be at most 1"),
        ("readiness.health", "judged"): ("failure", "nothing was judged: no threshold was given"),
        ("readiness.boundary", "run"): ("error", "labels.jsonl:3: labels: is missing"),
        ("readiness.openset", "run"): ("skipped", "not run: an earlier gate did not pass"),
        **{
            (f"readiness.{name}", "configured"): ("skipped", "not configured")
            for name in ("calibration", "regression", "latency")
        },
    }


@given(st.text(), st.text(min_size=1), st.floats(max_value=0) | st.just(math.nan))
def test_any_name_makes_valid_xml_and_whole_table_rows(detail: str, name: str, value: float) -> None:
    hostile = ready(
        part(f"alignment: {name}", at_least(name, value, 1e9, detail, "ms")),
        Part(name="health", status="error", error=detail),
    )
    root = ET.fromstring(junit_xml(hostile))
    valid = re.sub("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "\ufffd", name)
    assert root[0][0].get("name") == valid
    rows = [line for line in step_summary(hostile).split("\n") if line.startswith("|")]
    assert {line.count("|") for line in rows} == {4, 5}
    assert len(rows) == (2 + 8) + (2 + 1)


def test_junit_keeps_control_characters_out(tmp_path: Path) -> None:
    nasty = 'a\x00\x1b[31m<b> & "q" ]]> \ud800 \uffff\U0001f941'
    write_junit(ready(part("health", at_least(nasty, 0, 1, nasty))), tmp_path / "j.xml")
    case = ET.parse(tmp_path / "j.xml").getroot()[0][0]
    clean = 'a\ufffd\ufffd[31m<b> & "q" ]]> \ufffd \ufffd\U0001f941'
    assert case.get("name") == clean
    assert case[0].text == f"0, must be at least 1: {clean}"
    assert junit_xml(MIXED) == junit_xml(MIXED)


def test_the_summary_says_the_verdict_first() -> None:
    assert step_summary(MIXED).splitlines() == [
        "## ❌ Not ready: 1 of 3 gates failed, 1 could not be checked, 1 judged nothing, 1 not run",
        "",
        "| gate | verdict |  |",
        "|---|---|---|",
        "| alignment&#58; one | ❌ failed | 1 of 2 gates failed |",
        "| health | ❌ not judged | nothing was judged&#58; no threshold was given |",
        "| boundary | ❌ error | labels.jsonl&#58;3&#58; labels&#58; is missing |",
        "| openset | ⏭️ not run | not run&#58; an earlier gate did not pass |",
        "| bootstrap | ✅ passed | 1 gate passed |",
        "| calibration | – not configured |  |",
        "| regression | – not configured |  |",
        "| latency | – not configured |  |",
        "",
        "### What failed",
        "",
        "| gate | value | must be | why |",
        "|---|---|---|---|",
        "| alignment&#58; one/drift.kick | not measured | at most 1 |  |",
    ]
    good = ready(part("health", at_least("min_count.kick", 12000, 300)))
    assert step_summary(good).startswith("## ✅ Ready: 1 gate passed, 7 of 8 kinds not configured\n")
    assert "What failed" not in step_summary(good)


def test_the_summary_shows_names_as_they_are() -> None:
    name = "<img src=x onerror=alert(1)>|`a`[b](http://c) @team #12 *x* ~~y~~ $z$ \\ www.d.e\nnext"
    line = step_summary(ready(part("health", at_least(name, 0, 1)))).splitlines()[-1]
    cell = line.split(" | ")[0].removeprefix("| health/")
    assert not set("<>|`[]()@#*~$\\\n") & set(re.sub(r"&#\d+;", "", cell))
    assert "www." not in cell and "://" not in cell
    shown = re.sub(r"&#(\d+);", lambda match: chr(int(match[1])), cell)
    assert shown == name.replace("\n", " ")


def test_a_long_list_is_cut_and_counted() -> None:
    many = ready(part("health", *(at_least(f"label.{index}", 0, 1) for index in range(120))))
    text = step_summary(many)
    assert text.count("| health/label.") == 50
    assert text.endswith("… and 70 more failed gates; the report has them all.\n")


def test_the_summary_is_added_to_what_is_there(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "summary.md"
    append_step_summary(MIXED, path)
    append_step_summary(MIXED, path)
    assert path.read_text() == (step_summary(MIXED) + "\n") * 2
    with pytest.raises(InputError, match=r"new folder: cannot be written: Is a directory"):
        append_step_summary(MIXED, tmp_path / "new folder")
