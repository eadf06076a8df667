"""The page of a transcribed song: hear it with the found hits clicked over it, see them, read the numbers.

:func:`song_page` is a page of its own, :func:`song_section` the same song as a section of another page. Times
in seconds, scores 0..1.
"""

from __future__ import annotations

import os
from collections import Counter

import numpy as np

from beatsight.charts import Chart
from beatsight.report.listening import Listening, axis, clock, grid, lane, wave
from beatsight.report.page import Column, Fact, Facts, Notes, Page, Part, Section, Table, write_page
from beatsight.report.palette import family
from beatsight.report.song_data import HeardSong, heard_song
from beatsight.report.song_sound import compressed
from beatsight.report.text import UNKNOWN, duration, number, plural

# A stretch that lacks less than this is the whole song: a rounded length.
_WHOLE_S = 0.5


def write_song_page(path: str | os.PathLike[str], chart: Chart, output: str | os.PathLike[str]) -> None:
    """Write the page of a song that was transcribed.

    Args:
        path: the audio that the chart is of.
        chart: what was found.
        output: the HTML file.

    Raises:
        InputError: the audio cannot be read or the page not be written.
    """
    write_page(song_page(heard_song(path, chart)), output)


def song_page(song: HeardSong) -> Page:
    """The page of a song, to be rendered or written by :mod:`beatsight.report.page`."""
    by = f"Drums found by {song.by}" if song.by else "Drums found"
    return Page(
        title=song.title,
        subtitle=f"{by}, in {duration(song.length_s)} of audio",
        facts=_facts(song),
        notes=_notes(song),
        sections=(song_section(song, "Heard and seen"), _numbers(song)),
    )


def song_section(song: HeardSong, title: str, intro: str = "") -> Section:
    """Player and lanes of a song, as a section.

    Raises:
        UsageError: the audio is empty, not mono or not finite.
    """
    return Section(title, (_listening(song),), intro or _intro(song))


def _within(song: HeardSong, time_s: float) -> bool:
    return song.start_s <= time_s < song.end_s


def _listening(song: HeardSong) -> Listening:
    sound = compressed(song.audio, song.sample_rate)
    seconds, lanes, turns = song.end_s - song.start_s, [], Counter[str]()
    for label in song.labels:
        found = [hit for hit in song.found if hit.label == label and _within(song, hit.time_s)]
        missed = [
            hit
            for hit in song.true or ()
            if hit.label == label and not hit.matched and _within(song, hit.time_s)
        ]
        lanes.append(lane(label, turns[family(label)], found, missed, song.start_s, seconds))
        turns[family(label)] += 1
    return Listening(
        title=song.title,
        seconds=seconds,
        start_s=song.start_s,
        sound=sound,
        lanes=lanes,
        wave=wave(song.audio, song.sample_rate),
        axis=axis(song.start_s, seconds, song.bars_s),
        grid=grid(song.start_s, seconds, song.beats_s, song.bars_s),
        verdicts=song.true is not None,
        caption="A bar is a hit, higher when louder; lines are the beats found, strong ones begin a bar. "
        "Point at a hit for its time.",
    )


def _stretch(song: HeardSong) -> str:
    if song.length_s - (song.end_s - song.start_s) < _WHOLE_S:
        return "The whole song"
    length_s = song.end_s - song.start_s
    return f"The {duration(length_s)} with the most hits, {clock(song.start_s)} to {clock(song.end_s)}"


def _intro(song: HeardSong) -> str:
    inside = sum(_within(song, hit.time_s) for hit in song.found)
    return (
        f"{_stretch(song)}: {plural(inside, 'hit')}, each clicked in a tone of its class, louder when struck "
        "harder."
    )


def _facts(song: HeardSong) -> Facts:
    facts = [Fact("Hits found", f"{len(song.found):,}", f"in {duration(song.length_s)}")]
    if song.scores is not None:
        total = song.scores.total
        facts += [
            Fact("F-measure", number(total.f1, 3), f"within {song.tolerance_s * 1000:g} ms"),
            Fact("Precision", number(total.precision, 3), "found hits that are right"),
            Fact("Recall", number(total.recall, 3), "true hits that are found"),
            Fact("Median error", _signed(song.scores.median_error_ms), "later than the truth when above 0"),
        ]
    tempo = UNKNOWN if song.tempo_bpm is None else f"{song.tempo_bpm:.1f} bpm"
    facts += [Fact("Tempo", tempo, "at the beginning"), Fact("Meter", song.meter or UNKNOWN)]
    return Facts(facts)


def _signed(milliseconds: float | None) -> str:
    return UNKNOWN if milliseconds is None else f"{milliseconds:+.1f} ms"


def _notes(song: HeardSong) -> Notes | None:
    """What is not in the page though it is in the song."""
    whole = song.length_s - (song.end_s - song.start_s) < _WHOLE_S
    if whole:
        return None
    return Notes(
        [
            f"This page holds {duration(song.end_s - song.start_s)} of {duration(song.length_s)}, "
            f"{clock(song.start_s)} to {clock(song.end_s)}: the part with the most hits, so that it "
            "stays small. The numbers are of the whole song."
        ]
    )


def _numbers(song: HeardSong) -> Section:
    if not song.labels:
        return Section("Hits per class", (), "No hit was found.")
    if song.scores is not None:
        return Section("Hits per class", (_score_table(song),), _matching(song))
    columns = (
        Column("label"),
        Column("hits"),
        Column("per minute", 1),
        Column("median velocity", 2, bar=True),
    )
    rows = []
    for label in song.labels:
        velocities = [hit.velocity for hit in song.found if hit.label == label]
        known = [velocity for velocity in velocities if velocity is not None]
        per_minute = 60 * len(velocities) / song.length_s if song.length_s else None
        rows.append((label, len(velocities), per_minute, float(np.median(known)) if known else None))
    return Section("Hits per class", (Table(columns, rows),))


def _matching(song: HeardSong) -> str:
    return (
        f"A found hit is right when a true hit of the same class lies within {song.tolerance_s * 1000:g} ms, "
        "each true hit counted once. The error is the median over right hits, above 0 when they were found "
        "late."
    )


def _score_table(song: HeardSong) -> Part:
    assert song.scores is not None
    scores = song.scores
    columns = (
        Column("label"), Column("F", 3, bar=True), Column("precision", 3), Column("recall", 3),
        Column("right"), Column("false"), Column("missed"), Column("error (ms)", 1),
    )  # fmt: skip
    rows = [
        (label, counts.f1, counts.precision, counts.recall, counts.tp, counts.fp, counts.fn,
         scores.label_median_error_ms(label))
        for label, counts in scores.counts.items()
    ]  # fmt: skip
    total = scores.total
    footer = (
        "all",
        total.f1,
        total.precision,
        total.recall,
        total.tp,
        total.fp,
        total.fn,
        scores.median_error_ms,
    )
    return Table(columns, rows, footer=footer)
