"""Audacity label tracks: labels drawn by hand on a recording.

The texts are those that :mod:`beatsight.sources.audacity` reads (``kick+snare:0.6``). A text that names no
drum is counted by name and line; a faulty line is listed and the others are read. A text file is a label
track when one of its lines looks like one or a recording of its name lies beside it; other text files are not
looked at.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from beatsight.errors import InputError
from beatsight.events import Event
from beatsight.files import read_bytes
from beatsight.sources.audacity import read_labels
from beatsight.sources.contract import Card, Report, Settings, Source
from beatsight.sources.finding import audio_beside, find_labelled
from beatsight.sources.hits import Hit
from beatsight.sources.strikes import Strike, gather
from beatsight.taxonomy import is_known

CARD = Card(
    name="audacity",
    title="Audacity labels",
    version="1",
    licence="of the files",
    commercial=None,
    citation="",
    url="",
    layout="ANY/NAME.txt    exported label track: start, end and drums, with tabs between\n"
    "ANY/NAME.wav    its recording, where there is one (.flac, .ogg, .mp3 … too)",
    has_audio=True,
)
_LABEL_LINE = re.compile(rb"^\d+[.,]?\d*\t\d+[.,]?\d*\t", re.MULTILINE)


def _is_track(path: Path, report: Report) -> bool:
    if _LABEL_LINE.search(read_bytes(path)):
        return True
    try:
        return audio_beside(path, report) is not None
    except InputError:
        return True  # its recording is faulty: to be listed, not passed over


def find(root: Path, settings: Settings) -> list[Path]:
    """The label tracks among the text files."""
    expected = "label tracks that Audacity exported"
    texts = find_labelled(root, (".txt",), expected)
    tracks = [path for path in texts if _is_track(path, Report(root))]
    if not tracks:
        raise InputError(f"{root}: none of its .txt files is a label track; expected {expected}")
    return tracks


def _strikes(hits: list[Hit], duration_s: float, path: Path, report: Report) -> Iterator[Strike]:
    for hit in hits:
        number = hit.where.rpartition(":")[2]
        where = f"{report.relative(path)}:{number}"
        if not is_known(hit.label):
            report.unmapped(hit.label, where)
            continue
        try:
            yield Strike(hit.time_s, hit.component(duration_s), where)
        except InputError as error:
            report.skip(Path(f"{path}:{number}"), str(error).removeprefix(f"{hit.where}: "))


def read(path: Path, report: Report, settings: Settings) -> Iterable[Event]:
    """The labels of one track; its session is the track."""
    hits, faults = read_labels(path, path)
    audio = audio_beside(path, report)
    name = report.used(path)
    for fault in faults:
        number, _, why = fault.removeprefix(f"{path}:").partition(": ")
        report.skip(Path(f"{path}:{number}"), why)
    template = Event(
        sample_id="-",
        session_id=f"{CARD.name}:{Path(name).with_suffix('').as_posix()}",
        onset_time=0.0,
        components=[],
        source_set=CARD.title,
        audio_path=audio.audio_path if audio else None,
        sample_rate=audio.sample_rate if audio else None,
        channels=audio.channels if audio else None,
        metadata_ref=f"provenance:{name}",
    )
    duration_s = audio.duration_s if audio else math.inf
    return gather(_strikes(hits, duration_s, path, report), template, report)


SOURCES = (Source(CARD, find, read),)
