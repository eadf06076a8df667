"""Event, Component and Prediction: one labelled drum moment, and what a model says of one.

Conventions: times in seconds from the start of the audio file; velocity, openness and scores 0..1.
A file is JSON lines (plain, ``.gz`` or ``.zst``), one record a line. Decoding is strict: a fault is one
:class:`InputError` that names ``file:line: field: why``. Keys that this version does not know are kept in
``extra`` and written back; an explicit ``null`` means the same as an absent key and is not written back.
"""

from __future__ import annotations

import codecs
import contextlib
import json
import math
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta

from beatsight.errors import InputError
from beatsight.files import DAMAGED, atomic_path, open_input, open_output

Unit = Annotated[float, Meta(ge=0.0, le=1.0)]
Seconds = Annotated[float, Meta(ge=0.0)]
Name = Annotated[str, Meta(min_length=1)]

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


class Context(msgspec.Struct, kw_only=True, omit_defaults=True):
    """How much audio around the onset belongs to the moment, in milliseconds."""

    pre: Annotated[float, Meta(ge=0)] | None = None
    post: Annotated[float, Meta(ge=0)] | None = None
    extra: dict[str, Any] = _extra()


class Loudness(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Measured loudness of the clip: integrated LUFS and peak in dBFS."""

    LUFS_i: float | None = None
    peak_dbfs: float | None = None
    extra: dict[str, Any] = _extra()


class Component(msgspec.Struct, kw_only=True, omit_defaults=True):
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


class Event(msgspec.Struct, kw_only=True, omit_defaults=True):
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
    sample_rate: Annotated[int, Meta(gt=0)] | None = None
    channels: Annotated[int, Meta(gt=0)] | None = None
    offset_time: Seconds | None = None
    tempo_bpm: Annotated[float, Meta(gt=0)] | None = None
    meter: Annotated[str, Meta(pattern=r"^[1-9][0-9]*/[1-9][0-9]*\Z")] | None = None
    bar_index: int | None = None
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


class Prediction(msgspec.Struct, kw_only=True, omit_defaults=True):
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

_FIELDS: dict[type, frozenset[str]] = {
    kind: frozenset(kind.__struct_fields__) - {"extra"}
    for kind in (Event, Prediction, Component, Context, Loudness)
}
_PATH = re.compile(r" - at `\$\.?(.*)`$")
# Deeper than any label needs, and far from where Python's own recursion would give up.
_MAX_DEPTH = 64
_MISSING = re.compile(r"^Object missing required field `(.*?)`")


def _keep_extra(record: Any, raw: dict[str, Any]) -> None:
    fields = _FIELDS[type(record)]
    if not raw.keys() <= fields:
        record.extra = {key: value for key, value in raw.items() if key not in fields}


def _check_finite(value: Any, where: str, field: str = "", depth: int = 0) -> None:
    if depth > _MAX_DEPTH:
        raise InputError(f"{where}: is nested too deeply, more than {_MAX_DEPTH} levels")
    if isinstance(value, float):
        if not math.isfinite(value):
            raise InputError(f"{where}: {field or 'the line'}: is {value}, not a finite number")
    elif isinstance(value, dict):
        for key, item in value.items():
            _check_finite(item, where, f"{field}.{key}" if field else str(key), depth + 1)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _check_finite(item, where, f"{field}[{index}]", depth + 1)


def _explain(error: msgspec.ValidationError) -> str:
    """``field: why`` from msgspec's ``why - at `$.field` ``."""
    text = str(error)
    match = _PATH.search(text)
    field = match.group(1) if match else ""
    if missing := _MISSING.match(text):
        return f"{field}.{missing.group(1)}: is missing".lstrip(".")
    why = _PATH.sub("", text).replace("`", "")
    if "matching regex" in why:  # the meter is the only field with a pattern
        why = 'is not a meter such as "7/8"'
    return f"{field}: {why}" if field else why


def from_builtins(raw: Any, kind: type[Record], where: str) -> Record:
    """A record from parsed JSON, every value checked.

    Args:
        raw: the parsed value, a dictionary.
        kind: :class:`Event` or :class:`Prediction`.
        where: what to name in an error, e.g. ``events.jsonl:3``.

    Raises:
        InputError: ``where: field: why``.
    """
    if not isinstance(raw, dict):
        raise InputError(f"{where}: is not a JSON object")
    _check_finite(raw, where)
    try:
        record = msgspec.convert(raw, kind)
    except msgspec.ValidationError as error:
        raise InputError(f"{where}: {_explain(error)}") from None
    _keep_extra(record, raw)
    if isinstance(record, Event):
        if not record.components and not record.negative_example:
            raise InputError(f"{where}: components: is empty, and negative_example is not true")
        for component, part in zip(record.components, raw["components"], strict=True):
            _keep_extra(component, part)
        for name in ("context_ms", "loudness"):
            if (part := getattr(record, name)) is not None:
                _keep_extra(part, raw[name])
    return record


def decode(line: bytes | str, kind: type[Record], where: str) -> Record:
    """One record from one line of JSON; see :func:`from_builtins`."""
    return from_builtins(_parse(line, where), kind, where)


def _parse(line: bytes | str, where: str) -> Any:
    try:
        return msgspec.json.decode(line)
    except RecursionError:
        raise InputError(f"{where}: is nested too deeply, more than {_MAX_DEPTH} levels") from None
    except (msgspec.DecodeError, UnicodeError) as error:
        # Python's own reader lets NaN, Infinity and 1e999 through, so that their field can be named.
        with contextlib.suppress(ValueError, RecursionError):
            _check_finite(json.loads(line if isinstance(line, str) else line.decode()), where)
        raise InputError(f"{where}: is not valid JSON: {error}") from None


def _plain(value: Any) -> Any:
    if isinstance(value, msgspec.Struct):
        out = {
            key: _plain(item)
            for key in value.__struct_fields__
            if key != "extra" and (item := getattr(value, key)) is not None
        }
        return out | value.extra  # type: ignore[attr-defined]
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value


def to_builtins(record: Event | Prediction) -> dict[str, Any]:
    """The record as a dictionary ready for JSON: absent values left out, unknown keys back in place."""
    return _plain(record)


def encode(record: Event | Prediction) -> bytes:
    """One line of JSON, without the newline.

    Raises:
        InputError: a value is not finite (JSON has no word for it).
    """
    fields = to_builtins(record)
    data = msgspec.json.encode(fields)
    if b"null" in data:  # msgspec writes NaN and infinity so, and no reader could tell them from absent
        _check_finite(fields, f"{type(record).__name__.lower()} {record.sample_id!r}")
    return data


def read_records(path: str | os.PathLike[str], kind: type[Record]) -> Iterator[Record]:
    """Stream the records of a JSON-lines file (plain, ``.gz`` or ``.zst``); blank lines are skipped.

    Raises:
        InputError: the file cannot be read, is cut short, or holds a faulty line (named).
    """
    path = Path(path)
    number = 0
    try:
        with open_input(path) as stream:
            for number, line in enumerate(stream, start=1):
                if number == 1:
                    line = line.removeprefix(codecs.BOM_UTF8)
                if line.strip():
                    yield decode(line, kind, f"{path}:{number}")
    except DAMAGED as error:
        raise InputError(f"{path}: the compressed file is damaged after line {number}: {error}") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error


def read_events(path: str | os.PathLike[str]) -> list[Event]:
    """All events of a file; a file without any is an error.

    Raises:
        InputError: as :func:`read_records`, and when the file holds no event.
    """
    events = list(read_records(path, Event))
    if not events:
        raise InputError(f"{path}: holds no events")
    return events


def write_records(path: str | os.PathLike[str], records: Iterable[Event | Prediction]) -> int:
    """Write records as JSON lines (compressed by suffix), aside and renamed; the count is returned.

    ``records`` may be a generator that reads from ``path`` itself: the old file stays until the end.
    """
    count = 0
    with atomic_path(path) as temporary, open_output(temporary) as stream:
        for record in records:
            stream.write(encode(record) + b"\n")
            count += 1
    return count
