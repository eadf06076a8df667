"""Beatmap files: nothing is lost on rewriting, and every fault is named by field."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from chart_strategies import UUID, charts, planted
from hypothesis import given, settings

from beatsight.charts import HitObject, chart_to_builtins, read_bsm, write_bsm
from beatsight.charts.bsm import chart_from_builtins
from beatsight.errors import InputError

MINIMAL: dict[str, Any] = {
    "version": "1.0.0",
    "metadata": {
        "title": "Öl ☃", "artist": "A", "creator": "c", "difficulty": 3, "beatmapId": UUID,
        "createdAt": "2025-11-02T10:00:00Z", "modifiedAt": "2025-11-02T10:00:00.1234567+01:00",
    },
    "audio": {"filename": "a.mp3", "hash": "sha256:abc123", "duration": 60000, "sampleRate": 44100},
    "timing": {"bpm": 120.0, "offset": -12, "timeSignature": "4/4"},
    "drumKit": {"components": ["kick", "hihat_closed"]},
    "hitObjects": [
        {"time": 500, "component": "hihat_closed", "lane": 3},
        {"time": 0, "component": "kick", "velocity": 0.25},
    ],
}  # fmt: skip


def edited(path: str, value: Any) -> dict[str, Any]:
    """A copy of MINIMAL with the value at a dotted path replaced; ``...`` deletes it."""
    raw = json.loads(json.dumps(MINIMAL))
    *parents, last = path.split(".")
    target = raw
    for key in parents:
        target = target[int(key) if key.isdigit() else key]
    if value is ...:
        del target[last]
    else:
        target[last] = value
    return raw


def stored(folder: Path, raw: Any) -> Path:
    path = folder / "song.bsm"
    path.write_text(raw if isinstance(raw, str) else json.dumps(raw), encoding="utf-8")
    return path


def test_a_minimal_file_is_read_with_its_defaults(tmp_path) -> None:
    chart = read_bsm(stored(tmp_path, MINIMAL))
    assert [(hit.time, hit.component, hit.velocity, hit.lane) for hit in chart.hit_objects] == [
        (0, "kick", 0.25, 0), (500, "hihat_closed", 0.8, 3),
    ]  # fmt: skip
    assert chart.metadata.title == "Öl ☃" and chart.metadata.beatmap_id == UUID
    assert chart.timing is not None and chart.timing.offset == -12 and chart.timing.timing_points == []
    assert chart.editor is None and chart.skipped == {}


def test_unknown_keys_are_kept_at_every_level(tmp_path) -> None:
    raw = json.loads(json.dumps(MINIMAL))
    raw["timing"]["timingPoints"] = [{"time": 0, "bpm": 100.0, "timeSignature": "3/4"}]
    raw["editor"] = {"bookmarks": [1, 2], "aiGenerationMetadata": {"modelVersion": "v", "confidence": 0.5}}
    for part in (
        raw, raw["metadata"], raw["audio"], raw["timing"], raw["timing"]["timingPoints"][0], raw["drumKit"],
        *raw["hitObjects"], raw["editor"], raw["editor"]["aiGenerationMetadata"],
    ):  # fmt: skip
        part |= {"extra": 1, "skipped": "mine", "<skipped>": 2, "<unknown keys>": {"a": [None, True]}}
    path = stored(tmp_path, raw)
    write_bsm(read_bsm(path), path)
    written = json.loads(path.read_text(encoding="utf-8"))
    kick, hat = written["hitObjects"]
    assert (kick.pop("lane"), hat.pop("velocity")) == (0, 0.8)  # what a file may leave out is written out
    expected = {**raw, "hitObjects": raw["hitObjects"][::-1]}
    written["hitObjects"][1]["lane"] = 3
    written["timing"].setdefault("timingPoints")
    assert written == expected


@settings(max_examples=60, deadline=None)
@given(chart=charts)
def test_any_chart_comes_back_whole(chart, tmp_path_factory) -> None:
    path = tmp_path_factory.getbasetemp() / "round.bsm"
    write_bsm(chart, path)
    assert read_bsm(path) == chart
    first = path.read_bytes()
    write_bsm(read_bsm(path), path)
    assert path.read_bytes() == first


@pytest.mark.parametrize(
    "field",
    ["version", "metadata", "audio", "timing", "drumKit", "hitObjects", "timing.bpm", "timing.offset",
     "timing.timeSignature", "drumKit.components", *(f"metadata.{key}" for key in MINIMAL["metadata"]),
     *(f"audio.{key}" for key in MINIMAL["audio"])],
)  # fmt: skip
def test_a_missing_required_field_is_refused(tmp_path, field: str) -> None:
    path = stored(tmp_path, edited(field, ...))
    with pytest.raises(InputError, match=rf"^{re.escape(str(path))}: {re.escape(field)}: is missing$"):
        read_bsm(path)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("hitObjects.1.time", ..., "hitObjects[1].time: is missing"),
        ("hitObjects.1.component", ..., "hitObjects[1].component: is missing"),
        ("hitObjects.1.time", "0", "hitObjects[1].time: expected int, got str"),
        ("hitObjects.0.time", 0.5, "hitObjects[0].time: expected int, got float"),
        ("hitObjects.1.time", -1, "hitObjects[1].time: expected int >= 0"),
        ("hitObjects.1.time", 10**12, "hitObjects[1].time: expected int <= 999999999"),
        ("hitObjects.1.velocity", 1.5, "hitObjects[1].velocity: expected float <= 1.0"),
        ("hitObjects.1.velocity", -0.5, "hitObjects[1].velocity: expected float >= 0.0"),
        ("hitObjects.1.velocity", None, "hitObjects[1].velocity: expected float, got null"),
        (
            "hitObjects.1.component",
            "kik",
            "hitObjects[1].component: unknown drum label 'kik'; did you mean 'kick'?",
        ),
        ("hitObjects.1", 7, "hitObjects[1]: expected object, got int"),
        ("hitObjects", {}, "hitObjects: expected array, got object"),
        ("timing", [], "timing: expected object, got array"),
        ("timing.bpm", 0, "timing.bpm: expected float > 0.0"),
        ("timing.timeSignature", "four", "timing.timeSignature: expected a time signature such as"),
        (
            "timing.timingPoints",
            [{"time": 0, "bpm": 1}, {"time": 1}],
            "timing.timingPoints[1].bpm: is missing",
        ),
        ("metadata.difficulty", 11, "metadata.difficulty: expected float <= 10.0"),
        ("metadata.beatmapId", "42", "metadata.beatmapId: expected a UUID"),
        ("metadata.createdAt", "yesterday", "metadata.createdAt: expected an ISO 8601 date"),
        ("audio.sampleRate", 0, "audio.sampleRate: expected int >= 1"),
        ("audio.filename", "", "audio.filename: expected str of length >= 1"),
        ("version", "2.0.0", "version: is '2.0.0', and this program reads version 1.x"),
        ("version", 1, "version: expected str, got int"),
        (
            "editor",
            {"aiGenerationMetadata": {"confidence": 2}},
            "editor.aiGenerationMetadata.confidence: expected",
        ),
    ],
)
def test_a_wrong_value_is_refused_by_field(tmp_path, field: str, value: Any, message: str) -> None:
    if field.startswith("hitObjects.") and field.count(".") == 1:
        raw = edited("hitObjects", [MINIMAL["hitObjects"][0], value])
    else:
        raw = edited(field, value)
    path = stored(tmp_path, raw)
    with pytest.raises(InputError, match=rf"^{re.escape(f'{path}: {message}')}"):
        read_bsm(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        (" \n", "is empty"),
        ("{", "is not valid JSON: "),
        ("[]", "is not a JSON object"),
        (json.dumps(MINIMAL)[:-40], "is not valid JSON: "),
        (
            json.dumps(edited("hitObjects.1.velocity", float("nan"))),
            "hitObjects[1].velocity: is nan, not a finite",
        ),
        (json.dumps(edited("custom", [1.0, float("-inf")])), "custom[1]: is -inf, not a finite number"),
        (json.dumps(MINIMAL).replace("120.0", "1e999"), "timing.bpm: is inf, not a finite number"),
        ("[" * 100_000, "is nested too deeply"),
        ('{"version": "\\ud800"}', "is not valid JSON: "),
    ],
)
def test_a_damaged_file_is_one_sentence(tmp_path, text: str, message: str) -> None:
    path = stored(tmp_path, text)
    with pytest.raises(InputError, match=rf"^{re.escape(f'{path}: {message}')}") as caught:
        read_bsm(path)
    assert "\n" not in str(caught.value)


def test_bytes_that_are_no_text_and_files_that_are_missing_are_refused(tmp_path) -> None:
    (tmp_path / "a.bsm").write_bytes(b'{"version": "\xff\xfe"}')
    with pytest.raises(InputError, match=r"a\.bsm: is not valid JSON"):
        read_bsm(tmp_path / "a.bsm")
    with pytest.raises(InputError, match=r"b\.bsm: cannot be read"):
        read_bsm(tmp_path / "b.bsm")


def test_a_byte_order_mark_is_read_over(tmp_path) -> None:
    (tmp_path / "a.bsm").write_bytes(b"\xef\xbb\xbf" + json.dumps(MINIMAL).encode())
    assert len(read_bsm(tmp_path / "a.bsm").hit_objects) == 2


def test_what_could_not_be_read_back_is_not_written(tmp_path) -> None:
    path = tmp_path / "a.bsm"
    write_bsm(planted(HitObject(0, "kick")), path)
    before = path.read_bytes()
    bad = planted(HitObject(0, "kick"))
    bad.hit_objects[0].velocity = 3.0
    with pytest.raises(InputError, match=r"a\.bsm: hitObjects\[0\]\.velocity: expected float <= 1\.0"):
        write_bsm(bad, path)
    bad.audio = None
    with pytest.raises(InputError, match=r"a\.bsm: audio: is missing"):
        write_bsm(bad, path)
    assert path.read_bytes() == before


def test_hits_added_later_are_sorted_when_written() -> None:
    chart = planted(HitObject(500, "kick"))
    chart.hit_objects.append(HitObject(10, "snare"))
    raw = chart_to_builtins(chart)
    assert [hit["time"] for hit in raw["hitObjects"]] == [10, 500]
    assert list(raw)[:2] == ["version", "metadata"]
    assert chart_from_builtins(raw, "x").hit_objects[0].component == "snare"
