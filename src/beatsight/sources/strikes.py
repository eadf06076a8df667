"""Strikes become events: hits of one instant join in one event, which carries what its recording is.

Conventions: times in seconds from the start of the audio. Hits within 2 ms of the first of them sound at one
instant. Of two hits of one label in an instant the louder stays; the other is counted as ``doubled hit``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from beatsight.events import Component, Event
from beatsight.sources.contract import Report
from beatsight.sources.moments import SAME_MOMENT_S

DOUBLED = "doubled hit"
# So that 0.102 s - 0.1 s counts as 2 ms in floating point too.
_ROUNDING_S = 1e-9


@dataclass(frozen=True)
class Strike:
    """One hit of one drum.

    Attributes:
        time_s: onset.
        component: label and what is known of the hit.
        where: the place in the annotation, ``file`` or ``file:line``.
        bpm: tempo in quarter notes per minute.
        meter: time signature, e.g. ``7/8``.
        bar: from 0.
        beat: within the bar, from 0; the event names the whole beat.
        techniques: names of the technique catalogue.
    """

    time_s: float
    component: Component
    where: str
    bpm: float | None = None
    meter: str | None = None
    bar: int | None = None
    beat: float | None = None
    techniques: tuple[str, ...] = ()


def _loudness(strike: Strike) -> float:
    return strike.component.velocity or 0.0


def _joined(strikes: list[Strike], report: Report) -> list[Strike]:
    """The strikes of one instant, one a label, in the order in which the labels came."""
    kept: dict[str, Strike] = {}
    for strike in strikes:
        label = strike.component.label
        if label in kept:
            report.unmapped(
                DOUBLED, strike.where, "the same drum sounds twice in one instant; the louder stays"
            )
        if label not in kept or _loudness(strike) > _loudness(kept[label]):
            kept[label] = strike
    return list(kept.values())


def gather(strikes: Iterable[Strike], template: Event, report: Report) -> list[Event]:
    """Events of one recording or performance.

    Args:
        strikes: in any order.
        template: what all its events share: ``session_id``, ``source_set``, ``audio_path`` and so on. Its id,
            onset and components are not used.
        report: counts the doubled hits.

    Returns:
        Events in order of time; ``sample_id`` is ``<session_id>:<microseconds>``.

    >>> from pathlib import Path
    >>> hits = [Strike(0.5, Component(label=label), "a.txt:1") for label in ("kick", "crash")]
    >>> template = Event(sample_id="-", session_id="demo:a", onset_time=0, components=[])
    >>> [(event.sample_id, event.labels) for event in gather(hits, template, Report(Path(".")))]
    [('demo:a:000500000', ('kick', 'crash'))]
    """
    groups: list[list[Strike]] = []
    for strike in sorted(strikes, key=lambda strike: strike.time_s):
        if groups and strike.time_s - groups[-1][0].time_s <= SAME_MOMENT_S + _ROUNDING_S:
            groups[-1].append(strike)
        else:
            groups.append([strike])
    events = []
    for group in groups:
        first = group[0]
        kept = _joined(group, report)
        techniques = sorted({name for strike in kept for name in strike.techniques})
        events.append(
            msgspec.structs.replace(
                template,
                sample_id=f"{template.session_id}:{round(first.time_s * 1e6):09d}",
                onset_time=first.time_s,
                components=[strike.component for strike in kept],
                tempo_bpm=first.bpm if first.bpm is not None else template.tempo_bpm,
                meter=first.meter or template.meter,
                bar_index=first.bar,
                beat_index=None if first.beat is None else int(first.beat),
                techniques=[*(template.techniques or []), *techniques] or None,
            )
        )
    return events
