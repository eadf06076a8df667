"""Audacity label tracks: hits drawn by hand, read and written.

Source: the Audacity manual, "Importing and Exporting Labels": one label a line, ``start<TAB>end<TAB>text`` in
seconds; a line that starts with a backslash holds the frequency range of a spectral selection and belongs to
the label before it. The start of a label is the onset; its end and its frequencies are not used.

A text names one drum or several that sound together, joined by ``+`` or a comma, each with an optional
velocity 0..1 after a colon: ``kick+snare``, ``kick, crash``, ``snare:0.6``. A label track holds no openness.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from beatsight.errors import InputError
from beatsight.events import Event
from beatsight.files import read_text
from beatsight.sources.hits import Hit, Origin

_SPECTRAL = "\\"
_JOINED = re.compile(r"[+,]")


def _drum(text: str, where: str) -> tuple[str, float | None]:
    """``snare:0.6`` -> the label, unresolved, and the velocity."""
    label, colon, velocity = text.partition(":")
    if not label.strip():
        raise InputError(f"{where}: a drum label is empty")
    if not colon:
        return label.strip(), None
    try:
        return label.strip(), float(velocity)
    except ValueError:
        raise InputError(f"{where}: velocity {velocity.strip()!r} is not a number") from None


def _line_hits(line: str, audio: Path, origin: Origin, where: str) -> list[Hit]:
    cells = line.rstrip("\r").split("\t", 2)
    if len(cells) < 3:
        raise InputError(f"{where}: is not start, end and label with tabs between")
    try:
        start_s = float(cells[0])
        float(cells[1])
    except ValueError:
        raise InputError(f"{where}: start {cells[0]!r} or end {cells[1]!r} is not a number") from None
    drums = [_drum(text, where) for text in _JOINED.split(cells[2])]
    return [Hit(audio, start_s, label, velocity, origin=origin, where=where) for label, velocity in drums]


def read_labels(
    path: str | os.PathLike[str], audio: str | os.PathLike[str], origin: Origin | None = None
) -> tuple[list[Hit], list[str]]:
    """Read a label track exported by Audacity.

    Args:
        path: the text file.
        audio: the recording that was labelled.
        origin: session, kit, drummer and room of the recording.

    Returns:
        The hits in the order of the file, and one sentence ``file:line: why`` for every faulty line.

    Raises:
        InputError: the file cannot be read or holds no labels.
    """
    path = Path(path)
    hits: list[Hit] = []
    faults: list[str] = []
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if not line.strip() or line.startswith(_SPECTRAL):
            continue
        try:
            hits += _line_hits(line, Path(audio), origin or Origin(), f"{path}:{number}")
        except InputError as error:
            faults.append(str(error))
    if not hits and not faults:
        raise InputError(f"{path}: holds no labels")
    return hits, faults


def format_labels(events: Iterable[Event]) -> str:
    """Events as the text of a label track: point labels in order of time, times to a microsecond.

    >>> from beatsight.events import Component
    >>> hits = [Component(label="kick"), Component(label="snare", velocity=0.6)]
    >>> format_labels([Event(sample_id="a", session_id="s", onset_time=1.5, components=hits)])
    '1.500000\\t1.500000\\tkick+snare:0.6\\n'
    """
    lines = []
    for event in sorted(events, key=lambda event: event.onset_time):
        text = "+".join(
            part.label if part.velocity is None else f"{part.label}:{part.velocity:.6g}"
            for part in event.components
        )
        if text:
            lines.append(f"{event.onset_time:.6f}\t{event.onset_time:.6f}\t{text}\n")
    return "".join(lines)
