"""Lines of ``seconds name``: the annotation format of MDB Drums and ENST-Drums, and of beat files.

Conventions: one hit (or beat) a line, the time in seconds from the start of the audio, then white space, then
a name without spaces. Blank lines are skipped.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import NamedTuple

from beatsight.errors import InputError
from beatsight.files import read_text
from beatsight.sources.contract import Report


class TimedName(NamedTuple):
    """One line: the time in seconds, the name, and where it stands as ``file:line``, relative to the root."""

    time_s: float
    name: str
    where: str


def read_timed_lines(path: Path, report: Report) -> list[TimedName]:
    """All lines of an annotation file, in its order; the file is noted as used.

    Args:
        path: UTF-8 text.
        report: of the source that the file belongs to.

    Raises:
        InputError: the file cannot be read, or a line (named) is not a time of 0 or later and a name.
    """
    lines = []
    text = read_text(path)
    relative = report.used(path)
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        parts = line.split()
        if len(parts) != 2:
            raise InputError(f"{path}:{number}: {line.strip()!r} is not a time and a name")
        try:
            time_s = float(parts[0])
        except ValueError:
            raise InputError(f"{path}:{number}: {parts[0]!r} is not a time in seconds") from None
        if not math.isfinite(time_s) or time_s < 0:
            raise InputError(f"{path}:{number}: time {parts[0]} s is not in the recording")
        lines.append(TimedName(time_s, parts[1], f"{relative}:{number}"))
    return lines
