"""Boundary packs: planted edges, and the definition in fractions beside the integers of the program."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from event_strategies import event_dicts, odd_events, write_jsonl
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from beatsight.cli.manifest import app
from beatsight.errors import InputError, UsageError
from beatsight.manifest.boundary import BoundaryReport, boundary_pack
from beatsight.manifest.convert import convert
from beatsight.taxonomy import is_known, resolve


def event(onset: float, sample: str = "a", label: str = "kick", **more: Any) -> dict[str, Any]:
    return {
        "sample_id": sample,
        "session_id": "s",
        "onset_time": onset,
        "components": [{"label": label}],
        **more,
    }


def pack(tmp_path: Path, rows: list[dict[str, Any]], **settings_: float) -> list[dict[str, Any]]:
    out = tmp_path / "pack.jsonl"
    boundary_pack(write_jsonl(tmp_path / "events.jsonl", rows), out, **settings_)
    return [json.loads(line) for line in out.read_text().splitlines()]


def edges(rows: list[dict[str, Any]]) -> set[tuple[str, int]]:
    return {(row["edge"], row["window_index"]) for row in rows}


def specified(rows: list[dict[str, Any]], window_ms: float, hop_ms: float, margin_ms: float) -> list[Any]:
    """Every window that begins before the hit is tried, in fractions of a second."""

    def nearest_ns(seconds: Fraction) -> Fraction:
        return Fraction(round(seconds * 10**9), 10**9)

    window, hop, margin = (nearest_ns(Fraction(value) / 1000) for value in (window_ms, hop_ms, margin_ms))
    found, seen = [], Counter[str]()
    for row in rows:
        seen[row["sample_id"]] += 1
        if not row["components"]:
            continue
        onset = nearest_ns(Fraction(row["onset_time"]))
        labels: list[str] = []
        for part in row["components"]:
            name = resolve(part["label"]) if is_known(part["label"]) else part["label"]
            if name not in labels:
                labels.append(name)
        for edge in ("leading", "trailing"):
            begin = max(0, int((onset - window) / hop) - 1)
            for index in range(begin, int(onset / hop) + 2):
                start = index * hop
                low, high = (
                    (start, start + margin)
                    if edge == "leading"
                    else (start + window - margin, start + window)
                )
                if low <= onset < high:
                    nth = seen[row["sample_id"]]
                    name = f"{row['sample_id']}:{edge}:{index}" + (f":{nth}" if nth > 1 else "")
                    distance = onset - start if edge == "leading" else start + window - onset
                    found.append((name, row["sample_id"], labels, float(start), float(distance * 1000)))
    return found


def told(path: Path) -> list[Any]:
    rows = map(json.loads, path.read_text(encoding="utf-8").split("\n")[:-1])
    return [
        (
            row["sample_id"],
            row["event_sample_id"],
            row["labels"],
            row["window_start_s"],
            pytest.approx(row["edge_distance_ms"], abs=1e-9),
        )
        for row in rows
    ]


def test_the_seeds_settings_give_both_edges(tmp_path: Path) -> None:
    rows = pack(tmp_path, [event(1.03, "lead", "BD"), event(2.04, "trail", "snare", audio_path="x.wav")])
    # 1.03 s is 6 ms into window 2 (1.024 s). 2.04 s is 8 ms before the end of window 0; the windows around it
    # begin at 1.536 and 2.048 s, so it leads none.
    assert edges(rows) == {("leading", 2), ("trailing", 0)}
    lead, trail = rows
    assert lead == {
        "sample_id": "lead:leading:2", "event_sample_id": "lead", "session_id": "s", "onset_time": 1.03,
        "labels": ["kick"], "window_index": 2, "window_size": 2048, "hop_size": 512, "edge": "leading",
        "window_start_s": 1.024, "edge_distance_ms": 6,
    }  # fmt: skip
    assert (trail["audio_path"], trail["edge_distance_ms"]) == ("x.wav", 8)


@pytest.mark.parametrize(
    ("onset", "window", "hop", "margin", "expected"),
    [
        (0, 2048, 512, 40, {("leading", 0)}),
        (0.039999, 2048, 512, 40, {("leading", 0)}),
        (0.04, 2048, 512, 40, set()),
        (2.008, 2048, 512, 40, {("trailing", 0)}),
        (2.007999, 2048, 512, 40, set()),
        # The first moment after window 0 leads window 4, and is no edge of window 0.
        (2.048, 2048, 512, 40, {("leading", 4)}),
        # A hop longer than the window: moments between two windows are at no edge.
        (0.5, 100, 1000, 10, set()),
        (1.095, 100, 1000, 10, {("trailing", 1)}),
        # A hop shorter than the margin: a hit leads several windows.
        (0.1, 50, 10, 25, {("leading", k) for k in (8, 9, 10)} | {("trailing", k) for k in (6, 7)}),
        # 0.1 + 0.2 is no 0.3 in doubles, and 3 * 0.1 s begins window 3 all the same.
        (0.3, 1000, 100, 1, {("leading", 3)}),
        (0.1 + 0.2, 1000, 100, 1, {("leading", 3)}),
        # Fractions of a millisecond; the window is no multiple of the hop.
        (23.219955e-3 * 7, 92.87, 23.219955, 0.5, {("leading", 7)}),
        # The margin is the whole window: every window that holds the hit, at both edges.
        (0.15, 100, 100, 100, {("leading", 1), ("trailing", 1)}),
    ],
)
def test_planted_edges(
    onset: float, window: float, hop: float, margin: float, expected: set[Any], tmp_path: Path
) -> None:
    rows = pack(tmp_path, [event(onset)], window_ms=window, hop_ms=hop, margin_ms=margin)
    assert edges(rows) == expected


def test_equals_the_definition_on_odd_events_from_every_format(tmp_path: Path) -> None:
    rows = odd_events(20_000, seed=5)
    source = write_jsonl(tmp_path / "events.jsonl", rows)
    report = boundary_pack(source, tmp_path / "pack.jsonl")
    expected = specified(rows, 2048, 512, 40)
    assert told(tmp_path / "pack.jsonl") == expected
    assert len({name for name, *_ in expected}) == len(expected) == report.rows > 2_000
    assert report.events == 20_000
    assert report.without_labels == sum(not row["components"] for row in rows) > 0
    for suffix in (".parquet", ".jsonl.gz", ".jsonl.zst"):
        other = tmp_path / f"events{suffix}"
        convert(source, other)
        assert boundary_pack(other, tmp_path / "other.jsonl") == report
        assert (tmp_path / "other.jsonl").read_bytes() == (tmp_path / "pack.jsonl").read_bytes()


@settings(max_examples=40)
@given(
    rows=st.lists(event_dicts, min_size=1, max_size=5),
    window=st.sampled_from((1, 33.3, 100, 2048)),
    hop=st.sampled_from((10, 23.219955, 512, 5000)),
    share=st.sampled_from((0.01, 0.5, 1)),
)
def test_equals_the_definition_for_any_setting(
    rows: list[dict[str, Any]],
    window: float,
    hop: float,
    share: float,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("pack")
    source = write_jsonl(folder / "events.jsonl", rows)
    margin = window * share
    boundary_pack(source, folder / "pack.jsonl", window_ms=window, hop_ms=hop, margin_ms=margin)
    assert told(folder / "pack.jsonl") == specified(rows, window, hop, margin)


def test_counts(tmp_path: Path) -> None:
    rows = [event(0, "a"), event(0.6, "b"), event(1.5, "b"), event(0.51, "a", "クス"), event(3, "c")]
    rows[0]["components"] += [{"label": "BD"}, {"label": "snare"}]
    rows.append({**event(0, "none"), "components": [], "negative_example": True})
    source = write_jsonl(tmp_path / "events.jsonl", rows)
    report = boundary_pack(source, tmp_path / "pack.jsonl", window_ms=500, hop_ms=500, margin_ms=20)
    assert report == BoundaryReport(
        events=6,
        without_labels=1,
        rows=4,
        edges={"leading": 4, "trailing": 0},
        labels={"leading": {"kick": 3, "snare": 1, "クス": 1}, "trailing": {}},
        repeated_ids=2,
    )
    ids = [json.loads(line)["sample_id"] for line in (tmp_path / "pack.jsonl").read_text().splitlines()]
    assert ids == ["a:leading:0", "b:leading:3:2", "a:leading:1:2", "c:leading:6"]


def test_compressed_packs_and_writing_onto_the_input(tmp_path: Path) -> None:
    source = write_jsonl(tmp_path / "events.jsonl", [event(0)])
    boundary_pack(source, tmp_path / "pack.jsonl")
    boundary_pack(source, tmp_path / "pack.jsonl.gz")
    boundary_pack(source, source)
    expected = (tmp_path / "pack.jsonl").read_bytes()
    assert gzip.decompress((tmp_path / "pack.jsonl.gz").read_bytes()) == expected == source.read_bytes()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"window_ms": 0}, "window_ms must be a number of milliseconds above 0, got 0"),
        ({"hop_ms": -1}, "hop_ms must be a number of milliseconds above 0, got -1"),
        ({"hop_ms": float("nan")}, "hop_ms must be a number of milliseconds above 0, got nan"),
        ({"margin_ms": 1e-9}, "margin_ms must be a number of milliseconds above 0"),
        ({"margin_ms": 50, "window_ms": 49}, "margin_ms 50 is longer than the window of 49 ms"),
    ],
)
def test_wrong_settings(wrong: dict[str, float], message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=message):
        pack(tmp_path, [event(0)], **wrong)


def test_errors_keep_the_old_pack(tmp_path: Path) -> None:
    out = tmp_path / "pack.jsonl"
    out.write_text("old")
    empty = write_jsonl(tmp_path / "empty.jsonl", [])
    with pytest.raises(InputError, match=r"empty\.jsonl: holds no events$"):
        boundary_pack(empty, out)
    bad = write_jsonl(tmp_path / "bad.jsonl", [event(0), event(-1)])
    with pytest.raises(InputError, match=r"bad\.jsonl:2: onset_time: Expected float >= 0\.0$"):
        boundary_pack(bad, out)
    late = write_jsonl(tmp_path / "late.jsonl", [event(1e300, "x")])
    with pytest.raises(InputError, match=r"late\.jsonl: event 'x': onset_time: 1e\+300 s is longer than any"):
        boundary_pack(late, out)
    cut = tmp_path / "cut.jsonl.gz"
    cut.write_bytes(
        gzip.compress(b"".join(json.dumps(event(k)).encode() + b"\n" for k in range(5000)))[:-900]
    )
    with pytest.raises(InputError, match=r"cut\.jsonl\.gz: the compressed file is damaged after line"):
        boundary_pack(cut, out)
    with pytest.raises(
        UsageError, match=r"a boundary pack is JSON lines, so its name cannot end in \.parquet"
    ):
        boundary_pack(bad, tmp_path / "pack.parquet")
    assert out.read_text() == "old"


def test_the_command(tmp_path: Path) -> None:
    source = write_jsonl(tmp_path / "events.jsonl", [event(0), event(2.04, "b", "sn[a]re")])
    out = tmp_path / "pack.jsonl"
    run = ["boundary-pack", "--events", str(source), "--output", str(out), "--window-ms", "2048"]
    run += ["--hop-ms", "512", "--margin-ms", "40"]
    shown = CliRunner().invoke(app, run)
    assert shown.exit_code == 0, shown.output
    assert "2 edges (1 leading, 1 trailing) of 2 events." in shown.stdout
    assert "sn[a]re        0         1" in shown.stdout
    answer = json.loads(CliRunner().invoke(app, [*run, "--json"]).stdout)
    assert answer["edges"] == {"leading": 1, "trailing": 1}
    assert answer["output"] == str(out)
