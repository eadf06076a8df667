"""The gate ``health`` itself: settings in, report out."""

from __future__ import annotations

import msgspec

from beatsight.gates.health import measure
from beatsight.gates.health.judge import judge, read_requirements
from beatsight.gates.health.records import LISTED, Coverage, HealthReport, Sound
from beatsight.gates.health.requirements import Vocabulary, read_components
from beatsight.gates.health.settings import HealthSettings
from beatsight.gates.health.sides import measure_split, read_durations, read_sides
from beatsight.gates.inputs import named
from beatsight.gates.result import verdict
from beatsight.manifest.engine.rewrite import refuse_twice
from beatsight.manifest.engine.table import Progress, Table, open_table
from beatsight.manifest.stats import ManifestStats, table_stats

# Counts that stand in the report as they stand in the statistics.
_COPIED = (
    "files", "events", "hits", "synthetic_events", "negative_examples", "sessions", "tracks", "drummers",
    "kits", "rooms", "bleed", "mix_contexts",
)  # fmt: skip
# Settings that name a file beside the manifests.
_INPUTS = (
    "components", "dataset_metadata", "split", "audio_root", "require_techniques_file",
    "require_labels_file", "min_counts_json",
)  # fmt: skip


def health_gate(settings: HealthSettings, *, progress: Progress | None = None) -> HealthReport:
    """Count what manifests hold, and hold it against thresholds.

    Args:
        settings: see :class:`HealthSettings`.
        progress: called with (bytes read, bytes in all), then with (recordings heard, recordings in all).

    Raises:
        InputError: a file cannot be read or is faulty (``file:line: field: why``), a manifest holds no
            events, a session is not in the split, an audio path leaves its folder.
        UsageError: a manifest is given twice.
        MissingDependencyError: sound is to be compared and scikit-learn is not installed.
    """
    refuse_twice(settings.events)
    vocabulary = read_components(settings.components) if settings.components is not None else Vocabulary()
    requirements = read_requirements(settings, vocabulary)
    sides = read_sides(settings.split) if settings.split is not None else None
    durations = read_durations(settings.dataset_metadata) if settings.dataset_metadata is not None else None
    with open_table(
        settings.events, measure.FIELDS, measure.COMPONENTS, inner=measure.INNER, progress=progress
    ) as table:
        stats = table_stats(table, [str(path) for path in settings.events])
        split = measure_split(table, sides, settings.split) if sides and settings.split else None
        sound = _listen(table, settings, sides, progress) if settings.listens else None
        report = _measured(table, stats, settings, vocabulary)
    report = msgspec.structs.replace(report, split=split, durations=durations, audio=sound)
    results = judge(report, settings, requirements, vocabulary)
    return msgspec.structs.replace(report, gating_results=results, passed=verdict(results))


def _listen(
    table: Table, settings: HealthSettings, sides: dict[str, list[str]] | None, progress: Progress | None
) -> Sound:
    # Imported here: what listens takes as long to load as all the rest.
    from beatsight.gates.health.sound import measure_sound, named_recordings

    return measure_sound(named_recordings(table, settings.events, settings.audio_root, sides), progress)


def _measured(
    table: Table, stats: ManifestStats, settings: HealthSettings, vocabulary: Vocabulary
) -> HealthReport:
    """What the manifests hold, not yet judged."""
    by_hit = stats.by_hit
    labels, spellings, unknown = measure.label_hits(by_hit, vocabulary)
    techniques, unknown_techniques = measure.technique_events(table, stats)
    tempo, lufs, peak = measure.spreads(
        table,
        [
            ("tempo_bpm", measure.TEMPO_BINS),
            (measure.INNER[0], measure.LUFS_BINS),
            (measure.INNER[1], measure.PEAK_BINS),
        ],
    )
    return HealthReport(
        passed=None,
        gating_results=[],
        inputs=_inputs(settings),
        notes=[*_notes(stats, unknown, spellings, unknown_techniques, settings), *_negatives(table, stats)],
        **{name: getattr(stats, name) for name in _COPIED},
        sources=measure.capped(stats.sources),
        labels=labels,
        spellings=spellings,
        unknown_labels=unknown,
        dynamics=by_hit.dynamics,
        openness=by_hit.openness,
        without_openness=by_hit.without_openness,
        techniques=techniques,
        unknown_techniques=measure.capped(unknown_techniques),
        tempo_bpm=tempo,
        meters=measure.capped(stats.meters),
        loudness_lufs=lufs,
        peak_dbfs=peak,
        crash_variants=measure.crash_variants(table, stats),
        duplicates=measure.duplicates(table, stats),
        coverage=msgspec.convert(stats.coverage, Coverage, from_attributes=True),
    )


def _negatives(table: Table, stats: ManifestStats) -> list[str]:
    hits = measure.negative_hits(table) if stats.negative_examples else 0
    if not hits:
        return []
    return [
        "hits that are components of negative examples, where they are not to be found: "
        f"{hits:,} of {stats.hits:,}"
    ]


def _inputs(settings: HealthSettings) -> dict[str, str]:
    given = [(name, getattr(settings, name)) for name in _INPUTS]
    manifests = {
        "events" if number == 1 else f"events {number}": str(path)
        for number, path in enumerate(settings.events, start=1)
    }
    return manifests | {name: str(path) for name, path in given if path is not None}


def _notes(
    stats: ManifestStats,
    unknown: dict[str, int],
    spellings: dict[str, dict[str, int]],
    unknown_techniques: dict[str, int],
    settings: HealthSettings,
) -> list[str]:
    """What the reader must know to trust the numbers."""
    notes = []
    if unknown:
        notes.append(f"unknown: {named(list(unknown), 'label')}")
    if unknown_techniques:
        notes.append(f"unknown: {named(list(unknown_techniques), 'technique')}")
    if spellings:
        notes.append(f"{named(list(spellings), 'label')} spelled otherwise in places and counted together")
    if settings.listens and stats.coverage.events_without_audio:
        unheard = stats.coverage.events_without_audio
        notes.append(f"events that name no recording, and of which none was heard: {unheard:,}")
    if len(stats.sources) > LISTED or len(stats.meters) > LISTED:
        notes.append(f"of sources and meters the {LISTED:,} most frequent are listed")
    return notes
