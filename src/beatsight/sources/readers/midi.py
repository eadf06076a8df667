"""MIDI files: drums as played on an electronic kit or written in a sequencer.

Every note of the drum channel (10) becomes a component: its label from the device's keys, velocity / 127, for
a hi-hat the raw value of controller 4 and, where the device is known, the openness. Tempo, time signature,
bar and beat come from the file's own maps. Keys without a drum and notes of other channels are counted.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from beatsight.charts.performance import read_performance
from beatsight.events import Event
from beatsight.sources.contract import Card, Option, Report, Settings, Source
from beatsight.sources.finding import audio_beside, find_labelled
from beatsight.sources.note_keys import DEVICE_OPTION, NOTES_OPTION, read_keys, strikes_of
from beatsight.sources.strikes import gather

CARD = Card(
    name="midi",
    title="MIDI files",
    version="1",
    licence="of the files",
    commercial=None,
    citation="",
    url="",
    layout="ANY/NAME.mid or .midi    Standard MIDI File, type 0 or 1, drums on channel 10\n"
    "ANY/NAME.wav             its recording, where there is one (.flac, .ogg, .mp3 … too)",
    has_audio=False,
)
_CHANNELS = Option("channels", "drums", "notes to read: of channel 10, or of all", ("drums", "all"))


def find(root: Path, settings: Settings) -> list[Path]:
    """The MIDI files; the device and note file are checked first."""
    read_keys(settings)
    return find_labelled(root, (".mid", ".midi"), "MIDI files with drums")


def read(path: Path, report: Report, settings: Settings) -> Iterable[Event]:
    """The drums of one file; its session is the file."""
    channels: Literal["drums", "all"] = "all" if settings["channels"] == "all" else "drums"
    performance = read_performance(path, channels=channels)
    name = report.used(path)
    audio = audio_beside(path, report)
    template = Event(
        sample_id="-",
        session_id=f"{CARD.name}:{Path(name).with_suffix('').as_posix()}",
        onset_time=0.0,
        components=[],
        source_set=CARD.title,
        track_id=performance.title,
        audio_path=audio.audio_path if audio else None,
        sample_rate=audio.sample_rate if audio else None,
        channels=audio.channels if audio else None,
        metadata_ref=f"provenance:{name}",
    )
    return gather(strikes_of(performance, read_keys(settings), name, report), template, report)


SOURCES = (Source(CARD, find, read, (DEVICE_OPTION, NOTES_OPTION, _CHANNELS)),)
