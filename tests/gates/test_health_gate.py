"""Gate health: planted counts, a plain-Python count of odd rows, every gate failing and passing."""

from __future__ import annotations

import json
import math
import random
from collections import Counter, defaultdict
from pathlib import Path
from statistics import median_low
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from beatsight import taxonomy
from beatsight.errors import InputError, UsageError
from beatsight.events import Event, read_records, write_records
from beatsight.gates.health import HealthReport, HealthSettings, health_gate
from beatsight.gates.health.measure import CRASHES
from beatsight.gates.health.records import LabelHits, Spread
from beatsight.gates.result import GateResult, read_report, write_report

ABSENT = "(absent)"


def event(sample: str, *labels: str, **more: Any) -> dict[str, Any]:
    components = [{"label": label} for label in labels or ("kick",)]
    return {"sample_id": sample, "session_id": "s", "onset_time": 1.5, "components": components} | more


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def as_parquet(source: Path) -> Path:
    write_records(source.with_suffix(".parquet"), read_records(source, Event))
    return source.with_suffix(".parquet")


def gate(path: Path, rows: list[dict[str, Any]] | None = None, **settings: Any) -> HealthReport:
    if rows is not None:
        write(path, rows)
    return health_gate(HealthSettings(events=[path], **settings))


def results(report: HealthReport) -> dict[str, GateResult]:
    names = [result.gate for result in report.gating_results]
    assert len(names) == len(set(names))
    return {result.gate: result for result in report.gating_results}


def odd_rows(n: int, seed: int) -> list[dict[str, Any]]:
    """Rows with aliases, unknown names, absent and null keys, repeated ids and repeated moments."""
    r = random.Random(seed)
    labels = ("kick", "BD", "snare", "crash", "crash_1", "crash2", "ride", "ride_bow", "hihat_open", "gong")
    rows: list[dict[str, Any]] = []
    for number in range(n):
        if rows and r.random() < 0.1:
            again = json.loads(json.dumps(r.choice(rows)))
            if r.random() < 0.5:
                again["sample_id"] = f"n{number}"
                r.shuffle(again["components"])
            else:
                again["onset_time"] = number + 0.5
            rows.append(again)
            continue
        parts = []
        for _ in range(r.randrange(4)):
            part: dict[str, Any] = {"label": r.choice(labels)}
            if r.random() < 0.3:
                part["instrument_variant"] = r.choice(("a", "b", None))
            parts.append(part)
        row = event(f"n{number}", session_id=r.choice("xyz"), onset_time=r.choice((0, 1.5, number)))
        row |= {"components": parts, "negative_example": not parts or r.random() < 0.1}
        for key, values in {
            "is_synthetic": (True, False, None),
            "audio_path": ("a.wav", "b.wav", None),
            "tempo_bpm": (60, 119.96, 120, 171.75, 640.0, None),
            "techniques": (["flam"], ["flam", "FLAM"], ["Hi-Hat Bark", "flam"], ["no such"], [], None),
            "loudness": ({"LUFS_i": -23}, {"peak_dbfs": -0.05, "LUFS_i": -100.5}, {}, None),
            "meter": ("4/4", "7/8", None),
        }.items():
            if r.random() < 0.6:
                row[key] = r.choice(values)
        rows.append(row)
    return rows


def name_of(label: str) -> str:
    return taxonomy.resolve(label) if taxonomy.is_known(label) else label


def expected(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The same numbers by plain loops."""
    labels: dict[str, dict[str, int]] = defaultdict(lambda: {"real": 0, "synthetic": 0})
    spellings: dict[str, Counter[str]] = defaultdict(Counter)
    variants: dict[str, Counter[str]] = defaultdict(Counter)
    techniques: Counter[str] = Counter()
    strange: Counter[str] = Counter()
    ids, moments, repeats = Counter(), Counter(), 0  # type: ignore[var-annotated]
    for row in rows:
        for part in row["components"]:
            name = name_of(part["label"])
            labels[name]["synthetic" if row.get("is_synthetic") else "real"] += 1
            spellings[name][part["label"]] += 1
            if name in CRASHES:
                variants[name][part.get("instrument_variant") or ABSENT] += 1
        given = set(row.get("techniques") or [])
        techniques.update({taxonomy.resolve_technique(one) for one in given - {"no such"}})
        strange.update(given & {"no such"})
        moment = (
            row["session_id"], row.get("audio_path"), row["onset_time"],
            tuple(sorted(name_of(part["label"]) for part in row["components"])),
        )  # fmt: skip
        repeats += bool(ids[row["sample_id"]] or moments[moment])
        ids[row["sample_id"]] += 1
        moments[moment] += 1
    return {
        "events": len(rows),
        "labels": dict(labels),
        "spellings": {name: dict(n) for name, n in spellings.items() if set(n) != {name}},
        "unknown_labels": {"gong": labels["gong"]["real"] + labels["gong"]["synthetic"]},
        "crash_variants": {name: dict(n) for name, n in variants.items()},
        "techniques": dict(techniques),
        "unknown_techniques": dict(strange),
        "duplicates": (
            repeats, sum(n > 1 for n in ids.values()), len(rows) - len(ids),
            sum(n > 1 for n in moments.values()), len(rows) - len(moments),
        ),
    }  # fmt: skip


def check_spread(found: Spread, values: list[float | None], width: int, low: int, high: int) -> None:
    there = [value for value in values if value is not None]
    assert (found.count, found.missing) == (len(there), len(values) - len(there))
    assert (found.lowest, found.highest) == (min(there), max(there))
    assert found.median == pytest.approx(median_low(there), abs=0.05 + 1e-9)
    cells = Counter(math.floor(min(max(value, low), high - width / 2) / width) for value in there)
    assert found.edges == [float(cell * width) for cell in range(min(cells), max(cells) + 2)]
    assert found.counts == [cells[cell] for cell in range(min(cells), max(cells) + 1)]


@pytest.mark.parametrize("seed", range(4))
def test_equals_a_plain_count_of_odd_rows(seed: int, tmp_path: Path) -> None:
    rows = odd_rows(400, seed)
    source = write(tmp_path / "odd rows.jsonl", rows)
    plain = gate(source)
    found = msgspec.to_builtins(plain)
    twins = plain.duplicates
    found["duplicates"] = (
        twins.events, twins.ids, twins.id_events, twins.moments, twins.moment_events
    )  # fmt: skip
    wanted = expected(rows)
    assert {key: found[key] for key in wanted} == wanted
    assert sum(twins.listed_ids.values()) == twins.ids + twins.id_events
    assert sum(one.events for one in twins.listed_moments) == twins.moments + twins.moment_events
    check_spread(plain.tempo_bpm, [row.get("tempo_bpm") for row in rows], 10, 0, 400)
    loudness = [row.get("loudness") or {} for row in rows]
    check_spread(plain.loudness_lufs, [one.get("LUFS_i") for one in loudness], 2, -80, 10)
    check_spread(plain.peak_dbfs, [one.get("peak_dbfs") for one in loudness], 2, -80, 10)
    other = gate(as_parquet(source))
    assert msgspec.structs.replace(other, inputs={}, files={}) == msgspec.structs.replace(
        plain, inputs={}, files={}
    )


def test_a_report_survives_its_file(tmp_path: Path) -> None:
    report = gate(tmp_path / "e.jsonl", odd_rows(50, 9), min_class_count=1)
    write_report(report, tmp_path / "r.json")
    assert read_report(tmp_path / "r.json", HealthReport) == report
    raw = json.loads((tmp_path / "r.json").read_text())
    assert raw["report"] == "health"
    assert all(set(counts) == {"real", "synthetic"} for counts in raw["labels"].values())


def test_one_row_is_enough_and_nothing_is_judged_without_thresholds(tmp_path: Path) -> None:
    report = gate(tmp_path / "e.jsonl", [event("a")])
    assert report.passed is None and report.gating_results == []
    assert report.labels == {"kick": LabelHits(real=1, synthetic=0)}
    assert (report.tempo_bpm.count, report.tempo_bpm.counts, report.tempo_bpm.median) == (0, [], None)


def test_class_minima_fail_and_pass(tmp_path: Path) -> None:
    rows = [event("a", "kick", "snare"), event("b", "kick", onset_time=2, is_synthetic=True)]
    found = results(gate(tmp_path / "e.jsonl", rows, min_class_count=2))
    assert set(found) == {"min_class_count.kick", "min_class_count.snare"}
    assert found["min_class_count.kick"].passed and not found["min_class_count.snare"].passed
    assert found["min_class_count.kick"].detail == "1 real, 1 synthetic"


@pytest.mark.parametrize(
    "content",
    [
        ["kick", "ride", "gong"],
        {"components": ["kick", "ride_bow", "gong"]},
        {"components": [{"name": "kick"}, {"label": "ride"}, {"id": "gong", "colour": 3}]},
        {"kick": {}, "ride": 1, "gong": None},
    ],
)
def test_components_say_what_is_known(content: Any, tmp_path: Path) -> None:
    components = tmp_path / "components.json"
    components.write_text(json.dumps(content))
    rows = [event("a", "kick", "snare"), event("b", "Ride Cymbal", "gong", onset_time=2)]
    report = gate(tmp_path / "e.jsonl", rows, components=components, min_class_count=1, max_unknown_labels=0)
    found = results(report)
    assert report.unknown_labels == {"snare": 1}
    assert set(found) == {"unknown_labels", *(f"min_class_count.{n}" for n in ("kick", "ride_bow", "gong"))}
    assert not found["unknown_labels"].passed and found["unknown_labels"].value == 1
    assert found["min_class_count.ride_bow"].detail == "1 real, 0 synthetic, spelled 'Ride Cymbal' (1)"


def test_a_class_that_never_occurs_fails_its_minimum(tmp_path: Path) -> None:
    components = tmp_path / "c.json"
    components.write_text('["kick", "china"]')
    found = results(gate(tmp_path / "e.jsonl", [event("a")], components=components, min_class_count=1))
    assert not found["min_class_count.china"].passed and found["min_class_count.china"].value == 0


def test_no_minimum_passes_where_no_label_is(tmp_path: Path) -> None:
    rows = [event("a", components=[], negative_example=True)]
    (result,) = gate(tmp_path / "e.jsonl", rows, min_class_count=0).gating_results
    assert (result.gate, result.passed, result.value) == ("min_class_count", False, None)


def test_hits_of_negative_examples_are_told(tmp_path: Path) -> None:
    rows = [event("a", "kick", "snare", negative_example=True), event("b", "snare")]
    told = "hits that are components of negative examples, where they are not to be found: 2 of 3"
    assert told in gate(tmp_path / "e.jsonl", rows).notes
    assert gate(tmp_path / "e.jsonl", rows[1:]).notes == []


def test_unknown_labels_are_counted_by_hit(tmp_path: Path) -> None:
    rows = [event("a", "gong", "gong"), event("b", "kick", "triangle", onset_time=2)]
    report = gate(tmp_path / "e.jsonl", rows, max_unknown_labels=3)
    assert results(report)["unknown_labels"].passed
    assert "'gong', 'triangle'" in results(report)["unknown_labels"].detail
    assert not results(gate(tmp_path / "e.jsonl", max_unknown_labels=2))["unknown_labels"].passed


def test_required_labels_by_any_name_each_once(tmp_path: Path) -> None:
    file = tmp_path / "labels.txt"
    file.write_text("# critical\n\nride_bow  # the bow\nkick\nbasic\n")
    rows = [event("a", "ride", "BD")]
    found = results(
        gate(tmp_path / "e.jsonl", rows, require_label=["kick", "Bass Drum"], require_labels_file=file)
    )
    assert list(found) == ["label.kick", "label.ride_bow", "label.basic"]
    assert found["label.ride_bow"].passed and "spelled 'ride' (1)" in found["label.ride_bow"].detail
    assert not found["label.basic"].passed and found["label.basic"].value is None
    assert found["label.basic"].detail.startswith("the taxonomy does not know it")


def test_required_techniques(tmp_path: Path) -> None:
    file = tmp_path / "techniques.txt"
    file.write_text("hihat_bark\nvariable_meter\nflamm\n")
    rows = [event("a", techniques=["Hi-Hat Bark"])]
    found = results(
        gate(tmp_path / "e.jsonl", rows, require_technique=["hihat bark"], require_techniques_file=file)
    )
    assert {name: (one.passed, one.value) for name, one in found.items()} == {
        "technique.hihat_bark": (True, 1),
        "technique.variable_meter": (False, 0),
        "technique.flamm": (False, None),
    }
    assert "did you mean 'flam'" in found["technique.flamm"].detail


def test_minimum_counts_take_the_higher_of_two_names(tmp_path: Path) -> None:
    counts = tmp_path / "min.json"
    counts.write_text('{"ride": 1, "ride_bow": 3, "kick": 1, "basic": 0}')
    found = results(gate(tmp_path / "e.jsonl", [event("a", "ride", "ride", "kick")], min_counts_json=counts))
    assert {name: (one.passed, one.threshold) for name, one in found.items()} == {
        "min_count.ride_bow": (False, 3),
        "min_count.kick": (True, 1),
        "min_count.basic": (False, 0),
    }


@pytest.mark.parametrize(
    ("second", "repeats"),
    [
        ({"sample_id": "a", "onset_time": 9}, 1),  # the same id
        ({}, 1),  # the same moment under another id
        ({"sample_id": "a"}, 1),  # both: one event too many
        ({"audio_path": "x.wav"}, 0),
        ({"components": [{"label": "snare"}]}, 0),
        ({"components": [{"label": "BD"}]}, 1),  # the same label by another name
    ],
)
def test_duplication_rate(second: dict[str, Any], repeats: int, tmp_path: Path) -> None:
    rows = [event("a"), event("b") | second, event("c", onset_time=3), event("d", onset_time=4)]
    report = gate(tmp_path / "e.jsonl", rows, max_duplication_rate=0.2)
    (result,) = report.gating_results
    assert (result.value, result.passed) == (repeats / 4, not repeats)
    assert gate(tmp_path / "e.jsonl", max_duplication_rate=0.25).passed


def split_rows(**second: str) -> list[dict[str, Any]]:
    about = {"drummer_id": "d1", "kit_id": "k1", "room_id": "r1"}
    other = {"drummer_id": "d2", "kit_id": "k2", "room_id": "r2"} | second
    return [event("a", session_id="s1", **about), event("b", session_id="s2", **other)]


def split_file(path: Path, sessions: dict[str, Any]) -> Path:
    path.write_text(json.dumps({"format": "beatsight-split/1", "sessions": sessions}))
    return path


@pytest.mark.parametrize("group", ["drummer", "kit", "room"])
def test_isolation_fails_for_each_shared_name(group: str, tmp_path: Path) -> None:
    split = split_file(tmp_path / "split.json", {"s1": "train", "s2": "val", "s3": "test"})
    clean = gate(tmp_path / "e.jsonl", split_rows(), split=split)
    assert clean.passed and len(clean.gating_results) == 4
    assert clean.split and clean.split.events == {"train": 1, "val": 1}
    shared = gate(tmp_path / "e.jsonl", split_rows(**{f"{group}_id": f"{group[0]}1"}), split=split)
    failed = [result for result in shared.gating_results if not result.passed]
    assert [result.gate for result in failed] == [f"isolation.{group}"]
    assert failed[0].value == 1
    assert failed[0].detail == f"1 {group} ('{group[0]}1 (train and val)')"
    assert shared.split and shared.split.isolation[group].listed == {f"{group[0]}1": ["train", "val"]}


def test_a_session_on_two_sides_of_a_dataset(tmp_path: Path) -> None:
    split = split_file(tmp_path / "metadata.json", {"train": ["s1", "s2"], "val": ["s2"]})
    found = results(gate(tmp_path / "e.jsonl", split_rows(), split=split))
    assert not found["isolation.session"].passed and found["isolation.session"].value == 1


def test_isolation_of_the_unnamed_is_unknown(tmp_path: Path) -> None:
    split = split_file(tmp_path / "split.json", {"s1": "train", "s2": "val"})
    rows = split_rows(room_id="")
    found = results(gate(tmp_path / "e.jsonl", rows, split=split))
    assert (found["isolation.room"].passed, found["isolation.room"].value) == (False, None)
    assert "1 event on a side without a room" in found["isolation.room"].detail
    assert gate(tmp_path / "e.jsonl", split=split, isolate=["drummer", "session"]).passed


def test_what_is_left_out_is_not_on_a_side(tmp_path: Path) -> None:
    split = split_file(tmp_path / "split.json", {"s1": "train", "s2": None})
    report = gate(tmp_path / "e.jsonl", split_rows(drummer_id="d1", room_id=""), split=split)
    assert report.passed
    assert report.split and (report.split.events, report.split.left_out_events) == ({"train": 1}, 1)
    nothing = split_file(tmp_path / "none.json", {"s1": None, "s2": None})
    assert not any(r.passed for r in gate(tmp_path / "e.jsonl", split=nothing).gating_results)


def test_durations_of_both_programs(shared: Path, tmp_path: Path) -> None:
    old = shared / "data/peer-examples/examples/metadata_health_example.json"
    found = gate(tmp_path / "e.jsonl", [event("a")], dataset_metadata=old).durations
    assert found and found.split_durations_seconds == {"train": 1800.0, "val": 600.0}
    assert found.run_duration_seconds_by_source["ENST"] == 30.0


def test_durations_of_our_own_metadata(tmp_path: Path) -> None:
    own = tmp_path / "metadata.json"
    own.write_text('{"format_version": 2, "split_durations_seconds": {"train": 3.5}, "files": []}')
    found = gate(tmp_path / "e.jsonl", [event("a")], dataset_metadata=own).durations
    assert found and found.split_durations_seconds == {"train": 3.5}


def test_several_manifests_are_judged_together(tmp_path: Path) -> None:
    one = write(tmp_path / "one.jsonl", [event("a")])
    two = as_parquet(write(tmp_path / "two.jsonl", [event("b", "snare", onset_time=2)]))
    report = health_gate(HealthSettings(events=[one, two], require_label=["kick", "snare"]))
    assert report.passed and report.files == {str(one): 1, str(two): 1}


def test_every_crash_is_found_by_any_name(tmp_path: Path) -> None:
    aliases = [alias for alias, name in taxonomy.ALIASES.items() if name in CRASHES]
    report = gate(tmp_path / "e.jsonl", [event("a", *aliases)])
    assert sum(sum(found.values()) for found in report.crash_variants.values()) == len(aliases)


@pytest.mark.parametrize(
    ("loudness", "message"),
    [
        (
            [{"LUFS_i": -20.0}, {"LUFS_i": math.nan}],
            r"e\.parquet:row 2: loudness\.LUFS_i: is not a finite number$",
        ),
        ([{"peak_dbfs": math.inf}, None], r"e\.parquet:row 1: loudness\.peak_dbfs: is not a finite number$"),
        (["loud", "soft"], r"e\.parquet: column loudness holds string, expected a struct$"),
        ([{"LUFS_i": "loud"}, None], r"e\.parquet: column loudness\.LUFS_i holds string, expected DOUBLE$"),
    ],
)
def test_loudness_of_parquet_is_checked(loudness: list[Any], message: str, tmp_path: Path) -> None:
    rows = [event("a"), event("b", onset_time=2)]
    table = pa.Table.from_pylist(rows).append_column("loudness", pa.array(loudness))
    pq.write_table(table, tmp_path / "e.parquet")
    with pytest.raises(InputError, match=message):
        gate(tmp_path / "e.parquet")


def test_parquet_from_elsewhere_without_loudness(tmp_path: Path) -> None:
    pq.write_table(pa.Table.from_pylist([event("a")]), tmp_path / "e.parquet")
    assert gate(tmp_path / "e.parquet").loudness_lufs.missing == 1
    table = pa.Table.from_pylist([event("a", loudness={"LUFS_i": -20})])  # whole numbers, and no peak
    pq.write_table(table, tmp_path / "e.parquet")
    found = gate(tmp_path / "e.parquet")
    assert (found.loudness_lufs.median, found.peak_dbfs.missing) == (-20.0, 1)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"events": []}, r"^events: at least one manifest is needed$"),
        ({"max_duplication_rate": 1.5}, r"^max_duplication_rate must be in 0\.\.1, got 1\.5$"),
        ({"max_duplication_rate": math.nan}, r"^max_duplication_rate must be in 0\.\.1, got nan$"),
        ({"min_class_count": -1}, r"^min_class_count must not be negative, got -1$"),
        ({"max_unknown_labels": -2}, r"^max_unknown_labels must not be negative, got -2$"),
        ({"max_dc": 0.1}, r"^max_dc needs check_audio: without the sound it cannot be known$"),
        ({"max_clipped_share": 0.0}, r"^max_clipped_share needs check_audio"),
        ({"isolate": ["kit"]}, r"^isolate needs split"),
        ({"isolate": ["band"], "split": Path("s.json")}, r"^isolate: 'band' is none of drummer, kit"),
    ],
)
def test_senseless_settings(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        HealthSettings(**({"events": [Path("e.jsonl")]} | settings))


def test_settings_decode_from_a_section() -> None:
    section = {"events": ["a.jsonl"], "min_class_count": 3, "split": "split.json", "isolate": ["kit"]}
    found = msgspec.convert(section, HealthSettings, dec_hook=lambda kind, value: kind(value))
    assert found.events == [Path("a.jsonl")] and found.split == Path("split.json")
    with pytest.raises(msgspec.ValidationError, match="unknown field `min_class_counts`"):
        msgspec.convert({**section, "min_class_counts": 3}, HealthSettings, dec_hook=lambda kind, x: kind(x))
