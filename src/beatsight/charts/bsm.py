"""Beatmap files, ``.bsm``: one JSON object, version 1.x, times in integer milliseconds.

Reading is strict: a missing field, a wrong type, a number that is not finite or out of range and an unknown
drum label are each one :class:`InputError` that names ``file: field: why``. Keys that this version does not
know are kept at every level and written back after the known ones. Writing puts a chart through the same
checks, so that a file that was written can always be read.
Source: the BeatSight Map Format, version 1.0.0 (docs/formats.md).
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
from collections.abc import Iterator
from typing import Any

import msgspec

from beatsight.charts.chart import (
    PATTERN_NAMES,
    AudioRef,
    Chart,
    DrumKit,
    Editor,
    GenerationMetadata,
    HitObject,
    Metadata,
    Timing,
    TimingPoint,
)
from beatsight.errors import InputError
from beatsight.files import read_bytes, write_bytes
from beatsight.taxonomy import UnknownLabelError, resolve

_UNKNOWN = "<unknown keys>"
# Chart gives these a default for the sake of charts that come from other files; a .bsm must hold them.
_REQUIRED = ("version", "metadata", "audio", "timing", "drumKit", "hitObjects")
_REQUIRED_TIMING = ("bpm", "offset", "timeSignature")
_MAJOR = "1"

_NESTED: dict[type[msgspec.Struct], dict[str, type[msgspec.Struct]]] = {
    Chart: {
        "metadata": Metadata, "audio": AudioRef, "timing": Timing, "drumKit": DrumKit,
        "hitObjects": HitObject, "editor": Editor,
    },
    Timing: {"timingPoints": TimingPoint},
    Editor: {"aiGenerationMetadata": GenerationMetadata},
}  # fmt: skip
_KEYS: dict[type[msgspec.Struct], dict[str, str]] = {
    kind: {field.encode_name: field.name for field in msgspec.structs.fields(kind) if field.name != "extra"}
    for kind in (
        Chart, Metadata, AudioRef, Timing, TimingPoint, DrumKit, HitObject, Editor, GenerationMetadata,
    )
}  # fmt: skip
del _KEYS[Chart]["<skipped>"]

_PATH = re.compile(r" - at `\$\.?(.*)`$")
_MISSING = re.compile(r"^Object missing required field `(.*)`")


def _stow(raw: Any, kind: type[msgspec.Struct]) -> Any:
    """A copy of parsed JSON in which every object's unknown keys lie under one key of their own."""
    if isinstance(raw, list):
        return [_stow(item, kind) for item in raw]
    if not isinstance(raw, dict):
        return raw
    nested = _NESTED.get(kind, {})
    known = {
        key: _stow(value, nested[key]) if key in nested else value
        for key, value in raw.items()
        if key in _KEYS[kind]
    }
    if unknown := {key: value for key, value in raw.items() if key not in known}:
        known[_UNKNOWN] = unknown
    return known


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if not isinstance(value, msgspec.Struct):
        return value
    out = {
        key: _plain(item)
        for key, name in _KEYS[type(value)].items()
        if (item := getattr(value, name)) is not None
    }
    return out | {key: item for key, item in value.extra.items() if key not in out}  # type: ignore[attr-defined]


def _not_finite(value: Any, field: str) -> Iterator[tuple[str, float]]:
    if isinstance(value, float) and not math.isfinite(value):
        yield field, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _not_finite(item, f"{field}.{key}" if field else str(key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _not_finite(item, f"{field}[{index}]")


def _check_finite(raw: Any, where: str) -> None:
    for field, value in _not_finite(raw, ""):
        raise InputError(f"{where}: {field}: is {value}, not a finite number")


def _require(raw: dict[str, Any], where: str) -> None:
    timing = raw.get("timing")
    missing = [key for key in _REQUIRED if raw.get(key) is None]
    if isinstance(timing, dict):
        missing += [f"timing.{key}" for key in _REQUIRED_TIMING if timing.get(key) is None]
    for key in missing:
        raise InputError(f"{where}: {key}: is missing")


def _check_labels(hits: Any, where: str) -> None:
    for index, hit in enumerate(hits if isinstance(hits, list) else []):
        label = hit.get("component") if isinstance(hit, dict) else None
        if isinstance(label, str):
            try:
                resolve(label)
            except UnknownLabelError as error:
                raise InputError(f"{where}: hitObjects[{index}].component: {error}") from None


def _fault(raw: dict[str, Any], error: msgspec.ValidationError) -> str:
    """``field: why`` from msgspec's message, with the index that it leaves out of a path."""
    text = str(error)
    match = _PATH.search(text)
    field = match.group(1) if match else ""
    text = _PATH.sub("", text)
    if missing := _MISSING.match(text):
        field, text = f"{field}.{missing.group(1)}".lstrip("."), "is missing"
    for name, items, kind in (
        ("hitObjects", raw["hitObjects"], HitObject),
        ("timing.timingPoints", _dict(raw["timing"]).get("timingPoints"), TimingPoint),
    ):
        if field.startswith(f"{name}[...]"):
            field = field.replace("[...]", f"[{_first_bad(items, kind)}]", 1)
    for pattern, name in PATTERN_NAMES.items():
        if repr(pattern) in text:
            text = f"expected {name}"
    return f"{field}: {text[:1].lower()}{text[1:].replace('`', '').replace(' | null', '')}"


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _first_bad(items: Any, kind: type[msgspec.Struct]) -> int:
    for index, item in enumerate(items):
        try:
            msgspec.convert(_stow(item, kind), kind)
        except msgspec.ValidationError:
            return index
    raise AssertionError("one of the items was refused before")


def chart_from_builtins(raw: Any, where: str) -> Chart:
    """A chart from parsed ``.bsm`` JSON, every value checked.

    Args:
        raw: the parsed value, a dictionary with the keys of the file.
        where: what to name in an error, usually the path.

    Raises:
        InputError: ``where: field: why``.
    """
    if not isinstance(raw, dict):
        raise InputError(f"{where}: is not a JSON object")
    _check_finite(raw, where)
    _require(raw, where)
    version = raw["version"]
    if isinstance(version, str) and version.split(".")[0] != _MAJOR:
        raise InputError(f"{where}: version: is {version!r}, and this program reads version {_MAJOR}.x")
    _check_labels(raw["hitObjects"], where)
    try:
        return msgspec.convert(_stow(raw, Chart), Chart)
    except msgspec.ValidationError as error:
        raise InputError(f"{where}: {_fault(raw, error)}") from None


def chart_to_builtins(chart: Chart) -> dict[str, Any]:
    """The chart as a dictionary with the keys of the file: absent values left out, unknown keys in place."""
    raw = _plain(chart)
    raw["hitObjects"] = _plain(sorted(chart.hit_objects, key=lambda hit: hit.order))
    first = ("version", *(key for key in raw if key != "version"))
    return {key: raw[key] for key in first}


def _parse(data: bytes, path: str | os.PathLike[str]) -> Any:
    if not data.strip():
        raise InputError(f"{path}: is empty")
    try:
        return msgspec.json.decode(data.removeprefix(b"\xef\xbb\xbf"))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        fault = error
    # Python's own parser knows NaN and Infinity, which JSON does not, and so can say where one stands.
    with contextlib.suppress(ValueError):
        _check_finite(json.loads(data), str(path))
    raise InputError(f"{path}: is not valid JSON: {fault}") from None


def read_bsm(path: str | os.PathLike[str]) -> Chart:
    """Read a ``.bsm`` file.

    Raises:
        InputError: the file cannot be read, is not JSON, or breaks the format: ``file: field: why``.
    """
    data = read_bytes(path)
    try:
        return chart_from_builtins(_parse(data, path), str(path))
    except RecursionError:
        raise InputError(f"{path}: is nested too deeply") from None


def write_bsm(chart: Chart, path: str | os.PathLike[str]) -> None:
    """Write a ``.bsm`` file in one step; the same chart gives the same bytes.

    Raises:
        InputError: the chart lacks its audio or timing, holds a value out of range, or cannot be written.
    """
    raw = chart_to_builtins(chart)
    chart_from_builtins(raw, str(path))
    write_bytes(path, msgspec.json.format(msgspec.json.encode(raw), indent=2) + b"\n")
