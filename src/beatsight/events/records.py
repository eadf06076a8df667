"""Event, Component and Prediction: one labelled drum moment, and what a model says of one.

Conventions: times in seconds from the start of the audio file; velocity, openness and scores 0..1. Keys that
this version does not know are kept in ``extra`` and written back; an explicit ``null`` means the same as an
absent key and is not written back.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta

Unit = Annotated[float, Meta(ge=0.0, le=1.0)]
Seconds = Annotated[float, Meta(ge=0.0)]
Name = Annotated[str, Meta(min_length=1)]
# Whole numbers are kept in 64 bits, as every table format does.
Whole = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
Positive = Annotated[int, Meta(gt=0, le=2**63 - 1)]

# Upper edges of the dynamic buckets (docs/formats.md): ghost < .15, light < .35, medium < .65, accent.
_BUCKETS = ((0.15, "ghost"), (0.35, "light"), (0.65, "medium"))


def dynamic_bucket(velocity: float) -> str:
    """The dynamic bucket of a velocity 0..1.

    >>> dynamic_bucket(0.1), dynamic_bucket(0.35), dynamic_bucket(1.0)
    ('ghost', 'medium', 'accent')
    """
    return next((name for edge, name in _BUCKETS if velocity < edge), "accent")


def _extra() -> Any:
    # No real file uses this key, so a file's own "extra" is an unknown key like any other.
    return msgspec.field(name="<unknown keys>", default_factory=dict)


class Context(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """How much audio around the onset belongs to the moment, in milliseconds."""

    pre: Annotated[float, Meta(ge=0)] | None = None
    post: Annotated[float, Meta(ge=0)] | None = None
    extra: dict[str, Any] = _extra()


class Loudness(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """Measured loudness of the clip: integrated LUFS and peak in dBFS."""

    LUFS_i: float | None = None
    peak_dbfs: float | None = None
    extra: dict[str, Any] = _extra()


class Component(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """One drum that sounds at the moment."""

    label: Name
    velocity: Unit | None = None
    dynamic_bucket: Literal["ghost", "light", "medium", "accent"] | None = None
    openness: Unit | None = None
    openness_raw: Annotated[float, Meta(ge=0, le=127)] | None = None
    strike_position: str | None = None
    choke: bool | None = None
    pedal: Any = None
    instrument_variant: str | None = None
    extra: dict[str, Any] = _extra()


class Event(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """One labelled moment of one audio file: a line of events.jsonl."""

    sample_id: Name
    session_id: Name
    onset_time: Seconds
    components: list[Component]
    event_id: str | None = None
    track_id: str | None = None
    drummer_id: str | None = None
    kit_id: str | None = None
    room_id: str | None = None
    source_set: str | None = None
    is_synthetic: bool | None = None
    audio_path: str | None = None
    sample_rate: Positive | None = None
    channels: Positive | None = None
    offset_time: Seconds | None = None
    tempo_bpm: Annotated[float, Meta(gt=0)] | None = None
    meter: Annotated[str, Meta(pattern=r"^[1-9][0-9]*/[1-9][0-9]*\Z")] | None = None
    bar_index: Whole | None = None
    beat_index: float | None = None
    techniques: list[str] | None = None
    tags: list[str] | None = None
    context_ms: Context | None = None
    bleed_level: Literal["low", "med", "high"] | None = None
    mix_context: Literal["full_mix", "close_mic", "overheads"] | None = None
    processing_chain: Any = None
    negative_example: bool | None = None
    loudness: Loudness | None = None
    qc: Any = None
    device_vendor: str | None = None
    device_model: str | None = None
    openness_curve_id: str | None = None
    metadata_ref: Any = None
    notes: str | None = None
    extra: dict[str, Any] = _extra()

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels of the components, in their order."""
        return tuple(component.label for component in self.components)


class Prediction(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """What a model says of one moment; ``scores`` maps labels to 0..1."""

    sample_id: Name
    scores: dict[str, Unit]
    session_id: str | None = None
    audio_path: str | None = None
    onset_time: Seconds | None = None
    predicted_labels: list[str] | None = None
    openness_pred: Unit | None = None
    velocity_pred: Unit | None = None
    extra: dict[str, Any] = _extra()


Record = TypeVar("Record", Event, Prediction)
