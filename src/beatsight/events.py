"""Event, Component and Prediction: one labelled drum moment, and what a model says of one.

Conventions: times in seconds from the start of the audio file; velocity, openness and scores 0..1.
A file is JSON lines (plain, ``.gz`` or ``.zst``), one record a line. Decoding is strict: a fault is one
:class:`InputError` that names ``file:line: field: why``. Keys that this version does not know are kept in
``extra`` and written back; an explicit ``null`` means the same as an absent key and is not written back.
"""

from __future__ import annotations

import gzip
import io
import math
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta

from beatsight.errors import InputError, require
from beatsight.files import atomic_path

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
    # No JSON key can collide with this name, so a file's own "extra" is an unknown key like any other.
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
    meter: Annotated[str, Meta(pattern=r"^\d+/\d+$")] | None = None
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
_NOT_A_NUMBER = re.compile(rb"\b(NaN|-?Infinity)\b")


def _keep_extra(record: Any, raw: dict[str, Any]) -> None:
    fields = _FIELDS[type(record)]
    if not raw.keys() <= fields:
        record.extra = {key: value for key, value in raw.items() if key not in fields}


def _check_finite(value: Any, where: str, field: str = "") -> None:
    if isinstance(value, float):
        if not math.isfinite(value):
            raise InputError(f"{where}: {field}: is {value}, not a finite number")
    elif isinstance(value, dict):
        for key, item in value.items():
            _check_finite(item, where, f"{field}.{key}" if field else str(key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _check_finite(item, where, f"{field}[{index}]")


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
        text = str(error)
        match = _PATH.search(text)
        field = f"{match.group(1)}: " if match else ""
        raise InputError(f"{where}: {field}{_PATH.sub('', text).replace('`', '')}") from None
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
    data = line.encode() if isinstance(line, str) else line
    try:
        raw = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        if match := _NOT_A_NUMBER.search(data):
            raise InputError(f"{where}: holds {match.group(1).decode()}, not a finite number") from None
        raise InputError(f"{where}: is not valid JSON: {error}") from None
    return from_builtins(raw, kind, where)


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
    """One line of JSON, without the newline."""
    return msgspec.json.encode(to_builtins(record))


def _open(path: Path) -> IO[bytes]:
    if path.name.endswith(".gz"):
        return gzip.open(path, "rb")  # type: ignore[return-value]
    if path.name.endswith(".zst"):
        zstandard = require("zstandard", "zstd")
        return io.BufferedReader(zstandard.ZstdDecompressor().stream_reader(path.open("rb")))
    return path.open("rb")


def read_records(path: str | os.PathLike[str], kind: type[Record]) -> Iterator[Record]:
    """Stream the records of a JSON-lines file (plain, ``.gz`` or ``.zst``); blank lines are skipped.

    Raises:
        InputError: the file cannot be read, is cut short, or holds a faulty line (named).
    """
    path = Path(path)
    number = 0
    try:
        with _open(path) as stream:
            for number, line in enumerate(stream, start=1):
                if line.strip():
                    yield decode(line, kind, f"{path}:{number}")
    except (EOFError, gzip.BadGzipFile) as error:
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
    with atomic_path(path) as temporary:
        if temporary.suffix == ".gz":
            # A fixed time stamp: the same records give the same bytes.
            stream: Any = gzip.GzipFile(temporary, "wb", mtime=0)
        elif temporary.suffix == ".zst":
            stream = require("zstandard", "zstd").open(temporary, "wb")
        else:
            stream = temporary.open("wb")
        with stream:
            for record in records:
                stream.write(encode(record) + b"\n")
                count += 1
    return count
