"""Charts from hits, and labelled moments from charts: the two ways between a Chart and the rest.

Conventions: hits come in seconds and become integer milliseconds; events go out in seconds. A chart's id is
derived from the content it belongs to (UUID version 5, RFC 9562), so that the same song keeps its id.
"""

from __future__ import annotations

import math
import os
import uuid
from bisect import bisect_right
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from beatsight.charts.chart import (
    DEFAULT_VELOCITY,
    AudioRef,
    Chart,
    Editor,
    GenerationMetadata,
    HitObject,
    Metadata,
    Timing,
    kit_of,
)
from beatsight.errors import InputError
from beatsight.events import Component, Event
from beatsight.files import sha256_file
from beatsight.taxonomy import resolve

CREATOR = "BeatSight"
VISUAL_LANES = 7
UNRATED = 0.0  # the difficulty of a chart that nobody has rated


def iso_utc(moment: datetime) -> str:
    """A moment as ISO 8601 in UTC, to the second.

    >>> iso_utc(datetime(2025, 11, 2, 10, 30, tzinfo=UTC))
    '2025-11-02T10:30:00Z'
    """
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def chart_id(content_hash: str) -> str:
    """The UUID (version 5) of the chart made from a content with this hash: same content, same id."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"beatsight:{content_hash}"))


def audio_ref(path: str | os.PathLike[str], *, duration_s: float, sample_rate: int) -> AudioRef:
    """The reference to an audio file: its name, the hash of its content, and what decoding it has shown.

    Raises:
        InputError: the file cannot be read.
    """
    return AudioRef(
        filename=Path(path).name,
        hash=f"sha256:{sha256_file(path)}",
        duration=round(duration_s * 1000),
        sample_rate=sample_rate,
    )


def hit_at(time_s: float, label: str, velocity: float = DEFAULT_VELOCITY) -> HitObject:
    """A hit from a time in seconds, rounded to the millisecond.

    Raises:
        InputError: the time or velocity is out of range or not finite, or the label unknown.

    >>> hit_at(1.2344, "kick", 0.5).time
    1234
    """
    if not math.isfinite(time_s):
        raise InputError(f"a hit's time is {time_s}, not a finite number of seconds")
    if time_s < 0:
        raise InputError(f"a hit's time is {time_s:g} s, before the audio begins")
    return HitObject(round(float(time_s) * 1000), label, float(velocity))


def build_chart(
    hits: Iterable[tuple[float, str, float]],
    *,
    title: str,
    artist: str,
    audio: AudioRef,
    timing: Timing,
    difficulty: float,
    generation: GenerationMetadata | None = None,
    beatmap_id: str | None = None,
    created_at: datetime | None = None,
) -> Chart:
    """A complete chart from the hits that were heard in a song.

    Args:
        hits: ``(time_s, label, velocity)``, in any order.
        title: name of the song.
        artist: who plays it, or an empty text.
        audio: the song's file; see :func:`audio_ref`.
        timing: the tempo map.
        difficulty: 0..10; how hard the part is to play.
        generation: what made the chart, for the editor.
        beatmap_id: a UUID; by default derived from the audio's hash.
        created_at: a moment with a time zone; by default now.

    Raises:
        InputError: a hit is out of range or its label unknown.
    """
    made = [hit_at(*hit) for hit in hits]
    stamp = iso_utc(created_at or datetime.now(UTC))
    return Chart(
        metadata=Metadata(
            title=title, artist=artist, creator=CREATOR, difficulty=difficulty, created_at=stamp,
            modified_at=stamp, beatmap_id=beatmap_id or chart_id(audio.hash),
        ),
        drum_kit=kit_of(made), hit_objects=made, audio=audio, timing=timing,
        editor=Editor(visual_lanes=VISUAL_LANES, generation=generation) if generation else None,
    )  # fmt: skip


def bare_chart(
    path: str | os.PathLike[str],
    hits: list[HitObject],
    *,
    title: str,
    timing: Timing | None,
    skipped: dict[str, int],
) -> Chart:
    """The chart of a file without metadata (MIDI, CSV): its id from the content, its date from the file's."""
    stamp = iso_utc(datetime.fromtimestamp(Path(path).stat().st_mtime, UTC))
    return Chart(
        metadata=Metadata(
            title=title, artist="", creator=CREATOR, created_at=stamp, modified_at=stamp,
            difficulty=UNRATED,
            beatmap_id=chart_id(f"sha256:{sha256_file(path)}"),
        ),
        drum_kit=kit_of(hits), hit_objects=hits, timing=timing, skipped=skipped,
    )  # fmt: skip


def chart_to_events(chart: Chart, *, session_id: str, audio_path: str | None = None) -> list[Event]:
    """The chart as labelled moments: hits of one millisecond become one event with several components.

    Args:
        chart: any chart; aliases become canonical labels, and of two hits of one drum the louder one stays.
        session_id: the recording session of the events; ``sample_id`` is ``<session_id>:<milliseconds>``.
        audio_path: the audio file, as the manifest shall name it.

    Returns:
        Events in time order, with tempo and meter from the timing point in force.

    Raises:
        InputError: a hit's label is unknown.
    """
    moments: dict[int, dict[str, float]] = {}
    for hit in sorted(chart.hit_objects, key=lambda hit: hit.order):
        drums = moments.setdefault(hit.time, {})
        label = resolve(hit.component)
        drums[label] = max(hit.velocity, drums.get(label, 0.0))
    points = chart.timing.resolved() if chart.timing else []
    starts = [point.time for point in points]
    events = []
    for time, drums in moments.items():
        point = points[bisect_right(starts, time) - 1] if points else None
        events.append(
            Event(
                sample_id=f"{session_id}:{time:08d}",
                session_id=session_id,
                onset_time=time / 1000,
                components=[Component(label=label, velocity=velocity) for label, velocity in drums.items()],
                audio_path=audio_path,
                tempo_bpm=point.bpm if point else None,
                meter=point.time_signature if point else None,
                sample_rate=chart.audio.sample_rate if chart.audio else None,
            )
        )
    return events
