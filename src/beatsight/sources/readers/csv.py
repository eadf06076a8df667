"""Tables of hits in CSV: one row a hit, many recordings in one table.

The columns are those of :mod:`beatsight.sources.hits_csv` (``audio,time,label`` and, if wanted, velocity,
openness, session, kit, drummer, room). A label that names no drum is counted by name and line; a faulty row
is listed and the others are read. The session is that of the row, else the recording.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

from beatsight.errors import InputError
from beatsight.events import Event
from beatsight.sources.contract import Card, Report, Settings, Source
from beatsight.sources.finding import Beside, beside, find_labelled
from beatsight.sources.hits import Hit, Origin
from beatsight.sources.hits_csv import read_hits
from beatsight.sources.strikes import Strike, gather
from beatsight.taxonomy import is_known

CARD = Card(
    name="csv",
    title="CSV tables",
    version="1",
    licence="of the files",
    commercial=None,
    citation="",
    url="",
    layout="ANY/NAME.csv    table: audio,time,label[,velocity,openness,session,kit,drummer,room]\n"
    "ANY/…           the recordings, at the paths that the column audio holds, from the table's folder",
    has_audio=True,
)


def find(root: Path, settings: Settings) -> list[Path]:
    """The tables."""
    return find_labelled(root, (".csv",), "tables with the columns audio, time and label")


def _line(hit: Hit) -> str:
    return hit.where.rpartition(":")[2]


def _recording(audio: Path, report: Report) -> Beside | None:
    """The recording of a row, or None where it is not there (its hits stay, without audio)."""
    base = (report.root if report.root.is_dir() else report.root.parent).resolve()
    try:
        path = audio.resolve()
        there = path.is_file()
    except (OSError, RuntimeError, ValueError) as error:  # a loop of links, a null byte, a name too long
        raise InputError(f"{str(audio)!r}: is not a usable path: {error}") from None
    if not path.is_relative_to(base):
        raise InputError(f"{audio}: lies outside {base}; give the folder that holds both")
    return beside(path, Report(base)) if there else None


def _template(name: str, audio: Path, origin: Origin, recording: Beside | None, report: Report) -> Event:
    def named(text: str | None) -> str | None:
        return f"{CARD.name}:{text}" if text else None

    stem = Path(recording.audio_path if recording else audio.name).with_suffix("").as_posix()
    return Event(
        sample_id="-",
        session_id=f"{CARD.name}:{origin.session or stem}",
        onset_time=0.0,
        components=[],
        source_set=CARD.title,
        drummer_id=named(origin.drummer),
        kit_id=named(origin.kit),
        room_id=named(origin.room),
        audio_path=recording.audio_path if recording else None,
        sample_rate=recording.sample_rate if recording else None,
        channels=recording.channels if recording else None,
        metadata_ref=f"provenance:{name}",
    )


def _strikes(hits: list[Hit], duration_s: float, path: Path, report: Report) -> list[Strike]:
    strikes = []
    for hit in hits:
        where = f"{report.relative(path)}:{_line(hit)}"
        if not is_known(hit.label):
            report.unmapped(hit.label, where)
            continue
        try:
            strikes.append(Strike(hit.time_s, hit.component(duration_s), where))
        except InputError as error:
            report.skip(Path(f"{path}:{_line(hit)}"), str(error).removeprefix(f"{hit.where}: "))
    return strikes


def read(path: Path, report: Report, settings: Settings) -> Iterable[Event]:
    """The hits of one table, recording by recording."""
    hits, faults = read_hits(path)
    name = report.used(path)
    for fault in faults:
        number, _, why = fault.removeprefix(f"{path}:").partition(": ")
        report.skip(Path(f"{path}:{number}"), why)
    groups: dict[tuple[Path, Origin], list[Hit]] = {}
    for hit in hits:
        groups.setdefault((hit.audio, hit.origin), []).append(hit)
    events: list[Event] = []
    for (audio, origin), group in groups.items():
        try:
            recording = _recording(audio, report)
        except InputError as error:
            for hit in group:
                report.skip(Path(f"{path}:{_line(hit)}"), str(error))
            continue
        template = _template(name, audio, origin, recording, report)
        duration_s = recording.duration_s if recording else math.inf
        events += gather(_strikes(group, duration_s, path, report), template, report)
    return events


SOURCES = (Source(CARD, find, read),)
