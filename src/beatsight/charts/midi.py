"""Standard MIDI files as charts: drum channel 10, General MIDI keys, a real tempo map.

Reading: type 0 or 1; the drum notes of all tracks together; velocities / 127; times from the file's own tempo
map, rounded to the millisecond. Other notes are counted in ``Chart.skipped``, never dropped in silence. Note
lengths mean nothing for drums and are not read. Writing: type 1, one conductor and one drum track, at a
resolution that keeps every onset on its millisecond. MIDI holds no audio, artist or lane: a chart that is
read has ``audio`` None and the lanes of its labels; a label without a key of its own comes back as another.
Source: Standard MIDI Files 1.0 (MIDI Manufacturers Association, 1996).

Bars: a MIDI file begins on a bar line, a recording does not. Where the first bar lies at an ``offset``, the
time before it is written as whole beats, a little faster or slower, and a text event keeps the offset itself.
"""

from __future__ import annotations

import io
import os
from pathlib import Path

import mido

from beatsight.charts.build import bare_chart
from beatsight.charts.chart import Chart, HitObject, Timing, check_numbers
from beatsight.charts.midi_content import DRUM_CHANNEL, OFFSET_TEXT, Content, read_content
from beatsight.charts.tempo_map import (
    Stretch,
    TempoMap,
    bpm_of,
    place,
    resolution,
    signature_parts,
    tempo_stretches,
    timing_of,
)
from beatsight.errors import InputError
from beatsight.files import write_bytes
from beatsight.taxonomy import from_note, to_note

# The largest delta time of the format; a later tick could not be written.
_MAX_TICK = 0x0FFFFFFF
_NOTE_MS = 50.0


def _read_timing(content: Content, clock: TempoMap) -> Timing:
    tempi = [(tick, bpm_of(tempo)) for tick, tempo in content.tempi]
    return timing_of(
        tempi, content.signatures, clock, offset_ms=content.offset_ms, lead_in=content.lead_in, start_ms=0.0
    )


def read_midi(path: str | os.PathLike[str], device: str = "gm") -> Chart:
    """Read the drums of a MIDI file.

    Args:
        path: a Standard MIDI File of type 0 or 1.
        device: whose keys they are, ``gm`` or ``roland``; see :func:`beatsight.taxonomy.from_note`.

    Returns:
        A chart with ``audio`` None, the first track name (or the file's) as title, and in ``skipped`` the
        count of notes on keys without a label (``note 3``) and on other channels (``channel 1``).

    Raises:
        InputError: the file is damaged or of another kind, holds notes but no drums; the device is unknown.
    """
    from_note(0, device)  # an unknown device is refused before the file is looked at
    content = read_content(path)
    clock = content.clock()
    timing = _read_timing(content, clock)
    hits = []
    for tick, note, velocity, _ in content.notes:
        label = from_note(note, device)
        if label is None:
            content.skipped[f"note {note}"] += 1
        else:
            hits.append(HitObject(round(clock.ms(tick)), label, velocity / 127))
    title = content.names[0] if content.names else Path(path).stem
    return bare_chart(path, hits, title=title, timing=timing, skipped=dict(content.skipped))


def _track(events: list[tuple[int, mido.Message | mido.MetaMessage]]) -> mido.MidiTrack:
    track, last = mido.MidiTrack(), 0
    for tick, message in events:
        track.append(message.copy(time=tick - last))
        last = tick
    return track


def _conductor(
    stretches: list[Stretch], clock: TempoMap, path: str | os.PathLike[str]
) -> list[tuple[int, mido.MetaMessage]]:
    """Tempo and time signature events; the tempi are added to the clock on the way."""
    events: list[tuple[int, mido.MetaMessage]] = []
    last_tempo, last_signature = 0.0, ""
    for tick, tempo, signature in place(stretches, clock, round):
        if signature != last_signature:
            numerator, denominator = signature_parts(signature, path)
            events.append(
                (tick, mido.MetaMessage("time_signature", numerator=numerator, denominator=denominator))
            )
        if tempo != last_tempo:
            events.append((tick, mido.MetaMessage("set_tempo", tempo=round(tempo))))
        last_tempo, last_signature = tempo, signature
    return events


def _drums(chart: Chart, clock: TempoMap) -> mido.MidiTrack:
    by_note: dict[int, list[tuple[int, int, HitObject]]] = {}
    for hit in sorted(chart.hit_objects, key=lambda hit: hit.order):
        length = hit.duration or _NOTE_MS
        on, off = clock.tick(hit.time), clock.tick(hit.time + length)
        by_note.setdefault(to_note(hit.component), []).append((on, max(off, on + 1), hit))
    # At one tick, the end of a note stands before the next beginning.
    events: list[tuple[int, int, int, int]] = []
    for note, hits in by_note.items():
        starts = sorted({on for on, _, _ in hits})
        following = dict(zip(starts, [*starts[1:], _MAX_TICK], strict=True))
        for on, off, hit in hits:
            events.append((on, 1, note, min(127, max(1, round(hit.velocity * 127)))))
            events.append((min(off, following[on]), 0, note, 0))
    messages = [(0, mido.MetaMessage("track_name", name=chart.metadata.title))]
    for tick, is_on, note, velocity in sorted(events):
        kind = "note_on" if is_on else "note_off"
        messages.append((tick, mido.Message(kind, channel=DRUM_CHANNEL, note=note, velocity=velocity)))
    return _track(messages)


def write_midi(chart: Chart, path: str | os.PathLike[str]) -> None:
    """Write a chart as a MIDI file: General MIDI drum keys, tempo map, time signatures, title as track name.

    Onsets come back on the same millisecond, velocities within 1/127 (0 becomes 1/127: MIDI has no silent
    note). ``duration`` sets a note's length; without it, a note lasts 50 ms or until the next of its key.

    Raises:
        InputError: a tempo, time signature or time that MIDI cannot hold, or an unwritable path.
    """
    check_numbers(chart, path)
    stretches, has_lead_in = tempo_stretches(chart.timing, path) if chart.timing else ([], False)
    clock = TempoMap(resolution(stretches))
    head = [(0, mido.MetaMessage("track_name", name=chart.metadata.title))]
    if chart.timing and chart.timing.offset:
        text = OFFSET_TEXT.format("lead_in" if has_lead_in else "offset", chart.timing.offset)
        head.append((0, mido.MetaMessage("text", text=text)))
    conductor = head + _conductor(stretches, clock, path)
    last_ms = max(
        [hit.time + (hit.duration or _NOTE_MS) for hit in chart.hit_objects]
        + [time for time, _, _ in stretches],
        default=0.0,
    )
    if clock.tick(last_ms) >= _MAX_TICK:
        raise InputError(f"{path}: holds a time of {last_ms / 1000:g} s, too late for a MIDI file")
    song = mido.MidiFile(type=1, ticks_per_beat=clock.ticks_per_quarter, charset="utf-8")
    song.tracks += [_track(conductor), _drums(chart, clock)]
    out = io.BytesIO()
    song.save(file=out)
    write_bytes(path, out.getvalue())
