"""Records to and from one line of JSON, every value checked.

Decoding is strict: a fault is one :class:`InputError` that names ``file:line: field: why``;
:func:`line_faults` lists every fault of a line.
"""

from __future__ import annotations

import contextlib
import json
import math
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

import msgspec

from beatsight.errors import InputError
from beatsight.events.records import Component, Context, Event, Loudness, Prediction, Record

KNOWN_KEYS: dict[type, frozenset[str]] = {
    kind: frozenset(kind.__struct_fields__) - {"extra"}
    for kind in (Event, Prediction, Component, Context, Loudness)
}
_DECODERS: dict[type, Any] = {kind: msgspec.json.Decoder(kind) for kind in (Event, Prediction)}
_ANY = msgspec.json.Decoder()
_PATH = re.compile(r" - at `\$\.?(.*)`$")
# Deeper than any label needs, and far from where Python's own recursion would give up.
_MAX_DEPTH = 64
_EMPTY = ("components", "is empty, and negative_example is not true")
_PARTS: dict[str, type] = {"context_ms": Context, "loudness": Loudness}
_MISSING = re.compile(r"^Object missing required field `(.*?)`")


def _keep_extra(record: Any, raw: dict[str, Any]) -> None:
    fields = KNOWN_KEYS[type(record)]
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


def _check_components(record: Any, where: str) -> None:
    if isinstance(record, Event) and not record.components and not record.negative_example:
        raise InputError(f"{where}: {_EMPTY[0]}: {_EMPTY[1]}")


def _keep_all_extra(record: Any, raw: dict[str, Any]) -> None:
    _keep_extra(record, raw)
    if isinstance(record, Event):
        for component, part in zip(record.components, raw["components"], strict=True):
            _keep_extra(component, part)
        for name in _PARTS:
            if (part := getattr(record, name)) is not None:
                _keep_extra(part, raw[name])


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
    _check_components(record, where)
    _keep_all_extra(record, raw)
    return record


def _is_plain(line: bytes) -> bool:
    """Whether the typed decoder alone finds every fault: it passes over unknown keys without a close look."""
    # One byte is found ten times as fast as three, and most lines have no backslash.
    whole_text = b"\\" not in line or (b"\\ud" not in line and b"\\uD" not in line)
    return whole_text and line.count(b"{") + line.count(b"[") <= _MAX_DEPTH


def check(line: bytes, kind: type[Record], where: str) -> Record:
    """One record from one line of JSON, without its unknown keys: a third of the time of :func:`decode`.

    Raises:
        InputError: ``where: field: why``.
    """
    if _is_plain(line):
        try:
            record = _DECODERS[kind].decode(line)
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            return decode(line, kind, where)
        _check_components(record, where)
        return record
    return decode(line, kind, where)


def check_all(lines: Iterable[bytes], kind: type[Record], found: list[Record]) -> None:
    """Append the record of every line to ``found``, as :func:`check` would, in two thirds of its time.

    Raises:
        InputError: ``field: why`` of the first faulty line, whose number is the length of ``found``.
    """
    typed, is_event, add = _DECODERS[kind].decode, kind is Event, found.append
    for line in lines:
        if b"\\" in line or line.count(b"{") + line.count(b"[") > _MAX_DEPTH:
            add(check(line, kind, ""))
            continue
        try:
            record = typed(line)
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            record = decode(line, kind, "")
        if is_event and not record.components and not record.negative_example:
            _check_components(record, "")
        add(record)


def decode(line: bytes | str, kind: type[Record], where: str) -> Record:
    """One record from one line of JSON; see :func:`from_builtins`."""
    if isinstance(line, bytes) and _is_plain(line):
        # The common case in a quarter of the time; what fails here is explained below.
        with contextlib.suppress(msgspec.MsgspecError, UnicodeError, RecursionError):
            raw = _ANY.decode(line)
            record = _DECODERS[kind].decode(line)
            _check_components(record, where)
            _keep_all_extra(record, raw)
            return record
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


def decode_as(data: bytes | str, kind: type[Any], where: str) -> Any:
    """One JSON object as a typed record of any kind (a msgspec Struct); unknown keys are passed over.

    Args:
        data: the text, a whole file or one line.
        kind: the type to read it as.
        where: what to name in an error, e.g. ``labels.jsonl:3``.

    Raises:
        InputError: ``where: field: why``.
    """
    raw = _parse(data, where)
    if not isinstance(raw, dict):
        raise InputError(f"{where}: is not a JSON object")
    _check_finite(raw, where)
    try:
        return msgspec.convert(raw, kind)
    except msgspec.ValidationError as error:
        raise InputError(f"{where}: {_explain(error)}") from None


def line_faults(line: bytes, kind: type[Record]) -> list[tuple[str, str]]:
    """Every fault of one line as (field, why); empty for a good one. The field is empty for the whole line.

    >>> line_faults(b'{"sample_id": "", "session_id": "s", "components": [{"label": 3}]}', Event)
    [('sample_id', 'Expected str of length >= 1'), ('onset_time', 'is missing'), \
('components[0].label', 'Expected str, got int')]
    """
    try:
        decode(line, kind, "")
        return []
    except InputError as error:
        first = str(error).removeprefix(": ")
    try:
        raw = _parse(line, "")
        _check_finite(raw, "")
    except InputError as error:
        field, colon, why = str(error).removeprefix(": ").partition(": ")
        return [(field, why)] if colon and not field.startswith("is ") else [("", first)]
    if not isinstance(raw, dict):
        return [("", first)]
    found = list(_struct_faults(raw, kind, ""))
    if kind is Event and raw.get("components") == [] and not raw.get("negative_example"):
        found.append(_EMPTY)
    return found or [("", first)]


@lru_cache
def _fields(kind: type) -> tuple[msgspec.structs.FieldInfo, ...]:
    return msgspec.structs.fields(kind)


def _struct_faults(raw: Any, kind: type, at: str) -> Iterator[tuple[str, str]]:
    """Faults of one object field by field, so that one does not hide the next."""
    if not isinstance(raw, dict):
        yield at, f"Expected object, got {_json_type(raw)}"
        return
    for field in _fields(kind):
        if field.name == "extra":
            continue
        name = f"{at}.{field.name}" if at else field.name
        value = raw.get(field.name)
        if field.name not in raw:
            if field.required:
                yield name, "is missing"
        elif field.name == "components" and isinstance(value, list):
            for index, part in enumerate(value):
                yield from _struct_faults(part, Component, f"{name}[{index}]")
        elif field.name in _PARTS and isinstance(value, dict):
            yield from _struct_faults(value, _PARTS[field.name], name)
        else:
            try:
                msgspec.convert(value, field.type)
            except msgspec.ValidationError as error:
                inner, colon, why = _explain(error).partition(": ")
                deeper = inner if inner.startswith("[") else f".{inner}"
                yield ((f"{name}{deeper}", why) if colon else (name, inner))


def _json_type(value: Any) -> str:
    names = {list: "array", str: "str", bool: "bool", int: "int", float: "float", type(None): "null"}
    return names.get(type(value), type(value).__name__)


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


def _has_extra(record: Any) -> bool:
    if record.extra or isinstance(record, Prediction):
        return bool(record.extra)
    return any(part.extra for part in (*record.components, record.context_ms, record.loudness) if part)


def encode(record: Event | Prediction) -> bytes:
    """One line of JSON, without the newline.

    Raises:
        InputError: a value is not finite (JSON has no word for it).
    """
    if not _has_extra(record):
        data = msgspec.json.encode(record)
        if b"null" not in data:
            return data
    fields = to_builtins(record)
    data = msgspec.json.encode(fields)
    if b"null" in data:  # msgspec writes NaN and infinity so, and no reader could tell them from absent
        _check_finite(fields, f"{type(record).__name__.lower()} {record.sample_id!r}")
    return data
