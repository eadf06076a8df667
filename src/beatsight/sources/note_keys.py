"""Which drum a MIDI key is: a device's keys, or those of a file of the user, and what its pedal values mean.

A note file is TOML or JSON: a table from key to label, ``36 = "kick"`` or ``{"36": "kick"}``. It adds to the
device's keys and wins over them.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from beatsight.charts.performance import Performance
from beatsight.errors import InputError, UsageError
from beatsight.events import Component
from beatsight.files import read_text
from beatsight.sources.contract import Option, Report
from beatsight.sources.strikes import Strike
from beatsight.taxonomy import NOTE_MAPS, UnknownLabelError, is_hihat, note_map, pedal_openness, resolve

_NOTES_MAX = 127
DEVICE_OPTION = Option("device", "gm", "whose keys the notes are", tuple(NOTE_MAPS))
NOTES_OPTION = Option(
    "notes", "", "a TOML or JSON file of key = label, for a device that is not known", is_file=True
)


@dataclass(frozen=True)
class Keys:
    """Labels of a device's keys; ``device`` decides what its hi-hat controller means."""

    labels: Mapping[int, str]
    device: str

    def openness(self, value: int, label: str) -> float | None:
        """Openness 0..1 of a hat under a stick; None for an unknown device, and while the foot moves."""
        return None if label == "hihat_pedal" else pedal_openness(value, self.device)


def _table(path: Path) -> dict[str, Any]:
    text = read_text(path)
    try:
        table = json.loads(text) if path.suffix.lower() == ".json" else tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: is not a table of key = label: {error}") from None
    if not isinstance(table, dict):
        raise InputError(f"{path}: is not a table of key = label")
    return table


def _read_notes(path: Path) -> dict[int, str]:
    found: dict[int, str] = {}
    for key, label in _table(path).items():
        if not key.isascii() or not key.isdigit() or int(key) > _NOTES_MAX:
            raise InputError(f"{path}: {key}: is not a MIDI key from 0 to {_NOTES_MAX}")
        if not isinstance(label, str):
            raise InputError(f"{path}: {key}: is not the name of a drum")
        try:
            found[int(key)] = resolve(label)
        except UnknownLabelError as error:
            raise InputError(f"{path}: {key}: {error}") from None
    return found


def read_keys(settings: Mapping[str, str]) -> Keys:
    """The keys that ``device`` and ``notes`` name.

    Raises:
        UsageError: an unknown device.
        InputError: the note file cannot be read, or names no drum (file and key are named).

    >>> read_keys({"device": "roland", "notes": ""}).labels[22]
    'hihat_closed'
    """
    device = settings.get("device") or DEVICE_OPTION.default
    if device not in NOTE_MAPS:
        raise UsageError(f"device {device!r} is unknown; known: {', '.join(NOTE_MAPS)}, or give notes=FILE")
    notes = settings.get("notes")
    return Keys(note_map(device) | (_read_notes(Path(notes)) if notes else {}), device)


def strikes_of(performance: Performance, keys: Keys, where: str, report: Report) -> Iterator[Strike]:
    """The drums of a performance; keys without a label and other channels are counted.

    Args:
        performance: of one MIDI file.
        keys: whose keys they are.
        where: the file as the manifest names it.
        report: gets the counts.
    """
    for name, count in performance.skipped.items():
        report.unmapped(name, where, "not the drum channel (10)", count)
    for note in performance.notes:
        label = keys.labels.get(note.note)
        if label is None:
            report.unmapped(f"note {note.note}", where, "no drum has this key")
            continue
        component = Component(label=label, velocity=round(note.velocity / 127, 4))
        if note.cc4 is not None and is_hihat(label):
            component.openness_raw = note.cc4
            component.openness = keys.openness(note.cc4, label)
        yield Strike(
            time_s=note.time_s,
            component=component,
            where=where,
            bpm=note.bpm if performance.has_tempo else None,
            meter=note.meter if performance.has_meter else None,
            bar=note.bar if performance.has_meter else None,
            beat=note.beat if performance.has_meter else None,
        )
