"""The shell lines of the older readiness scripts, under their new commands, on that system's sample files.

Every expected value is worked out by hand from the samples and the definitions in docs/formats.md.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from beatsight.audio.io import SAMPLE_RATE, save
from beatsight.cli.main import run

MICS = ("snare_top", "kick_in", "overhead_l", "overhead_r")
# Where the old lines look for each sample.
PLACES = {
    "boundary_labels_example.jsonl": "boundary_pack/labels.jsonl",
    "boundary_predictions_example.jsonl": "outputs/boundary_predictions.jsonl",
    "openset_ground_truth_example.jsonl": "test_ood_unknown/labels.jsonl",
    "openset_predictions_example.jsonl": "outputs/test_ood_unknown_preds.jsonl",
    "bootstrap_ground_truth_example.jsonl": "splits/test.jsonl",
    "bootstrap_predictions_example.jsonl": "outputs/test_preds.jsonl",
    "events_health_example.jsonl": "annotations/events.jsonl",
    "metadata_health_example.json": "training/datasets/prod_combined_20251109/metadata.json",
    "session_manifest_example.json": "sessions/session_001.json",
}
EVENTS = "training/data/manifests/prod_combined_events.jsonl"


@pytest.fixture(autouse=True)
def folder(shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The samples as the current folder, laid out as the old lines expect them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    shutil.copytree(shared / "data" / "peer-examples" / "configs", "configs")
    for name, place in PLACES.items():
        Path(place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(shared / "data" / "peer-examples" / "examples" / name, place)
    Path(EVENTS).parent.mkdir(parents=True)
    shutil.copyfile("annotations/events.jsonl", EVENTS)
    return tmp_path


def gate(line: str) -> int:
    """The exit code of one command line."""
    try:
        run(["gate", *line.split()])
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def report(path: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(Path(path).read_bytes())
    assert Path(path).with_suffix(".html").read_text(encoding="utf-8").startswith("<!")
    return content


def record(late: dict[str, int]) -> None:
    """Ten seconds of noise bursts in every microphone, each some samples late."""
    rng = np.random.default_rng(1)
    sound = np.zeros(10 * SAMPLE_RATE, np.float32)
    decay = np.exp(-np.arange(4000) / 600)
    for start in np.arange(0.3, 9.5, 0.4):
        first = int(start * SAMPLE_RATE) + int(rng.integers(2000))
        sound[first : first + 4000] += 0.3 * rng.standard_normal(4000) * decay
    for name in MICS:
        hiss = 1e-4 * rng.standard_normal(len(sound))
        save(f"sessions/session_001/{name}.wav", np.roll(sound, late.get(name, 0)) + hiss)


def failed(content: dict[str, Any]) -> list[str]:
    return [result["gate"] for result in content["gating_results"] if not result["passed"]]


def test_alignment() -> None:
    # align_qc.py --manifest … --report … --strict
    line = (
        "alignment --manifest sessions/session_001.json --report reports/session_001_alignment.json --strict"
    )
    # 11 samples are .2494 ms, and late is positive.
    record({"overhead_l": 11})
    assert gate(f"{line} --anchor snare_top") == 0
    content = report("reports/session_001_alignment.json")
    assert (content["session_id"], content["sample_rate"]) == ("session_001", SAMPLE_RATE)
    assert (content["anchor_mic"], content["passed"]) == ("snare_top", True)
    delays = {pair["target"]: pair["median_delay_ms"] for pair in content["pairs"]}
    assert delays == {
        "kick_in": pytest.approx(0, abs=1e-3),
        "overhead_l": pytest.approx(11 / 44.1, abs=1e-3),
        "overhead_r": pytest.approx(0, abs=1e-3),
    }
    assert all(pair["pass_delay"] and pair["pass_drift"] for pair in content["pairs"])
    # 12 are .2721 ms, over the quarter.
    record({"overhead_l": 12})
    assert gate(f"{line} --anchor snare_top") == 1
    assert failed(report("reports/session_001_alignment.json")) == ["delay.overhead_l"]
    # The line as it was: the gate chooses the anchor.
    assert gate(line) == 1


def test_boundary() -> None:
    line = (
        "boundary --ground-truth boundary_pack/labels.jsonl --predictions outputs/boundary_predictions.jsonl"
    )
    # boundary_eval.py --ground-truth … --predictions … --strict
    assert gate(f"{line} --strict --report reports/boundary.json") == 0
    content = report("reports/boundary.json")
    # The hi-hat of .61 in the snare's window is a false one: hi-hat 1 of 2, snare 1 of 1.
    assert content["per_class_precision"] == {"hihat_closed": 0.5, "snare": 1.0}
    assert content["per_class_recall"] == {"hihat_closed": 1.0, "snare": 1.0}
    assert content["per_class_f1"] == {"hihat_closed": pytest.approx(2 / 3), "snare": 1.0}
    assert content["macro"] == {"precision": 0.75, "recall": 1.0, "f1": pytest.approx(5 / 6)}
    assert content["micro"] == {"precision": pytest.approx(2 / 3), "recall": 1.0, "f1": pytest.approx(0.8)}
    # Over .88 and below .92 one of the two is missed.
    assert gate(f"{line} --strict --threshold 0.9") == 1


def test_openset() -> None:
    line = "openset --ground-truth test_ood_unknown/labels.jsonl "
    line += "--predictions outputs/test_ood_unknown_preds.jsonl"
    # openset_eval.py --ground-truth … --predictions … --strict
    assert gate(f"{line} --strict --report reports/openset.json") == 0
    content = report("reports/openset.json")
    # One known sample at .81, one unknown one at .12: told apart without a fault.
    assert (content["auroc"], content["auprc"], content["fpr_at_95_tpr"]) == (1.0, 1.0, 0.0)


def test_bootstrap() -> None:
    # bootstrap_eval.py --ground-truth … --predictions … --report … --iterations 1000
    line = "bootstrap --ground-truth splits/test.jsonl --predictions outputs/test_preds.jsonl "
    line += "--report reports/test_bootstrap.json --iterations 1000"
    assert gate(line) == 0
    content = report("reports/test_bootstrap.json")
    assert content["passed"] is True
    points = {
        name: content[name]["point_estimate"]
        for name in ("macro_f1", "micro_f1", "example_f1", "openness_mae", "velocity_mae")
    }
    assert points == {
        "macro_f1": 1.0, "micro_f1": 1.0, "example_f1": 1.0, "openness_mae": pytest.approx(0.03),
        "velocity_mae": pytest.approx(0.045),
    }  # fmt: skip
    # Each resample holds the first row, the second or both: the error lies between .04 and .05.
    interval = content["velocity_mae"]
    assert interval["ci_lower"] == pytest.approx(0.04) and interval["ci_upper"] == pytest.approx(0.05)
    assert interval["mean"] == pytest.approx(0.045, abs=1e-3)


READINESS = (
    "all --alignment-manifest sessions/session_001.json "
    "--alignment-report reports/session_001_alignment.json "
    "--boundary-ground-truth boundary_pack/labels.jsonl "
    "--boundary-predictions outputs/boundary_predictions.jsonl "
    "--boundary-report reports/boundary_metrics.json "
    "--openset-ground-truth test_ood_unknown/labels.jsonl "
    "--openset-predictions outputs/test_ood_unknown_preds.jsonl "
    "--openset-report reports/openset_metrics.json "
    "--bootstrap-ground-truth splits/test.jsonl --bootstrap-predictions outputs/test_preds.jsonl "
    f"--bootstrap-report reports/test_bootstrap.json --health-events {EVENTS} "
    "--health-require-techniques-file configs/health_required_techniques_prod.txt --halt-on-first-failure"
)


def test_all_checks_together(capsys: pytest.CaptureFixture[str]) -> None:
    record({})
    # run_readiness_checks.py, the line as it was; without a baseline the bootstrap's scores are not judged.
    assert gate(READINESS) == 0
    assert "Note: bootstrap: the scores themselves are not judged" in capsys.readouterr().out
    for name in ("session_001_alignment", "boundary_metrics", "openset_metrics", "test_bootstrap"):
        assert report(f"reports/{name}.json")
    assert gate(f"{READINESS} --bootstrap-min-macro-f1 0.9 --report reports/all.json") == 0
    content = report("reports/all.json")
    assert [part["name"] for part in content["parts"]] == [
        "alignment", "health", "boundary", "openset", "bootstrap",
    ]  # fmt: skip
    assert {f"health/technique.{name}" for name in (
        "hihat_bark", "metric_modulation", "variable_meter", "multi_cymbal_same_class",
    )} == {one["gate"] for one in content["gating_results"] if one["gate"].startswith("health/")}  # fmt: skip
    assert content["not_configured"] == ["calibration", "regression", "latency"]


def test_all_checks_stop_at_the_first_failure() -> None:
    record({"kick_in": 200})
    assert gate(f"{READINESS} --report reports/all.json") == 1
    statuses = [part["status"] for part in report("reports/all.json")["parts"]]
    assert statuses == ["failed", "not_run", "not_run", "not_run", "not_run"]
    assert not Path("reports/boundary_metrics.json").exists()


def test_dataset_health() -> None:
    Path("components.json").write_text(
        json.dumps(["kick", "snare", "hihat_closed", "hihat_open", "crash", "ride_bow"])
    )
    # dataset_health.py with every option it had
    line = (
        "health --events annotations/events.jsonl --components components.json "
        "--output reports/health/latest_health.json --html-output reports/health/latest_health.html "
        "--dataset-metadata training/datasets/prod_combined_20251109/metadata.json "
        "--max-duplication-rate 0.005 --min-class-count 200 --max-unknown-labels 0 "
        "--require-technique hihat_bark "
        "--require-techniques-file configs/health_required_techniques_prod.txt "
        "--require-label hihat_open --require-labels-file configs/health_require_labels_example.txt "
        "--min-counts-json configs/health_min_counts_example.json"
    )
    assert gate(line) == 0
    content = report("reports/health/latest_health.json")
    # s3 has one crash, s5 two; the only kick is synthetic; ride_bell is not among the components.
    assert content["labels"] == {
        "crash": {"real": 3, "synthetic": 0},
        "hihat_closed": {"real": 1, "synthetic": 0},
        "kick": {"real": 0, "synthetic": 1},
        "ride_bell": {"real": 1, "synthetic": 0},
        "ride_bow": {"real": 1, "synthetic": 0},
        "snare": {"real": 1, "synthetic": 0},
    }
    assert content["unknown_labels"] == {"ride_bell": 1}
    assert content["durations"]["split_durations_seconds"] == {"train": 1800.0, "val": 600.0}
    assert content["durations"]["duration_seconds_by_source"] == {
        "BeatSight": 900.0, "Groove": 600.0, "ENST": 300.0,
    }  # fmt: skip
    values = {result["gate"]: (result["value"], result["passed"]) for result in content["gating_results"]}
    assert values["duplication_rate"] == (0.0, True) and values["unknown_labels"] == (1, False)
    assert values["min_class_count.crash"] == (3, False) and values["min_count.kick"] == (1, False)
    assert values["label.hihat_open"] == (0, False) and values["label.crash"] == (3, True)
    # A label that nobody knows cannot be counted, so it cannot be there.
    assert values["label.basic"] == (None, False)
    techniques = {name: value for name, value in values.items() if name.startswith("technique.")}
    assert techniques == {
        f"technique.{name}": (1, True)
        for name in ("hihat_bark", "metric_modulation", "variable_meter", "multi_cymbal_same_class")
    }
    assert gate(f"{line} --strict") == 1
    # The second line: techniques alone.
    short = f"health --events {EVENTS} --require-techniques-file configs/health_required_techniques_prod.txt"
    assert gate(f"{short} --strict") == 0


def test_comparing_health_reports() -> None:
    rows = Path("annotations/events.jsonl").read_text().splitlines()
    more = [
        json.dumps(json.loads(rows[1]) | {"sample_id": f"k{n}", "onset_time": 9.0 + n}) for n in range(30)
    ]
    Path("more.jsonl").write_text("\n".join(rows + more) + "\n")
    health = "health --max-unknown-labels 0 --require-label hihat_open --require-technique hihat_bark"
    assert gate(f"{health} --events more.jsonl --output reports/health/baseline.json") == 0
    assert gate(f"{health} --events {EVENTS} --output reports/health/latest_health.json") == 0
    # compare_health_reports.py --baseline … --candidate … --max-drop 25 --ignore-label … --json-output …
    line = (
        "regression --baseline reports/health/baseline.json --candidate reports/health/latest_health.json "
        "--ignore-label aux_percussion --json-output reports/health/diff_latest_vs_baseline.json"
    )
    # 31 kicks became 1.
    assert gate(f"{line} --max-drop 25 --strict") == 1
    content = report("reports/health/diff_latest_vs_baseline.json")
    assert failed(content) == ["drop.kick"]
    assert {label: change["drop"] for label, change in content["labels"].items() if change["drop"]} == {
        "kick": 30
    }
    # The missing hi-hat was missing before: still failing, which is not new.
    assert [one["gate"] for one in content["still_failing"]] == ["label.hihat_open"]
    assert content["new_failures"] == []
    assert gate(f"{line} --max-drop 30 --strict") == 0
    # Without --strict a failure is said and the exit code is 0.
    assert gate(f"{line} --max-drop 25") == 0
