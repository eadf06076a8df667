"""Events and predictions: strict reading, unknown keys kept, files never lost."""

from __future__ import annotations

import gzip
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beatsight import events
from beatsight.errors import InputError
from beatsight.events import (
    Component,
    Event,
    Prediction,
    decode,
    dynamic_bucket,
    encode,
    from_builtins,
    read_events,
    read_records,
    to_builtins,
    write_records,
)

PLAIN: dict[str, Any] = {
    "sample_id": "s1",
    "session_id": "a",
    "onset_time": 1.5,
    "components": [{"label": "kick", "velocity": 0.8}],
}
FULL: dict[str, Any] = {
    **PLAIN,
    "components": [
        {
            "label": "hihat_open",
            "velocity": 0.5,
            "dynamic_bucket": "medium",
            "openness": 0.9,
            "openness_raw": 114.0,
            "strike_position": "edge",
            "choke": False,
            "pedal": {"position": 3},
            "instrument_variant": "hat_1",
        }
    ],
    "event_id": "e1",
    "track_id": "t1",
    "drummer_id": "d1",
    "kit_id": "k1",
    "room_id": "r1",
    "source_set": "own",
    "is_synthetic": False,
    "audio_path": "a/b.wav",
    "sample_rate": 44100,
    "channels": 2,
    "offset_time": 1.7,
    "tempo_bpm": 120.5,
    "meter": "7/8",
    "bar_index": 4,
    "beat_index": 2.5,
    "techniques": ["hihat_bark"],
    "tags": ["accent"],
    "context_ms": {"pre": 80.0, "post": 220.0},
    "bleed_level": "med",
    "mix_context": "close_mic",
    "processing_chain": {"limiter": True},
    "negative_example": False,
    "loudness": {"LUFS_i": -22.1, "peak_dbfs": -2.3},
    "qc": {"status": "accepted"},
    "device_vendor": "Roland",
    "device_model": "TD-50",
    "openness_curve_id": "c1",
    "metadata_ref": "m1",
    "notes": "",
}


def event(number: int = 1) -> Event:
    return from_builtins({**PLAIN, "sample_id": f"s{number}"}, Event, "test")


def put(path: Path, *rows: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


# ---- one record


def test_every_known_field_is_read_and_written_back() -> None:
    record = decode(json.dumps(FULL), Event, "f:1")
    assert record.extra == record.components[0].extra == {}
    assert to_builtins(record) == FULL
    assert set(FULL) == set(Event.__struct_fields__) - {"extra"}
    assert set(FULL["components"][0]) == set(Component.__struct_fields__) - {"extra"}
    assert record.labels == ("hihat_open",)


def test_null_means_absent() -> None:
    row = {**PLAIN, "tempo_bpm": None, "components": [{"label": "kick", "pedal": None}]}
    assert to_builtins(from_builtins(row, Event, "f:1")) == {**PLAIN, "components": [{"label": "kick"}]}


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"sample_id": ...}, "sample_id: is missing"),
        ({"session_id": ...}, "session_id: is missing"),
        ({"onset_time": ...}, "onset_time: is missing"),
        ({"components": ...}, "components: is missing"),
        ({"components": [{"velocity": 0.5}]}, "components[0].label: is missing"),
        ({"sample_id": ""}, "sample_id: Expected str of length >= 1"),
        ({"sample_id": 7}, "sample_id: Expected str, got int"),
        ({"session_id": None}, "session_id: Expected str, got null"),
        ({"onset_time": -0.001}, "onset_time: Expected float >= 0.0"),
        ({"onset_time": "1.0"}, "onset_time: Expected float, got str"),
        ({"onset_time": True}, "onset_time: Expected float, got bool"),
        ({"onset_time": None}, "onset_time: Expected float, got null"),
        ({"onset_time": float("nan")}, "onset_time: is nan, not a finite number"),
        ({"onset_time": float("inf")}, "onset_time: is inf, not a finite number"),
        ({"components": []}, "components: is empty, and negative_example is not true"),
        (
            {"components": [], "negative_example": False},
            "components: is empty, and negative_example is not true",
        ),
        ({"components": {"label": "kick"}}, "components: Expected array, got object"),
        ({"components": ["kick"]}, "components[0]: Expected object, got str"),
        ({"components": [{"label": ""}]}, "components[0].label: Expected str of length >= 1"),
        (
            {"components": [{"label": "kick"}, {"label": "snare", "velocity": 1.01}]},
            "components[1].velocity: Expected float <= 1.0",
        ),
        (
            {"components": [{"label": "kick", "velocity": -0.1}]},
            "components[0].velocity: Expected float >= 0.0",
        ),
        (
            {"components": [{"label": "kick", "velocity": float("nan")}]},
            "components[0].velocity: is nan, not a finite number",
        ),
        ({"components": [{"label": "kick", "openness": 2}]}, "components[0].openness: Expected float <= 1.0"),
        (
            {"components": [{"label": "kick", "openness_raw": 128}]},
            "components[0].openness_raw: Expected float <= 127",
        ),
        (
            {"components": [{"label": "kick", "dynamic_bucket": "loud"}]},
            "components[0].dynamic_bucket: Invalid enum value 'loud'",
        ),
        (
            {"components": [{"label": "kick", "choke": 1}]},
            "components[0].choke: Expected bool | null, got int",
        ),
        ({"meter": "4"}, 'meter: is not a meter such as "7/8"'),
        ({"meter": "4/0"}, 'meter: is not a meter such as "7/8"'),
        ({"meter": "4/4\n"}, 'meter: is not a meter such as "7/8"'),
        ({"tempo_bpm": 0}, "tempo_bpm: Expected float > 0"),
        ({"sample_rate": 0}, "sample_rate: Expected int >= 1"),
        ({"offset_time": -1}, "offset_time: Expected float >= 0.0"),
        ({"bleed_level": "medium"}, "bleed_level: Invalid enum value 'medium'"),
        ({"mix_context": "room"}, "mix_context: Invalid enum value 'room'"),
        ({"techniques": "flam"}, "techniques: Expected array | null, got str"),
        ({"techniques": [1]}, "techniques[0]: Expected str, got int"),
        ({"context_ms": {"pre": -1}}, "context_ms.pre: Expected float >= 0"),
        ({"loudness": {"LUFS_i": float("-inf")}}, "loudness.LUFS_i: is -inf, not a finite number"),
        ({"qc": {"kappa": [1, float("nan")]}}, "qc.kappa[1]: is nan, not a finite number"),
        ({"unheard_of": float("nan")}, "unheard_of: is nan, not a finite number"),
    ],
)
def test_faults_are_named_with_file_line_and_field(change: dict[str, Any], why: str, tmp_path: Path) -> None:
    row = {key: value for key, value in {**PLAIN, **change}.items() if value is not ...}
    path = put(tmp_path / "e.jsonl", PLAIN, row)
    with pytest.raises(InputError, match=re.escape(f"{path}:2: {why}")):
        list(read_records(path, Event))
    with pytest.raises(InputError, match="^here: " + re.escape(why)):
        from_builtins(row, Event, "here")


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ('{"sample_id": "s1", ', "is not valid JSON: Input data was truncated"),
        ('{"sample_id": "NaN", ', "is not valid JSON: Input data was truncated"),
        ("{'sample_id': 's1'}", "is not valid JSON: JSON is malformed"),
        ("[1, 2]", "is not a JSON object"),
        ("null", "is not a JSON object"),
        ("NaN", "the line: is nan, not a finite number"),
        ('{"onset_time": 1e999}', "onset_time: is inf, not a finite number"),
        ('{"components": [{"velocity": -Infinity}]}', "components[0].velocity: is -inf, not a finite number"),
        ("[" * 100_000, "is nested too deeply"),
        ("[NaN, " + "[" * 100_000, "is not valid JSON: "),
        (b'{"sample_id": "caf\xe9"}', "is not valid JSON: "),
        (b"\xff\xfe{\x00}\x00", "is not valid JSON: "),
        ('{"sample_id": "\ud800"}', "is not valid JSON: "),
    ],
)
def test_lines_that_are_no_json_object_are_refused(line: str | bytes, why: str) -> None:
    with pytest.raises(InputError, match=re.escape(f"f:1: {why}")):
        decode(line, Event, "f:1")


@pytest.mark.parametrize("depth", [64, 65, 300, 1000, 50_000])
def test_nesting_is_bounded_and_what_is_read_can_be_written_back(depth: int) -> None:
    line = json.dumps({**PLAIN, "qc": 0}).replace('"qc": 0', '"qc": ' + "[" * depth + "]" * depth)
    if depth <= 64:
        record = decode(line, Event, "f:1")
        assert json.loads(encode(record))["qc"] == record.qc
    else:
        with pytest.raises(InputError, match=r"^f:1: is nested too deeply, more than 64 levels$"):
            decode(line, Event, "f:1")


def test_a_negative_example_may_have_no_components() -> None:
    record = from_builtins({**PLAIN, "components": [], "negative_example": True}, Event, "f:1")
    assert record.labels == ()
    assert to_builtins(record)["components"] == []


def test_edges_of_the_ranges_are_accepted() -> None:
    row = {**PLAIN, "onset_time": 0, "components": [{"label": "kick", "velocity": 0, "openness": 1}]}
    assert from_builtins(row, Event, "f:1").onset_time == 0.0


@pytest.mark.parametrize("score", [-0.1, 1.1, "0.5", None, float("nan")])
def test_scores_outside_zero_to_one_are_refused(score: Any) -> None:
    with pytest.raises(InputError, match=r"^p:4: scores(\[\.\.\.\]|\.snare): "):
        from_builtins({"sample_id": "s", "scores": {"snare": score}}, Prediction, "p:4")


def test_values_json_cannot_say_are_not_written() -> None:
    record = event()
    record.onset_time = float("nan")
    with pytest.raises(InputError, match=r"^event 's1': onset_time: is nan, not a finite number$"):
        encode(record)
    guess = Prediction(sample_id="s", scores={"kick": float("inf")})
    with pytest.raises(InputError, match=r"^prediction 's': scores\.kick: is inf"):
        encode(guess)
    fine = event()
    fine.qc, fine.notes = {"score": None}, "null"
    assert json.loads(encode(fine))["qc"] == {"score": None}


@pytest.mark.parametrize(
    ("velocity", "bucket"),
    [
        (0, "ghost"), (0.1499, "ghost"), (0.15, "light"), (0.3499, "light"), (0.35, "medium"),
        (0.6499, "medium"), (0.65, "accent"), (1, "accent"),
    ],
)  # fmt: skip
def test_dynamic_buckets_at_their_edges(velocity: float, bucket: str) -> None:
    assert dynamic_bucket(velocity) == bucket


# ---- unknown keys

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


def unknown(*known: type) -> st.SearchStrategy[dict[str, Any]]:
    """Keys none of these records has; ``extra`` and odd names included on purpose."""
    taken = {name for kind in known for name in kind.__struct_fields__ if name != "extra"}
    keys = st.sampled_from(["extra", "bit_depth", "label_method", "", "a.b", "Label"]) | st.text(max_size=8)
    return st.dictionaries(keys.filter(lambda key: key not in taken), VALUES, max_size=4)


@settings(max_examples=150, deadline=None)
@given(
    top=unknown(Event),
    part=unknown(Component),
    context=unknown(events.Context),
    loudness=unknown(events.Loudness),
)
def test_unknown_keys_are_kept_at_every_level(
    top: dict[str, Any], part: dict[str, Any], context: dict[str, Any], loudness: dict[str, Any]
) -> None:
    row = {
        **top,
        **PLAIN,
        "components": [{"label": "kick"}, {**part, "label": "snare", "velocity": 0.5}],
        "context_ms": {**context, "pre": 80.0},
        "loudness": {**loudness, "peak_dbfs": -1.0},
    }
    record = decode(json.dumps(row), Event, "f:1")
    assert record.extra == top
    assert json.loads(encode(record)) == row
    assert decode(encode(record), Event, "f:1") == record


@given(top=unknown(Prediction))
@settings(max_examples=50, deadline=None)
def test_unknown_keys_of_predictions_are_kept(top: dict[str, Any]) -> None:
    row = {**top, "sample_id": "s", "scores": {"kick": 0.5}}
    assert json.loads(encode(decode(json.dumps(row), Prediction, "f:1"))) == row


# ---- files


@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz", ".jsonl.zst"])
def test_files_round_trip_and_are_reproducible(suffix: str, tmp_path: Path) -> None:
    if suffix.endswith(".zst"):
        pytest.importorskip("zstandard")
    records = [event(number) for number in range(500)]
    assert write_records(tmp_path / f"a{suffix}", records) == 500
    write_records(tmp_path / f"b{suffix}", records)
    assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()
    assert read_events(tmp_path / f"a{suffix}") == records
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"a{suffix}", f"b{suffix}"]


def test_other_programs_read_what_is_written(tmp_path: Path) -> None:
    write_records(tmp_path / "a.jsonl.gz", [event(1), event(2)])
    with gzip.open(tmp_path / "a.jsonl.gz", "rt", encoding="utf-8") as stream:
        assert [json.loads(line)["sample_id"] for line in stream] == ["s1", "s2"]


def test_blank_lines_windows_line_ends_and_a_byte_order_mark_are_accepted(tmp_path: Path) -> None:
    line = json.dumps(PLAIN).encode()
    (tmp_path / "e.jsonl").write_bytes(b"\xef\xbb\xbf" + line + b"\r\n\r\n  \n" + line)
    assert read_events(tmp_path / "e.jsonl") == [event(), event()]


def test_blank_lines_count_in_the_line_number(tmp_path: Path) -> None:
    (tmp_path / "e.jsonl").write_text(json.dumps(PLAIN) + "\n\n{}\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"e\.jsonl:3: sample_id: is missing"):
        read_events(tmp_path / "e.jsonl")


@pytest.mark.parametrize("suffix", ["gz", "zst"])
def test_a_truncated_file_is_refused(suffix: str, tmp_path: Path) -> None:
    if suffix == "zst":
        pytest.importorskip("zstandard")
    path = tmp_path / f"e.jsonl.{suffix}"
    rows = [event(number) for number in range(300)]
    for row in rows:
        row.notes = os.urandom(40).hex()
    write_records(path, rows)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(
        InputError, match=rf"e\.jsonl\.{suffix}: the compressed file is damaged after line \d+: "
    ):
        read_events(path)
    path.write_bytes(b"not compressed")
    with pytest.raises(
        InputError, match=rf"e\.jsonl\.{suffix}: the compressed file is damaged after line 0: "
    ):
        read_events(path)


def test_missing_files_folders_and_empty_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.jsonl: cannot be read: No such file or directory$"):
        read_events(tmp_path / "none.jsonl")
    with pytest.raises(InputError, match=r"cannot be read: Is a directory$"):
        read_events(tmp_path)
    (tmp_path / "empty.jsonl").write_text("\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"empty\.jsonl: holds no events$"):
        read_events(tmp_path / "empty.jsonl")
    (tmp_path / "empty.jsonl.gz").write_bytes(gzip.compress(b""))
    with pytest.raises(InputError, match=r"empty\.jsonl\.gz: holds no events$"):
        read_events(tmp_path / "empty.jsonl.gz")


@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz"])
def test_writing_onto_the_input_keeps_every_row(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"e{suffix}"
    write_records(path, (event(number) for number in range(2000)))

    def retagged() -> Iterator[Event]:
        for record in read_records(path, Event):
            record.tags = ["seen"]
            yield record

    assert write_records(path, retagged()) == 2000
    found = read_events(path)
    assert [record.sample_id for record in found] == [f"s{number}" for number in range(2000)]
    assert all(record.tags == ["seen"] for record in found)


def test_a_faulty_row_while_rewriting_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = put(tmp_path / "e.jsonl", PLAIN, PLAIN, {**PLAIN, "onset_time": -1})
    before = path.read_bytes()
    with pytest.raises(InputError, match=r"e\.jsonl:3: onset_time: "):
        write_records(path, read_records(path, Event))
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["e.jsonl"]


@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz", ".jsonl.zst"])
def test_a_failing_generator_leaves_the_old_file(suffix: str, tmp_path: Path) -> None:
    if suffix.endswith(".zst"):
        pytest.importorskip("zstandard")
    path = tmp_path / f"e{suffix}"
    write_records(path, [event(7)])

    def failing() -> Iterator[Event]:
        yield event(1)
        raise ValueError("the source broke")

    with pytest.raises(ValueError, match="the source broke"):
        write_records(path, failing())
    assert read_events(path) == [event(7)]
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


# ---- files of an existing project


def test_real_events_are_accepted_and_rewritten_unchanged(shared: Path, tmp_path: Path) -> None:
    source = shared / "data/peer-examples/examples/events_health_example.jsonl"
    found = read_events(source)
    assert len(found) == 5
    write_records(tmp_path / "out.jsonl", found)
    for path in (source, tmp_path / "out.jsonl"):
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]
        assert rows == [to_builtins(record) for record in found]


@pytest.mark.parametrize("name", ["hard_negative", "openset", "bootstrap", "boundary"])
def test_real_predictions_are_accepted(name: str, shared: Path) -> None:
    path = shared / f"data/peer-examples/examples/{name}_predictions_example.jsonl"
    found = list(read_records(path, Prediction))
    assert len(found) == 2
    assert [record.extra for record in found] == [{}, {}]
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert [to_builtins(record) for record in found] == rows
