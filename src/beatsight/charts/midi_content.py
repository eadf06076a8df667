"""What a Standard MIDI file holds, before anyone says what it means: notes, tempi, signatures, pedal values.

The chart reader (:mod:`beatsight.charts.midi`) and the performance reader (``performance.py`` beside it)
both stand on this one pass over the file. Conventions: ticks are absolute and whole, channels count from 0.
Source: Standard MIDI Files 1.0 (MIDI Manufacturers Association, 1996).
"""

from __future__ import annotations

import io
import os
import re
import struct
from collections import Counter
from typing import NamedTuple

import mido

from beatsight.charts.chart import MAX_MS
from beatsight.charts.tempo_map import TempoMap
from beatsight.errors import InputError
from beatsight.files import read_bytes

DRUM_CHANNEL = 9  # "channel 10", counted from 0
# Controller 4 ("foot") carries the height of an electronic hi-hat's pedal.
HIHAT_CONTROLLER = 4
# Kept in a text event: the offset, and whether the time before it was filled with beats ("lead_in").
OFFSET_TEXT = "beatsight {}_ms={}"
OFFSET_EVENT = re.compile(r"\bbeatsight (offset|lead_in)_ms=(-?\d{1,9})\b")


class RawNote(NamedTuple):
    """A note as the file holds it; ``velocity`` 1..127."""

    tick: int
    note: int
    velocity: int
    channel: int


class Content:
    """What one pass over a file's tracks collects."""

    def __init__(self, ticks_per_quarter: int) -> None:
        self.ticks_per_quarter = ticks_per_quarter
        self.tempi: list[tuple[int, int]] = []
        self.signatures: list[tuple[int, str]] = []
        self.notes: list[RawNote] = []
        self.pedals: list[tuple[int, int, int]] = []  # tick, channel, value of controller 4
        self.skipped: Counter[str] = Counter()
        self.names: list[str] = []
        self.offset_ms = 0
        self.lead_in = False
        self.last_tick = 0

    def clock(self) -> TempoMap:
        """The file's tempo map."""
        clock = TempoMap(self.ticks_per_quarter)
        for tick, tempo in self.tempi:
            clock.add(tick, tempo)
        return clock


def _decoded(text: str) -> str:
    """Text events are bytes of no stated encoding: UTF-8 where they are valid UTF-8, else Latin-1."""
    try:
        return text.encode("latin-1").decode("utf-8")
    except UnicodeDecodeError:
        return text


def _parse(path: str | os.PathLike[str]) -> mido.MidiFile:
    data = read_bytes(path)
    if not data:
        raise InputError(f"{path}: is empty")
    if not data.startswith(b"MThd"):
        raise InputError(f"{path}: is not a MIDI file (it does not begin with MThd)")
    try:
        song = mido.MidiFile(file=io.BytesIO(data), charset="latin-1")
    except EOFError:
        raise InputError(f"{path}: the MIDI file is cut short") from None
    except (OSError, ValueError, mido.KeySignatureError) as error:
        raise InputError(f"{path}: the MIDI file is damaged: {error}") from None
    except (LookupError, TypeError, struct.error):
        # mido stumbles over an event that is shorter than its kind; its words would not help.
        raise InputError(f"{path}: the MIDI file is damaged: an event is shorter than its kind") from None
    if song.type not in (0, 1):
        raise InputError(f"{path}: is a MIDI file of type {song.type}; types 0 and 1 can be read")
    if song.ticks_per_beat <= 0:
        raise InputError(f"{path}: counts time in SMPTE frames; only ticks per quarter note can be read")
    return song


def _collect(song: mido.MidiFile, all_channels: bool) -> Content:
    content = Content(song.ticks_per_beat)
    for track in song.tracks:
        tick = 0
        for message in track:
            tick += message.time
            if message.type == "note_on" and message.velocity > 0:
                if all_channels or message.channel == DRUM_CHANNEL:
                    content.notes.append(RawNote(tick, message.note, message.velocity, message.channel))
                else:
                    content.skipped[f"channel {message.channel + 1}"] += 1
            elif message.type == "control_change" and message.control == HIHAT_CONTROLLER:
                content.pedals.append((tick, message.channel, message.value))
            elif message.type == "set_tempo":
                content.tempi.append((tick, message.tempo))
            elif message.type == "time_signature":
                content.signatures.append((tick, f"{message.numerator}/{message.denominator}"))
            elif message.type == "track_name" and message.name.strip("\0 "):
                content.names.append(_decoded(message.name).strip("\0 "))
            elif message.type == "text" and (match := OFFSET_EVENT.fullmatch(message.text)):
                content.offset_ms = int(match.group(2))
                content.lead_in = match.group(1) == "lead_in"
        content.last_tick = max(content.last_tick, tick)
    content.notes.sort()
    # Stable: of two events on one tick, the later in the file holds.
    for changes in (content.tempi, content.signatures, content.pedals):
        changes.sort(key=lambda change: change[0])
    return content


def read_content(path: str | os.PathLike[str], *, all_channels: bool = False) -> Content:
    """Read a Standard MIDI File of type 0 or 1.

    Args:
        path: the file.
        all_channels: keep the notes of every channel; else those of channel 10, the others are counted in
            ``skipped`` by channel.

    Raises:
        InputError: the file is damaged or of another kind, or holds notes but none on the drum channel.
    """
    content = _collect(_parse(path), all_channels)
    if not content.notes and content.skipped:
        listed = ", ".join(sorted(content.skipped))
        raise InputError(f"{path}: holds no notes on the drum channel (10), only on {listed}")
    if any(tempo == 0 for _, tempo in content.tempi):
        raise InputError(f"{path}: holds a tempo of 0 microseconds per quarter note")
    if content.notes and content.clock().ms(content.notes[-1].tick) > MAX_MS:
        raise InputError(f"{path}: the MIDI file is damaged: it lasts longer than 11 days")
    return content
