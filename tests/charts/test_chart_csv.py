"""Tables of hits: what is written, what may be read, and faults by file and line."""

from __future__ import annotations

import re

import pytest
from chart_strategies import charts, planted
from hypothesis import given, settings

from beatsight.charts import HitObject, read_csv, write_csv
from beatsight.errors import InputError
from beatsight.taxonomy import resolve


def test_the_written_table_is_this_one(tmp_path) -> None:
    write_csv(planted(HitObject(1500, "ride", 1 / 3), HitObject(0, "Kick Drum", 1.0)), tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_bytes() == (
        b"time_s,label,velocity,lane\n0.000,kick,1,0\n1.500,ride_bow,0.3333,6\n"
    )
    write_csv(planted(HitObject(0, "crash", duration=0), HitObject(9, "kick")), tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_text() == (
        "time_s,label,velocity,lane,duration_ms\n0.000,crash,0.8,6,0\n0.009,kick,0.8,0,\n"
    )


@settings(max_examples=50, deadline=None)
@given(chart=charts)
def test_hits_survive(chart, tmp_path_factory) -> None:
    path = tmp_path_factory.getbasetemp() / "round.csv"
    write_csv(chart, path)
    back = read_csv(path)
    assert back.timing is None and back.audio is None and back.skipped == {}
    assert back.metadata.title == "round"
    before, after = (
        sorted((hit.time, hit.lane, resolve(hit.component), hit.duration or 0, hit.velocity) for hit in one)
        for one in (chart.hit_objects, back.hit_objects)
    )
    assert [hit[:4] for hit in after] == [hit[:4] for hit in before]
    assert [hit[4] for hit in after] == pytest.approx([hit[4] for hit in before], abs=1e-4)


@pytest.mark.parametrize(
    "text",
    [
        "0.5,kick\n1.25,snare,0.25\n",
        "time,label\n0.5,kick\n1.25,snare\n",
        "\ufefftime_s;label;velocity\r\n0.5;kick;\r\n\r\n1.25; Snare ;0.25\r\n",
        "Onset\tComponent\n0.5\tkick\n1.25\tsd\n",
        "label,velocity,time\nkick,1,0.5\nsnare,1,1.25",
        '"0.5","kick"\n"1.25","snare"\n',
    ],
)
def test_tables_of_other_programs_are_read(tmp_path, text: str) -> None:
    (tmp_path / "a.csv").write_text(text, encoding="utf-8", newline="")
    hits = read_csv(tmp_path / "a.csv").hit_objects
    assert [(hit.time, resolve(hit.component)) for hit in hits] == [(500, "kick"), (1250, "snare")]


def test_missing_velocities_are_the_default_and_lanes_those_of_the_label(tmp_path) -> None:
    (tmp_path / "a.csv").write_text("time_s,label,velocity,lane\n0,kick,,\n1,snare,0.5,6\n")
    assert [(hit.velocity, hit.lane) for hit in read_csv(tmp_path / "a.csv").hit_objects] == [
        (0.8, 0),
        (0.5, 6),
    ]


def test_columns_that_are_not_known_are_counted(tmp_path) -> None:
    (tmp_path / "a.csv").write_text("time,label,bar\n0,kick,1\n1,kick,\n2,kick,3,more\n")
    assert read_csv(tmp_path / "a.csv").skipped == {"column bar": 2, "column number 4": 1}


def test_a_header_alone_is_an_empty_chart(tmp_path) -> None:
    (tmp_path / "a.csv").write_text("time_s,label\n")
    assert read_csv(tmp_path / "a.csv").hit_objects == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", ": is empty"),
        ("\n \n", ": is empty"),
        ("time,label\n0.5,kick\nx,kick\n", ":3: time_s: 'x' is not a number"),
        ("0.5,kick\nnan,kick\n", ":2: a hit's time is nan, not a finite number"),
        ("0.5,kick\n-1,kick\n", ":2: a hit's time is -1 s, before the audio begins"),
        ("0.5,kick\n1,kik\n", ":2: unknown drum label 'kik'; did you mean 'kick'?"),
        ("0.5,kick,2\n", ":1: the hit at 500 ms has velocity 2.0, outside 0..1"),
        ("0.5,kick,loud\n", ":1: velocity: 'loud' is not a number"),
        ("0.5,kick,1,-1\n", ":1: lane: '-1' is not a whole number"),
        ("0.5,kick,1,0,9999999999\n", ":1: duration_ms: '9999999999' is not a whole number"),
        ("0.5\n", ":1: label: is missing"),
        ("time,label\n,kick\n", ":2: time_s: is missing"),
        ("when,label\n0,kick\n", ":1: the header names no column 'time_s'; it holds: when, label"),
        ("1e300,kick\n", ":1: a hit's time is 1"),
        ('0,kick\n0,"' + "k" * 200_000 + '"\n', ":2: is not a table: field larger than field limit"),
    ],
)
def test_a_fault_names_file_and_line(tmp_path, text: str, message: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=rf"^{re.escape(f'{path}{message}')}"):
        read_csv(path)


def test_a_file_that_is_no_text_is_refused(tmp_path) -> None:
    (tmp_path / "a.csv").write_bytes(b"time,label\n0,\xff\xfe\n")
    with pytest.raises(InputError, match=r"a\.csv: is not UTF-8 text"):
        read_csv(tmp_path / "a.csv")
