"""Human performances in MIDI as strokes: what there is to play.

Conventions: times in seconds from the first bar line of the file, velocity and openness 0..1. A stroke's time
is that of the stick; the renderer puts the sample's attack there.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from beatsight.charts.performance import read_performance
from beatsight.errors import InputError
from beatsight.taxonomy import from_note, is_hihat, pedal_openness

# Openness of a hat whose file has no controller: what its key says.
_KEY_OPENNESS = {"hihat_closed": 0.05, "hihat_open": 0.9, "hihat_pedal": 0.0, "hihat_foot_splash": 0.6}


@dataclass(frozen=True, slots=True)
class Stroke:
    """One stroke.

    Attributes:
        time_s: seconds.
        label: canonical.
        velocity: 0..1.
        openness: 0..1, hats only; None where it has no sense.
        source: once it has been played, the recording's kit and piece, ``"muldjord:Snare"``; else empty.
    """

    time_s: float
    label: str
    velocity: float
    openness: float | None = None
    source: str = ""


@dataclass(frozen=True)
class Groove:
    """One human performance.

    Attributes:
        name: of the file, without its suffix.
        drummer: who plays; "" where nothing says so.
        strokes: in order of time, the first bar line at 0.
        duration_s: where the next performance may begin.
        bpm: quarter notes per minute that the file states at its first note; None where it states none.
        meter: time signature that it states, e.g. ``"4/4"``; None where it states none.
    """

    name: str
    drummer: str
    strokes: tuple[Stroke, ...]
    duration_s: float
    bpm: float | None
    meter: str | None


def read_groove(path: str | os.PathLike[str], *, device: str = "roland", drummer: str = "") -> Groove:
    """A MIDI file of a drummer as strokes; keys that are no drum are left out.

    Args:
        path: a Standard MIDI File.
        device: whose keys and hi-hat controller they are, as in :mod:`beatsight.taxonomy`.
        drummer: who played.

    Raises:
        InputError: the file is damaged or holds no drum.
    """
    played = read_performance(path)
    strokes = []
    for note in played.notes:
        label = from_note(note.note, device)
        if label is None:
            continue
        openness = None
        if is_hihat(label):
            openness = _KEY_OPENNESS.get(label, 0.3)
            if note.cc4 is not None and label in ("hihat_closed", "hihat_open"):
                pedal = pedal_openness(note.cc4, device)
                openness = openness if pedal is None else pedal
        strokes.append(Stroke(note.time_s, label, max(1, note.velocity) / 127, openness))
    if not strokes:
        raise InputError(f"{path}: holds no stroke of a drum")
    first = played.notes[0]
    return Groove(
        name=Path(path).stem,
        drummer=drummer,
        strokes=tuple(strokes),
        duration_s=max(played.duration_s, strokes[-1].time_s + 0.1),
        bpm=first.bpm if played.has_tempo else None,
        meter=first.meter if played.has_meter else None,
    )


def read_grooves(
    folder: str | os.PathLike[str], *, split: str | None = None, drummers: Iterable[str] = ()
) -> tuple[list[Groove], list[tuple[Path, str]]]:
    """All performances under a folder, and (path, reason) of those that cannot be used.

    Args:
        folder: MIDI files at any depth; an ``info.csv`` with columns ``midi_filename``, ``drummer`` and
            ``split`` (that of the Groove MIDI Dataset) is used where there is one.
        split: only files of this split; needs the ``info.csv``.
        drummers: only theirs; all by default.

    Raises:
        InputError: no such folder, no ``info.csv`` where ``split`` asks for one, or nothing usable.
    """
    root = Path(folder)
    if not root.is_dir():
        raise InputError(f"{root}: no such folder")
    facts: dict[str, dict[str, str]] = {}
    table = root / "info.csv"
    if table.is_file():
        with table.open(encoding="utf-8", newline="") as file:
            facts = {row["midi_filename"]: row for row in csv.DictReader(file) if "midi_filename" in row}
    elif split is not None:
        raise InputError(f"{root}: has no info.csv, so it has no split {split!r}")
    chosen = set(drummers)
    grooves, skipped = [], []
    for path in sorted([*root.rglob("*.mid"), *root.rglob("*.midi")]):
        row = facts.get(path.relative_to(root).as_posix(), {})
        if split is not None and row.get("split") != split:
            continue
        if chosen and row.get("drummer") not in chosen:
            continue
        try:
            grooves.append(read_groove(path, drummer=row.get("drummer") or ""))
        except InputError as error:
            skipped.append((path, str(error)))
    if not grooves:
        raise InputError(f"{root}: holds no drum performance in MIDI that can be used")
    return grooves, skipped
