"""The shell lines of the older manifest scripts, under their new commands, on that system's own sample files.

Every expected value is worked out by hand from the sample's five events and the definitions in
docs/formats.md.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from beatsight.cli.main import run

EVENTS = "examples/events_health_example.jsonl"


@pytest.fixture(autouse=True)
def folder(shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the samples as the current folder, with the events where the old lines look for them."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(shared / "data" / "peer-examples", tmp_path, dirs_exist_ok=True)
    Path("annotations").mkdir()
    Path("annotations/events.jsonl").write_bytes(Path(EVENTS).read_bytes())
    return tmp_path


def succeed(line: str) -> None:
    """Run one command line; it must exit with 0."""
    try:
        run(line.split())
    except SystemExit as stop:
        assert stop.code in (0, None), f"beatsight {line} exited with {stop.code}"


def rows(path: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


def write(path: str, events: Iterable[dict[str, Any]]) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text("".join(json.dumps(event) + "\n" for event in events))


def test_merging() -> None:
    lines = Path(EVENTS).read_bytes().splitlines(keepends=True)
    manifests = Path("training/data/manifests")
    manifests.mkdir(parents=True)
    # s3 is in both.
    (manifests / "groove_events.jsonl").write_bytes(b"".join(lines[:3]))
    (manifests / "slakh_events.jsonl").write_bytes(b"".join(lines[2:]))
    # tools/merge_manifests.py --input … --input … --output …
    succeed(
        "manifest merge --input training/data/manifests/groove_events.jsonl "
        "--input training/data/manifests/slakh_events.jsonl "
        "--output training/data/manifests/prod_combined_events.jsonl"
    )
    merged = (manifests / "prod_combined_events.jsonl").read_bytes()
    assert merged.splitlines() == Path(EVENTS).read_bytes().splitlines()


def test_techniques_in_place_and_what_they_changed(capsys: pytest.CaptureFixture[str]) -> None:
    before = rows(EVENTS)
    # training/tools/annotate_techniques.py, in place
    succeed("manifest techniques annotations/events.jsonl")
    after = rows("annotations/events.jsonl")
    # The ride's bell in s4 is the one thing to add; s5 lists its two crashes already.
    added = {
        new["sample_id"]: new["techniques"] for old, new in zip(before, after, strict=True) if old != new
    }
    assert added == {"s4": ["metric_modulation", "ride_bell"]}
    # … and to a new file
    succeed(f"manifest techniques {EVENTS} --output annotated.jsonl")
    assert rows("annotated.jsonl") == after and rows(EVENTS) == before

    # training/tools/compare_manifests.py BASE CANDIDATE --json-output …
    capsys.readouterr()
    succeed(
        f"manifest diff {EVENTS} annotations/events.jsonl "
        "--json-output reports/health/prod_combined_manifest_diff.json"
    )
    assert "ride_bell" in capsys.readouterr().out
    diff = json.loads(Path("reports/health/prod_combined_manifest_diff.json").read_bytes())
    assert (diff["events"]["base"], diff["events"]["candidate"], diff["hits"]["delta"]) == (5, 5, 0)
    assert {name: delta["delta"] for name, delta in diff["techniques"].items() if delta["delta"]} == {
        "ride_bell": 1
    }
    assert list(diff["sessions"]["changed"]) == ["sess_c"]
    assert not diff["sessions"]["added"] and not diff["sessions"]["removed"]


def test_openness(capsys: pytest.CaptureFixture[str]) -> None:
    devices = {
        ("Roland", "TD-50"): {0: 0.02, 30: 0.20, 45: 0.34, 127: 1.0},  # half way from .18 to .46, plus .02
        ("Yamaha", "DTX-PROX"): {0: 0.0, 35: 0.25, 107: 0.84},  # half way from .12 to .38
        ("Alesis", "StrikePro"): {0: 0.0, 15: 0.07, 120: 0.92},  # an offset of -.01
    }
    expected = {
        f"{model} {raw}": value for (_, model), values in devices.items() for raw, value in values.items()
    }
    hits = [
        {
            "sample_id": f"{model} {raw}", "session_id": model, "onset_time": raw / 4, "components":
            [{"label": "hihat_open", "openness_raw": raw}], "device_vendor": vendor, "device_model": model,
        }
        for (vendor, model), values in devices.items() for raw in values
    ]  # fmt: skip
    write("annotations/events.jsonl", [*rows(EVENTS), *hits])
    line = "manifest openness --events annotations/events.jsonl --curves calibration/openness_curves.json"
    # normalize_openness.py --events … --curves … --dry-run
    succeed(f"{line} --dry-run")
    assert "Would update 10 of 15 events (10 hits)." in capsys.readouterr().out
    # normalize_openness.py --events … --output … --curves …
    succeed(f"{line} --output annotations/events_calibrated.jsonl")
    calibrated = rows("annotations/events_calibrated.jsonl")
    assert calibrated[:5] == rows(EVENTS)
    assert {row["sample_id"]: row["components"][0]["openness"] for row in calibrated[5:]} == expected
    assert {row["session_id"]: row["openness_curve_id"] for row in calibrated[5:]} == {
        "TD-50": "roland_td50_cc4_v1",
        "DTX-PROX": "yamaha_dtxprox_cc4_v1",
        "StrikePro": "alesis_strikepro_cc4_v1",
    }


@pytest.mark.parametrize(
    ("profile", "expected"),
    [
        # 16 events: 1/4, with a bark × .75; 25: 1/5, of two crashes × .85; 600: at most 256, 1/16, or 512.
        ("slakh", {"a.wav": (16, 0.1875), "b.wav": (25, 0.2), "c.wav": (600, 0.05)}),
        ("groove", {"a.wav": (16, 0.1875), "b.wav": (25, 0.2), "c.wav": (256, 0.0625)}),
        # Nothing is deduplicated: 20 events.
        ("enst", {"a.wav": (20, 0.75 * 20**-0.5), "b.wav": (25, 0.2), "c.wav": (600, 0.075)}),
        ("prod_combined", {"A": (16, 0.25), "B": (25, 0.17), "C": (512, 0.05)}),
    ],
)
def test_sampling_weights(profile: str, expected: dict[str, tuple[int, float]]) -> None:
    events = [
        {
            "sample_id": f"{session}{index}", "session_id": session, "audio_path": f"{session.lower()}.wav",
            "onset_time": float(index), "components": [{"label": "kick"}],
            "techniques": [technique] if index == 3 else [],
        }
        for session, count, technique in (
            ("A", 16, "hihat_bark"), ("B", 25, "crash_dual_label"), ("C", 600, "flam"),
        ) for index in range(count)
    ]  # fmt: skip
    repeats = [{**event, "sample_id": f"again {index}"} for index, event in enumerate(events[:4])]
    write("events.jsonl", [*events, *repeats])
    # tools/derive_sampling_weights.py, with a profile
    line = f"--profiles configs/sampling_profiles.json --profile {profile}"
    succeed(f"manifest weights events.jsonl {line} --output training/sampling/weights.json")
    content = json.loads(Path("training/sampling/weights.json").read_bytes())
    found = {group: (one["count"], one["weight"]) for group, one in content["weights"].items()}
    assert found == {group: (count, pytest.approx(weight)) for group, (count, weight) in expected.items()}
    written = json.loads(Path("configs/sampling_profiles.json").read_bytes())[profile]
    assert content["parameters"] == {"profile": profile, **written}

    # Of the sample, every group is so small that its weight is the highest allowed.
    succeed(f"manifest weights {EVENTS} {line} --output weights.json")
    content = json.loads(Path("weights.json").read_bytes())
    assert {one["weight"] for one in content["weights"].values()} == {written["max_weight"]}
    groups = 4 if profile == "prod_combined" else 5
    assert (len(content["weights"]), content["summary"]["counted"]) == (groups, 5)
    assert content["technique_totals"] == {
        "hihat_bark": 1, "metric_modulation": 1, "multi_cymbal_same_class": 1, "variable_meter": 1,
    }  # fmt: skip


def test_boundary_pack(capsys: pytest.CaptureFixture[str]) -> None:
    line = "manifest boundary-pack --events annotations/events.jsonl --output boundary_pack/labels.jsonl"
    # generate_boundary_pack.py --events … --output … --window-ms 2048 --hop-ms 512 --margin-ms 40
    succeed(f"{line} --window-ms 2048 --hop-ms 512 --margin-ms 40")
    # After the last multiple of 512 ms the five hits come 210, 297, 384, 471 and 46 ms late: none is in the
    # first 40 ms, none in the last.
    assert rows("boundary_pack/labels.jsonl") == []
    assert "no hit lies at an edge" in capsys.readouterr().err
    # 50 ms reach s5 (46 < 50) and s4 (471 >= 512 - 50), each in the one window that starts late enough:
    # 11 × 512 = 5632, and 5 × 512 + 2048 = 4608.
    succeed(f"{line} --window-ms 2048 --hop-ms 512 --margin-ms 50")
    keys = ("event_sample_id", "labels", "edge", "window_index", "window_size", "hop_size")
    assert [tuple(row[key] for key in keys) for row in rows("boundary_pack/labels.jsonl")] == [
        ("s4", ["ride_bow", "ride_bell"], "trailing", 5, 2048, 512),
        ("s5", ["crash"], "leading", 11, 2048, 512),
    ]


def test_hard_negatives(capsys: pytest.CaptureFixture[str]) -> None:
    # hard_negative_miner.py --predictions … --ground-truth … --output … --min-confidence 0.7
    # --max-per-label 150
    succeed(
        "manifest negatives --predictions examples/hard_negative_predictions_example.jsonl "
        "--ground-truth examples/hard_negative_events_example.jsonl "
        "--output negatives/negatives_manifest.jsonl --min-confidence 0.7 --max-per-label 150"
    )
    # The truth of cand_0001 is a kick. It has no word of cand_0002, which is said, not written.
    assert rows("negatives/negatives_manifest.jsonl") == [
        {
            "sample_id": "cand_0001:neg:snare", "session_id": "sess_a", "audio_path": "audio/sess_a_clip.wav",
            "onset_time": 42.18, "label": "snare", "score": 0.92, "rank": 1, "clip_start": 42.1,
            "clip_end": 42.4, "truth_labels": ["kick"], "negative_example": True, "components": [],
        }
    ]  # fmt: skip
    assert "1 prediction could not be judged" in capsys.readouterr().err
    # Above its score, nothing is left.
    succeed(
        "manifest negatives --predictions examples/hard_negative_predictions_example.jsonl "
        "--ground-truth examples/hard_negative_events_example.jsonl --output none.jsonl --min-confidence 0.93"
    )
    assert rows("none.jsonl") == []
