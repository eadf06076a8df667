"""The Chart record: what a playable drum chart holds, whichever file it came from.

Conventions: times are integer milliseconds from the start of the audio, velocities 0..1, tempo in quarter
notes per minute. Python names are snake_case; the keys of a ``.bsm`` file are the same words in camelCase.
Every part keeps the keys it does not know in ``extra``, so that a rewritten file loses nothing.
Source: the BeatSight Map Format, version 1.0.0 (docs/formats.md). Deviations: ``audio`` and ``timing`` may be
None in memory, because a MIDI file names no audio and a CSV no tempo; writing a ``.bsm`` asks for both.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from beatsight.errors import InputError
from beatsight.taxonomy import CANONICAL, resolve

VERSION = "1.0.0"
DEFAULT_VELOCITY = 0.8

# Where a score or a game can only say "ghost" or "accent": below the upper edge of the event format's "light"
# strokes, and clearly above the default velocity, so that a hit of unknown loudness is neither.
GHOST_BELOW = 0.35
ACCENT_FROM = 0.9

# 11 days: a larger number is no song's time but a fault (microseconds, or noise in a damaged file).
MAX_MS = 999_999_999

Milliseconds = Annotated[int, Meta(ge=0, le=MAX_MS)]
Unit = Annotated[float, Meta(ge=0.0, le=1.0)]
Tempo = Annotated[float, Meta(gt=0.0)]
_SIGNATURE = r"^[1-9][0-9]{0,2}/[1-9][0-9]{0,2}$"
_UUID = r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"
# ISO 8601 as programs write it: a date, or a date and time with any fraction and with or without a zone.
_STAMP = r"^\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?)?$"
PATTERN_NAMES = {_SIGNATURE: 'a time signature such as "4/4"', _UUID: "a UUID", _STAMP: "an ISO 8601 date"}
Signature = Annotated[str, Meta(pattern=_SIGNATURE)]
Uuid = Annotated[str, Meta(pattern=_UUID)]
Stamp = Annotated[str, Meta(pattern=_STAMP)]
Text = Annotated[str, Meta(min_length=1)]

# The seven lanes of the format, by label. The format places the kit; percussion beside it goes to the lane of
# the part it usually plays: clap on the backbeat, tambourine and shaker as a hi-hat, cowbell as a ride.
LANES: dict[str, int] = {
    "kick": 0,
    "hihat_pedal": 1, "hihat_foot_splash": 1,
    "snare": 2, "snare_off": 2, "rimshot": 2, "cross_stick": 2, "clap": 2,
    "hihat_closed": 3, "hihat_half": 3, "hihat_open": 3, "tambourine": 3, "shaker": 3,
    "tom_high": 4, "aux_percussion": 4,
    "tom_mid": 5, "tom_low": 5,
    "crash": 6, "crash2": 6, "splash": 6, "china": 6, "ride_bow": 6, "ride_bell": 6, "ride_edge": 6,
    "cowbell": 6,
}  # fmt: skip


def lane_of(label: str) -> int:
    """The lane 0..6 in which a label (or alias) is drawn.

    Raises:
        UnknownLabelError: the label is unknown; the nearest known one is suggested.

    >>> lane_of("kick"), lane_of("Closed Hi-Hat"), lane_of("ride")
    (0, 3, 6)
    """
    return LANES[resolve(label)]


def _extra() -> Any:
    # In angle brackets, so that no key a file may sensibly hold can be taken for the field itself.
    return msgspec.field(name="<unknown keys>", default_factory=dict)


class Metadata(msgspec.Struct, kw_only=True, rename="camel"):
    """Who made which chart of what; ``difficulty`` runs from 0 to 10, ``preview_time`` is in milliseconds."""

    title: str
    artist: str
    creator: str
    difficulty: Annotated[float, Meta(ge=0.0, le=10.0)]
    beatmap_id: Uuid
    created_at: Stamp
    modified_at: Stamp
    source: str | None = None
    tags: list[str] | None = None
    preview_time: Milliseconds | None = None
    description: str | None = None
    extra: dict[str, Any] = _extra()


class AudioRef(msgspec.Struct, kw_only=True, rename="camel"):
    """The audio file a chart belongs to: ``duration`` in milliseconds, ``hash`` as ``sha256:<hex>``."""

    filename: Text
    hash: Text
    duration: Milliseconds
    sample_rate: Annotated[int, Meta(gt=0)]
    drum_stem: str | None = None
    drum_stem_hash: str | None = None
    extra: dict[str, Any] = _extra()


class TimingPoint(msgspec.Struct, kw_only=True, rename="camel"):
    """From ``time`` on this tempo holds; without a time signature the one before goes on."""

    time: Milliseconds
    bpm: Tempo
    time_signature: Signature | None = None
    extra: dict[str, Any] = _extra()


class Timing(msgspec.Struct, kw_only=True, rename="camel"):
    """The tempo map: a base tempo, the time ``offset`` of the first bar in milliseconds, and changes."""

    bpm: Tempo
    offset: Annotated[int, Meta(ge=-MAX_MS, le=MAX_MS)] = 0
    time_signature: Signature = "4/4"
    timing_points: list[TimingPoint] = msgspec.field(default_factory=list)
    extra: dict[str, Any] = _extra()

    def resolved(self) -> list[TimingPoint]:
        """The tempo map in full: sorted points from time 0 on, one per time, each with a time signature.

        >>> timing = Timing(bpm=100, timing_points=[TimingPoint(time=5000, bpm=120)])
        >>> [(point.time, point.bpm, point.time_signature) for point in timing.resolved()]
        [(0, 100, '4/4'), (5000, 120, '4/4')]
        """
        points = {0: TimingPoint(time=0, bpm=self.bpm, time_signature=self.time_signature)}
        signature = self.time_signature
        for point in sorted(self.timing_points, key=lambda point: point.time):
            signature = point.time_signature or signature
            points[point.time] = TimingPoint(time=point.time, bpm=point.bpm, time_signature=signature)
        return list(points.values())


class DrumKit(msgspec.Struct, kw_only=True, rename="camel"):
    """The drums that the chart uses, and the name of a preset layout."""

    components: list[str]
    layout: str | None = None
    extra: dict[str, Any] = _extra()


class HitObject(msgspec.Struct, rename="camel"):
    """One hit. ``component`` is any known label or alias and is kept as written; a missing lane is filled in.

    Raises:
        InputError: the time is negative or not whole, the velocity outside 0..1, or the label unknown.

    >>> HitObject(1500, "snare").lane
    2
    """

    time: Milliseconds
    component: str
    velocity: Unit = DEFAULT_VELOCITY
    lane: Annotated[int, Meta(ge=0)] | None = None
    duration: Milliseconds | None = None
    extra: dict[str, Any] = _extra()

    def __post_init__(self) -> None:
        if not isinstance(self.time, int) or not 0 <= self.time <= MAX_MS:
            raise InputError(f"a hit's time is {self.time!r}, not whole milliseconds from 0 to {MAX_MS}")
        if not 0.0 <= self.velocity <= 1.0:
            raise InputError(f"the hit at {self.time} ms has velocity {self.velocity!r}, outside 0..1")
        if self.lane is None:
            self.lane = lane_of(self.component)
        else:
            resolve(self.component)

    @property
    def order(self) -> tuple[int, int, str]:
        """What charts are sorted by: time, then lane, then label."""
        return self.time, self.lane or 0, self.component


class GenerationMetadata(msgspec.Struct, kw_only=True, rename="camel"):
    """What a program says of a chart that it made; ``confidence`` is 0..1."""

    model_version: str | None = None
    confidence: Unit | None = None
    processed_at: Stamp | None = None
    manual_edits: bool | None = None
    extra: dict[str, Any] = _extra()


class Editor(msgspec.Struct, kw_only=True, rename="camel"):
    """Settings of the chart editor; ``bookmarks`` in milliseconds."""

    snap_divisor: Annotated[int, Meta(gt=0)] | None = None
    visual_lanes: Annotated[int, Meta(gt=0)] | None = None
    bookmarks: list[int] | None = None
    generation: GenerationMetadata | None = msgspec.field(name="aiGenerationMetadata", default=None)
    extra: dict[str, Any] = _extra()


class Chart(msgspec.Struct, kw_only=True, rename="camel"):
    """A drum chart. Hits are sorted by time, lane and label when the record is made and when it is written.

    ``skipped`` lives in memory only: what the reader of a file met and could not keep, by kind, with counts
    (for instance ``{"note 3": 12}``). It is empty when the chart holds all that the file says.
    """

    metadata: Metadata
    drum_kit: DrumKit
    hit_objects: list[HitObject]
    audio: AudioRef | None = None
    timing: Timing | None = None
    editor: Editor | None = None
    version: str = VERSION
    skipped: dict[str, int] = msgspec.field(name="<skipped>", default_factory=dict)
    extra: dict[str, Any] = _extra()

    def __post_init__(self) -> None:
        self.hit_objects = sorted(self.hit_objects, key=lambda hit: hit.order)


def kit_of(hits: Iterable[HitObject]) -> DrumKit:
    """The drums that some hits use, as canonical labels in the taxonomy's order.

    >>> kit_of([HitObject(0, "sd"), HitObject(0, "kick")]).components
    ['kick', 'snare']
    """
    used = {resolve(hit.component) for hit in hits}
    return DrumKit(components=[label for label in CANONICAL if label in used])


def check_numbers(chart: Chart, path: str | os.PathLike[str]) -> None:
    """Refuse a chart that was changed into one that no file should hold; ``path`` names the file to be
    written.

    Records check what they are made from, but a program may set a field later, to NaN for instance.

    Raises:
        InputError: a velocity outside 0..1, or a tempo that is not a positive finite number.
    """
    for hit in chart.hit_objects:
        if not 0.0 <= hit.velocity <= 1.0:
            raise InputError(f"{path}: the hit at {hit.time} ms has velocity {hit.velocity!r}, outside 0..1")
    for point in chart.timing.resolved() if chart.timing else []:
        if not (math.isfinite(point.bpm) and point.bpm > 0):
            raise InputError(f"{path}: timing: the tempo at {point.time} ms is {point.bpm!r} bpm")
