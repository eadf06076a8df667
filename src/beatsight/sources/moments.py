"""Moments: events of a collection, looked up by audio file and time, so that nothing is added twice.

Two rules, both within one audio file (same content):

- the same label within 10 ms is the same hit: it is already there and not added again;
- another label within 2 ms sounds at the same moment: it joins the event that is there as one more component.

Everything else is a new event. An event keeps its time, names and values when a hit joins it; only fields
that it lacks are filled in.
"""

from __future__ import annotations

import bisect
from collections import defaultdict
from collections.abc import Sequence
from pathlib import PurePosixPath

from beatsight import taxonomy
from beatsight.events import Component, Event

# Two labellers of one hit agree to a few milliseconds, while two strokes of one drum (a flam, a buzz) lie
# 15 ms or more apart.
SAME_HIT_S = 0.010
# Charts count whole milliseconds; rounding twice moves a hit by up to 1 ms in either direction.
SAME_MOMENT_S = 0.002
# So that 1.244 s - 1.234 s counts as 10 ms in floating point too.
_ROUNDING_S = 1e-9
_FILLED_IN = ("drummer_id", "kit_id", "room_id", "tempo_bpm", "meter", "bar_index", "beat_index")


def sample_id(audio_path: str, onset_s: float) -> str:
    """The id of a moment: the recording's name and the onset in microseconds.

    >>> sample_id("audio/0123456789abcdef.flac", 1.25)
    '0123456789abcdef-1250000'
    """
    return f"{PurePosixPath(audio_path).stem}-{round(onset_s * 1e6)}"


def _label(component: Component) -> str:
    return taxonomy.resolve(component.label) if taxonomy.is_known(component.label) else component.label


def _onset(event: Event) -> float:
    return event.onset_time


class Moments:
    """Events in the order in which they were added, and an index of them by audio and time."""

    def __init__(self, events: Sequence[Event]) -> None:
        self.events: list[Event] = []
        self._by_audio: defaultdict[str, list[Event]] = defaultdict(list)
        self._sessions: dict[str, str] = {}
        for event in events:
            self._append(event)

    def session_of(self, audio_path: str) -> str | None:
        """The session of the events on this audio, or None when there are none."""
        return self._sessions.get(audio_path)

    def on(self, audio_path: str) -> list[Event]:
        """The events on this audio in order of time."""
        return list(self._by_audio.get(audio_path, ()))

    def put(self, event: Event) -> tuple[int, int]:
        """Add an event's hits by the two rules above.

        Returns:
            How many of its components were added, and how many were already there.
        """
        near = self._near(event, SAME_HIT_S)
        there = {_label(component) for other in near for component in other.components}
        new = []
        for component in event.components:
            if _label(component) not in there:
                there.add(_label(component))
                new.append(component)
        already = len(event.components) - len(new)
        if not new:
            return 0, already
        joined = [other for other in self._near(event, SAME_MOMENT_S) if not other.negative_example]
        if joined:
            target = min(joined, key=lambda other: abs(other.onset_time - event.onset_time))
            target.components.extend(new)
            for name in _FILLED_IN:
                if getattr(target, name) is None:
                    setattr(target, name, getattr(event, name))
        else:
            event.components = new
            self._append(event)
        return len(new), already

    def _append(self, event: Event) -> None:
        self.events.append(event)
        if event.audio_path is not None:
            bisect.insort(self._by_audio[event.audio_path], event, key=_onset)
            self._sessions.setdefault(event.audio_path, event.session_id)

    def _near(self, event: Event, width_s: float) -> list[Event]:
        others = self._by_audio.get(event.audio_path or "", [])
        first = bisect.bisect_left(others, event.onset_time - width_s - _ROUNDING_S, key=_onset)
        last = bisect.bisect_right(others, event.onset_time + width_s + _ROUNDING_S, key=_onset)
        return others[first:last]
