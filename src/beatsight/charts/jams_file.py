"""Charts as JAMS, the JSON annotation format of music information retrieval: hits, beats, bars and tempo.

Written: one file with five annotations. ``tag_open`` holds the hits by label, as mirdata writes drums;
``note_midi`` the same hits as General MIDI keys, for programs that know notes only; ``beat`` the beats with
their place in the bar, which mir_eval scores; ``beat_position`` the same with bar and metre; ``tempo`` the
tempo map. JAMS has no field for loudness: the velocities of the hits stand in the ``sandbox`` of both
annotations, in the order of their observations. Read: such a file, and any with a ``tag_open`` of known
labels or a ``note_midi``. Conventions: seconds, rounded to the microsecond; velocities 0..1. Lanes, the
editor and the audio's hash are not held. Source: JAMS 0.3 (Humphrey et al., ISMIR 2014; jams.readthedocs.io),
its JSON schema.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from beatsight.charts.beat_grid import BeatGrid
from beatsight.charts.build import bare_chart, hit_at
from beatsight.charts.chart import DEFAULT_VELOCITY, Chart, HitObject, Timing, check_numbers
from beatsight.errors import InputError
from beatsight.files import read_bytes, write_bytes
from beatsight.taxonomy import from_note, is_known, resolve, to_note
from beatsight.version import VERSION

JAMS_VERSION = "0.3.5"
# Drums have no length; a note without one is written as long as in MIDI files.
_NOTE_S = 0.05

_Seconds = Annotated[float, Meta(ge=0.0)]


class _Observation(msgspec.Struct):
    time: _Seconds
    value: Any
    duration: _Seconds = 0.0
    confidence: Any = None


class _Annotation(msgspec.Struct):
    namespace: str
    data: Any = msgspec.field(default_factory=list)
    sandbox: dict[str, Any] = msgspec.field(default_factory=dict)

    def observations(self) -> list[_Observation]:
        return msgspec.convert(self.data, list[_Observation])


class _FileMetadata(msgspec.Struct):
    title: str | None = None
    artist: str | None = None


class _Jams(msgspec.Struct):
    annotations: list[_Annotation]
    file_metadata: _FileMetadata = msgspec.field(default_factory=_FileMetadata)


def _seconds(milliseconds: float) -> float:
    return round(milliseconds / 1000, 6)


def _annotation(namespace: str, data: list[dict[str, Any]], sandbox: dict[str, Any]) -> dict[str, Any]:
    return {
        "annotation_metadata": {"annotation_tools": f"beatsight {VERSION}", "data_source": "program"},
        "namespace": namespace,
        "data": data,
        "sandbox": sandbox,
        "time": 0,
        "duration": None,
    }


def _observation(
    time_ms: float, value: Any, duration_s: float = 0.0, confidence: Any = None
) -> dict[str, Any]:
    return {"time": _seconds(time_ms), "duration": duration_s, "value": value, "confidence": confidence}


def _hits(chart: Chart) -> list[dict[str, Any]]:
    hits = sorted(chart.hit_objects, key=lambda hit: hit.order)
    sandbox = {"velocity": [round(hit.velocity, 4) for hit in hits]}
    tags = [_observation(hit.time, resolve(hit.component), _seconds(hit.duration or 0)) for hit in hits]
    notes = [
        _observation(hit.time, to_note(hit.component), _seconds(hit.duration) if hit.duration else _NOTE_S)
        for hit in hits
    ]
    return [
        _annotation("tag_open", tags, {"content": "drums", **sandbox}),
        _annotation("note_midi", notes, {"content": "drums, General MIDI keys", **sandbox}),
    ]


def _meter(grid: BeatGrid, quarter: float) -> str:
    """The time signature in force at a position."""
    metre = next((one for one in reversed(grid.metres) if one.quarter <= quarter), grid.metres[0])
    return f"{metre.numerator}/{metre.denominator}"


def _beats(timing: Timing, end_ms: float, path: str | os.PathLike[str]) -> list[dict[str, Any]]:
    grid = BeatGrid(timing, path)
    beats = list(grid.beats(end_ms))
    # Bars count from 0 in JAMS and may not be negative: those before the first bar line push the numbers on.
    first = beats[0].bar if beats else 0
    places = [
        {"position": beat.position, "measure": beat.bar - min(0, first), "num_beats": beat.numerator,
         "beat_units": beat.denominator}
        for beat in beats
    ]  # fmt: skip
    tempi: list[dict[str, Any]] = []
    meters: list[str] = []
    stretches = grid.tempi()
    for at, (time, quarter, bpm) in enumerate(stretches):
        stop = stretches[at + 1][0] if at + 1 < len(stretches) else max(end_ms, time)
        if at + 1 == len(stretches) or stop > 0:
            # The first one holds from the beginning of the audio, wherever the first bar lies.
            begin = max(0.0, time) if tempi else 0.0
            meters.append(_meter(grid, quarter))
            tempi.append(_observation(begin, bpm, max(0.0, _seconds(stop - begin)), 1.0))
    return [
        _annotation("beat", [_observation(beat.time_ms, beat.position) for beat in beats], {}),
        _annotation(
            "beat_position",
            [_observation(beat.time_ms, place) for beat, place in zip(beats, places, strict=True)],
            {},
        ),
        _annotation("tempo", tempi, {"offset": _seconds(timing.offset), "meter": meters}),
    ]


def write_jams(chart: Chart, path: str | os.PathLike[str]) -> None:
    """Write a chart as a JAMS file in one step; the same chart gives the same bytes.

    Without a tempo map, the annotations of beats and tempo are left out. The file's duration is the audio's,
    or reaches to the end of the last hit.

    Raises:
        InputError: a velocity or tempo out of range, a time signature that is not of binary notes, or an
            unwritable path.
    """
    check_numbers(chart, path)
    end_ms = max(
        [hit.time + (hit.duration or _NOTE_S * 1000) for hit in chart.hit_objects]
        + [chart.audio.duration if chart.audio else 0.0]
    )
    metadata = chart.metadata
    raw = {
        "file_metadata": {
            "title": metadata.title,
            "artist": metadata.artist,
            "release": "",
            "duration": _seconds(end_ms),
            "jams_version": JAMS_VERSION,
            "identifiers": {"beatmap": metadata.beatmap_id}
            | ({"audio": chart.audio.hash, "filename": chart.audio.filename} if chart.audio else {}),
        },
        "annotations": _hits(chart) + (_beats(chart.timing, end_ms, path) if chart.timing else []),
        "sandbox": {},
    }
    write_bytes(path, msgspec.json.format(msgspec.json.encode(raw), indent=1) + b"\n")


def _velocities(annotation: _Annotation, count: int) -> list[float]:
    found = annotation.sandbox.get("velocity")
    if isinstance(found, list) and len(found) == count:
        return msgspec.convert(found, list[float])
    return [DEFAULT_VELOCITY] * count


def _read_hits(annotations: list[_Annotation], path: str) -> tuple[list[HitObject], dict[str, int]]:
    """The hits of the first annotation that holds drums, and what it holds beside them."""
    for namespace in ("tag_open", "note_midi"):
        for annotation in annotations:
            if annotation.namespace != namespace:
                continue
            seen = annotation.observations()
            if namespace == "tag_open" and not all(
                isinstance(one.value, str) and is_known(one.value) for one in seen
            ):
                continue
            hits: list[HitObject] = []
            skipped: dict[str, int] = {}
            for one, velocity in zip(seen, _velocities(annotation, len(seen)), strict=True):
                label = one.value if namespace == "tag_open" else _label(one.value)
                if label is None:
                    skipped[f"note {one.value}"] = skipped.get(f"note {one.value}", 0) + 1
                    continue
                try:
                    hits.append(hit_at(one.time, label, velocity))
                except InputError as error:
                    raise InputError(f"{path}: {namespace}: {error}") from None
                if namespace == "tag_open" and one.duration:
                    hits[-1].duration = round(one.duration * 1000)
            return hits, skipped
    raise InputError(f"{path}: holds no drums: neither tag_open with drum labels nor note_midi")


def _label(value: Any) -> str | None:
    whole = isinstance(value, int | float) and float(value).is_integer()
    return from_note(int(value)) if whole else None


def _changes_of_meter(places: list[_Observation]) -> dict[int, str]:
    """Time in milliseconds and time signature of the first beat of each metre."""
    changes: dict[int, str] = {}
    last = None
    for one in places:
        signature = f"{one.value['num_beats']}/{one.value['beat_units']}"
        if signature != last:
            changes[round(one.time * 1000)] = last = signature
    return changes


def _read_timing(annotations: list[_Annotation]) -> Timing | None:
    found = {one.namespace: one for one in reversed(annotations)}
    if "tempo" not in found or not (tempi := found["tempo"].observations()):
        return None
    stated = found["tempo"].sandbox
    points = {round(one.time * 1000): one.value for one in tempi}
    places = found["beat_position"].observations() if "beat_position" in found else []
    if "meter" in stated and len(stated["meter"]) == len(tempi):
        meters = dict(zip([round(one.time * 1000) for one in tempi], stated["meter"], strict=True))
    else:
        meters = _changes_of_meter(places)
    first_bar = next((one.time for one in places if one.value["position"] == 1), 0.0)
    for time in meters:
        before = max((start for start in points if start <= time), default=min(points))
        points.setdefault(time, points[before])
    raw = {
        "bpm": tempi[0].value,
        "offset": round(1000 * stated.get("offset", first_bar)),
        "timeSignature": meters[min(meters)] if meters else "4/4",
        "timingPoints": [
            {"time": time, "bpm": bpm, "timeSignature": meters.get(time)}
            for time, bpm in sorted(points.items())
        ],
    }
    return msgspec.convert(raw, Timing)


def read_jams(path: str | os.PathLike[str]) -> Chart:
    """Read the drums of a JAMS file.

    Returns:
        A chart with ``audio`` None; velocities are the default where the file holds none. Notes without a
        drum are counted in ``skipped``.

    Raises:
        InputError: the file is no JAMS, or holds no drums.
    """
    data = read_bytes(path)
    try:
        content = msgspec.json.decode(data, type=_Jams)
        hits, skipped = _read_hits(content.annotations, str(path))
        timing = _read_timing(content.annotations)
    except (msgspec.DecodeError, UnicodeDecodeError, KeyError, TypeError) as error:
        raise InputError(f"{path}: is not a JAMS file: {error}") from None
    except RecursionError:
        raise InputError(f"{path}: is nested too deeply") from None
    title = content.file_metadata.title or Path(path).stem
    chart = bare_chart(path, hits, title=title, timing=timing, skipped=skipped)
    chart.metadata.artist = content.file_metadata.artist or ""
    return chart
