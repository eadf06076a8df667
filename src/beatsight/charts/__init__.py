"""Drum charts and their files: one Chart record, as ``.bsm``, MIDI, CSV, JAMS, Clone Hero chart and MusicXML.

A format is one file of this room and one line of the table below. What a format cannot hold is named in its
module's docstring; what a reader could not keep is counted in ``Chart.skipped``.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from beatsight.charts.bsm import chart_from_builtins, chart_to_builtins, read_bsm, write_bsm
from beatsight.charts.build import audio_ref, build_chart, chart_to_events
from beatsight.charts.chart import (
    LANES,
    AudioRef,
    Chart,
    DrumKit,
    Editor,
    GenerationMetadata,
    HitObject,
    Metadata,
    Timing,
    TimingPoint,
    kit_of,
    lane_of,
)
from beatsight.charts.clone_hero import write_clone_hero
from beatsight.charts.clone_hero_reader import read_clone_hero
from beatsight.charts.csv_file import read_csv, write_csv
from beatsight.charts.jams_file import read_jams, write_jams
from beatsight.charts.midi import read_midi, write_midi
from beatsight.charts.musicxml import write_musicxml
from beatsight.charts.performance import Note, Performance, read_performance
from beatsight.errors import UsageError

_Reader = Callable[[Path], Chart]
_Writer = Callable[[Chart, Path], dict[str, int] | None]
_FORMATS: dict[str, tuple[_Reader | None, _Writer]] = {
    ".bsm": (read_bsm, write_bsm),
    ".mid": (read_midi, write_midi),
    ".midi": (read_midi, write_midi),
    ".csv": (read_csv, write_csv),
    ".jams": (read_jams, write_jams),
    ".chart": (read_clone_hero, write_clone_hero),
    ".musicxml": (None, write_musicxml),
}
SUFFIXES = tuple(_FORMATS)

__all__ = [
    "LANES",
    "SUFFIXES",
    "AudioRef",
    "Chart",
    "DrumKit",
    "Editor",
    "GenerationMetadata",
    "HitObject",
    "Metadata",
    "Note",
    "Performance",
    "Timing",
    "TimingPoint",
    "audio_ref",
    "build_chart",
    "chart_from_builtins",
    "chart_to_builtins",
    "chart_to_events",
    "kit_of",
    "lane_of",
    "read_bsm",
    "read_chart",
    "read_clone_hero",
    "read_csv",
    "read_jams",
    "read_midi",
    "read_performance",
    "write_bsm",
    "write_chart",
    "write_clone_hero",
    "write_csv",
    "write_jams",
    "write_midi",
    "write_musicxml",
]


def _format(path: Path, known: tuple[str, ...]) -> tuple[_Reader | None, _Writer]:
    if path.suffix.lower() not in known:
        raise UsageError(f"{path}: is no chart file by its name; known endings: {', '.join(known)}")
    return _FORMATS[path.suffix.lower()]


def read_chart(path: str | os.PathLike[str]) -> Chart:
    """Read a chart, its format chosen by the ending of the name.

    Raises:
        UsageError: the ending is unknown, or of a format that is only written; those that are read are
        listed. InputError: the file cannot be read as what its ending says.
    """
    path = Path(path)
    reader, _ = _format(path, tuple(suffix for suffix, (reader, _) in _FORMATS.items() if reader))
    assert reader is not None
    return reader(path)


def write_chart(chart: Chart, path: str | os.PathLike[str]) -> dict[str, int]:
    """Write a chart in one step, in the format that the ending of the name asks for.

    Returns:
        What the file says otherwise than the chart, by kind, with counts: hits moved to another pad or to the
        grid of a score, strokes merged. Empty for formats that keep every hit where it is. What a format has
        no place for at all stands in its module's docstring and is not counted.

    Raises:
        UsageError: the ending is unknown; the known ones are listed.
        InputError: the chart holds what the format cannot, or the file cannot be written.
    """
    path = Path(path)
    _, writer = _format(path, SUFFIXES)
    return writer(chart, path) or {}
