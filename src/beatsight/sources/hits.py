"""Hit: one drum hit that somebody labelled, before it becomes part of a collection.

Conventions: times in seconds from the start of the audio file; velocity and openness 0..1; a label is any
name or alias of the taxonomy. Readers (a CSV, an Audacity track) make hits and note in ``where`` the line a
hit came from, so that a fault found later still names it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from beatsight import taxonomy
from beatsight.errors import InputError
from beatsight.events import Component


@dataclass(frozen=True)
class Origin:
    """Who played what where: the names that later keep one session on one side of a split.

    ``session`` defaults to the session the recording already has in the collection, else to the name of its
    audio file without the suffix.
    """

    session: str | None = None
    kit: str | None = None
    drummer: str | None = None
    room: str | None = None


@dataclass(frozen=True)
class Hit:
    """One labelled hit of one audio file."""

    audio: Path
    time_s: float
    label: str
    velocity: float | None = None
    openness: float | None = None
    origin: Origin = Origin()
    where: str = ""

    @property
    def place(self) -> str:
        """What an error names: the line the hit came from, else the audio file."""
        return self.where or str(self.audio)

    def component(self, duration_s: float) -> Component:
        """The hit as a checked component.

        Args:
            duration_s: length of the audio file in seconds.

        Raises:
            InputError: an unknown label, a time outside the file, velocity or openness outside 0..1.

        >>> Hit(Path("a.wav"), 1.0, "Floor Tom", velocity=0.2).component(2.0).label
        'tom_low'
        """
        check_time(self.time_s, duration_s, self.place)
        for name, value in (("velocity", self.velocity), ("openness", self.openness)):
            if value is not None and not 0.0 <= value <= 1.0:
                raise InputError(f"{self.place}: {name} {value:g} is outside 0..1")
        try:
            label = taxonomy.resolve(self.label)
        except taxonomy.UnknownLabelError as error:
            raise InputError(f"{self.place}: {error}") from None
        return Component(label=label, velocity=self.velocity, openness=self.openness)


def check_time(time_s: float, duration_s: float, place: str) -> None:
    """Refuse a time that is not a number or lies outside ``0 <= time_s < duration_s``.

    Raises:
        InputError: ``place: why``.
    """
    if not math.isfinite(time_s):
        raise InputError(f"{place}: time {time_s} is not a finite number of seconds")
    if time_s < 0:
        raise InputError(f"{place}: time {time_s:g} s is before the start of the audio")
    if time_s >= duration_s:
        raise InputError(f"{place}: time {time_s:g} s is beyond the end of the audio ({duration_s:.3f} s)")


def refuse(faults: Sequence[str]) -> None:
    """Raise one :class:`InputError` that names every fault, one a line; do nothing when there is none."""
    if len(faults) == 1:
        raise InputError(f"{faults[0]}; nothing was added")
    if faults:
        raise InputError("\n  ".join([f"nothing was added, because {len(faults)} hits are faulty:", *faults]))
