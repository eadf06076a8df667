"""A MIDI file as it was played: exact times, velocities, hi-hat pedal, tempo and place in the bar of a note.

:func:`beatsight.charts.read_midi` makes a playable chart of a file (milliseconds, labels); this keeps what
training data needs. Keys are not yet drums here: which drum a key is depends on the device.

Conventions: times in seconds from the file's own tempo map, not rounded; tempo in quarter notes per minute;
bars and beats count from 0, a beat being one unit of the time signature's lower number. Bars begin at tick 0
and anew where the time signature changes (a bar cut short by a change counts as one); where a file says where
the first bar of its music lies (see :mod:`beatsight.charts.midi`), the bars before have negative numbers.

The hi-hat's height (controller 4) belongs to a hit by time: the last value at or before the hit's tick on its
channel. A value on the very same tick counts even where it stands after the note, as some modules send it.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from beatsight.charts.midi_content import Content, read_content
from beatsight.charts.tempo_map import DEFAULT_US_PER_QUARTER, bpm_of
from beatsight.errors import InputError

_DEFAULT_METER = "4/4"


@dataclass(frozen=True)
class Note:
    """One note as played.

    Attributes:
        time_s: from the file's start, exact from the tempo map.
        note: MIDI key, 0..127.
        velocity: 1..127.
        channel: 0..15; drums are usually on 9.
        cc4: the hi-hat controller's value that the hit belongs to, 0..127 as the device sent it; None before
            the first one. It says nothing of a drum that is no hi-hat.
        bpm: tempo in force, in quarter notes per minute.
        meter: time signature in force.
        bar: bar of the note.
        beat: place in the bar, 0 up to the upper number of the time signature, with its fraction.
    """

    time_s: float
    note: int
    velocity: int
    channel: int
    cc4: int | None
    bpm: float
    meter: str
    bar: int
    beat: float


@dataclass(frozen=True)
class Performance:
    """The notes of a file in order of time, then key and velocity.

    Attributes:
        notes: all of them.
        skipped: notes on other channels, as ``{"channel 1": 12}``.
        title: name of the first named track, else of the file.
        duration_s: until the last event of any track.
        has_tempo: whether the file states a tempo; else MIDI's default of 120 is given.
        has_meter: whether it states a time signature; else MIDI's default of 4/4 is given.
    """

    notes: tuple[Note, ...]
    skipped: dict[str, int]
    title: str
    duration_s: float
    has_tempo: bool
    has_meter: bool


class _Bars:
    """Bar and beat of every tick."""

    def __init__(self, content: Content, path: str | os.PathLike[str]) -> None:
        self._quarter = content.ticks_per_quarter
        self._ticks = [0]
        self._meters = [_DEFAULT_METER]
        self._first_bar = [0]
        for tick, meter in content.signatures:
            if int(meter.partition("/")[0]) == 0:
                raise InputError(f"{path}: holds a time signature of {meter}")
            if tick == self._ticks[-1]:
                self._meters[-1] = meter
            elif meter != self._meters[-1]:
                bar, beat = self.place(tick)
                self._first_bar.append(bar + (beat > 0))
                self._ticks.append(tick)
                self._meters.append(meter)
        if content.lead_in:
            origin, _ = self.place(content.clock().tick(content.offset_ms))
            self._first_bar = [bar - origin for bar in self._first_bar]

    def meter(self, tick: int) -> str:
        return self._meters[bisect_right(self._ticks, tick) - 1]

    def place(self, tick: int) -> tuple[int, float]:
        at = bisect_right(self._ticks, tick) - 1
        beats, unit = (int(part) for part in self._meters[at].split("/"))
        # In units of 1 / (unit × ticks per quarter) everything is whole, so that no beat is a hair short.
        bars, rest = divmod((tick - self._ticks[at]) * unit, beats * 4 * self._quarter)
        return self._first_bar[at] + bars, rest / (4 * self._quarter)


class _Pedal:
    """The last value of controller 4 at or before a tick, by channel."""

    def __init__(self, content: Content) -> None:
        self._ticks: dict[int, list[int]] = {}
        self._values: dict[int, list[int]] = {}
        for tick, channel, value in content.pedals:
            self._ticks.setdefault(channel, []).append(tick)
            self._values.setdefault(channel, []).append(value)

    def at(self, tick: int, channel: int) -> int | None:
        found = bisect_right(self._ticks.get(channel, []), tick)
        return self._values[channel][found - 1] if found else None


def read_performance(
    path: str | os.PathLike[str], *, channels: Literal["drums", "all"] = "drums"
) -> Performance:
    """Read the notes of a MIDI file as they were played.

    Args:
        path: a Standard MIDI File of type 0 or 1.
        channels: ``drums`` for the notes of channel 10, ``all`` for a file that holds nothing but drums.

    Raises:
        InputError: the file is damaged or of another kind, or holds notes but none on the drum channel.
    """
    content = read_content(path, all_channels=channels == "all")
    clock, bars, pedal = content.clock(), _Bars(content, path), _Pedal(content)
    tempo_ticks = [tick for tick, _ in content.tempi]
    notes = []
    for tick, note, velocity, channel in content.notes:
        changes = bisect_right(tempo_ticks, tick)
        bar, beat = bars.place(tick)
        notes.append(
            Note(
                time_s=clock.ms(tick) / 1000,
                note=note,
                velocity=velocity,
                channel=channel,
                cc4=pedal.at(tick, channel),
                bpm=bpm_of(content.tempi[changes - 1][1] if changes else DEFAULT_US_PER_QUARTER),
                meter=bars.meter(tick),
                bar=bar,
                beat=beat,
            )
        )
    return Performance(
        notes=tuple(notes),
        skipped=dict(content.skipped),
        title=content.names[0] if content.names else Path(path).stem,
        duration_s=clock.ms(content.last_tick) / 1000,
        has_tempo=bool(content.tempi),
        has_meter=bool(content.signatures),
    )
