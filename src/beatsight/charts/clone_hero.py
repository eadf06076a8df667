"""Clone Hero charts, ``.chart``: a song's tempo map and its drums as pro-drums notes, for rhythm games.

Written: the sections Song, SyncTrack (time signatures and tempi), Events and ExpertDrums, at 480 ticks a
quarter note, times from the start of the audio; the time before the first bar is filled with beats as in MIDI
files, and an event keeps the offset. Drums go to the pads of :mod:`beatsight.charts.pads`; a soft hit carries
the ghost flag, a loud one the accent flag; in a run of fast kicks every other one is a second-pedal kick.
Read: ExpertDrums or the hardest drums there are, pro or five-lane. Not held: lengths, exact velocities, and
which cymbal it was.

A game looks for the name ``notes.chart`` in a folder of its own beside the audio (``song.ogg``, or the name
in MusicStream). No ``song.ini`` is written: where there is none, title and artist come from the Song section,
and the cymbal flags tell that these are pro drums.
Source: the .chart pages of TheNathannator's GuitarGame_ChartFormats. The format has no escape for quotation
marks: they are written as apostrophes.
"""

from __future__ import annotations

import os
from collections import Counter

from beatsight.charts.chart import ACCENT_FROM, GHOST_BELOW, Chart, HitObject, check_numbers
from beatsight.charts.midi_content import OFFSET_TEXT
from beatsight.charts.pads import BLUE, GREEN, KICK, RED, YELLOW, Pad, assign
from beatsight.charts.tempo_map import TempoMap, place, signature_parts, tempo_stretches
from beatsight.files import write_text

RESOLUTION = 480  # ticks a quarter note; 1 ms at 125 bpm
SECOND_KICK = 32
CYMBAL_FLAGS = {YELLOW: 66, BLUE: 67, GREEN: 68}
ACCENT_FLAGS = {RED: 34, YELLOW: 35, BLUE: 36, GREEN: 37}
GHOST_FLAGS = {RED: 40, YELLOW: 41, BLUE: 42, GREEN: 43}
# Charters give kicks to the second pedal above five to six a second, once there are more than a foot can
# double.
_FAST_KICKS_MS = 1000 / 6
_KICKS_OF_A_RUN = 4
# Difficulties are 0..10 in a chart and 0..6 in the game's menu.
_TOP_DIFFICULTY = 6


def milli_bpm(us_per_quarter: float) -> int:
    """A tempo as the format holds it, in thousandths of a quarter note a minute."""
    return round(60e9 / us_per_quarter)


def _quoted(text: str) -> str:
    plain = "".join(letter if letter.isprintable() else " " for letter in text).replace('"', "'")
    return f'"{plain.strip()}"'


def _song(chart: Chart) -> list[str]:
    metadata = chart.metadata
    lines = [
        f"Name = {_quoted(metadata.title)}",
        f"Artist = {_quoted(metadata.artist)}",
        f"Charter = {_quoted(metadata.creator)}",
        "Offset = 0",
        f"Resolution = {RESOLUTION}",
        f"Difficulty = {round(metadata.difficulty * _TOP_DIFFICULTY / 10)}",
    ]
    if metadata.preview_time is not None:
        lines.append(f"PreviewStart = {metadata.preview_time / 1000:.3f}")
    if chart.audio:
        lines.append(f"MusicStream = {_quoted(chart.audio.filename)}")
    return lines


def _sync_track(chart: Chart, clock: TempoMap, path: str | os.PathLike[str]) -> tuple[list[str], bool]:
    """Time signatures and tempi; the clock is filled on the way. And whether beats fill the time before."""
    stretches, has_lead_in = (
        tempo_stretches(chart.timing, path) if chart.timing else ([(0.0, 500_000.0, "4/4")], False)
    )
    lines = []
    last = (0, "")
    for tick, tempo, signature in place(stretches, clock, lambda us: 60e9 / milli_bpm(us)):
        if signature != last[1]:
            numerator, denominator = signature_parts(signature, path)
            lines.append(f"{tick} = TS {numerator} {denominator.bit_length() - 1}")
        if milli_bpm(tempo) != last[0]:
            lines.append(f"{tick} = B {milli_bpm(tempo)}")
        last = milli_bpm(tempo), signature
    return lines, has_lead_in


def _second_kicks(ticks: list[int], clock: TempoMap) -> set[int]:
    """Every other kick of each run of fast ones."""
    found: set[int] = set()
    run: list[int] = []
    for tick in [*ticks, None]:
        if tick is not None and run and clock.ms(tick) - clock.ms(run[-1]) < _FAST_KICKS_MS:
            run.append(tick)
            continue
        if len(run) >= _KICKS_OF_A_RUN:
            found.update(run[1::2])
        run = [tick] if tick is not None else []
    return found


def _flags(pad: Pad, velocity: float) -> list[int]:
    flags = [CYMBAL_FLAGS[pad.colour]] if pad.is_cymbal else []
    if pad.colour == KICK:
        return flags
    if velocity >= ACCENT_FROM:
        flags.append(ACCENT_FLAGS[pad.colour])
    elif velocity < GHOST_BELOW:
        flags.append(GHOST_FLAGS[pad.colour])
    return flags


def _drums(chart: Chart, clock: TempoMap, changed: Counter[str]) -> list[str]:
    moments: dict[int, list[HitObject]] = {}
    for hit in sorted(chart.hit_objects, key=lambda hit: hit.order):
        moments.setdefault(clock.tick(hit.time), []).append(hit)
    played = {tick: assign(hits, changed) for tick, hits in sorted(moments.items())}
    second = _second_kicks([tick for tick, pads in played.items() if Pad(KICK) in pads], clock)
    lines = []
    for tick, pads in played.items():
        notes = []
        for pad, velocity in pads.items():
            note = SECOND_KICK if pad.colour == KICK and tick in second else pad.colour
            notes += [note, *_flags(pad, velocity)]
        lines += [f"{tick} = N {note} 0" for note in sorted(notes)]
    return lines


def write_clone_hero(chart: Chart, path: str | os.PathLike[str]) -> dict[str, int]:
    """Write a chart for Clone Hero and its kin in one step; the same chart gives the same bytes.

    Returns:
        What the pads could not hold as it was, by kind, with counts; empty when nothing was moved or merged.

    Raises:
        InputError: a velocity out of range, a tempo or time signature the format cannot hold, or an
        unwritable
            path.
    """
    check_numbers(chart, path)
    clock = TempoMap(RESOLUTION)
    sync_track, has_lead_in = _sync_track(chart, clock, path)
    events = []
    if chart.timing and chart.timing.offset:
        text = OFFSET_TEXT.format("lead_in" if has_lead_in else "offset", chart.timing.offset)
        events.append(f"0 = E {_quoted(text)}")
    changed: Counter[str] = Counter()
    sections = {
        "Song": _song(chart),
        "SyncTrack": sync_track,
        "Events": events,
        "ExpertDrums": _drums(chart, clock, changed),
    }
    blocks = [
        "\n".join([f"[{name}]", "{", *(f"  {line}" for line in lines), "}"])
        for name, lines in sections.items()
    ]
    write_text(path, "\n".join(blocks) + "\n")
    return dict(changed)
