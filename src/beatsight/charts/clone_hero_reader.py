"""Reading Clone Hero charts; what the format is stands in :mod:`beatsight.charts.clone_hero`.

The drums of ExpertDrums are read, or of the hardest difficulty that there is. Notes with cymbal flags make
pro drums; without any, a green fifth lane makes it five lanes (red, yellow cymbal, blue tom, orange cymbal,
green tom). Where neither tells, pads are toms, as the format says, and those that may have been meant as
cymbals are counted in ``Chart.skipped``. An accent is read as velocity 1, a ghost as 0.2, any other note as
the default. Lines are read leniently where the games do: sections in any order, unknown ones passed over; a
line that is not understood inside a section that is read is an error.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from beatsight.charts.build import bare_chart
from beatsight.charts.chart import DEFAULT_VELOCITY, MAX_MS, Chart, HitObject, Timing
from beatsight.charts.clone_hero import ACCENT_FLAGS, CYMBAL_FLAGS, GHOST_FLAGS, SECOND_KICK
from beatsight.charts.midi_content import OFFSET_EVENT
from beatsight.charts.pads import BLUE, GREEN, KICK, LABELS, RED, YELLOW, Pad
from beatsight.charts.tempo_map import TempoMap, timing_of
from beatsight.errors import InputError
from beatsight.files import read_text

_DIFFICULTIES = ("Expert", "Hard", "Medium", "Easy")
_DEFAULT_RESOLUTION = 192
_FIFTH_LANE = 5
_FIVE_LANES = {
    KICK: Pad(KICK), RED: Pad(RED), YELLOW: Pad(YELLOW, True), BLUE: Pad(BLUE), GREEN: Pad(GREEN, True),
    _FIFTH_LANE: Pad(GREEN),
}  # fmt: skip
_GHOST = 0.2
_NOT_CYMBAL = "pads of a chart that marks no cymbals, read as toms"

_TRACK = re.compile(r"^(\d{1,9}) *= *([A-Z]+) *(.*)$")
_NUMBERS = re.compile(r"^\d{1,9}( +\d{1,9})*$")


class _Line(NamedTuple):
    number: int
    text: str


class _Event(NamedTuple):
    tick: int
    kind: str
    numbers: tuple[int, ...]
    where: str


def _sections(path: str | os.PathLike[str]) -> dict[str, list[_Line]]:
    sections: dict[str, list[_Line]] = {}
    name = None
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        text = line.strip()
        if text.startswith("[") and text.endswith("]"):
            name = text[1:-1]
            sections.setdefault(name, [])
        elif name and text not in ("", "{", "}"):
            sections[name].append(_Line(number, text))
    if "Song" not in sections or "SyncTrack" not in sections:
        raise InputError(f"{path}: is not a .chart file: it lacks the section [Song] or [SyncTrack]")
    return sections


def _events(lines: list[_Line], kinds: dict[str, int], path: str | os.PathLike[str]) -> list[_Event]:
    """The lines of these kinds with at least so many whole numbers, in the order of their ticks."""
    events = []
    for number, text in lines:
        where = f"{path}:{number}"
        match = _TRACK.match(text)
        if not match:
            raise InputError(f"{where}: {text[:40]!r} is not of the form 'tick = kind values'")
        tick, kind, rest = match.groups()
        if kind in kinds:
            numbers = tuple(map(int, rest.split())) if _NUMBERS.match(rest.strip()) else ()
            if len(numbers) < kinds[kind]:
                raise InputError(f"{where}: {text[:40]!r} lacks its {kinds[kind]} whole numbers")
            events.append(_Event(int(tick), kind, numbers, where))
    return sorted(events, key=lambda event: event.tick)


def _song(lines: list[_Line]) -> dict[str, str]:
    pairs = (line.text.partition("=") for line in lines)
    return {key.strip().lower(): value.strip().strip('"') for key, _, value in pairs}


def _number(song: dict[str, str], key: str, default: float, path: str | os.PathLike[str]) -> float:
    try:
        value = float(song.get(key, default))
    except ValueError:
        value = float("nan")
    if not abs(value) <= MAX_MS:
        raise InputError(f"{path}: [Song]: {key.capitalize()} is {song[key]!r}, not a number")
    return value


def _clock(events: list[_Event], resolution: int) -> TempoMap:
    clock = TempoMap(resolution)
    for event in events:
        if event.kind == "B":
            if not event.numbers[0]:
                raise InputError(f"{event.where}: a tempo of 0")
            clock.add(event.tick, 60e9 / event.numbers[0])
    return clock


def _timing(events: list[_Event], lines: list[_Line], clock: TempoMap, start_ms: float) -> Timing:
    tempi = [(event.tick, event.numbers[0] / 1000) for event in events if event.kind == "B"]
    signatures = []
    for event in events:
        if event.kind == "TS":
            exponent = event.numbers[1] if len(event.numbers) > 1 else 2
            if not (1 <= event.numbers[0] <= 999 and exponent <= 6):
                raise InputError(f"{event.where}: is no time signature that can be kept")
            signatures.append((event.tick, f"{event.numbers[0]}/{2**exponent}"))
    kept = next((match for line in lines if (match := OFFSET_EVENT.search(line.text))), None)
    return timing_of(
        tempi,
        signatures,
        clock,
        offset_ms=round(start_ms) + (int(kept.group(2)) if kept else 0),
        lead_in=kept is not None and kept.group(1) == "lead_in",
        start_ms=start_ms,
    )


def _pad(note: int, flags: set[int], five_lanes: bool) -> Pad:
    if note == SECOND_KICK:
        return Pad(KICK)
    return _FIVE_LANES[note] if five_lanes else Pad(note, CYMBAL_FLAGS.get(note) in flags)


def _hits(events: list[_Event], clock: TempoMap, start_ms: float, skipped: Counter[str]) -> list[HitObject]:
    moments: dict[int, dict[int, int]] = {}
    for event in events:
        moments.setdefault(event.tick, {})[event.numbers[0]] = event.numbers[1]
    seen = {note for notes in moments.values() for note in notes}
    pro = not seen.isdisjoint(CYMBAL_FLAGS.values())
    five_lanes = _FIFTH_LANE in seen and not pro
    playable = {*range(GREEN + 1), SECOND_KICK} | ({_FIFTH_LANE} if five_lanes else set())
    flags = {*CYMBAL_FLAGS.values(), *ACCENT_FLAGS.values(), *GHOST_FLAGS.values(), 38, 44}
    hits = []
    for tick, notes in moments.items():
        time = round(clock.ms(tick) + start_ms)
        for note, length in notes.items():
            if note not in playable:
                skipped[f"note {note}"] += note not in flags
                continue
            if not 0 <= time <= MAX_MS:
                skipped["notes before the audio"] += 1
                continue
            pad = _pad(note, set(notes), five_lanes)
            skipped[_NOT_CYMBAL] += not pro and not five_lanes and note in CYMBAL_FLAGS
            velocity = DEFAULT_VELOCITY
            if ACCENT_FLAGS.get(note, 38) in notes and note != KICK:
                velocity = 1.0
            elif GHOST_FLAGS.get(note, 44) in notes and note != KICK:
                velocity = _GHOST
            duration = round(clock.ms(tick + length) - clock.ms(tick)) if length else None
            hits.append(HitObject(time, LABELS[pad], velocity, duration=duration))
    return hits


def read_clone_hero(path: str | os.PathLike[str]) -> Chart:
    """Read the drums of a ``.chart`` file.

    Returns:
        A chart with ``audio`` None, the lanes of its labels, and in ``skipped`` the count of notes and
        phrases that are no hits.

    Raises:
        InputError: the file is no ``.chart``, has no drums, or ``file:line: why``.
    """
    sections = _sections(path)
    name = next((f"{hard}Drums" for hard in _DIFFICULTIES if f"{hard}Drums" in sections), None)
    if name is None:
        raise InputError(f"{path}: holds no drums; its sections: {', '.join(sections)}")
    song = _song(sections["Song"])
    resolution = _number(song, "resolution", _DEFAULT_RESOLUTION, path)
    if resolution < 1:
        raise InputError(f"{path}: [Song]: Resolution is {resolution:g}, not a number of ticks")
    start_ms = 1000 * _number(song, "offset", 0.0, path)
    sync = _events(sections["SyncTrack"], {"B": 1, "TS": 1}, path)
    clock = _clock(sync, round(resolution))
    skipped: Counter[str] = Counter()
    hits = _hits(_events(sections[name], {"N": 2}, path), clock, start_ms, skipped)
    skipped["phrases"] = len(_events(sections[name], {"S": 2}, path))
    chart = bare_chart(
        path,
        hits,
        title=song.get("name") or Path(path).stem,
        timing=_timing(sync, sections.get("Events", []), clock, start_ms),
        skipped={kind: count for kind, count in skipped.items() if count},
    )
    chart.metadata.artist = song.get("artist", "")
    chart.metadata.creator = song.get("charter") or chart.metadata.creator
    return chart
