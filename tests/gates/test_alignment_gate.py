"""Gate alignment: verdicts, exit codes, faults of microphones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from planted_sessions import RATE, bursts, delayed, write_session

from beatsight.audio.io import save
from beatsight.cli.gate import alignment as command
from beatsight.cli.main import run
from beatsight.errors import UsageError
from beatsight.gates import alignment as gate
from beatsight.gates.alignment import AlignmentReport, AlignmentSettings, alignment_gate
from beatsight.gates.result import read_report
from beatsight.report.gates import gate_page
from beatsight.report.page import render

SECONDS = 8.0


@pytest.fixture(scope="module")
def hits() -> npt.NDArray[np.float64]:
    """Forty bursts in eight seconds."""
    return bursts(SECONDS, 40)


def judged(manifest: Path, **more: Any) -> AlignmentReport:
    return alignment_gate(AlignmentSettings(manifest=manifest, **more))


def failed(report: AlignmentReport) -> set[str]:
    return {result.gate for result in report.gating_results if not result.passed}


def code(*arguments: object) -> int | str | None:
    with pytest.raises(SystemExit) as caught:
        run(["gate", "alignment", *map(str, arguments)])
    return caught.value.code


def test_a_session_within_the_limits_passes_with_every_key(
    hits: npt.NDArray[np.float64], tmp_path: Path
) -> None:
    manifest = write_session(tmp_path, {"a": hits, "b": delayed(hits, 6), "c": delayed(hits, -4.5)})
    report = judged(manifest)
    assert report.passed and not failed(report) and report.alerts == []
    raw = json.loads(json.dumps(_written(report, tmp_path)))
    assert {
        "session_id",
        "sample_rate",
        "anchor_mic",
        "num_onsets",
        "passed",
        "alerts",
        "pairs",
    } <= raw.keys()
    assert {
        "anchor", "target", "median_delay_ms", "mean_delay_ms", "max_abs_delay_ms", "std_delay_ms",
        "drift_samples_per_min", "support", "pass_delay", "pass_drift", "alerts",
    } <= raw["pairs"][0].keys()  # fmt: skip
    assert {result["gate"].split(".")[0] for result in raw["gating_results"]} == {
        "signal", "coverage", "delay", "drift", "jump", "polarity",
    }  # fmt: skip


def _written(report: AlignmentReport, folder: Path) -> Any:
    from beatsight.gates.result import write_report

    write_report(report, folder / "report.json")
    assert read_report(folder / "report.json", AlignmentReport) == report
    return json.loads((folder / "report.json").read_text())


def test_each_limit_is_what_decides(hits: npt.NDArray[np.float64], tmp_path: Path) -> None:
    mics = {"a": hits, "b": delayed(hits, 15), "c": delayed(hits, 0, 1.6)}
    manifest = write_session(tmp_path, mics)
    assert failed(judged(manifest, anchor="a")) == {"delay.b", "drift.c"}
    assert failed(judged(manifest, anchor="a", max_delay_ms=0.5)) == {"drift.c"}
    assert failed(judged(manifest, anchor="a", max_drift=2.0)) == {"delay.b"}
    report = judged(manifest, anchor="a")
    assert "b is 15.00 samples (0.340 ms) late, the median of its hits" in report.alerts


def test_an_inverted_microphone_fails_by_name(hits: npt.NDArray[np.float64], tmp_path: Path) -> None:
    report = judged(write_session(tmp_path, {"a": hits, "b": -hits}), anchor="a")
    assert failed(report) == {"polarity.b"}
    assert report.alerts == ["b is inverted"] and report.pairs[0].polarity == "inverted"


def test_silent_and_clipped_microphones_are_named_and_fail(
    hits: npt.NDArray[np.float64], tmp_path: Path
) -> None:
    loud = np.clip(10 * hits, -1, 1)
    report = judged(write_session(tmp_path, {"a": hits, "dead": 1e-4 * hits, "hot": loud}), anchor="a")
    names = {"signal.dead", "coverage.dead", "delay.dead", "drift.dead", "jump.dead", "polarity.dead"}
    assert failed(report) == names | {"signal.hot"}
    assert report.microphones[1].silent and report.microphones[2].clipped > 20
    assert any(alert.startswith("dead is silent") for alert in report.alerts)
    assert any(alert.startswith("hot is clipped") for alert in report.alerts)
    assert report.pairs[0].median_delay_ms is None and not report.pairs[0].pass_delay
    # It would be chosen by nobody; asked for as the anchor, it leaves nothing to measure.
    assert judged(tmp_path / "session.json").anchor_mic != "dead"
    against = judged(tmp_path / "session.json", anchor="dead")
    assert against.passed is False and against.num_onsets == 0
    assert {"delay.a", "delay.hot", "signal.dead"} <= failed(against)


def test_all_silent(tmp_path: Path) -> None:
    report = judged(write_session(tmp_path, {"a": np.zeros(RATE), "b": np.zeros(RATE)}))
    assert report.passed is False and {"signal.a", "delay.b"} <= failed(report)
    assert "<h1>" in render(gate_page(report))


def test_too_few_hits_do_not_pass(tmp_path: Path) -> None:
    few = bursts(4.0, 6)
    report = judged(write_session(tmp_path, {"a": few, "b": few}), anchor="a")
    assert {"delay.b", "drift.b"} <= failed(report)
    assert any("hits; 8 are needed" in alert for alert in report.alerts)


def test_unrelated_sound_is_not_measured(hits: npt.NDArray[np.float64], tmp_path: Path) -> None:
    times = np.arange(len(hits)) / RATE
    mics = {
        "a": hits,
        "hum": 0.1 * np.sin(2 * np.pi * 50 * times),
        "noise": np.random.default_rng(3).normal(0, 0.05, len(hits)),
        "other": bursts(SECONDS, 40, seed=8),
    }
    report = judged(write_session(tmp_path, mics), anchor="a")
    for pair in report.pairs:
        assert pair.median_delay_ms is None and not pair.pass_delay and not pair.pass_drift


def test_a_dropped_buffer_is_a_jump(hits: npt.NDArray[np.float64], tmp_path: Path) -> None:
    """64 samples lost near the end: the median and a robust drift hardly notice."""
    cut = int(0.72 * len(hits))
    dropped = np.concatenate([hits[:cut], hits[cut + 64 :], np.zeros(64)])
    report = judged(write_session(tmp_path, {"a": hits, "b": dropped}), anchor="a", max_drift=100)
    assert {"jump.b"} <= failed(report)
    pair = report.pairs[0]
    # The fitted drift takes a share of the jump.
    assert pair.jump_ms is not None
    assert 0.7 * 64 * 1000 / RATE < pair.jump_ms <= 64 * 1000 / RATE + 0.01
    assert pair.jump_at_s == pytest.approx(cut / RATE, abs=0.6)


def test_a_microphone_that_ends_early_does_not_pass(hits: npt.NDArray[np.float64], tmp_path: Path) -> None:
    report = judged(write_session(tmp_path, {"a": hits, "b": hits[: len(hits) // 2]}), anchor="a")
    assert failed(report) == {"coverage.b"}
    assert "b is 4.0 s shorter than the longest microphone" in report.alerts
    assert [one.seconds for one in report.microphones] == pytest.approx([8.0, 4.0])


def test_a_clock_that_jumps_out_of_sight_does_not_pass(hits: npt.NDArray[np.float64], tmp_path: Path) -> None:
    """100 ms lost at 80 %: beyond the search, so the hits after it are not measured at all."""
    cut, lost = int(0.8 * len(hits)), RATE // 10
    dropped = np.concatenate([hits[:cut], hits[cut + lost :], np.zeros(lost)])
    report = judged(write_session(tmp_path, {"a": hits, "b": dropped}), anchor="a")
    assert "coverage.b" in failed(report)


def test_another_rate_is_resampled_and_said(hits: npt.NDArray[np.float64], tmp_path: Path) -> None:
    import soxr

    manifest = write_session(tmp_path, {"a": hits, "b": delayed(hits, 2), "c": hits})
    save(tmp_path / "c.wav", soxr.resample(delayed(hits, 5.5), RATE, 48_000, "VHQ"), 48_000, "PCM_24")
    report = judged(manifest, anchor="a")
    assert report.sample_rate == RATE and report.microphones[2].sample_rate == 48_000
    assert report.pairs[1].median_delay_samples == pytest.approx(5.5, abs=0.05)
    assert any("c is at 48000 Hz" in note for note in report.notes)


def test_stereo_is_averaged_and_said(hits: npt.NDArray[np.float64], tmp_path: Path) -> None:
    manifest = write_session(tmp_path, {"a": hits, "b": hits})
    save(tmp_path / "b.wav", np.stack([delayed(hits, 3.0), 0.5 * delayed(hits, 3.0)]))
    report = judged(manifest, anchor="a")
    assert report.pairs[0].median_delay_samples == pytest.approx(3.0, abs=0.05)
    assert "b has 2 channels; their mean was measured" in report.notes


def test_the_anchor_chosen_is_the_one_that_hears_most(tmp_path: Path) -> None:
    """Two close microphones hear one drum each, the overhead both."""
    one, two = bursts(SECONDS, 20, seed=1), bursts(SECONDS, 20, seed=2)
    mics = {"kick": one + 0.002 * two, "snare": two + 0.002 * one, "overhead": one + two}
    report = judged(write_session(tmp_path, mics))
    assert (report.anchor_mic, report.anchor_chosen) == ("overhead", True)
    assert "chosen" in report.notes[0]


# The command


def test_exit_codes_and_files(
    hits: npt.NDArray[np.float64], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = write_session(tmp_path / "a folder", {"a": hits, "b <i>": delayed(hits, 20)})
    assert code("--manifest", manifest, "--strict", "--max-delay-ms", "1") == 0
    assert "passed: all 7 gates" in capsys.readouterr().out
    assert code("--manifest", manifest, "--anchor", "a") == 0
    report = tmp_path / "out" / "report.json"
    assert code("--manifest", manifest, "--anchor", "a", "--strict", "--report", report, "--json") == 1
    answer = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert answer["report"] == "alignment" and answer["passed"] is False
    page = report.with_suffix(".html").read_text()
    assert "b &lt;i&gt;" in page and "<i>" not in page
    assert code("--manifest", manifest, "--anchor", "nobody") == 2
    assert "anchor 'nobody' is not a microphone of" in capsys.readouterr().err
    assert code("--manifest", manifest, "--max-drift", "-1") == 2
    assert code("--manifest", tmp_path / "no.json") == 3
    assert "no.json: cannot be read: No such file" in capsys.readouterr().err


def test_the_command_and_the_gate_have_the_same_defaults() -> None:
    ours = (command._MAX_DELAY_MS, command._MAX_DRIFT, command._SEARCH_MS)
    assert ours == (gate.MAX_DELAY_MS, gate.MAX_DRIFT, gate.SEARCH_MS)


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"max_delay_ms": -1.0}, "max_delay_ms must be a number from 0 up"),
        ({"max_drift": float("nan")}, "max_drift must be a number from 0 up"),
        ({"search_ms": 0.0}, r"search_ms must lie in 1\.\.500"),
        ({"max_delay_ms": 60.0}, "must not be above search_ms"),
    ],
)
def test_senseless_settings(settings: dict[str, float], match: str) -> None:
    with pytest.raises(UsageError, match=match):
        AlignmentSettings(manifest=Path("m.json"), **settings)  # type: ignore[arg-type]
