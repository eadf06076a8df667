"""Drum charts and their files: one Chart record, read from and written to ``.bsm``, MIDI and CSV.

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
from beatsight.charts.csv_file import read_csv, write_csv
from beatsight.charts.midi import read_midi, write_midi
from beatsight.charts.performance import Note, Performance, read_performance
from beatsight.errors import UsageError

_FORMATS: dict[str, tuple[Callable[[Path], Chart], Callable[[Chart, Path], None]]] = {
    ".bsm": (read_bsm, write_bsm),
    ".mid": (read_midi, write_midi),
    ".midi": (read_midi, write_midi),
    ".csv": (read_csv, write_csv),
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
    "read_csv",
    "read_midi",
    "read_performance",
    "write_bsm",
    "write_chart",
    "write_csv",
    "write_midi",
]


def _format(path: Path) -> tuple[Callable[[Path], Chart], Callable[[Chart, Path], None]]:
    try:
        return _FORMATS[path.suffix.lower()]
    except KeyError:
        known = ", ".join(SUFFIXES)
        raise UsageError(f"{path}: is no chart file by its name; known endings: {known}") from None


def read_chart(path: str | os.PathLike[str]) -> Chart:
    """Read a chart, its format chosen by the ending of the name.

    Raises:
        UsageError: the ending is unknown; the known ones are listed.
        InputError: the file cannot be read as what its ending says.
    """
    path = Path(path)
    return _format(path)[0](path)


def write_chart(chart: Chart, path: str | os.PathLike[str]) -> None:
    """Write a chart in one step, in the format that the ending of the name asks for.

    Raises:
        UsageError: the ending is unknown; the known ones are listed.
        InputError: the chart holds what the format cannot, or the file cannot be written.
    """
    path = Path(path)
    _format(path)[1](chart, path)
