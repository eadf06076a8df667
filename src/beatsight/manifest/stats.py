"""What a manifest holds, counted: events, hits, sources, labels, techniques, dynamics, openness, tempo, time.

A hit is one component of an event. Labels are counted as the file spells them; those that the taxonomy knows
by another name are listed with it, those that it does not know at all are listed too. A hit's dynamics come
from its velocity, or from its bucket where it has no velocity. An event counts as synthetic when
``is_synthetic`` is true. Where a value is absent, the event or hit is counted under :data:`ABSENT`, so that
every distribution adds up.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from beatsight import taxonomy
from beatsight.errors import InputError
from beatsight.manifest.engine.table import Progress, Table, open_table

ABSENT = "(absent)"
# Upper edges, as in beatsight.events.dynamic_bucket; a test holds the two together.
_BUCKET_SQL = (
    "CASE WHEN v < 0.15 THEN 'ghost' WHEN v < 0.35 THEN 'light' WHEN v < 0.65 THEN 'medium' ELSE 'accent' END"
)
BUCKETS = ("ghost", "light", "medium", "accent")
OPENNESS_BINS = 10
# Sample ids that occur more than once are listed up to this many.
LISTED = 20

STATS_FIELDS = (
    "sample_id", "session_id", "track_id", "drummer_id", "kit_id", "room_id", "source_set", "is_synthetic",
    "audio_path", "onset_time", "tempo_bpm", "meter", "techniques", "bleed_level", "mix_context",
    "negative_example",
)  # fmt: skip
STATS_COMPONENTS = ("label", "velocity", "dynamic_bucket", "openness")


@dataclass
class LabelCount:
    """Hits of one label, in recorded and in synthetic events."""

    real: int = 0
    synthetic: int = 0

    @property
    def hits(self) -> int:
        """Both together."""
        return self.real + self.synthetic


@dataclass
class HitCounts:
    """Everything that is counted by hit.

    Attributes:
        labels: hits of each label, as the file spells it, most frequent first.
        aliases: canonical name of each label that is spelled otherwise.
        unknown_labels: hits of each label that the taxonomy does not know.
        dynamics: hits of each bucket: ghost, light, medium, accent, :data:`ABSENT`.
        openness: hits of each tenth of 0..1: bin k holds k/10 <= openness < (k+1)/10, the last one 1.0 too.
        without_openness: hits that have none.
    """

    labels: dict[str, LabelCount] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    unknown_labels: dict[str, int] = field(default_factory=dict)
    dynamics: dict[str, int] = field(default_factory=dict)
    openness: list[int] = field(default_factory=list)
    without_openness: int = 0

    @property
    def hits(self) -> int:
        """All hits."""
        return sum(count.hits for count in self.labels.values())


@dataclass
class Duplicates:
    """Sample ids that several events share.

    Attributes:
        ids: how many ids occur more than once.
        events: events beyond the first of each id.
        rate: those events, divided by all.
        listed: the most frequent ids, up to :data:`LISTED`, with their number of events.
    """

    ids: int
    events: int
    rate: float
    listed: dict[str, int]


@dataclass
class Coverage:
    """Time: the sum over audio files of the last onset in each, in seconds."""

    seconds: float
    audio_files: int
    events_without_audio: int


@dataclass
class ManifestStats:
    """The answer of :func:`manifest_stats`.

    Attributes:
        files: events of each input.
        events, hits, synthetic_events, negative_examples: counts.
        sessions, tracks, drummers, kits, rooms: how many different ones are named.
        sources: events of each source set.
        by_hit: labels, dynamics, openness.
        techniques: events that have each technique, most frequent first.
        meters, bleed, mix_contexts: events of each value, most frequent first.
        tempo_bpm: slowest and fastest, None where no event has a tempo.
        duplicates: sample ids that occur more than once.
        coverage: audio files and the time they cover.
    """

    files: dict[str, int]
    events: int
    hits: int
    synthetic_events: int
    negative_examples: int
    sessions: int
    tracks: int
    drummers: int
    kits: int
    rooms: int
    sources: dict[str, int]
    by_hit: HitCounts
    techniques: dict[str, int]
    meters: dict[str, int]
    tempo_bpm: tuple[float, float] | None
    bleed: dict[str, int]
    mix_contexts: dict[str, int]
    duplicates: Duplicates
    coverage: Coverage


def manifest_stats(
    paths: Sequence[str | os.PathLike[str]], *, progress: Progress | None = None
) -> ManifestStats:
    """Count what some manifests hold, all together.

    Args:
        paths: manifests of any format.
        progress: called with (bytes read, bytes in all).

    Raises:
        InputError: a manifest is faulty, or holds no events.
    """
    with open_table(paths, STATS_FIELDS, STATS_COMPONENTS, progress=progress) as table:
        return table_stats(table, [str(path) for path in paths])


def table_stats(table: Table, paths: Sequence[str]) -> ManifestStats:
    """As :func:`manifest_stats`, of a table opened with (at least) STATS_FIELDS and STATS_COMPONENTS."""
    for path, count in zip(paths, table.file_counts, strict=True):
        if not count:
            raise InputError(f"{path}: holds no events")
    files: dict[str, int] = {}
    for path, count in zip(paths, table.file_counts, strict=True):
        files[path] = files.get(path, 0) + count
    ((synthetic, negative, slowest, fastest, *named),) = table.all(
        "SELECT count(*) FILTER (WHERE is_synthetic), count(*) FILTER (WHERE negative_example), "
        "min(tempo_bpm), max(tempo_bpm), count(DISTINCT session_id), count(DISTINCT track_id), "
        "count(DISTINCT drummer_id), count(DISTINCT kit_id), count(DISTINCT room_id) FROM rows"
    )
    by_hit = hit_counts(table)
    sessions, tracks, drummers, kits, rooms = named
    return ManifestStats(
        files=files,
        events=table.count,
        hits=by_hit.hits,
        synthetic_events=synthetic,
        negative_examples=negative,
        sessions=sessions,
        tracks=tracks,
        drummers=drummers,
        kits=kits,
        rooms=rooms,
        sources=event_counts(table, "source_set"),
        by_hit=by_hit,
        techniques=technique_counts(table),
        meters=event_counts(table, "meter"),
        tempo_bpm=None if slowest is None else (slowest, fastest),
        bleed=event_counts(table, "bleed_level"),
        mix_contexts=event_counts(table, "mix_context"),
        duplicates=duplicate_ids(table),
        coverage=coverage(table),
    )


def hit_counts(table: Table) -> HitCounts:
    """Labels, dynamics and openness, in one pass over the components."""
    # Cumulative counts, as comparing with the edges is exact where multiplying by ten need not be.
    edges = ", ".join(
        f"count(*) FILTER (WHERE o >= {index / OPENNESS_BINS})" for index in range(OPENNESS_BINS)
    )
    rows = table.all(
        "SELECT label, synthetic, "
        f"CASE WHEN v IS NULL THEN coalesce(given, '{ABSENT}') ELSE {_BUCKET_SQL} END AS bucket, "
        f"count(*), {edges} FROM "
        "(SELECT c.label AS label, c.velocity AS v, c.dynamic_bucket AS given, c.openness AS o, synthetic "
        "FROM (SELECT unnest(components) AS c, coalesce(is_synthetic, false) AS synthetic FROM rows)) "
        "GROUP BY ALL"
    )
    labels: dict[str, LabelCount] = {}
    dynamics = dict.fromkeys((*BUCKETS, ABSENT), 0)
    at_least = [0] * (OPENNESS_BINS + 1)
    hits = 0
    for label, synthetic, bucket, number, *above in rows:
        count = labels.setdefault(label, LabelCount())
        if synthetic:
            count.synthetic += number
        else:
            count.real += number
        dynamics[bucket] += number
        hits += number
        for index, some in enumerate(above):
            at_least[index] += some
    ordered = dict(sorted(labels.items(), key=lambda item: (-item[1].hits, item[0])))
    known = {label: taxonomy.resolve(label) for label in ordered if taxonomy.is_known(label)}
    return HitCounts(
        labels=ordered,
        aliases={label: name for label, name in known.items() if label != name},
        unknown_labels={label: count.hits for label, count in ordered.items() if label not in known},
        dynamics=dynamics,
        openness=[low - high for low, high in pairwise(at_least)],
        without_openness=hits - at_least[0],
    )


def event_counts(table: Table, column: str) -> dict[str, int]:
    """Events of each value of a text column, most frequent first, those without it under :data:`ABSENT`."""
    return dict(
        table.all(
            f"SELECT coalesce({column}, '{ABSENT}') AS value, count(*) AS n FROM rows GROUP BY value "
            "ORDER BY n DESC, value"
        )
    )


def technique_counts(table: Table) -> dict[str, int]:
    """Events that have each technique, most frequent first."""
    return dict(
        table.all(
            "SELECT technique, count(*) AS n FROM "
            "(SELECT unnest(list_distinct(techniques)) AS technique FROM rows) "
            "GROUP BY technique ORDER BY n DESC, technique"
        )
    )


def duplicate_ids(table: Table) -> Duplicates:
    """Sample ids that occur more than once; only ids whose hash does are looked at as text."""
    table.query(
        "CREATE OR REPLACE TABLE shared_ids AS "
        "SELECT hash(sample_id) AS h FROM rows GROUP BY h HAVING count(*) > 1"
    )
    table.query(
        "CREATE OR REPLACE TABLE repeated_ids AS SELECT sample_id, count(*) AS n FROM "
        "(SELECT sample_id, hash(sample_id) AS h FROM rows) SEMI JOIN shared_ids USING (h) "
        "GROUP BY sample_id HAVING count(*) > 1"
    )
    ((ids, surplus),) = table.all("SELECT count(*), coalesce(sum(n - 1), 0)::BIGINT FROM repeated_ids")
    listed: list[tuple[Any, ...]] = table.all(
        f"SELECT sample_id, n FROM repeated_ids ORDER BY n DESC, sample_id LIMIT {LISTED}"
    )
    return Duplicates(ids, surplus, surplus / table.count, dict(listed))


def coverage(table: Table) -> Coverage:
    """Audio files that events name, and the time up to the last onset in each."""
    ((seconds, files, events),) = table.all(
        "SELECT coalesce(fsum(last ORDER BY audio_path), 0.0), count(*), coalesce(sum(n), 0)::BIGINT FROM "
        "(SELECT audio_path, max(onset_time) AS last, count(*) AS n FROM rows WHERE audio_path IS NOT NULL "
        "GROUP BY audio_path)"
    )
    return Coverage(seconds, files, table.count - events)
