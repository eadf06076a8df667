"""Merging: against a plain computation of the rule, in every format, under every policy; what is refused."""

from __future__ import annotations

import gzip
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from event_strategies import event_dicts, odd_events, write_jsonl
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from beatsight.errors import InputError, UsageError
from beatsight.events import Event, decode, write_records
from beatsight.manifest.engine.blocks import file_blocks
from beatsight.manifest.merge import MergeReport, merge
from beatsight.manifest.same_ids import LISTED, POLICIES, Policy

KICK: dict[str, Any] = {"session_id": "s", "onset_time": 0.5, "components": [{"label": "kick"}]}


def row(sample_id: str, **changes: Any) -> dict[str, Any]:
    return {"sample_id": sample_id} | KICK | changes


def without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [without_nulls(item) for item in value]
    return value


def same(one: Any, two: Any) -> bool:
    """Equality of JSON values: 1 is 1.0, but true is not 1 and the order of keys does not matter."""
    if isinstance(one, dict) and isinstance(two, dict):
        return one.keys() == two.keys() and all(same(one[key], two[key]) for key in one)
    if isinstance(one, list) and isinstance(two, list):
        return len(one) == len(two) and all(map(same, one, two))
    return isinstance(one, bool) == isinstance(two, bool) and one == two


class Plain:
    """The rule, computed with loops over all rows in order."""

    def __init__(self, rows: list[dict[str, Any]], policy: Policy) -> None:
        ids: dict[str, list[int]] = {}
        values = [without_nulls(row) for row in rows]
        for place, row in enumerate(rows):
            ids.setdefault(row["sample_id"], []).append(place)
        self.duplicates: list[int] = []
        self.left_out: list[int] = []
        self.conflicts: list[tuple[int, int]] = []
        for places in ids.values():
            classes: list[list[int]] = []
            for place in places:
                for members in classes:
                    if same(values[members[0]], values[place]):
                        members.append(place)
                        break
                else:
                    classes.append([place])
            kept = places[-1] if policy == "last" and len(classes) > 1 else places[0]
            for members in classes:
                if kept in members:
                    self.duplicates += [place for place in members if place != kept]
                elif policy == "both":
                    self.conflicts.append((members[0], kept))
                    self.duplicates += members[1:]
                else:
                    self.conflicts += [(place, kept) for place in members]
                    self.left_out += members
        self.left_out.sort()
        self.conflicts.sort()
        gone = {*self.duplicates, *self.left_out}
        self.written = [place for place in range(len(rows)) if place not in gone]
        self.keys = [
            {
                key
                for key in values[other].keys() | values[kept].keys()
                if not (
                    key in values[other]
                    and key in values[kept]
                    and same(values[other][key], values[kept][key])
                )
            }
            for other, kept in self.conflicts
        ]


def check(
    rows: list[dict[str, Any]], policy: Policy, report: MergeReport, places: list[str] | None = None
) -> Plain:
    wanted = Plain(rows, policy)
    assert report.written == len(wanted.written)
    assert report.duplicates == len(wanted.duplicates)
    assert report.conflicts == len(wanted.conflicts)
    assert report.left_out == len(wanted.left_out)
    assert sum(report.inputs.values()) == report.written + report.duplicates + report.left_out == len(rows)
    assert [one.sample_id for one in report.listed] == [
        rows[other]["sample_id"] for other, _ in wanted.conflicts[:LISTED]
    ]
    assert [set(one.keys) for one in report.listed] == wanted.keys[:LISTED]
    if places is not None:
        assert [(one.other, one.kept) for one in report.listed] == [
            (places[other], places[kept]) for other, kept in wanted.conflicts[:LISTED]
        ]
    return wanted


def lines_of(path: Path) -> list[bytes]:
    data = path.read_bytes()
    return (gzip.decompress(data) if path.suffix == ".gz" else data).splitlines(keepends=True)


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines_of(path)]


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of some rows, so that a small file has many and several processes work on it."""
    monkeypatch.setattr(file_blocks, "__defaults__", (1 << 19,))


@pytest.fixture(scope="module")
def three_files(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[list[Path], list[dict[str, Any]], list[str]]:
    """20 000 odd rows in JSON lines with blank ones, gzip and Parquet; the rows, and where each stands."""
    folder = tmp_path_factory.mktemp("three")
    rows = odd_events(20_000, seed=11)
    # Rows of the first file again in the others: as they are, otherwise written, and with another content.
    for number in range(0, 6000, 7):
        copy = dict(reversed(rows[number].items())) | {"notes": None} if number % 3 else dict(rows[number])
        if "notes" in rows[number]:
            copy["notes"] = rows[number]["notes"]
        rows[10_000 + number] = copy | ({"onset_time": copy["onset_time"] + 1} if number % 5 == 0 else {})
        rows[10_000 + number + 1] = dict(copy)
    first, second, third = rows[:8000], rows[8000:14_000], rows[14_000:]
    paths = [folder / name for name in ("a b.jsonl", "b.jsonl.gz", "c.parquet")]
    places = []
    lines = []
    for number, one in enumerate(first):
        if number % 500 == 3:
            lines.append(b"  \r\n")
        lines.append(json.dumps(one, ensure_ascii=False).encode() + (b"\r\n" if number % 2 else b"\n"))
        places.append(f"{paths[0]}:{len(lines)}")
    paths[0].write_bytes(b"".join(lines).rstrip(b"\n"))
    paths[1].write_bytes(gzip.compress("".join(json.dumps(one) + "\n" for one in second).encode(), 1))
    places += [f"{paths[1]}:{number}" for number in range(1, len(second) + 1)]
    write_records(paths[2], (decode(json.dumps(one), Event, "") for one in third))
    places += [f"{paths[2]}:row {number}" for number in range(1, len(third) + 1)]
    return paths, rows, places


@pytest.mark.parametrize("policy", ["first", "last", "both"])
def test_twenty_thousand_odd_rows(
    three_files: tuple[list[Path], list[dict[str, Any]], list[str]],
    tmp_path: Path,
    small_blocks: None,
    policy: Policy,
) -> None:
    paths, rows, places = three_files
    conflicts = tmp_path / "new folder" / "left.jsonl"
    report = merge(paths, tmp_path / "out.jsonl", on_conflict=policy, conflicts=conflicts)
    wanted = check(rows, policy, report, places)
    assert report.inputs == {str(paths[0]): 8000, str(paths[1]): 6000, str(paths[2]): 6000}
    assert len(wanted.conflicts) > LISTED and len(wanted.duplicates) > 500
    for path, expected in ((tmp_path / "out.jsonl", wanted.written), (conflicts, wanted.left_out)):
        got = read(path)
        assert len(got) == len(expected)
        assert all(
            same(without_nulls(rows[n]), without_nulls(one)) for n, one in zip(expected, got, strict=True)
        )
    # Of JSON lines every byte stays.
    kept = [b"".join(lines_of(paths[0])).replace(b"  \r\n", b"")]
    texts = [text for text in kept[0].split(b"\n") if text]
    out = [line.rstrip(b"\n") for line in (tmp_path / "out.jsonl").read_bytes().split(b"\n")]
    assert out[: sum(n < 8000 for n in wanted.written)] == [texts[n] for n in wanted.written if n < 8000]


def test_refuse_names_the_first_conflict_and_writes_nothing(
    three_files: tuple[list[Path], list[dict[str, Any]], list[str]], tmp_path: Path, small_blocks: None
) -> None:
    paths, rows, places = three_files
    wanted = Plain(rows, "refuse")
    other, kept = wanted.conflicts[0]
    (tmp_path / "out.jsonl").write_text("old")
    with pytest.raises(InputError) as caught:
        merge(paths, tmp_path / "out.jsonl", on_conflict="refuse")
    text = str(caught.value)
    assert text.startswith(
        f"{places[other]}: sample_id {rows[other]['sample_id']!r} stands in {places[kept]} with "
    )
    assert text.endswith(f"; {len(wanted.conflicts)} such rows, nothing was written")
    assert (tmp_path / "out.jsonl").read_text() == "old"


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(event_dicts, min_size=1, max_size=7),
    again=st.lists(st.integers(0, 6), max_size=5),
    policy=st.sampled_from(POLICIES[:3]),
    parquet=st.booleans(),
)
def test_any_rows(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[dict[str, Any]],
    again: list[int],
    policy: Policy,
    parquet: bool,
) -> None:
    folder = tmp_path_factory.mktemp("any")
    rows = [*rows, *(rows[number % len(rows)] for number in again)]
    cut = len(rows) // 2
    paths = [write_jsonl(folder / "a.jsonl", rows[:cut])] if cut else []
    if parquet:
        paths.append(folder / "b.parquet")
        write_records(paths[-1], (decode(json.dumps(one), Event, "") for one in rows[cut:]))
    else:
        paths.append(write_jsonl(folder / "b.jsonl", rows[cut:]))
    report = merge(paths, folder / "out.jsonl", on_conflict=policy)
    wanted = check(rows, policy, report)
    got = read(folder / "out.jsonl")
    assert [without_nulls(one)["sample_id"] for one in got] == [rows[n]["sample_id"] for n in wanted.written]


A, B, C = row("x"), row("x", notes="b"), row("x", notes="c")


@pytest.mark.parametrize(
    ("rows", "policy", "written", "left_out", "duplicates"),
    [
        ([A, B, A], "first", [0], [1], 1),
        ([A, B, A], "last", [2], [1], 1),
        ([A, B, A], "both", [0, 1], [], 1),
        ([A, B, B], "first", [0], [1, 2], 0),
        ([A, B, B], "last", [2], [0], 1),
        ([A, B, B], "both", [0, 1], [], 1),
        ([A, A, B], "last", [2], [0, 1], 0),
        ([A, B, C, B], "last", [3], [0, 2], 1),
        ([A, A, A], "last", [0], [], 2),
    ],
)
def test_which_of_several_rows_stay(
    tmp_path: Path,
    rows: list[dict[str, Any]],
    policy: Policy,
    written: list[int],
    left_out: list[int],
    duplicates: int,
) -> None:
    rows = [dict(one) for one in rows]
    marked = [f"{json.dumps(one)[:-1]}{' ' * number}}}" for number, one in enumerate(rows)]
    (tmp_path / "in.jsonl").write_text("\n".join(marked) + "\n")
    report = merge(
        [tmp_path / "in.jsonl"], tmp_path / "out.jsonl", on_conflict=policy, conflicts=tmp_path / "left.jsonl"
    )
    assert (tmp_path / "out.jsonl").read_text().splitlines() == [marked[n] for n in written]
    assert (tmp_path / "left.jsonl").read_text().splitlines() == [marked[n] for n in left_out]
    assert (report.duplicates, report.left_out) == (duplicates, len(left_out))
    assert report.written == len(written)


@pytest.mark.parametrize(
    ("one", "two", "keys"),
    [
        ({"qc": True}, {"qc": 1}, {"qc"}),
        ({"qc": {"a": 1, "b": None}}, {"qc": {"a": 1.0}}, None),
        ({"big": 2**70}, {"big": 2**70 + 1}, {"big"}),
        ({"big": 2**70}, {"big": float(2**70)}, None),
        ({"onset_time": 0.0}, {"onset_time": -0.0}, None),
        ({"onset_time": 1}, {"onset_time": 1.0}, None),
        ({"notes": None}, {}, None),
        ({"notes": "é"}, {"notes": "e\u0301"}, {"notes"}),
        ({"session_id": "t", "notes": "n"}, {}, {"session_id", "notes"}),
        ({"tags": ["a", "b"]}, {"tags": ["b", "a"]}, {"tags"}),
    ],
)
def test_equal_means_equal_values(
    tmp_path: Path, one: dict[str, Any], two: dict[str, Any], keys: set[str] | None
) -> None:
    path = write_jsonl(tmp_path / "in.jsonl", [row("ü", **one), row("ü", **two)])
    report = merge([path], tmp_path / "out.jsonl")
    assert (report.duplicates, report.conflicts) == ((1, 0) if keys is None else (0, 1))
    assert {*report.listed[0].keys} == keys if keys else not report.listed
    assert lines_of(tmp_path / "out.jsonl") == lines_of(path)[:1]


def test_the_output_may_be_an_input_in_any_format(tmp_path: Path) -> None:
    rows = odd_events(200, seed=5)
    for suffix in (".jsonl", ".jsonl.gz", ".jsonl.zst", ".parquet"):
        target = tmp_path / f"all{suffix}"
        write_records(target, (decode(json.dumps(one), Event, "") for one in rows[:120]))
        more = write_jsonl(tmp_path / "more.jsonl", rows[80:])
        report = merge([target, more], target)
        check([*rows[:120], *rows[80:]], "first", report)
        assert merge([target], tmp_path / "copy.jsonl").written == report.written


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    real = write_jsonl(tmp_path / "real.jsonl", [row("a")])
    more = write_jsonl(tmp_path / "more.jsonl", [row("b")])
    (tmp_path / "link.jsonl").symlink_to(real)
    merge([tmp_path / "link.jsonl", more], tmp_path / "link.jsonl")
    assert (tmp_path / "link.jsonl").is_symlink() and len(lines_of(real)) == 2


def test_rows_of_20_mb_and_files_without_a_last_newline(tmp_path: Path) -> None:
    long = row("long", notes="x" * 20_000_000)
    (tmp_path / "a.jsonl").write_text(json.dumps(row("a")) + "\n" + json.dumps(long))
    (tmp_path / "b.jsonl").write_text(json.dumps(long) + "\n" + json.dumps(row("a", notes="other")))
    report = merge([tmp_path / "a.jsonl", tmp_path / "b.jsonl"], tmp_path / "out.jsonl")
    assert (report.written, report.duplicates, report.conflicts) == (2, 1, 1)
    assert report.listed[0].other == f"{tmp_path / 'b.jsonl'}:2"
    assert (tmp_path / "out.jsonl").read_bytes() == (tmp_path / "a.jsonl").read_bytes() + b"\n"


def test_progress_ends_at_the_end(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "in.jsonl", odd_events(50, seed=1))
    seen: list[tuple[int, int]] = []
    merge([path], tmp_path / "out.jsonl", progress=lambda *at: seen.append(at))
    assert seen == sorted(seen) and seen[-1] == (2 * path.stat().st_size,) * 2


class TestRefusals:
    def test_a_gzip_cut_short_keeps_the_old_output(self, tmp_path: Path) -> None:
        good = write_jsonl(tmp_path / "a.jsonl", [row("a")])
        data = gzip.compress("".join(json.dumps(one) + "\n" for one in odd_events(500, 2)).encode())
        (tmp_path / "b.jsonl.gz").write_bytes(data[:-200])
        (tmp_path / "out.jsonl").write_text("old")
        with pytest.raises(InputError, match=r"b\.jsonl\.gz: the compressed file is damaged after line \d+"):
            merge([good, tmp_path / "b.jsonl.gz"], tmp_path / "out.jsonl")
        assert (tmp_path / "out.jsonl").read_text() == "old"
        assert sorted(path.name for path in tmp_path.iterdir()) == ["a.jsonl", "b.jsonl.gz", "out.jsonl"]

    @pytest.mark.parametrize(
        ("content", "why"),
        [
            (b"", r"b\.jsonl: holds no events$"),
            (b"\n \r\n", r"b\.jsonl: holds no events$"),
            (b'{"sample_id": "b"}\n', r"b\.jsonl:1: session_id: is missing$"),
            (json.dumps(row("b")).encode() + b"\n\nnot JSON\n", r"b\.jsonl:3: is not valid JSON"),
        ],
    )
    def test_faulty_inputs(self, tmp_path: Path, content: bytes, why: str) -> None:
        good = write_jsonl(tmp_path / "a.jsonl", [row("a")])
        (tmp_path / "b.jsonl").write_bytes(content)
        with pytest.raises(InputError, match=why):
            merge([good, tmp_path / "b.jsonl"], tmp_path / "out.jsonl")
        assert not (tmp_path / "out.jsonl").exists()

    def test_an_empty_parquet_file(self, tmp_path: Path) -> None:
        write_records(tmp_path / "none.parquet", [])
        with pytest.raises(InputError, match=r"none\.parquet: holds no events$"):
            merge([tmp_path / "none.parquet"], tmp_path / "out.jsonl")

    @pytest.mark.parametrize("name", ["folder.jsonl", "folder.parquet"])
    def test_a_folder(self, tmp_path: Path, name: str) -> None:
        (tmp_path / name).mkdir()
        with pytest.raises(InputError, match=rf"{name}: (is a folder|cannot be read: Is a directory)"):
            merge([tmp_path / name], tmp_path / "out.jsonl")

    def test_a_number_beyond_all_bounds_is_named_by_its_line(
        self, tmp_path: Path, small_blocks: None
    ) -> None:
        fine = [json.dumps(row(f"f{number}", notes="x" * 5000)) for number in range(300)]
        odd = json.dumps(row("f0"))[:-1] + ', "mine": 1e400}'
        (tmp_path / "a.jsonl").write_text("\n".join([*fine, odd]) + "\n")
        with pytest.raises(InputError, match=r"a\.jsonl:301: mine: is inf, not a finite number$"):
            merge([tmp_path / "a.jsonl"], tmp_path / "out.jsonl")

    def test_one_file_twice(self, tmp_path: Path) -> None:
        path = write_jsonl(tmp_path / "a.jsonl", [row("a")])
        (tmp_path / "link.jsonl").symlink_to(path)
        with pytest.raises(UsageError, match=rf"^{re.escape(str(path))}: is given twice$"):
            merge([path, path], tmp_path / "out.jsonl")
        with pytest.raises(UsageError, match=r"link\.jsonl: is given twice, first as .*a\.jsonl$"):
            merge([path, tmp_path / "link.jsonl"], tmp_path / "out.jsonl")

    def test_a_pipe_is_refused_before_it_is_read(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe.jsonl")
        with pytest.raises(
            InputError, match=r"pipe\.jsonl: is a pipe or device, and .* save it to a file first$"
        ):
            merge([tmp_path / "pipe.jsonl"], tmp_path / "out.jsonl")

    def test_conflicts_have_a_file_of_their_own(self, tmp_path: Path) -> None:
        path = write_jsonl(tmp_path / "a.jsonl", [row("a")])
        with pytest.raises(UsageError, match=r"out\.jsonl: cannot take both"):
            merge([path], tmp_path / "out.jsonl", conflicts=tmp_path / "x" / ".." / "out.jsonl")
        with pytest.raises(UsageError, match=r"a\.jsonl: is the manifest itself"):
            merge([path], tmp_path / "out.jsonl", conflicts=path)

    def test_wrong_usage(self, tmp_path: Path) -> None:
        path = write_jsonl(tmp_path / "a.jsonl", [row("a")])
        with pytest.raises(UsageError, match=r"^merge needs at least one input$"):
            merge([], tmp_path / "out.jsonl")
        with pytest.raises(
            UsageError, match=r"^unknown conflict policy 'best'; known: first, last, both, refuse$"
        ):
            merge([path], tmp_path / "out.jsonl", on_conflict="best")  # type: ignore[arg-type]
        for name in ("out.csv", "out", "out.jsonl.GZ"):
            with pytest.raises(UsageError, match=rf"{name}: its name must end in \.jsonl, .* or \.parquet$"):
                merge([path], tmp_path / name)
