"""Validation: planted faults with their places, and Python's own reader as the judge of odd rows."""

from __future__ import annotations

import gzip
import json
import random
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from event_strategies import event_dicts, odd_events, write_jsonl
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

import beatsight.manifest.validate as room
from beatsight.cli.manifest import app
from beatsight.errors import InputError, UsageError
from beatsight.events import read_events
from beatsight.files import open_input
from beatsight.manifest.convert import convert
from beatsight.manifest.engine.blocks import file_blocks
from beatsight.manifest.validate import Fault, RepeatedId, UnknownName, validate
from beatsight.taxonomy import is_known, resolve_technique

GOOD = b'{"sample_id": "a", "session_id": "s", "onset_time": 1, "components": [{"label": "kick"}]}'
# A line, and the field and reason of every fault in it, in order.
FAULTY: list[tuple[bytes, list[tuple[str, str]]]] = [
    (
        b'{"sample_id": "", "onset_time": -1, "components": [{"label": "kick", "velocity": 2}, '
        b'{"velocity": "x"}]}',
        [
            ("sample_id", "Expected str of length >= 1"),
            ("session_id", "is missing"),
            ("onset_time", "Expected float >= 0.0"),
            ("components[0].velocity", "Expected float <= 1.0"),
            ("components[1].label", "is missing"),
            ("components[1].velocity", "Expected float | null, got str"),
        ],
    ),
    (GOOD.replace(b"1,", b"NaN,"), [("onset_time", "is nan, not a finite number")]),
    (GOOD.replace(b"}]", b'}], "new": Infinity'), [("new", "is inf, not a finite number")]),
    (
        GOOD.replace(b'[{"label": "kick"}]', b"[]"),
        [("components", "is empty, and negative_example is not true")],
    ),
    (GOOD.replace(b"}]", b'}], "meter": "4"'), [("meter", 'is not a meter such as "7/8"')]),
    (b"[1]", [("", "is not a JSON object")]),
    (b'{"sample_id": "a', [("", "is not valid JSON: Input data was truncated")]),
    (
        GOOD.replace(b"}]", b'}], "new": "\xff"'),
        [("", "is not valid UTF-8 (byte 99 of the line)")],
    ),
]


def lines(path: Path, *rows: bytes) -> Path:
    path.write_bytes(b"".join(row + b"\n" for row in rows))
    return path


def broken(row: dict[str, Any], r: random.Random) -> dict[str, Any]:
    """A row with one planted fault."""
    wrong: dict[str, Any] = r.choice(
        (
            {"sample_id": ""}, {"session_id": None}, {"onset_time": -0.5}, {"onset_time": "1"},
            {"components": None}, {"components": [{"label": ""}]}, {"tempo_bpm": 0}, {"meter": "7/8 "},
            {"bleed_level": "medium"}, {"context_ms": {"pre": -1}}, {"loudness": 3}, {"techniques": [1]},
            {"components": [], "negative_example": None}, {"channels": 1.5},
            {"components": [{"label": "x", "openness_raw": 128}]},
        )
    )  # fmt: skip
    return row | wrong


def test_every_fault_with_its_place(tmp_path: Path) -> None:
    first = lines(tmp_path / "first.jsonl", GOOD, FAULTY[0][0], b"", GOOD)
    second = lines(tmp_path / "second.jsonl", *(line for line, _ in FAULTY), GOOD.replace(b'"a"', b'"b"'))
    report = validate([first, second])
    expected = [Fault(str(first), 2, *fault) for fault in FAULTY[0][1]]
    for number, (_, faults) in enumerate(FAULTY, start=1):
        expected += [Fault(str(second), number, *fault) for fault in faults]
    assert report.listed == expected
    assert str(report.listed[-1]) == f"{second}:8: is not valid UTF-8 (byte 99 of the line)"
    assert str(report.listed[0]) == f"{first}:2: sample_id: Expected str of length >= 1"
    assert not report.passed
    assert (report.rows, report.good_rows, report.faulty_rows) == (12, 3, 9)
    assert report.faults == len(expected) == 19
    assert report.files == {str(first): 2, str(second): 1}
    assert (report.repeated_ids, report.repeated_listed) == (1, [RepeatedId("a", 2, str(first), 1)])


def test_rejects_and_good_rows_byte_for_byte(tmp_path: Path) -> None:
    odd = GOOD.replace(b": ", b" :  ") + b"\r"
    source = lines(tmp_path / "events.jsonl", odd, *(line + b"\r" for line, _ in FAULTY), GOOD)
    before = source.read_bytes()
    validate([source], output=source, rejects=tmp_path / "bad.jsonl.gz")
    assert source.read_bytes() == odd + b"\n" + GOOD + b"\n"
    bad = gzip.decompress((tmp_path / "bad.jsonl.gz").read_bytes())
    assert bad == b"".join(line + b"\r\n" for line, _ in FAULTY)
    assert sorted((source.read_bytes() + bad).splitlines()) == sorted(before.splitlines())


def test_equals_a_plain_reader_on_odd_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Small blocks, so that several processes share the file.
    monkeypatch.setattr(room, "file_blocks", partial(file_blocks, block_bytes=4 << 20))
    r = random.Random(2)
    rows = odd_events(20_000, seed=6)
    wrong = set(r.sample(range(len(rows)), 600))
    mixed = [broken(row, r) if number in wrong else row for number, row in enumerate(rows)]
    source = write_jsonl(tmp_path / "events.jsonl", mixed)
    report = validate([source], output=tmp_path / "good.parquet", rejects=tmp_path / "bad.jsonl")
    assert {fault.line - 1 for fault in report.listed if fault.line} == wrong
    assert (report.rows, report.good_rows, report.faulty_rows) == (20_000, 19_400, 600)
    assert [json.loads(line) for line in _lines(tmp_path / "bad.jsonl")] == [mixed[n] for n in sorted(wrong)]
    good = [row for number, row in enumerate(mixed) if number not in wrong]
    assert read_events(tmp_path / "good.parquet") == read_events(write_jsonl(tmp_path / "good.jsonl", good))
    ids = Counter(row["sample_id"] for row in good)
    twice = {name for name in ids if ids[name] > 1}
    assert report.repeated_ids == len(twice)
    firsts: dict[str, int] = {}
    for number, row in enumerate(mixed, start=1):
        if number - 1 not in wrong and row["sample_id"] in twice:
            firsts.setdefault(row["sample_id"], number)
    assert report.repeated_listed == [
        RepeatedId(name, ids[name], str(source), line)
        for name, line in list(firsts.items())[: room.NAMES_LISTED]
    ]
    _same_names(report, good)
    for suffix in (".jsonl.gz", ".jsonl.zst"):
        packed = tmp_path / f"events{suffix}"
        _pack(source, packed)
        other = validate([packed], output=tmp_path / f"good{suffix}")
        told = json.dumps(msgspec.to_builtins(other)).replace(str(packed), str(source))
        assert json.loads(told) == msgspec.to_builtins(report)
        with open_input(tmp_path / f"good{suffix}") as stream:
            assert stream.read() == (tmp_path / "good.jsonl").read_bytes()


def _pack(plain: Path, target: Path) -> None:
    if target.suffix == ".gz":
        target.write_bytes(gzip.compress(plain.read_bytes(), 1))
    else:
        target.write_bytes(pytest.importorskip("zstandard").ZstdCompressor().compress(plain.read_bytes()))


def _lines(path: Path) -> list[bytes]:
    return path.read_bytes().split(b"\n")[:-1]


def _knows(technique: str) -> bool:
    try:
        return bool(resolve_technique(technique))
    except InputError:
        return False


def _same_names(report: room.ValidateReport, rows: list[dict[str, Any]]) -> None:
    labels = Counter(
        part["label"] for row in rows for part in row["components"] if not is_known(part["label"])
    )
    techniques = Counter(name for row in rows for name in row.get("techniques") or () if not _knows(name))
    for found, expected in ((report.unknown_labels, labels), (report.unknown_techniques, techniques)):
        assert {one.name: one.count for one in found} == expected


@settings(max_examples=40)
@given(rows=st.lists(event_dicts, min_size=1, max_size=5), seed=st.integers(0, 1000))
def test_equals_a_plain_reader_on_few_rows(
    rows: list[dict[str, Any]], seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("validate")
    r = random.Random(seed)
    wrong = {number for number in range(len(rows)) if r.random() < 0.3}
    mixed = [broken(row, r) if number in wrong else row for number, row in enumerate(rows)]
    source = write_jsonl(folder / "events.jsonl", mixed)
    report = validate([source], output=folder / "good.jsonl", rejects=folder / "bad.jsonl")
    assert sorted({fault.line - 1 for fault in report.listed if fault.line}) == sorted(wrong)
    there = _lines(source)
    assert _lines(folder / "good.jsonl") == [line for number, line in enumerate(there) if number not in wrong]
    assert _lines(folder / "bad.jsonl") == [line for number, line in enumerate(there) if number in wrong]
    good = [row for number, row in enumerate(mixed) if number not in wrong]
    assert report.repeated_ids == sum(n > 1 for n in Counter(row["sample_id"] for row in good).values())
    _same_names(report, good)


def test_parquet_rows_are_checked_one_by_one(tmp_path: Path) -> None:
    good = write_jsonl(tmp_path / "good.jsonl", odd_events(50, seed=9))
    convert(good, tmp_path / "good.parquet")
    from_lines, from_table = validate([good]), validate([tmp_path / "good.parquet"])
    assert from_table.passed
    assert (from_table.unknown_labels, from_table.repeated_ids) == (
        from_lines.unknown_labels,
        from_lines.repeated_ids,
    )
    part = pa.struct([("label", pa.string()), ("velocity", pa.float64())])
    table = pa.table(
        {
            "sample_id": ["a", "", "c", "d", "e"],
            "session_id": ["s"] * 5,
            "onset_time": [0.0, 1.0, float("nan"), 3.0, -4.0],
            "components": pa.array(
                [
                    [{"label": "kick", "velocity": velocity}]
                    for velocity in (0.5, 0.5, 0.5, float("inf"), 1.5)
                ],
                pa.list_(part),
            ),
            "qc": ["x", None, None, "ü", None],
        }
    )
    source = tmp_path / "faulty.parquet"
    pq.write_table(table, source, row_group_size=2)
    report = validate([source], rejects=tmp_path / "bad.jsonl", output=tmp_path / "out.jsonl")
    assert [str(fault).removeprefix(f"{source}:") for fault in report.listed] == [
        "row 2: sample_id: Expected str of length >= 1",
        "row 3: onset_time: is nan, not a finite number",
        "row 4: components[0].velocity: is inf, not a finite number",
        "row 5: onset_time: Expected float >= 0.0",
        "row 5: components[0].velocity: Expected float <= 1.0",
    ]
    assert (report.good_rows, report.faulty_rows) == (1, 4)
    assert [json.loads(line)["sample_id"] for line in _lines(tmp_path / "bad.jsonl")] == ["", "c", "d", "e"]
    assert json.loads(_lines(tmp_path / "bad.jsonl")[2])["qc"] == "ü"


def test_remarks_are_no_faults(tmp_path: Path) -> None:
    rows = [json.loads(GOOD) for _ in range(5)]
    for row, label, technique in zip(
        rows,
        ("kick", "BD", "snar", "snar", "グロ"),
        (["flam"], None, ["flamm"], ["Buzz Roll"], ["flamm"]),
        strict=True,
    ):
        row["components"] = [{"label": label}]
        row["techniques"] = technique
    rows[4]["sample_id"] = "b"
    report = validate([write_jsonl(tmp_path / "events.jsonl", rows)])
    assert report.passed
    assert report.unknown_labels == [UnknownName("snar", 2, "snare"), UnknownName("グロ", 1, None)]
    assert report.unknown_techniques == [UnknownName("flamm", 2, "flam")]
    assert report.repeated_listed == [RepeatedId("a", 4, str(tmp_path / "events.jsonl"), 1)]


def test_faults_beyond_the_limit_are_counted(tmp_path: Path) -> None:
    source = lines(tmp_path / "events.jsonl", *[b"{}"] * 6_000)
    report = validate([source])
    assert (report.faults, len(report.listed), report.faulty_rows) == (24_000, room.FAULTS_LISTED, 6_000)
    assert report.listed[-1].line == 2_500


def test_files_that_are_no_manifests_are_faults_beside_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "file_blocks", partial(file_blocks, block_bytes=1 << 16))
    bad = lines(tmp_path / "bad.jsonl", b"{}")
    noise = random.Random(1).randbytes(300).replace(b"\n", b"")
    rows = [GOOD.replace(b'"a"', b'"%d"' % number) for number in range(20_000)]
    rows[100] = b"{"
    cut = tmp_path / "cut.jsonl.gz"
    cut.write_bytes(gzip.compress(b"\n".join(rows))[:-5_000])
    files = [
        tmp_path / "missing.jsonl",
        tmp_path,
        lines(tmp_path / "empty.jsonl"),
        lines(tmp_path / "blank.jsonl", b"", b"  "),
        cut,
        lines(tmp_path / "noise.jsonl.gz", noise),
        lines(tmp_path / "noise.parquet", noise),
        lines(tmp_path / "noise.jsonl", noise),
        bad,
    ]
    report = validate(files)
    faults = {path.name: [str(fault) for fault in report.listed if fault.file == str(path)] for path in files}
    assert faults["missing.jsonl"] == [f"{files[0]}: cannot be read: No such file or directory"]
    assert faults[tmp_path.name] == [f"{tmp_path}: is a folder, not a file of events"]
    assert faults["empty.jsonl"] == [f"{files[2]}: holds no events"]
    assert faults["blank.jsonl"] == [f"{files[3]}: holds no events"]
    row_fault, damage = faults["cut.jsonl.gz"]
    assert row_fault.startswith(f"{cut}:101: is not valid JSON")
    assert damage.startswith(f"{cut}: the compressed file is damaged after line ")
    assert faults["noise.jsonl.gz"][0].startswith(f"{files[5]}: the compressed file is damaged after line 0")
    assert faults["noise.parquet"][0].startswith(f"{files[6]}: is not a Parquet file, or is cut short")
    assert faults["noise.jsonl"][0].startswith(f"{files[7]}:1: is not valid UTF-8 (byte ")
    assert len(faults["bad.jsonl"]) == 4
    # Ids of what could be read of the damaged file do not turn up under another file's lines.
    assert report.repeated_ids == 0
    assert 100 < report.files[str(cut)] < 20_000


def test_a_damaged_file_keeps_the_old_outputs(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.jsonl", tmp_path / "bad.jsonl"
    good.write_text("old")
    cut = tmp_path / "cut.jsonl.gz"
    cut.write_bytes(gzip.compress(b"\n".join([GOOD] * 100))[:-10])
    before = cut.read_bytes()
    with pytest.raises(
        InputError, match=r"cut\.jsonl\.gz: the compressed file is damaged .*; nothing was written$"
    ):
        validate([cut], output=good, rejects=bad)
    with pytest.raises(InputError, match=r"damaged .*; nothing was written$"):
        validate([cut], output=cut, rejects=bad)
    with pytest.raises(InputError, match=r"empty\.jsonl: holds no events; nothing was written$"):
        validate([lines(tmp_path / "empty.jsonl")], output=good)
    assert (good.read_text(), bad.exists(), cut.read_bytes()) == ("old", False, before)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cut.jsonl.gz", "empty.jsonl", "good.jsonl"]


def test_wrong_usage(tmp_path: Path) -> None:
    source = lines(tmp_path / "events.jsonl", GOOD)
    for arguments, message in (
        ({"paths": []}, "validate needs at least one file"),
        ({"paths": [source, tmp_path / "." / "events.jsonl"]}, r"events\.jsonl: is given twice"),
        ({"paths": [source], "output": source}, r"events\.jsonl: to write onto an input, say with --rejects"),
        ({"paths": [source], "output": tmp_path / "x.txt"}, r"x\.txt: its name must end in"),
        ({"paths": [source], "rejects": tmp_path / "x.parquet"}, r"its name cannot end in \.parquet"),
        ({"paths": [source], "rejects": source}, r"events\.jsonl: is an input or the other output"),
    ):
        with pytest.raises(UsageError, match=message):
            validate(**arguments)  # type: ignore[arg-type]
    assert source.read_bytes() == GOOD + b"\n"


def test_the_command(tmp_path: Path) -> None:
    good, bad = lines(tmp_path / "good.jsonl", GOOD), lines(tmp_path / "bad.jsonl", GOOD, b"{}", b"[]")
    passed = CliRunner().invoke(app, ["validate", str(good)])
    assert passed.exit_code == 0, passed.output
    assert passed.stdout == f"{good}: 1 good row\n"
    run = ["validate", str(good), str(bad), "--limit", "1", "--rejects", str(tmp_path / "rejects.jsonl")]
    failed = CliRunner().invoke(app, run)
    # The program's entry point turns the error into one sentence on stderr and its exit code, 3.
    assert isinstance(failed.exception, InputError)
    assert failed.exception.exit_code == 3
    assert str(failed.exception) == f"{good} and 1 other file: 5 faults in 2 of 4 rows"
    assert failed.stdout.splitlines() == [
        f"{bad}:2: sample_id: is missing",
        "… 4 more faults",
        f"{good}: 1 good row",
        f"{bad}: 1 good row",
        f"{tmp_path / 'rejects.jsonl'}: the 2 faulty rows",
        f"Remark: 1 sample_ids occur more than once; the first is 'a', 2 times from {good}:1 on.",
    ]
    answer = json.loads(CliRunner().invoke(app, ["validate", str(bad), "--json"]).stdout)
    assert (answer["passed"], answer["faults"], answer["faulty_rows"]) == (False, 5, 2)
    assert answer["listed"][0] == {"file": str(bad), "line": 2, "field": "sample_id", "why": "is missing"}
