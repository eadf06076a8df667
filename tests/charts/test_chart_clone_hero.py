"""Clone Hero charts: the pads, the ticks, and what other programs' files say."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
from chart_strategies import charts, planted
from hypothesis import given, settings
from hypothesis import strategies as st

from beatsight.charts import Chart, HitObject, Timing, TimingPoint, read_clone_hero, write_clone_hero
from beatsight.charts.pads import LABELS, LEFT_OUT, MERGED, MOVED, PADS, Pad, assign
from beatsight.errors import InputError
from beatsight.taxonomy import CANONICAL, resolve


def independent(path: Path) -> tuple[list[tuple[float, set[int]]], list[tuple[float, int]], list[str]]:
    """Times in seconds with the notes and flags there; tempi; time signatures, read without the package."""
    sections: dict[str, list[list[str]]] = {}
    for block in re.finditer(r"\[(\w+)\]\n\{\n(.*?)^\}", path.read_text(encoding="utf-8"), re.DOTALL | re.M):
        sections[block.group(1)] = [line.split() for line in block.group(2).splitlines()]
    (resolution,) = (int(words[2]) for words in sections["Song"] if words[0] == "Resolution")
    tempi = [(int(words[0]), int(words[3])) for words in sections["SyncTrack"] if words[2] == "B"]
    assert tempi[0][0] == 0 and sections["SyncTrack"][0][0] == "0"

    def seconds(tick: int) -> float:
        total = 0.0
        for (start, tempo), (stop, _) in zip(tempi, [*tempi[1:], (tick, 0)], strict=True):
            total += (min(stop, tick) - min(start, tick)) * 60_000 / (tempo * resolution)
        return total

    notes: dict[int, set[int]] = {}
    last = 0
    for words in sections["ExpertDrums"]:
        assert words[1:3] == ["=", "N"] and words[4] == "0" and int(words[0]) >= last
        last = int(words[0])
        assert int(words[3]) not in notes.get(last, set())
        notes.setdefault(last, set()).add(int(words[3]))
    signatures = [" ".join(words) for words in sections["SyncTrack"] if words[2] == "TS"]
    return [(seconds(tick), found) for tick, found in notes.items()], tempi, signatures


def test_the_written_file_is_this_one(tmp_path) -> None:
    chart = planted(
        HitObject(0, "kick", 0.9), HitObject(0, "hihat_open", 0.8), HitObject(500, "snare", 0.2),
        HitObject(1000, "tom_low", 0.95),
    )  # fmt: skip
    chart.metadata.title = 'Say "Åh"\n'
    assert write_clone_hero(chart, tmp_path / "notes.chart") == {}
    assert (tmp_path / "notes.chart").read_text(encoding="utf-8") == (
        '[Song]\n{\n  Name = "Say \'Åh\'"\n  Artist = "Nobody"\n  Charter = "test"\n  Offset = 0\n'
        '  Resolution = 480\n  Difficulty = 2\n  MusicStream = "song.ogg"\n}\n'
        "[SyncTrack]\n{\n  0 = TS 4 2\n  0 = B 120000\n}\n[Events]\n{\n}\n"
        "[ExpertDrums]\n{\n  0 = N 0 0\n  0 = N 2 0\n  0 = N 66 0\n  480 = N 1 0\n  480 = N 40 0\n"
        "  960 = N 4 0\n  960 = N 37 0\n}\n"
    )


def test_every_label_has_a_pad_and_every_pad_a_label_of_its_own() -> None:
    assert set(PADS) == set(CANONICAL)
    assert {pad for pad, _ in PADS.values()} == set(LABELS)
    for pad, label in LABELS.items():
        assert PADS[resolve(label)][0] == pad


def test_lanes_and_flags_are_those_of_the_format(tmp_path) -> None:
    labels = ("kick", "snare", "tom_high", "tom_mid", "tom_low", "hihat_closed", "ride", "crash")
    loud = [HitObject(1000 * n, label, 1.0) for n, label in enumerate(labels)]
    soft = [HitObject(1000 * n + 500, label, 0.1) for n, label in enumerate(labels)]
    write_clone_hero(planted(*loud, *soft), tmp_path / "a.chart")
    notes, _, _ = independent(tmp_path / "a.chart")
    assert [found for _, found in notes[::2]] == [
        {0}, {1, 34}, {2, 35}, {3, 36}, {4, 37}, {2, 66, 35}, {3, 67, 36}, {4, 68, 37},
    ]  # fmt: skip
    assert [found for _, found in notes[1::2]] == [
        {0}, {1, 40}, {2, 41}, {3, 42}, {4, 43}, {2, 66, 41}, {3, 67, 42}, {4, 68, 43},
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("labels", "pads", "changed"),
    [
        ("crash tom_low", {Pad(4, True), Pad(3)}, {MOVED: 1}),
        ("hihat_closed tom_high", {Pad(2, True), Pad(3)}, {MOVED: 1}),
        ("ride tom_mid", {Pad(3, True), Pad(4)}, {MOVED: 1}),
        ("crash china", {Pad(4, True), Pad(3, True)}, {MOVED: 1}),
        ("hihat_open hihat_closed", {Pad(2, True)}, {MERGED: 1}),
        ("snare rimshot kick kick_2", {Pad(1), Pad(0)}, {MERGED: 2}),
        ("hihat_closed ride crash china tom_low", {Pad(2, True), Pad(3, True), Pad(4, True)}, {LEFT_OUT: 2}),
    ],
)
def test_collisions(labels: str, pads: set[Pad], changed: dict[str, int]) -> None:
    counts: Counter[str] = Counter()
    found = assign([HitObject(0, label, 0.5 + n / 10) for n, label in enumerate(labels.split())], counts)
    assert set(found) == pads
    assert {kind: count for kind, count in counts.items() if count} == changed


def test_every_other_kick_of_a_fast_run_is_for_the_second_pedal(tmp_path) -> None:
    fast = [HitObject(1000 + 100 * n, "kick") for n in range(5)]
    pair = [HitObject(time, "kick") for time in (3000, 3100, 4000)]
    write_clone_hero(planted(*fast, *pair), tmp_path / "a.chart")
    notes, _, _ = independent(tmp_path / "a.chart")
    assert [found for _, found in notes] == [{0}, {32}, {0}, {32}, {0}, {0}, {0}, {0}]
    assert {hit.component for hit in read_clone_hero(tmp_path / "a.chart").hit_objects} == {"kick"}


def test_tempo_and_metre_changes_stand_on_their_bars(tmp_path) -> None:
    timing = Timing(
        bpm=100.0,
        offset=600,
        time_signature="3/4",
        timing_points=[TimingPoint(time=6000, bpm=150.5, time_signature="7/8")],
    )
    write_clone_hero(planted(HitObject(6000, "kick"), timing=timing), tmp_path / "a.chart")
    notes, tempi, signatures = independent(tmp_path / "a.chart")
    # A beat of lead-in, then three bars of three quarters.
    assert signatures == ["0 = TS 1 2", "480 = TS 3 2", "4800 = TS 7 3"]
    assert tempi == [(0, 100_000), (4800, 150_500)]
    assert [time for time, _ in notes] == pytest.approx([6.0])


@settings(max_examples=60, deadline=None)
@given(chart=charts)
def test_hits_come_back_within_a_tick(chart, tmp_path_factory) -> None:
    path = tmp_path_factory.getbasetemp() / "round.chart"
    changed = write_clone_hero(chart, path)
    notes, tempi, _ = independent(path)
    # Half a tick at the slowest tempo of the file, and half a millisecond of rounding.
    near = 0.5 * 60e6 / (480 * min(tempo for _, tempo in tempi)) + 0.501
    back = read_clone_hero(path)
    assert back.skipped.keys() <= {"pads of a chart that marks no cymbals, read as toms"}
    for one, other in ((chart, back), (back, chart)):
        for hit in one.hit_objects:
            assert min((abs(hit.time - that.time) for that in other.hit_objects), default=1e9) <= near
    assert len(back.hit_objects) == len(chart.hit_objects) - changed.get(MERGED, 0) - changed.get(LEFT_OUT, 0)
    heard = [time * 1000 for time, found in notes for note in found if note in (0, 1, 2, 3, 4, 32)]
    assert sorted(hit.time for hit in back.hit_objects) == pytest.approx(sorted(heard), abs=0.501)
    assert back.timing is not None and back.timing.offset == chart.timing.offset


def one_of_a_colour(pads: set[Pad]) -> list[Pad]:
    return list({pad.colour: pad for pad in sorted(pads)}.values())


@settings(max_examples=40, deadline=None)
@given(moments=st.dictionaries(st.integers(0, 9000), st.sets(st.sampled_from(sorted(LABELS)), min_size=1)))
def test_a_chart_of_pads_survives_but_for_length_and_loudness(moments, tmp_path_factory) -> None:
    path = tmp_path_factory.getbasetemp() / "pads.chart"
    # 20 ms apart, one pad of a colour; a hi-hat, so that the file marks cymbals.
    hits = [HitObject(0, "hihat_closed")] + [
        HitObject(20 * time, LABELS[pad], velocity)
        for time, pads in moments.items()
        if time
        for velocity, pad in zip((0.8, 1.0, 0.2) * 3, one_of_a_colour(pads), strict=False)
    ]  # fmt: skip
    assert write_clone_hero(planted(*hits), path) == {}
    back = read_clone_hero(path)
    wanted = planted(*hits)
    assert [(hit.time, hit.component) for hit in back.hit_objects] == [
        (hit.time, hit.component) for hit in wanted.hit_objects
    ]
    for one, other in zip(back.hit_objects, wanted.hit_objects, strict=True):
        assert one.velocity == (0.8 if one.component == "kick" else other.velocity)


FOREIGN = """\ufeff[Song]
{{
\tName = "A"
\tOffset = {offset}
\tResolution = 192
}}
[SyncTrack]
{{
\t0 = TS 4
\t0 = B 120000
\t192 = A 500000
\t192 = B 60000
\t192 = TS 7 3
}}
[Events]
{{
\t0 = E "section intro"
}}
[ExpertSingle]
{{
\t0 = N 7 0
}}
[{track}]
{{
{notes}
}}
"""


def foreign(tmp_path: Path, notes: str, track: str = "ExpertDrums", offset: str = "0") -> Chart:
    (tmp_path / "a.chart").write_text(
        FOREIGN.format(notes=notes, track=track, offset=offset), encoding="utf-8"
    )
    return read_clone_hero(tmp_path / "a.chart")


def test_pro_drums_of_another_program(tmp_path) -> None:
    notes = (
        "0 = N 0 0\n0 = N 2 0\n0 = N 66 0\n0 = S 64 768\n96 = N 2 0\n192 = N 1 0\n192 = N 34 0\n384 = N 9 0"
    )
    chart = foreign(tmp_path, notes + "\n384 = N 32 96\n480 = E solo", track="HardDrums")
    assert [(hit.time, hit.component, hit.velocity, hit.duration) for hit in chart.hit_objects] == [
        (0, "kick", 0.8, None), (0, "hihat_closed", 0.8, None), (250, "tom_high", 0.8, None),
        (500, "snare", 1.0, None), (1500, "kick", 0.8, 500),
    ]  # fmt: skip
    assert chart.skipped == {"note 9": 1, "phrases": 1}
    assert chart.timing is not None and chart.metadata.title == "A"
    assert [(point.time, point.bpm, point.time_signature) for point in chart.timing.resolved()] == [
        (0, 120.0, "4/4"), (500, 60.0, "7/8"),
    ]  # fmt: skip


def test_five_lanes_and_pads_without_cymbals(tmp_path) -> None:
    chart = foreign(tmp_path, "\n".join(f"{96 * note} = N {note} 0" for note in range(6)))
    assert [hit.component for hit in chart.hit_objects] == [
        "kick", "snare", "hihat_closed", "tom_mid", "crash", "tom_low",
    ]  # fmt: skip
    assert chart.skipped == {}
    chart = foreign(tmp_path, "0 = N 1 0\n0 = N 2 0")
    assert [hit.component for hit in chart.hit_objects] == ["snare", "tom_high"]
    assert chart.skipped == {"pads of a chart that marks no cymbals, read as toms": 1}


def test_the_songs_offset_moves_the_hits(tmp_path) -> None:
    chart = foreign(tmp_path, "0 = N 0 0\n192 = N 1 0", offset="-0.3")
    assert [(hit.time, hit.component) for hit in chart.hit_objects] == [(200, "snare")]
    assert chart.skipped == {"notes before the audio": 1}
    assert chart.timing is not None and chart.timing.offset == -300
    assert [hit.time for hit in foreign(tmp_path, "192 = N 1 0", offset="1.5").hit_objects] == [2000]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"is not a \.chart file: it lacks the section \[Song\] or \[SyncTrack\]"),
        ("[Song]\n{\n}\n[SyncTrack]\n{\n}\n", "holds no drums; its sections: Song, SyncTrack"),
        (
            "[Song]\n{\nResolution = no\n}\n[SyncTrack]\n{\n}\n[ExpertDrums]\n{\n}",
            "Resolution is 'no', not a number",
        ),
        (
            "[Song]\n{\nResolution = 0\n}\n[SyncTrack]\n{\n}\n[ExpertDrums]\n{\n}",
            "Resolution is 0, not a number of",
        ),
        ("[Song]\n[SyncTrack]\n{\n0 = B 0\n}\n[ExpertDrums]\n", "a.chart:4: a tempo of 0"),
        ("[Song]\n[SyncTrack]\n0 = TS 4 9\n[ExpertDrums]\n", "a.chart:3: is no time signature"),
        ("[Song]\n[SyncTrack]\n[ExpertDrums]\n0 = N 1\n", "a.chart:4: '0 = N 1' lacks its 2 whole numbers"),
        ("[Song]\n[SyncTrack]\n[ExpertDrums]\nkick\n", "a.chart:4: 'kick' is not of the form"),
    ],
)
def test_a_damaged_file_is_one_sentence(tmp_path, text: str, message: str) -> None:
    (tmp_path / "a.chart").write_text(text)
    with pytest.raises(InputError, match=message):
        read_clone_hero(tmp_path / "a.chart")


def test_an_empty_chart_is_read_back_empty(tmp_path) -> None:
    chart = planted()
    chart.timing = chart.audio = None
    assert write_clone_hero(chart, tmp_path / "a.chart") == {}
    back = read_clone_hero(tmp_path / "a.chart")
    assert back.hit_objects == [] and back.skipped == {}
