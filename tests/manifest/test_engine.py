"""Blocks, processes, tables and rewriting: what every manifest operation stands on."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from event_strategies import odd_events, write_jsonl
from hypothesis import given
from hypothesis import strategies as st

from beatsight.errors import InputError, UsageError
from beatsight.events import Event, decode, encode, read_records, to_builtins, write_records
from beatsight.manifest.convert import checked_lines, convert
from beatsight.manifest.engine import blocks as blocks_module
from beatsight.manifest.engine import pool as pool_module
from beatsight.manifest.engine.blocks import Rows, file_blocks, read_block
from beatsight.manifest.engine.pool import run_blocks
from beatsight.manifest.engine.rewrite import line_output, rewrite
from beatsight.manifest.engine.table import ALL_COMPONENT_KEYS, open_table

COPY = "beatsight.manifest.convert:checked_lines"
EVENT = {"sample_id": "a", "session_id": "s", "onset_time": 0.5, "components": [{"label": "kick"}]}


def line(**changes: Any) -> str:
    return json.dumps(EVENT | changes)


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> int:
    """Blocks of a few rows, so that a small file has many and several processes work on it."""
    monkeypatch.setattr(blocks_module.file_blocks, "__defaults__", (4096,))
    monkeypatch.setattr(pool_module, "_SMALL_BYTES", 4096)
    return 4096


class TestBlocks:
    @given(lines=st.lists(st.text(st.characters(codec="ascii", exclude_characters="\n"), max_size=30)),
           size=st.integers(1, 40), newline=st.booleans())  # fmt: skip
    def test_every_line_once_in_order_with_its_number(
        self, tmp_path_factory: pytest.TempPathFactory, lines: list[str], size: int, newline: bool
    ) -> None:
        path = tmp_path_factory.mktemp("blocks") / "x.jsonl"
        text = "\n".join(lines) + ("\n" if newline else "")
        path.write_bytes(text.encode())
        expected = [
            (number, one.encode())
            for number, one in enumerate(text.split("\n"), start=1)
            if one.encode().strip()
        ]
        for name in ("x.jsonl", "x.jsonl.gz"):
            if name.endswith("gz"):
                path.with_name(name).write_bytes(gzip.compress(text.encode()))
            found, before = [], 0
            for block in file_blocks([path.with_name(name)], size):
                rows = read_block(block)
                found += [
                    (before + number, one) for number, one in zip(rows.numbers, rows.lines, strict=True)
                ]
                before += rows.count
            assert found == expected

    def test_a_byte_order_mark_is_no_part_of_the_first_line(self, tmp_path: Path) -> None:
        (tmp_path / "x.jsonl").write_bytes(b"\xef\xbb\xbf{}\n")
        (block,) = file_blocks([tmp_path / "x.jsonl"])
        assert read_block(block).lines == [b"{}"]

    def test_numbers_go_on_over_several_files(self, tmp_path: Path) -> None:
        for name in "ab":
            (tmp_path / f"{name}.jsonl").write_text("x\n" * 10)
        blocks = list(file_blocks([tmp_path / "a.jsonl", tmp_path / "b.jsonl"], 8))
        assert [block.number for block in blocks] == list(range(6))

    @pytest.mark.parametrize(
        ("name", "why"),
        [("none.jsonl", "cannot be read"), ("", "is a folder"), ("none.parquet", "cannot be read")],
    )
    def test_what_is_no_file_is_named(self, tmp_path: Path, name: str, why: str) -> None:
        with pytest.raises(InputError, match=why):
            list(file_blocks([tmp_path / name]))

    def test_a_cut_gzip_is_damaged_after_its_last_line(self, tmp_path: Path) -> None:
        path = tmp_path / "x.jsonl.gz"
        rows = [json.dumps({"n": number}) for number in range(50_000)]
        path.write_bytes(gzip.compress("\n".join(rows).encode())[:-100])
        with pytest.raises(InputError, match=r"x\.jsonl\.gz: the compressed file is damaged after line \d+"):
            list(file_blocks([path]))


class TestProcesses:
    @pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz", ".parquet"])
    def test_a_fault_is_named_by_its_line_in_the_file(
        self, tmp_path: Path, small_blocks: int, suffix: str
    ) -> None:
        path = tmp_path / f"events{suffix}"
        good = [decode(line(sample_id=f"s{n}"), Event, "") for n in range(500)]
        if suffix == ".parquet":
            import pyarrow as pa
            import pyarrow.parquet as pq

            good[432].components[0].velocity = 7.0
            from beatsight.events.parquet import to_table

            with pq.ParquetWriter(path, to_table(good[:1], Event).schema) as writer:
                for start in range(0, 500, 100):
                    writer.write_table(to_table(good[start : start + 100], Event))
            assert pa.parquet.ParquetFile(path).num_row_groups == 5
            where = "events.parquet:row 433"
        else:
            lines = [encode(event) for event in good]
            lines[432] = line(components=[{"label": "kick", "velocity": 7}]).encode()
            lines.insert(100, b"   ")
            data = b"\n".join(lines)
            path.write_bytes(gzip.compress(data) if suffix.endswith("gz") else data)
            where = f"events{suffix}:434"
        for workers in (1, 2):
            with pytest.raises(InputError, match=rf"{where}: components\[0\]\.velocity: Expected `?float"):
                list(run_blocks("beatsight.manifest.engine.rewrite:rewrite_block", file_blocks([path]),
                                {"task": COPY, "params": {}, "suffix": ""}, workers))  # fmt: skip

    def test_the_number_of_processes_changes_nothing(self, tmp_path: Path, small_blocks: int) -> None:
        write_jsonl(tmp_path / "in.jsonl", odd_events(2000, 1))
        params = {"task": COPY, "params": {}, "suffix": ".gz"}
        answers = [
            [
                (block.number, result, before)
                for block, result, before in run_blocks(
                    "beatsight.manifest.engine.rewrite:rewrite_block",
                    file_blocks([tmp_path / "in.jsonl"]),
                    params,
                    n,
                )
            ]
            for n in (1, 3)
        ]
        assert len(answers[0]) > 20
        assert [(number, list(value), data, before) for number, (value, data), before in answers[0]] == [
            (number, list(value), data, before) for number, (value, data), before in answers[1]
        ]

    def test_only_our_own_functions_are_tasks(self, tmp_path: Path) -> None:
        (tmp_path / "x.jsonl").write_text(line())
        with pytest.raises(UsageError, match="os:getcwd: is no task"):
            list(run_blocks("os:getcwd", file_blocks([tmp_path / "x.jsonl"]), {}))

    def test_a_killed_worker_is_one_sentence(
        self, tmp_path: Path, small_blocks: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write_jsonl(tmp_path / "in.jsonl", odd_events(500, 1))
        monkeypatch.setattr("beatsight.manifest.engine.pool.sys.executable", "/bin/false")
        with pytest.raises(Exception, match="ended early"):
            convert(tmp_path / "in.jsonl", tmp_path / "out.jsonl")
        assert not list(tmp_path.glob("*out*"))


class TestText:
    def test_bad_utf8_in_an_unknown_key_is_found(self, tmp_path: Path) -> None:
        (tmp_path / "x.jsonl").write_bytes(line().encode()[:-1] + b', "mine": "\xff"}\n')
        with pytest.raises(InputError, match=r"x\.jsonl:1: is not valid UTF-8"):
            convert(tmp_path / "x.jsonl", tmp_path / "y.jsonl")

    def test_a_row_that_readers_refuse_is_refused_here(self, tmp_path: Path) -> None:
        for bad in (line()[:-1] + ', "mine": "\\ud800"}', line(mine=json.loads("[" * 80 + "]" * 80))):
            (tmp_path / "x.jsonl").write_text(bad)
            with pytest.raises(InputError, match=r"x\.jsonl:1: is "):
                list(read_records(tmp_path / "x.jsonl", Event))
            with pytest.raises(InputError, match=r"x\.jsonl:1: is "):
                convert(tmp_path / "x.jsonl", tmp_path / "y.jsonl")


class TestConvert:
    def test_lines_stay_byte_for_byte_through_compression(self, tmp_path: Path, small_blocks: int) -> None:
        write_jsonl(tmp_path / "a.jsonl", odd_events(1000, 2))
        assert convert(tmp_path / "a.jsonl", tmp_path / "b.jsonl.gz") == 1000
        convert(tmp_path / "b.jsonl.gz", tmp_path / "c.jsonl.zst")
        convert(tmp_path / "c.jsonl.zst", tmp_path / "d.jsonl")
        assert (tmp_path / "d.jsonl").read_bytes() == (tmp_path / "a.jsonl").read_bytes()
        assert gzip.decompress((tmp_path / "b.jsonl.gz").read_bytes()) == (tmp_path / "a.jsonl").read_bytes()

    def test_values_stay_through_parquet(self, tmp_path: Path, small_blocks: int) -> None:
        rows = odd_events(20_000, 3)
        write_jsonl(tmp_path / "a.jsonl", rows)
        assert convert(tmp_path / "a.jsonl", tmp_path / "b.parquet") == 20_000
        convert(tmp_path / "b.parquet", tmp_path / "c.jsonl")
        with (tmp_path / "c.jsonl").open() as stream:
            for wanted, got in zip(rows, stream, strict=True):
                assert without_nulls(json.loads(got)) == without_nulls(wanted)

    def test_onto_itself(self, tmp_path: Path, small_blocks: int) -> None:
        write_jsonl(tmp_path / "a.jsonl", odd_events(300, 4))
        before = (tmp_path / "a.jsonl").read_bytes()
        convert(tmp_path / "a.jsonl", tmp_path / "a.jsonl")
        assert (tmp_path / "a.jsonl").read_bytes() == before

    def test_an_empty_manifest_and_an_unknown_suffix_are_refused(self, tmp_path: Path) -> None:
        (tmp_path / "a.jsonl").write_text("\n\n")
        with pytest.raises(InputError, match=r"a\.jsonl: holds no events"):
            convert(tmp_path / "a.jsonl", tmp_path / "b.jsonl")
        assert not (tmp_path / "b.jsonl").exists()
        with pytest.raises(UsageError, match=r"b\.txt: its name must end in \.jsonl"):
            convert(tmp_path / "a.jsonl", tmp_path / "b.txt")


def without_nulls(value: Any, depth: int = 0) -> Any:
    """Known keys that are null mean absent; inside free values a null is a value."""
    if isinstance(value, dict):
        free = {"pedal", "processing_chain", "qc", "metadata_ref"}
        known = set(Event.__struct_fields__) | {
            "label",
            *ALL_COMPONENT_KEYS,
            "pre",
            "post",
            "LUFS_i",
            "peak_dbfs",
        }
        return {
            key: item if key in free or key not in known else without_nulls(item)
            for key, item in value.items()
            if item is not None or key not in known
        }
    if isinstance(value, list):
        return [without_nulls(item) for item in value]
    return value


class TestTable:
    def test_json_lines_and_parquet_give_the_same_table(self, tmp_path: Path, small_blocks: int) -> None:
        rows = odd_events(2000, 5)
        write_jsonl(tmp_path / "a.jsonl", rows)
        convert(tmp_path / "a.jsonl", tmp_path / "b.parquet")
        fields = [
            "sample_id", "session_id", "onset_time", "techniques", "is_synthetic", "meter", "qc", "mine",
        ]  # fmt: skip
        tables = []
        for name in ("a.jsonl", "b.parquet"):
            with open_table([tmp_path / name], fields, ALL_COMPONENT_KEYS) as table:
                assert table.count == 2000 and table.block_bases[-1] == 2000
                columns = ", ".join(fields)
                tables.append(table.all(f"SELECT row, file, {columns}, components FROM rows ORDER BY row"))
        assert tables[0] == tables[1]
        assert [row[0] for row in tables[0]] == list(range(2000))
        assert [row[2] for row in tables[0]] == [row["sample_id"] for row in rows]

    def test_rows_are_numbered_over_files_of_all_kinds(self, tmp_path: Path, small_blocks: int) -> None:
        rows = odd_events(300, 6)
        write_jsonl(tmp_path / "a.jsonl", rows[:100])
        write_records(tmp_path / "b.parquet", (decode(json.dumps(row), Event, "") for row in rows[100:200]))
        write_jsonl(tmp_path / "c.jsonl", rows[200:])
        paths = [tmp_path / name for name in ("a.jsonl", "b.parquet", "c.jsonl")]
        with open_table(paths, ["sample_id"]) as table:
            assert table.file_counts == (100, 100, 100)
            found = table.all("SELECT row, file, sample_id FROM rows ORDER BY row")
        assert found == [(n, n // 100, row["sample_id"]) for n, row in enumerate(rows)]

    @pytest.mark.parametrize(
        ("change", "why"),
        [
            ({"onset_time": float("nan")}, "onset_time: is not a finite number"),
            ({"onset_time": -1.0}, r"onset_time: Expected float >= 0\.0"),
            ({"sample_id": ""}, "sample_id: Expected str of length >= 1"),
            ({"session_id": None}, "session_id: is missing"),
            ({"components": []}, "components: is empty, and negative_example is not true"),
            ({"components": [{"label": None}]}, r"components\[\]\.label: is missing"),
            (
                {"components": [{"label": "kick", "velocity": 1.5}]},
                r"components\[\]\.velocity: Expected float",
            ),
            ({"meter": "7"}, "meter: is not a meter"),
        ],
    )
    def test_faults_of_a_parquet_file_are_found_by_row(
        self, tmp_path: Path, change: dict[str, Any], why: str
    ) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        rows = [EVENT | {"meter": "4/4", "components": [{"label": "kick", "velocity": 0.5}]}] * 3
        pq.write_table(pa.Table.from_pylist([*rows, rows[0] | change]), tmp_path / "x.parquet")
        with (
            pytest.raises(InputError, match=rf"x\.parquet:row 4: {why}"),
            open_table([tmp_path / "x.parquet"], ["meter"], ("label", "velocity")),
        ):
            pass

    def test_a_parquet_file_from_elsewhere(self, tmp_path: Path) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        row = EVENT | {"onset_time": 2, "mine": {"b": 1}, "qc": "fine"}
        pq.write_table(pa.Table.from_pylist([row]), tmp_path / "x.parquet")
        with open_table(
            [tmp_path / "x.parquet"], ["onset_time", "mine", "qc", "tags"], ("label", "openness")
        ) as table:
            assert table.all("SELECT onset_time, mine, qc, tags, components FROM rows") == [
                (2.0, '{"b":1}', '"fine"', None, [{"label": "kick", "openness": None}])
            ]
        (event,) = read_records(tmp_path / "x.parquet", Event)
        assert to_builtins(event) == row

    def test_columns_of_a_wrong_type_are_refused(self, tmp_path: Path) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        pq.write_table(pa.Table.from_pylist([EVENT | {"onset_time": "1.5"}]), tmp_path / "x.parquet")
        with (
            pytest.raises(InputError, match=r"x\.parquet: column onset_time holds string, expected DOUBLE"),
            open_table([tmp_path / "x.parquet"], []),
        ):
            pass


class TestRewrite:
    def test_a_failed_run_leaves_the_old_file(self, tmp_path: Path, small_blocks: int) -> None:
        write_jsonl(tmp_path / "in.jsonl", odd_events(300, 7))
        with (tmp_path / "in.jsonl").open("a") as stream:
            stream.write('{"sample_id": 3}\n')
        (tmp_path / "out.jsonl").write_text("old")
        with pytest.raises(InputError, match=r"in\.jsonl:301: "):
            for _ in rewrite([tmp_path / "in.jsonl"], tmp_path / "out.jsonl", COPY):
                pass
        assert (tmp_path / "out.jsonl").read_text() == "old"
        assert sorted(path.name for path in tmp_path.iterdir()) == ["in.jsonl", "out.jsonl"]

    def test_a_run_that_is_given_up_leaves_the_old_file(self, tmp_path: Path, small_blocks: int) -> None:
        write_jsonl(tmp_path / "in.jsonl", odd_events(300, 7))
        (tmp_path / "out.jsonl").write_text("old")
        run = rewrite([tmp_path / "in.jsonl"], tmp_path / "out.jsonl", COPY)
        next(run)
        run.close()
        assert (tmp_path / "out.jsonl").read_text() == "old"
        assert sorted(path.name for path in tmp_path.iterdir()) == ["in.jsonl", "out.jsonl"]

    @pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz", ".jsonl.zst", ".parquet"])
    def test_lines_into_every_format(self, tmp_path: Path, suffix: str) -> None:
        lines = [line(sample_id=name).encode() for name in "abc"]
        with line_output(tmp_path / f"x{suffix}") as write:
            write(lines[:2])
            write(lines[2:])
        assert [event.sample_id for event in read_records(tmp_path / f"x{suffix}", Event)] == ["a", "b", "c"]

    @pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz", ".jsonl.zst", ".parquet"])
    def test_an_output_without_rows_can_be_read(self, tmp_path: Path, suffix: str) -> None:
        with line_output(tmp_path / f"x{suffix}"):
            pass
        assert list(read_records(tmp_path / f"x{suffix}", Event)) == []

    def test_a_task_sees_the_suffix(self) -> None:
        rows = Rows([line().encode()], [1], 1)
        assert isinstance(checked_lines(rows, None, {"suffix": ".parquet"})[0][0], Event)  # type: ignore[arg-type]
        assert checked_lines(rows, None, {"suffix": ".gz"})[0] == rows.lines  # type: ignore[arg-type]
