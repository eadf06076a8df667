"""Hi-hat openness from an e-kit's pedal values: each device's curve turns raw 0..127 into 0 closed .. 1 open.

A curve is data (``calibration/openness_curves.json``, schema in docs/formats.md): piecewise linear between
its breakpoints, constant outside them, plus an offset, clamped to 0..1. An event is touched when its device
has a curve and one of its components has ``openness_raw``; it then names the curve, so that it can be done
again from the raw values when the curve improves.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import Meta

from beatsight.errors import InputError
from beatsight.events import Unit
from beatsight.files import read_bytes
from beatsight.manifest.engine.blocks import Block, Rows
from beatsight.manifest.engine.rewrite import Progress, rewrite
from beatsight.manifest.engine.rows import fields_of, records

PACKAGED_CURVES = Path(__file__).parent / "calibration" / "openness_curves.json"
# A pedal has 128 steps; six decimals lose nothing and keep lines short.
_DECIMALS = 6


class Breakpoint(msgspec.Struct, frozen=True):
    """A point of a curve: pedal value 0..127, and how open the hat is there."""

    raw: Annotated[float, Meta(ge=0, le=127)]
    normalized: Unit


class Curve(msgspec.Struct, frozen=True):
    """One device's curve."""

    curve_id: Annotated[str, Meta(min_length=1)]
    breakpoints: Annotated[tuple[Breakpoint, ...], Meta(min_length=1)]
    offset: Annotated[float, Meta(ge=-1, le=1)] = 0.0

    def openness(self, raw: float) -> float:
        """Openness 0..1 of a pedal value 0..127.

        >>> Curve("c", (Breakpoint(0, 0.0), Breakpoint(100, 1.0)), offset=0.1).openness(50)
        0.6
        """
        at = [point.raw for point in self.breakpoints]
        value = float(np.interp(raw, at, [point.normalized for point in self.breakpoints])) + self.offset
        return round(min(1.0, max(0.0, value)), _DECIMALS)


class _File(msgspec.Struct):
    vendors: dict[str, dict[str, Curve]]


@dataclass
class OpennessReport:
    """What :func:`apply_openness` did, or would do.

    Attributes:
        events: events in the manifest.
        updated_events, updated_components: those that got an openness from a curve.
        devices: per device with a curve (``vendor model``, in lower case): curve id, events and components
            updated, however the events spell it.
        unknown_devices: events with raw values of a device without a curve, by ``vendor model``.
        without_device: events with raw values that name no device.
    """

    events: int = 0
    updated_events: int = 0
    updated_components: int = 0
    devices: dict[str, dict[str, Any]] = field(default_factory=dict)
    unknown_devices: dict[str, int] = field(default_factory=dict)
    without_device: int = 0


def load_curves(path: str | os.PathLike[str] | None = None) -> dict[tuple[str, str], Curve]:
    """Curves by (vendor, model), both in lower case; without a path, the packaged ones.

    Raises:
        InputError: the file cannot be read, or a curve is faulty (named).
    """
    path = Path(path or PACKAGED_CURVES)
    try:
        content = msgspec.json.decode(read_bytes(path), type=_File)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: is not a file of openness curves: {error}") from error
    curves: dict[tuple[str, str], Curve] = {}
    for vendor, models in content.vendors.items():
        for model, curve in models.items():
            raws = [point.raw for point in curve.breakpoints]
            if any(a >= b for a, b in pairwise(raws)):
                raise InputError(f"{path}: {vendor} {model}: the raw values of the breakpoints must rise")
            if curves.setdefault(_device(vendor, model), curve) is not curve:
                raise InputError(f"{path}: {vendor} {model} is listed twice")
    return curves


def _device(vendor: str, model: str) -> tuple[str, str]:
    return vendor.strip().lower(), model.strip().lower()


def _name(device: tuple[str, str]) -> str:
    return " ".join(device)


def openness_lines(rows: Rows, block: Block, params: Mapping[str, Any]) -> tuple[list[bytes], Any]:
    """Line task: apply the curves of ``params["curves"]`` (a list of vendor, model, curve)."""
    curves = {(vendor, model): msgspec.convert(curve, Curve) for vendor, model, curve in params["curves"]}
    lines = list(rows.lines)
    updated: Counter[str] = Counter()
    components: Counter[str] = Counter()
    unknown: Counter[str] = Counter()
    without = 0
    for index, event in enumerate(records(rows)):
        raw = [part.openness_raw for part in event.components]
        if all(value is None for value in raw):
            continue
        if not event.device_vendor or not event.device_model:
            without += 1
            continue
        name = f"{event.device_vendor} {event.device_model}"
        device = _device(event.device_vendor, event.device_model)
        curve = curves.get(device)
        if curve is None:
            unknown[name] += 1
            continue
        name = _name(device)
        fields = fields_of(rows, index)
        for part, value in zip(fields["components"], raw, strict=True):
            if value is not None:
                part["openness"] = curve.openness(value)
                components[name] += 1
        fields["openness_curve_id"] = curve.curve_id
        updated[name] += 1
        lines[index] = msgspec.json.encode(fields)
    return lines, (len(rows.lines), dict(updated), dict(components), dict(unknown), without)


def apply_openness(
    events: str | os.PathLike[str],
    output: str | os.PathLike[str] | None,
    curves: str | os.PathLike[str] | None = None,
    *,
    progress: Progress | None = None,
) -> OpennessReport:
    """Set the openness of hi-hat hits from their raw pedal values.

    Args:
        events: a manifest.
        output: where to write it, the same file allowed; None only counts (a dry run).
        curves: a file of curves; without it, the packaged ones.
        progress: called with (bytes read, bytes in all).

    Raises:
        InputError: the manifest or the curves are faulty, or the output cannot be written.
    """
    known = load_curves(curves)
    params = {"curves": [(*device, msgspec.to_builtins(curve)) for device, curve in known.items()]}
    report = OpennessReport()
    totals: tuple[Counter[str], ...] = Counter(), Counter(), Counter()
    for _, (count, *counts, without), _ in rewrite(
        [events], output, f"{__name__}:openness_lines", params, progress=progress
    ):
        report.events += count
        report.without_device += without
        for total, some in zip(totals, counts, strict=True):
            total.update(some)
    updated, components, unknown = totals
    report.updated_events, report.updated_components = updated.total(), components.total()
    report.unknown_devices = dict(sorted(unknown.items()))
    curve_ids = {_name(device): curve.curve_id for device, curve in known.items()}
    for name in sorted(updated):
        report.devices[name] = {
            "curve_id": curve_ids[name],
            "events": updated[name],
            "components": components[name],
        }
    return report
