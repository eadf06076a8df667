"""The page of the gate ``latency``: speed of every song against the limit, and every single run."""

from __future__ import annotations

from beatsight.gates.latency import LatencyReport, SongTiming
from beatsight.report.gates.common import Story
from beatsight.report.page import Column, Fact, Facts, Figure, Section, Table, Text
from beatsight.report.plots import Bar, bar_chart
from beatsight.report.text import Value, duration, number, plural

_SHOWN_SONGS = 40
# Room to the right of the limit, so that a song beyond it is seen to be beyond.
_HEADROOM = 1.15


def story(report: LatencyReport) -> Story:
    """Facts, bars, runs and the machine."""
    measured = report.measured
    return Story(
        title="Latency",
        question=f"Is the transcriber fast enough on this machine ({measured.machine.processor})?",
        facts=Facts(
            [
                Fact("real-time factor", number(report.rtf, 3), f"limit {report.max_rtf:g}"),
                Fact(
                    "work for one minute of sound",
                    duration(None if report.rtf is None else 60 * report.rtf),
                    "model loaded",
                ),
                Fact(
                    "first result",
                    duration(report.first_result_s),
                    f"from a cold start to the chart of {measured.excerpt_s:g} s",
                ),
                Fact("loading", f"{number(measured.load_s)} s", "imports and model, in a running program"),
            ]
        ),
        sections=[_songs(report), _first_result(report), _machine(report)],
    )


def _songs(report: LatencyReport) -> Section:
    songs = sorted(report.measured.songs, key=lambda song: -song.rtf)
    bars = [_bar(song, report.max_rtf) for song in songs[:_SHOWN_SONGS]]
    longest = max(song.rtf for song in songs)
    runs = max(len(song.runs_s) for song in songs)
    columns = [
        Column("song"), Column("length (s)", 1),
        *(Column(f"run {index} (s)", 3) for index in range(1, runs + 1)),
        Column("median (s)", 3), Column("RTF", 3), Column("hits"), Column("remark"),
    ]  # fmt: skip
    table = Table(columns, [_row(song) for song in songs])
    intro = (
        f"Seconds of work a second of sound, at the median of {plural(runs, 'run')}; "
        f"{duration(report.processing_s)} of work for {duration(report.audio_s)} of sound in all."
    )
    rest = len(songs) - len(bars)
    caption = "Shorter is faster." + (f" The {rest} fastest songs are in the table only." if rest else "")
    chart = bar_chart(
        "Real-time factor of each song",
        bars,
        "real-time factor (s/s)",
        high=_HEADROOM * max(longest, report.max_rtf),
        reference=(report.max_rtf, f"limit {report.max_rtf:g}"),
    )
    return Section("Songs, slowest first", [Figure(chart, caption, table)], intro)


def _bar(song: SongTiming, limit: float) -> Bar:
    name = f"{song.path} (silent)" if song.silent else song.path
    slow = song.rtf > limit
    return Bar(
        name,
        song.rtf,
        number(song.rtf, 3) + (" too slow" if slow else ""),
        "series-b" if slow else "series-a",
    )


def _row(song: SongTiming) -> tuple[Value, ...]:
    remark = "silent, not judged" if song.silent else "" if song.hits else "no hit found"
    return (song.path, song.duration_s, *song.runs_s, song.median_s, song.rtf, song.hits, remark)


def _first_result(report: LatencyReport) -> Section:
    runs = report.measured.first_results_s
    rows: list[tuple[Value, ...]] = [(str(index), seconds) for index, seconds in enumerate(runs, start=1)]
    return Section(
        "First result",
        [Table([Column("run"), Column("seconds", 2)], rows, footer=("median", report.first_result_s))],
        f"Each run starts the program anew, loads the model, and ends with the chart of the first "
        f"{report.measured.excerpt_s:g} s of the first song. The first run may be slower: its files may "
        "not have been in memory.",
    )


def _machine(report: LatencyReport) -> Section:
    machine = report.measured.machine
    rows: list[tuple[Value, ...]] = [
        ("processor", machine.processor),
        ("cores this program may use", str(machine.cores)),
        ("the model runs on", machine.device),
        ("system", machine.system),
        ("Python", machine.python),
        ("torch", machine.torch or "not used"),
        ("recogniser", report.measured.recogniser),
    ]
    return Section(
        "Machine", [Table([Column(""), Column("")], rows), Text("The verdict holds for this machine only.")]
    )
