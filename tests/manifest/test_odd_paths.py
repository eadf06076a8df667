"""Manifests by any name and of any kind of file: a path is never a pattern, a table or a second reading."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from event_strategies import odd_events, write_jsonl

from beatsight.errors import InputError, UsageError
from beatsight.events import Event, decode, write_records
from beatsight.manifest.convert import convert
from beatsight.manifest.engine.blocks import file_blocks
from beatsight.manifest.engine.pool import run_blocks
from beatsight.manifest.engine.rewrite import rewrite
from beatsight.manifest.engine.table import open_table

COPY = "beatsight.manifest.convert:checked_lines"
NAMES = (
    "it's.parquet", "a%20b.parquet", "a*b.parquet", "a?b.parquet", "a[1].parquet", "a[b.parquet",
    "{a,b}.parquet", "two words ü.parquet", "UPPER.PARQUET", "-o.parquet", "a;--.parquet",
)  # fmt: skip


@pytest.mark.parametrize("folder", ["plain", "kit_id=wrong", "[songs] *"])
def test_a_path_is_taken_as_it_stands(tmp_path: Path, folder: str) -> None:
    # What the patterns among the names would find as well, were they patterns.
    (tmp_path / folder).mkdir()
    for name in ("aXb.parquet", "a1.parquet"):
        write_one(tmp_path / folder / name, "wrong")
    for name in NAMES:
        write_one(tmp_path / folder / name, f"of {name}")
        with open_table([tmp_path / folder / name], ["kit_id"]) as table:
            assert table.all("SELECT row, file, kit_id FROM rows") == [(0, 0, f"of {name}")]
    for name in NAMES:
        lines = (tmp_path / folder / name).with_suffix(".jsonl")
        convert(tmp_path / folder / name, lines)
        assert json.loads(lines.read_bytes())["kit_id"] == f"of {name}"


def test_a_backslash_is_fine_but_not_beside_a_pattern(tmp_path: Path) -> None:
    write_one(tmp_path / "a\\b.parquet", "mine")
    with open_table([tmp_path / "a\\b.parquet"], ["kit_id"]) as table:
        assert table.all("SELECT kit_id FROM rows") == [("mine",)]
    write_one(tmp_path / "a\\*b.parquet", "mine")
    with (
        pytest.raises(
            InputError, match=r"DuckDB cannot open a path with a backslash and one of \* \? \[ in it"
        ),
        open_table([tmp_path / "a\\*b.parquet"], ["kit_id"]),
    ):
        pass


def test_temporary_files_may_lie_in_a_folder_of_any_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("it's [a] *", "block=7"):
        (tmp_path / name).mkdir()
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path / name))
        source = write_jsonl(tmp_path / "in.jsonl", odd_events(20, 1))
        with open_table([source], ["sample_id"]) as table:
            assert len(table.all("SELECT DISTINCT row FROM rows")) == 20
        assert list((tmp_path / name).iterdir()) == []


def write_one(path: Path, kit: str) -> None:
    event = {
        "sample_id": "a",
        "session_id": "s",
        "onset_time": 0.5,
        "components": [{"label": "kick"}],
        "kit_id": kit,
    }
    write_records(path, [decode(json.dumps(event), Event, "")])


def test_fields_of_any_name(tmp_path: Path) -> None:
    row = {"sample_id": "a", "session_id": "s", "onset_time": 0.5, "components": [{"label": "kick"}]}
    odd = {
        "block": 1,
        "place": "p",
        "c0": True,
        "a \"b'; --": [1],
        "x/y~z": {"k": None},
        "base": 2,
        "s": "s",
    }
    source = write_jsonl(tmp_path / "in.jsonl", [row | odd, row])
    convert(source, tmp_path / "in.parquet")
    for path in (source, tmp_path / "in.parquet"):
        with open_table([path], ["sample_id", *odd], ("label",)) as table:
            found = table.all("SELECT * EXCLUDE (row, file, components) FROM rows ORDER BY row")
        assert found[0] == ("a", *(json.dumps(value, separators=(",", ":")) for value in odd.values()))
        assert found[1] == ("a", *(None for _ in odd))


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        (["row"], "row: cannot be used here, its name is too like that of the table's own row number"),
        (["File"], "File: cannot be used here, its name is too like that of the table's own file number"),
        (["take", "Take"], "Take: cannot be used here, its name is too like that of take"),
        ([""], "'': is no name of a column"),
        (["loudness"], "loudness: is no single value, so it cannot be used here"),
    ],
)
def test_fields_that_no_table_can_have(tmp_path: Path, fields: list[str], why: str) -> None:
    source = write_jsonl(tmp_path / "in.jsonl", odd_events(3, 1))
    with pytest.raises(UsageError, match=rf"^{why}$"), open_table([source], fields):
        pass


class TestPipes:
    def test_one_reading_takes_a_pipe(self, tmp_path: Path) -> None:
        source = write_jsonl(tmp_path / "in.jsonl", odd_events(30, 1))
        reading, writing = os.pipe()
        with os.fdopen(writing, "wb") as stream:
            stream.write(source.read_bytes())
        if not Path(f"/dev/fd/{reading}").exists():
            pytest.skip("this system has no /dev/fd")
        try:
            assert convert(f"/dev/fd/{reading}", tmp_path / "out.jsonl") == 30
        finally:
            os.close(reading)
        assert (tmp_path / "out.jsonl").read_bytes() == source.read_bytes()

    def test_a_second_reading_does_not(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe.jsonl")
        with pytest.raises(
            InputError, match=r"pipe\.jsonl: is a pipe or device, and this reads its input twice"
        ):
            list(rewrite([tmp_path / "pipe.jsonl"], None, COPY, extra=lambda block: None))

    def test_nor_does_parquet(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe.parquet")
        with pytest.raises(InputError, match=r"pipe\.parquet: is a pipe or device"):
            convert(tmp_path / "pipe.parquet", tmp_path / "out.jsonl")


class TestParquet:
    def test_damaged_and_empty_files(self, tmp_path: Path) -> None:
        path = tmp_path / "x.parquet"
        for content, why in (
            (b"", r"is not a Parquet file, or is cut short"),
            (b"PAR1" * 9, r"x\.parquet: "),
        ):
            path.write_bytes(content)
            with pytest.raises(InputError, match=why):
                convert(path, tmp_path / "out.jsonl")
        write_records(path, [])
        with pytest.raises(InputError, match=r"x\.parquet: holds no events$"):
            convert(path, tmp_path / "out.jsonl")
        path.unlink()
        path.mkdir()
        with pytest.raises(InputError, match=r"x\.parquet: is a folder, not a file of events$"):
            convert(path, tmp_path / "out.jsonl")
        assert not (tmp_path / "out.jsonl").exists()

    def test_a_file_that_is_replaced_is_read_anew(self, tmp_path: Path) -> None:
        for count in (3, 40_000, 5):
            rows = odd_events(min(count, 50), count)
            events = [decode(json.dumps(row), Event, "") for row in rows] * (count // len(rows))
            write_records(tmp_path / "x.parquet", events)
            assert convert(tmp_path / "x.parquet", tmp_path / "out.jsonl") == len(events)

    def test_a_null_in_a_list_is_a_fault_as_in_json(self, tmp_path: Path) -> None:
        row = {"sample_id": "a", "session_id": "s", "onset_time": 0.5, "components": [{"label": "kick"}]}
        pq.write_table(pa.Table.from_pylist([row | {"techniques": ["flam", None]}]), tmp_path / "x.parquet")
        with (
            pytest.raises(InputError, match=r"x\.parquet:row 1: techniques: Expected str, got null$"),
            open_table([tmp_path / "x.parquet"], ["techniques"]),
        ):
            pass


def test_small_files_start_no_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("beatsight.manifest.engine.pool.sys.executable", "/bin/false")
    paths = [write_jsonl(tmp_path / f"{n}.jsonl", odd_events(20, n)) for n in range(4)]
    params = {"task": COPY, "params": {}, "suffix": ""}
    found = list(run_blocks("beatsight.manifest.engine.rewrite:rewrite_block", file_blocks(paths), params))
    assert [rows for _, ((rows, _), _), _ in found] == [20] * 4
