"""A table of hits in CSV: one row a hit, many audio files in one table.

Columns: ``audio,time,label`` and, if wanted, ``velocity,openness,session,kit,drummer,room``, in any order
under a header line; without a header, in this order. Comma, semicolon or tab; UTF-8. ``time`` is in seconds,
velocity and openness 0..1, an empty cell means unknown. An audio path that is not absolute starts at the
folder of the CSV file.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator
from pathlib import Path

from beatsight.errors import InputError
from beatsight.files import read_text
from beatsight.sources.hits import Hit, Origin

COLUMNS = ("audio", "time", "label", "velocity", "openness", "session", "kit", "drummer", "room")
_REQUIRED = COLUMNS[:3]
# The names that events.jsonl uses for the same things, and the seed's word for a label.
_COLUMN_ALIASES = {
    "audio_path": "audio",
    "onset_time": "time",
    "time_s": "time",
    "component": "label",
    "session_id": "session",
    "kit_id": "kit",
    "drummer_id": "drummer",
    "room_id": "room",
}
_DELIMITERS = ",;\t"


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Line number and stripped cells of every row that is not blank."""
    text = read_text(path)
    first = text.lstrip().partition("\n")[0]
    delimiter = max(_DELIMITERS, key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        for row in reader:
            cells = [cell.strip() for cell in row]
            if any(cells):
                yield reader.line_num, cells
    except csv.Error as error:
        raise InputError(f"{path}:{reader.line_num}: is not a CSV row: {error}") from None


def _header(path: Path, line: int, cells: list[str]) -> list[str] | None:
    """The columns that a header line names, or None when the line is data."""
    names = [_COLUMN_ALIASES.get(cell.lower(), cell.lower()) for cell in cells]
    if not set(names) & set(_REQUIRED):
        return None
    if unknown := [cell for cell, name in zip(cells, names, strict=True) if name not in COLUMNS]:
        raise InputError(
            f"{path}:{line}: unknown column {unknown[0]!r}; the columns are {', '.join(COLUMNS)}"
        )
    if missing := [name for name in _REQUIRED if name not in names]:
        raise InputError(f"{path}:{line}: the column {missing[0]!r} is missing")
    if repeated := [name for name in names if names.count(name) > 1]:
        raise InputError(f"{path}:{line}: the column {repeated[0]!r} stands there twice")
    return names


def _number(cell: str, name: str, where: str) -> float:
    try:
        return float(cell)
    except ValueError:
        raise InputError(f"{where}: {name} {cell!r} is not a number") from None


def _hit(cells: list[str], names: list[str], folder: Path, where: str) -> Hit:
    if len(cells) > len(names):
        raise InputError(f"{where}: has {len(cells)} cells, but there are {len(names)} columns")
    row = {name: cell for name, cell in zip(names, cells, strict=False) if cell}
    if missing := [name for name in _REQUIRED if name not in row]:
        raise InputError(f"{where}: {missing[0]} is missing")
    velocity, openness = (
        _number(row[name], name, where) if name in row else None for name in ("velocity", "openness")
    )
    return Hit(
        audio=folder / row["audio"],
        time_s=_number(row["time"], "time", where),
        label=row["label"],
        velocity=velocity,
        openness=openness,
        origin=Origin(row.get("session"), row.get("kit"), row.get("drummer"), row.get("room")),
        where=where,
    )


def read_hits(path: str | os.PathLike[str]) -> tuple[list[Hit], list[str]]:
    """Read a table of hits.

    Returns:
        The hits of the good rows, and one sentence ``file:line: why`` for every faulty row. Labels and times
        are checked against the taxonomy and the audio when the hits are added.

    Raises:
        InputError: the file cannot be read, holds no rows, or its header is faulty.
    """
    path = Path(path)
    hits: list[Hit] = []
    faults: list[str] = []
    names: list[str] | None = None
    for line, cells in _rows(path):
        if names is None:
            names = _header(path, line, cells)
            if names is not None:
                continue
            names = list(COLUMNS)
        try:
            hits.append(_hit(cells, names, path.parent, f"{path}:{line}"))
        except InputError as error:
            faults.append(str(error))
    if not hits and not faults:
        raise InputError(f"{path}: holds no hits")
    return hits, faults
