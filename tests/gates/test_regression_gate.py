"""Gate regression: planted drops and failures in health reports and evaluations, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beatsight.cli.main import run
from beatsight.errors import InputError, UsageError
from beatsight.gates.regression import RegressionReport, RegressionSettings, parse_max_drop, regression_gate
from beatsight.gates.result import read_report
from beatsight.report.gates import gate_page
from beatsight.report.page import render

Pair = tuple[int, int]
NONE_FAILED = {"duplication_rate": True}


def health(
    labels: dict[str, Pair] | None = None,
    unknown: dict[str, int] | None = None,
    gates: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """A health report: hits (real, synthetic) by label, unknown labels, gates that passed or not."""
    results = [
        {"gate": name, "passed": passed, "value": 3.0, "threshold": 4.0, "detail": f"about {name}"}
        for name, passed in (NONE_FAILED if gates is None else gates).items()
    ]
    counts = {"kick": (90, 10)} if labels is None else labels
    return {
        "report": "health",
        "passed": all(result["passed"] for result in results),
        "gating_results": results,
        "labels": {
            label: {"real": real, "synthetic": synthetic} for label, (real, synthetic) in counts.items()
        },
        "unknown_labels": unknown or {},
        "events": 12,  # keys that nobody asked for are passed over
    }


def evaluation(scores: dict[str, tuple[float, int]], macro: float, **more: Any) -> dict[str, Any]:
    """The report of `beatsight evaluate`: (F1, support) by label."""
    return {
        "split": "test",
        "moments": 100,
        "per_class": {
            label: {"precision": 0.5, "recall": 0.5, "f1": f1, "support": support, "threshold": 0.5}
            for label, (f1, support) in scores.items()
        },
        "macro_f1": macro,
        "micro_f1": 0.9,
        **more,
    }


class Files:
    """Two reports in a folder with a space in its name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "health reports"
        self.folder.mkdir()
        self.baseline, self.candidate = self.folder / "baseline.json", self.folder / "candidate.json"

    def compare(self, baseline: Any, candidate: Any, **options: Any) -> RegressionReport:
        self.write(baseline, candidate)
        return regression_gate(
            RegressionSettings(baseline=self.baseline, candidate=self.candidate, **options)
        )

    def write(self, baseline: Any, candidate: Any) -> None:
        for path, report in ((self.baseline, baseline), (self.candidate, candidate)):
            path.write_text(report if isinstance(report, str) else json.dumps(report), encoding="utf-8")

    def exit_code(self, *words: object) -> int:
        with pytest.raises(SystemExit) as caught:
            run(["gate", "regression", "--baseline", str(self.baseline), "--candidate", str(self.candidate),
                 *map(str, words)])  # fmt: skip
        return int(caught.value.code or 0)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """Where the reports go."""
    return Files(tmp_path)


def failures(report: RegressionReport) -> dict[str, float | None]:
    """Value by gate of the results that failed."""
    assert report.passed is all(result.passed for result in report.gating_results)
    return {result.gate: result.value for result in report.gating_results if not result.passed}


BEFORE = {"kick": (90, 10), "snare": (50, 0), "crash": (4, 4), "cowbell": (5, 0), "aux_percussion": (70, 0)}
AFTER = {"kick": (60, 15), "snare": (10, 50), "crash": (1, 1), "china": (9, 0)}


def test_planted_drops(files: Files) -> None:
    report = files.compare(health(BEFORE), health(AFTER), ignore_label=["perc"], max_drop=25)
    assert (report.kind, report.max_drop, report.unit, report.ignored) == (
        "health",
        25,
        "hits",
        ["aux_percussion"],
    )
    assert report.passed  # 25 is allowed
    assert {label: (c.baseline, c.candidate, c.drop, c.status) for label, c in report.labels.items()} == {
        "kick": (100, 75, 25, "kept"),
        "crash": (8, 2, 6, "kept"),
        "cowbell": (5, None, 5, "kept"),
        "snare": (50, 60, -10, "kept"),
        "china": (None, 9, None, "new"),
        "aux_percussion": (70, None, None, "ignored"),
    }
    assert list(report.labels) == ["kick", "crash", "cowbell", "snare", "china", "aux_percussion"]
    assert report.notes == [
        "1 label ('cowbell') within the limit, but with no hit left",
        "2 labels ('kick', 'snare') with recorded hits lost that synthetic ones make up for",
    ]
    kick = report.gating_results[0]
    assert (kick.gate, kick.detail) == ("drop.kick", "100 → 75 hits, of them recorded 90 → 60")


def test_every_label_has_its_own_limit(files: Files) -> None:
    stricter = files.compare(health(BEFORE), health(AFTER), ignore_label=["aux_percussion"], max_drop="24")
    assert failures(stricter) == {"drop.kick": 25}
    assert stricter.labels["kick"].status == "dropped"
    by_default = files.compare(health(BEFORE), health(AFTER))
    assert failures(by_default) == {
        "drop.aux_percussion": 70, "drop.kick": 25, "drop.crash": 6, "drop.cowbell": 5,
    }  # fmt: skip
    assert files.compare(health(BEFORE), health(BEFORE)).passed


def test_a_share_of_the_hits(files: Files) -> None:
    report = files.compare(health(BEFORE), health(AFTER), max_drop="25%", ignore_label=["aux"])
    assert (report.unit, report.max_drop) == ("%", 25)
    assert failures(report) == {"drop.crash": 75, "drop.cowbell": 100}
    # A loss of exactly the limit is allowed, whatever its digits.
    for lost in range(1, 1000, 7):
        thousand, rest = health({"kick": (1000, 0)}), health({"kick": (1000 - lost, 0)})
        assert files.compare(thousand, rest, max_drop=f"{lost / 10} %").passed
    assert not files.compare(health(), health({"kick": (70, 0)}), max_drop="29.9%").passed


def test_aliases_are_one_label(files: Files) -> None:
    report = files.compare(health({"crash_1": (3, 0), "crash": (2, 0)}), health({"Crash Cymbal": (5, 0)}))
    assert report.passed and report.labels["crash"].baseline == 5


GATES = {"old": False, "mended": False, "broken": True, "min_count.kick": True, "gone": False}


def test_only_new_failures_block(files: Files) -> None:
    before = health(gates=GATES)
    after = health(
        gates={"old": False, "mended": True, "broken": False, "min_count.kick": True, "added": False}
    )
    report = files.compare(before, after)
    assert failures(report) == {"new_failures": 2, "missing_gates": 1}
    assert [change.gate for change in report.new_failures] == ["broken", "added"]
    assert [(c.baseline, c.candidate) for c in report.new_failures] == [
        ("passed", "failed"),
        ("absent", "failed"),
    ]
    assert report.new_failures[0].detail == "about broken"
    assert [change.gate for change in report.still_failing] == ["old"]
    assert [change.gate for change in report.fixed] == ["mended"]
    assert [(c.gate, c.baseline, c.candidate) for c in report.missing_gates] == [("gone", "failed", "absent")]
    details = {result.gate: result.detail for result in report.gating_results}
    assert details["new_failures"] == "2 gates ('broken', 'added') failed that did not fail in the baseline"
    assert details["missing_gates"] == "1 gate ('gone') of the baseline not judged in the candidate"
    assert files.compare(after, after).passed  # what failed before does not block


def test_a_gate_of_an_ignored_label_may_go(files: Files) -> None:
    labels, gates = (
        {"kick": (1, 0), "aux_percussion": (9, 0)},
        {"min_count.aux_percussion": True, **NONE_FAILED},
    )
    before, after = health(labels, gates=gates), health({"kick": (1, 0)})
    assert failures(files.compare(before, after)) == {"drop.aux_percussion": 9, "missing_gates": 1}
    assert files.compare(before, after, ignore_label=["aux"]).passed


def test_of_two_results_of_one_gate_the_failure_counts(files: Files) -> None:
    for first in (True, False):
        after = health(gates={"a": first})
        after["gating_results"] += health(gates={"a": not first})["gating_results"]
        assert failures(files.compare(health(gates={"a": True}), after)) == {"new_failures": 1}


def test_reports_that_judged_nothing(files: Files) -> None:
    report = files.compare(health(gates={}), health(gates={}))
    assert [result.gate for result in report.gating_results] == ["drop.kick", "unknown_labels"]
    assert report.notes == ["neither report judged a gate, so none can have begun to fail"]
    assert failures(files.compare(health(), health(gates={}))) == {"missing_gates": 1}


def test_a_loosened_threshold_is_told(files: Files) -> None:
    after = health()
    after["gating_results"][0]["threshold"] = 2.5
    assert files.compare(health(), after).notes == [
        "thresholds that differ from the baseline's: duplication_rate 4 → 2.5"
    ]


def test_unknown_labels_must_not_increase(files: Files) -> None:
    before = health(unknown={"snair": 5, "gong?": 2})
    assert files.compare(before, health(unknown={"snair": 5})).passed
    # Fewer in all, but one is new.
    report = files.compare(before, health(unknown={"snair": 1, "hatt": 2}))
    assert failures(report) == {"unknown_labels": 2}
    assert report.unknown_labels is not None
    counts = {label: (c.baseline, c.candidate) for label, c in report.unknown_labels.items()}
    assert counts == {"gong?": (2, 0), "hatt": (0, 2), "snair": (5, 1)}
    assert files.compare(before, health(unknown={"hatt": 2}), ignore_label=["hatt"]).passed


def test_unknown_labels_that_go_are_no_loss(files: Files) -> None:
    before = health({"kick": (5, 0), "snair": (5, 0)}, unknown={"snair": 5})
    report = files.compare(before, health({"kick": (5, 0)}))
    assert report.passed and report.labels["snair"].status == "unknown"


def test_unlisted_unknown_labels_are_not_zero(files: Files) -> None:
    silent = health()
    del silent["unknown_labels"]
    assert failures(files.compare(health(), silent)) == {"unknown_labels": None}
    assert failures(files.compare(silent, health(unknown={"snair": 1}))) == {"unknown_labels": None}
    assert files.compare(silent, health()).passed  # none now is not more than any number before


def test_ignored_labels_that_nobody_has(files: Files) -> None:
    report = files.compare(health(), health(), ignore_label=["aux_percusion", "kick"])
    assert report.notes == [
        "1 ignored label ('aux_percusion') in neither report",
        f"no label of {files.baseline} was compared",
    ]


def test_a_report_of_the_old_program(files: Files) -> None:
    """Without our kind, and with values that are no numbers."""
    old = health()
    del old["report"], old["passed"]
    old["gating_results"][0] |= {"value": ["kick"], "threshold": None, "detail": {"missing": []}}
    assert files.compare(old, health()).passed
    report = files.compare(
        health(), {**old, "gating_results": [{"gate": "b", "passed": False, "value": True}]}
    )
    assert (report.new_failures[0].value, report.new_failures[0].detail) == (None, "")


SCORES = {"kick": (0.95, 60), "crash": (0.80, 20), "china": (0.0, 0), "splash": (0.5, 4)}


def test_evaluations(files: Files) -> None:
    before = evaluation(SCORES, 0.60)
    after = evaluation(
        {"kick": (0.98, 60), "crash": (0.77, 20), "china": (0.3, 2), "splash": (0.47, 4)}, 0.57
    )
    report = files.compare(before, after)
    assert (report.kind, report.max_drop, report.unit) == ("evaluation", 3, "points")
    # 100 * (0.80 - 0.77) is 3.0000000000000027 in doubles.
    assert report.passed
    drops = {label: (change.drop, change.status) for label, change in report.labels.items()}
    assert drops == {
        "crash": (3, "kept"), "splash": (3, "kept"), "kick": (-3, "kept"), "china": (None, "new"),
    }  # fmt: skip
    assert report.labels["china"].baseline is None and report.labels["china"].candidate == 0.3
    assert failures(files.compare(before, after, max_drop=2.9)) == {
        "drop.crash": 3, "drop.splash": 3, "drop.macro_f1": 3,
    }  # fmt: skip
    assert failures(files.compare(before, after, max_drop="2.9", ignore_label=["crash_1"])) == {
        "drop.splash": 3
    }


def test_macro_f1_leaves_ignored_labels_out(files: Files) -> None:
    before, after = evaluation(SCORES, 0.5625), evaluation({**SCORES, "crash": (0.2, 20)}, 0.4125)
    assert failures(files.compare(before, after)) == {"drop.crash": 60, "drop.macro_f1": 15}
    report = files.compare(before, after, ignore_label=["crash"])
    assert report.passed and report.macro_f1 is not None
    assert report.macro_f1.baseline == report.macro_f1.candidate == pytest.approx((0.95 + 0.0 + 0.5) / 3)
    assert "without the ignored labels" in report.gating_results[-1].detail


def test_vanished_support_is_not_measured(files: Files) -> None:
    gone = {label: score for label, score in SCORES.items() if label != "splash"}
    for scores in (gone, {**SCORES, "splash": (0.5, 0)}):
        report = files.compare(evaluation(SCORES, 0.6), evaluation(scores, 0.6), max_drop=100)
        assert failures(report) == {"drop.splash": None}
        assert (
            report.gating_results[0].detail
            == "4 true hits in the baseline, none in the candidate: not measured"
        )
    nothing = {label: (0.0, 0) for label in SCORES}
    report = files.compare(evaluation(SCORES, 0.6), evaluation(nothing, 0.0), max_drop=100)
    assert set(failures(report)) == {"drop.kick", "drop.crash", "drop.splash", "drop.macro_f1"}


def test_evaluations_of_other_data_are_told_apart(files: Files) -> None:
    other = evaluation({**SCORES, "tom_low": (0.4, 2)}, 0.6, split="val", moments=50)
    assert files.compare(evaluation(SCORES, 0.6), other).notes == [
        "the baseline was measured on split 'test', the candidate on 'val'",
        "the baseline was measured on 100 moments, the candidate on 50",
        "1 label ('tom_low') in one report only, so the macro F1s are of different labels",
    ]


@given(
    st.dictionaries(
        st.sampled_from(["kick", "snare", "crash", "china", "splash"]), st.integers(0, 1000), min_size=1
    ),
    st.dictionaries(st.sampled_from(["kick", "snare", "crash", "china", "cowbell"]), st.integers(0, 1000)),
    st.integers(0, 300),
)
def test_drops_of_random_counts(
    tmp_path_factory: pytest.TempPathFactory, before: dict[str, int], after: dict[str, int], limit: int
) -> None:
    if not any(before.values()):
        before["kick"] = 1
    files = Files(tmp_path_factory.mktemp("counts"))
    report = files.compare(
        health({label: (count, 0) for label, count in before.items()}),
        health({label: (0, count) for label, count in after.items()}),
        max_drop=limit,
    )
    lost = {label: count - after.get(label, 0) for label, count in before.items()}
    too_far = {f"drop.{label}": drop for label, drop in lost.items() if drop > limit}
    assert failures(report) == too_far
    assert "<h1>" in render(gate_page(report))


def test_exit_codes_and_files(files: Files, capsys: pytest.CaptureFixture[str]) -> None:
    files.write(health(BEFORE), health(AFTER))
    diff = files.folder / "out" / "diff.json"
    assert files.exit_code() == 0  # a failure is said, not exited with
    assert "FAILED: 4 of 8 gates" in capsys.readouterr().out
    assert files.exit_code("--strict", "--json-output", diff) == 1
    settings = RegressionSettings(baseline=files.baseline, candidate=files.candidate)
    assert read_report(diff, RegressionReport) == regression_gate(settings)
    written = json.loads(diff.read_text(encoding="utf-8"))
    assert written["report"] == "regression"
    assert written["labels"]["china"] == {
        "baseline": None, "candidate": 9, "drop": None, "status": "new", "candidate_real": 9,
    }  # fmt: skip
    page = diff.with_suffix(".html").read_text(encoding="utf-8")
    assert "Health regression" in page and "least allowed" in page
    allowed = ("--strict", "--max-drop", "25", "--ignore-label", "aux_percussion", "--ignore-label", "kick")
    capsys.readouterr()
    assert files.exit_code(*allowed, "--json") == 0
    assert json.loads(capsys.readouterr().out)["ignored"] == ["aux_percussion", "kick"]
    assert files.exit_code("--strict", "--max-drop", "75%") == 1
    assert files.exit_code("--strict", "--max-drop", "100%", "--report", diff) == 0
    files.write(evaluation(SCORES, 0.6), evaluation(SCORES, 0.56))
    assert files.exit_code("--strict") == 1
    assert files.exit_code("--strict", "--max-drop", "4", "--html-output", files.folder / "page.html") == 0
    assert "Evaluation regression" in (files.folder / "page.html").read_text(encoding="utf-8")


def test_text_from_files_is_escaped(files: Files) -> None:
    evil = "<script>alert('1')</script>"
    before = health({"kick": (9, 0), evil: (9, 0)}, gates={evil: True, "a": True})
    after = health({"kick": (1, 0)}, unknown={evil: 3}, gates={evil: False})
    after["gating_results"][0]["detail"] = evil
    page = render(gate_page(files.compare(before, after, ignore_label=[evil + "2"])))
    assert "&lt;script&gt;alert" in page and "<script>alert" not in page
    scores = {evil: (0.9, 3)}
    page = render(gate_page(files.compare(evaluation(scores, 0.9), evaluation(scores, 0.1, split=evil))))
    assert "&lt;script&gt;alert" in page and "<script>alert" not in page


WRONG: dict[str, tuple[Any, str]] = {
    "empty": ("", "is empty"),
    "blank": (" \n", "is empty"),
    "no JSON": ("kick", "is not valid JSON"),
    "cut short": ('{"labels": {', "is not valid JSON"),
    "a list": ("[]", "is not a JSON object"),
    "neither": ({"sessions": 3}, "is neither a health report (labels, gating_results) nor an evaluation"),
    "another report": ({"report": "boundary", "macro": {}}, "is a report of 'boundary'; only health reports"),
    "NaN": ('{"labels": {"kick": {"real": NaN, "synthetic": 0}}}', "labels.kick.real: is nan, not a finite"),
    "no labels": ({"report": "health", "gating_results": []}, "labels: is missing"),
    "no gates": ({"report": "health", "labels": {}}, "gating_results: is missing"),
    "a count alone": ({**health(), "labels": {"kick": 5}}, "labels.kick: is not a JSON object"),
    "no synthetic": ({**health(), "labels": {"kick": {"real": 5}}}, "labels.kick: synthetic: is missing"),
    "text": ({**health(), "labels": {"kick": {"real": "5", "synthetic": 0}}}, "labels.kick: real: Expected"),
    "negative": (health({"kick": (-1, 0)}), "labels.kick: real: Expected int >= 0"),
    "too many": (health({"kick": (10**400, 0)}), "labels.kick: real: Expected int <= 9007199254740992"),
    "odd gate": (health(gates={"a": "yes"}), "gating_results[0].passed: Expected bool, got str"),
    "odd unknown": ({**health(), "unknown_labels": {"snair": "3"}}, "unknown_labels.snair: is not a number"),
    "f1": (evaluation({"kick": (1.5, 3)}, 0.5), "per_class.kick: f1: Expected float <= 1.0"),
    "macro": (evaluation({"kick": (0.5, 3)}, 2.0), "macro_f1: Expected float <= 1.0"),
    "no f1": ({"per_class": {"kick": {"support": 3}}, "macro_f1": 0.5}, "per_class.kick: f1: is missing"),
    "two names": (evaluation({"kick": (0.5, 3), "bd": (0.5, 3)}, 0.5), "per_class.bd: kick has a score"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("side", ["baseline", "candidate"])
def test_faulty_reports_are_refused(
    side: str, name: str, files: Files, capsys: pytest.CaptureFixture[str]
) -> None:
    report, why = WRONG[name]
    files.write(*((report, health()) if side == "baseline" else (health(), report)))
    assert files.exit_code("--strict") == 3
    out, err = capsys.readouterr()
    path = files.baseline if side == "baseline" else files.candidate
    assert not out and len(err.splitlines()) == 1
    assert err.startswith(f"beatsight: {path}: {why}"), err


def test_kinds_are_not_mixed(files: Files) -> None:
    with pytest.raises(
        InputError, match=r"candidate\.json: is an evaluation, but .*baseline\.json is a health rep"
    ):
        files.compare(health(), evaluation(SCORES, 0.6))
    with pytest.raises(
        InputError, match=r"candidate\.json: is a health report, but .* is an evaluation; give two"
    ):
        files.compare(evaluation(SCORES, 0.6), health())


def test_nothing_to_compare_with(files: Files) -> None:
    for labels in ({}, {"kick": (0, 0)}):
        with pytest.raises(
            InputError, match=r"baseline\.json: labels: has no hits, so there is nothing to compare"
        ):
            files.compare(health(labels), health())
    with pytest.raises(InputError, match=r"baseline\.json: per_class: no label has support"):
        files.compare(evaluation({"kick": (0.0, 0)}, 0.0), evaluation(SCORES, 0.5))


def test_missing_files_are_named(files: Files, capsys: pytest.CaptureFixture[str]) -> None:
    files.write(health(), health())
    files.candidate.unlink()
    assert files.exit_code("--strict") == 3
    assert f"{files.candidate}: cannot be read: No such file" in capsys.readouterr().err
    files.candidate = Path("../../../../../../../../etc/passwd")
    assert files.exit_code() == 3
    assert "etc/passwd: is not valid JSON" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["-1", "nan", "inf", "101%", "-3%", "", "%", "many", "25 hits"])
def test_senseless_limits_are_refused(text: str, files: Files, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UsageError, match="max_drop must be an amount such as 25, or a share such as 25%"):
        parse_max_drop(text)
    files.write(health(), health())
    assert files.exit_code(f"--max-drop={text}") == 2
    assert "max_drop must be an amount" in capsys.readouterr().err


@pytest.mark.parametrize("limit", ["25%", "101"])
def test_points_are_not_shares(limit: str, files: Files) -> None:
    with pytest.raises(UsageError, match=rf"points of F1, 0\.\.100 \(such as 3\), not {limit}"):
        files.compare(evaluation(SCORES, 0.6), evaluation(SCORES, 0.6), max_drop=limit)


def test_a_file_is_not_compared_with_itself(files: Files) -> None:
    with pytest.raises(UsageError, match="is both baseline and candidate"):
        RegressionSettings(baseline=files.baseline, candidate=files.baseline)
    link = files.baseline.with_name("link.json")
    link.symlink_to(files.baseline)
    with pytest.raises(UsageError, match="is both baseline and candidate"):
        RegressionSettings(baseline=files.baseline, candidate=link)


def test_progress_ends_at_its_total(files: Files) -> None:
    files.write(health(), health())
    seen: list[tuple[int, int]] = []
    settings = RegressionSettings(baseline=files.baseline, candidate=files.candidate)
    regression_gate(settings, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 2), (2, 2)]
