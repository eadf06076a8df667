"""Charts as plain tables: one hit a line, for spreadsheets and scripts.

Written: ``time_s,label,velocity,lane``, and ``duration_ms`` where a hit has one; times in seconds with three
decimals, canonical labels, velocities with four digits. Read: the same, and any table of time, label and
(where given) velocity, with or without a header, its cells parted by comma, semicolon or tab. A fault names
``file:line``. A table holds no tempo, audio or title: a chart that is read has ``timing`` and ``audio`` None
and the file's name as title. Columns under a name that is not known are counted in ``Chart.skipped``.
"""

from __future__ import annotations

import csv
import io
import os
from collections import Counter
from pathlib import Path

from beatsight.charts.build import bare_chart, hit_at
from beatsight.charts.chart import DEFAULT_VELOCITY, Chart, HitObject, check_numbers
from beatsight.errors import InputError
from beatsight.files import read_text, write_text
from beatsight.taxonomy import resolve

# Header names that are understood, by column. A table without a header has its columns in this order.
_COLUMNS = {
    "time_s": ("time_s", "time", "onset", "onset_s", "onset_time", "seconds"),
    "label": ("label", "component", "labels", "drum"),
    "velocity": ("velocity",),
    "lane": ("lane",),
    "duration_ms": ("duration_ms",),
}
_NAMES = {name: column for column, names in _COLUMNS.items() for name in names}
_ORDER = tuple(_COLUMNS)
_MOST_DIGITS = 9  # 11 days in milliseconds


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _number(text: str, column: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InputError(f"{column}: {text!r} is not a number") from None


def _whole(text: str, column: str) -> int | None:
    if not text:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > _MOST_DIGITS:
        raise InputError(f"{column}: {text[:20]!r} is not a whole number from 0 to 999999999")
    return int(text)


def _delimiter(line: str) -> str:
    return next((mark for mark in "\t;" if mark in line), ",")


def _header(cells: list[str], where: str) -> list[str]:
    """The column of each cell of the header; unknown names stay as they are."""
    columns = [_NAMES.get(cell.lower(), cell) for cell in cells]
    for needed in ("time_s", "label"):
        if needed not in columns:
            raise InputError(f"{where}: the header names no column {needed!r}; it holds: {', '.join(cells)}")
    return columns


def _hit(row: dict[str, str]) -> HitObject:
    if not row.get("time_s"):
        raise InputError("time_s: is missing")
    if not row.get("label"):
        raise InputError("label: is missing")
    velocity = _number(row["velocity"], "velocity") if row.get("velocity") else DEFAULT_VELOCITY
    hit = hit_at(_number(row["time_s"], "time_s"), row["label"], velocity)
    lane = _whole(row.get("lane", ""), "lane")
    hit.lane = hit.lane if lane is None else lane
    hit.duration = _whole(row.get("duration_ms", ""), "duration_ms")
    return hit


def read_csv(path: str | os.PathLike[str]) -> Chart:
    """Read a table of hits.

    Raises:
        InputError: the file is empty or not text, or ``file:line: column: why``.
    """
    text = read_text(path)
    first = next((line for line in text.splitlines() if line.strip()), None)
    if first is None:
        raise InputError(f"{path}: is empty")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(first))
    columns: list[str] | None = None
    hits: list[HitObject] = []
    skipped: Counter[str] = Counter()
    try:
        for row in reader:
            cells = [cell.strip() for cell in row]
            where = f"{path}:{reader.line_num}"
            if not any(cells):
                continue
            if columns is None:
                columns = list(_ORDER) if _is_number(cells[0]) else _header(cells, where)
                if not _is_number(cells[0]):
                    continue
            try:
                hits.append(_hit(dict(zip(columns, cells, strict=False))))
            except InputError as error:
                raise InputError(f"{where}: {error}") from None
            for index, cell in enumerate(cells):
                name = columns[index] if index < len(columns) else f"number {index + 1}"
                if cell and name not in _COLUMNS:
                    skipped[f"column {name}"] += 1
    except csv.Error as error:
        raise InputError(f"{path}:{reader.line_num}: is not a table: {error}") from None
    return bare_chart(path, hits, title=Path(path).stem, timing=None, skipped=dict(skipped))


def write_csv(chart: Chart, path: str | os.PathLike[str]) -> None:
    """Write the hits of a chart as a table: comma-separated, with a header, sorted by time.

    Raises:
        InputError: a velocity is not in 0..1, or the file cannot be written.
    """
    check_numbers(chart, path)
    hits = sorted(chart.hit_objects, key=lambda hit: hit.order)
    columns = [
        name for name in _ORDER if name != "duration_ms" or any(hit.duration is not None for hit in hits)
    ]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    for hit in hits:
        cells = [
            f"{hit.time / 1000:.3f}",
            resolve(hit.component),
            f"{hit.velocity:.4g}",
            hit.lane,
            hit.duration,
        ]
        writer.writerow(cells[: len(columns)])
    write_text(path, out.getvalue())
