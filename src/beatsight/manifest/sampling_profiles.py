"""Sampling profiles: named settings of :mod:`beatsight.manifest.weights`, kept as data.

The packaged file, ``calibration/sampling_profiles.json``, holds the profiles of docs/formats.md as published.
A file of one's own has the same keys; an unknown key is an error rather than a setting without effect.
"""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Annotated

import msgspec
import pyarrow as pa
from msgspec import Meta

from beatsight.errors import InputError, UsageError
from beatsight.events import Event
from beatsight.events.lines import KNOWN_KEYS
from beatsight.events.parquet import ANY_KEYS, schema
from beatsight.files import read_bytes

PACKAGED_PROFILES = Path(__file__).parent / "calibration" / "sampling_profiles.json"
Count = Annotated[int, Meta(ge=0)]
Names = list[Annotated[str, Meta(min_length=1)]]


class WeightSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How to weigh: one profile; :mod:`beatsight.manifest.weights` says what the keys do."""

    description: str = ""
    group_field: str = "session_id"
    min_count: Count = 1
    smoothing: Annotated[float, Meta(ge=0)] = 0.0
    exponent: float = 0.5
    technique_boosts: dict[str, Annotated[float, Meta(gt=0)]] = {}
    dedupe_fields: Names | None = None
    max_events_per_group: Annotated[int, Meta(ge=1)] | None = None
    technique_filter: Names | None = None
    filter_match_all: bool = False
    include_unmatched: bool = True
    min_weight: Annotated[float, Meta(ge=0)] = 0.0
    max_weight: Annotated[float, Meta(gt=0)] | None = None


def load_profiles(path: str | os.PathLike[str] | None = None) -> dict[str, WeightSettings]:
    """Profiles by name; without a path, the packaged ones.

    Raises:
        InputError: the file cannot be read, or a key of a profile is unknown or faulty (named).

    >>> load_profiles()["prod_combined"].max_events_per_group
    512
    """
    path = Path(path or PACKAGED_PROFILES)
    try:
        return msgspec.json.decode(read_bytes(path), type=dict[str, WeightSettings])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: is not a file of sampling profiles: {error}") from error


def check_settings(settings: WeightSettings) -> None:
    """Refuse settings that contradict each other or name keys that no event can have.

    Raises:
        UsageError: one sentence that names the setting.
    """
    try:
        msgspec.convert(msgspec.to_builtins(settings), WeightSettings)
    except msgspec.ValidationError as error:
        raise UsageError(f"sampling weights: {error}") from None
    numbers = (
        settings.smoothing, settings.exponent, settings.min_weight, settings.max_weight or 0.0,
        *settings.technique_boosts.values(),
    )  # fmt: skip
    if not all(map(math.isfinite, numbers)):
        raise UsageError("sampling weights: every number must be finite")
    if settings.max_weight is not None and settings.min_weight > settings.max_weight:
        raise UsageError(
            f"min_weight {settings.min_weight:g} is greater than max_weight {settings.max_weight:g}"
        )
    cap = settings.max_events_per_group
    if cap is not None and settings.min_count > cap:
        raise UsageError(f"min_count {settings.min_count} can never be reached: counting stops at {cap}")
    types = schema(Event)
    texts = [
        one.name for one in types if one.type == pa.string() and one.name in KNOWN_KEYS[Event] - ANY_KEYS
    ]
    if settings.group_field not in texts:
        raise UsageError(f"group_field {settings.group_field!r} is none of {', '.join(texts)}")
    for name in settings.dedupe_fields or ():
        if name in KNOWN_KEYS[Event] and pa.types.is_struct(types.field(name).type):
            raise UsageError(f"dedupe field {name!r} is no single value, so events are not compared by it")
