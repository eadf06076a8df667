"""The page of gate ``health``: labels against minima, how they are played, what repeats, what is isolated."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from beatsight.gates.health.records import Duplicates, HealthReport, LabelHits
from beatsight.manifest.stats import ABSENT, BUCKETS
from beatsight.report.gates.common import Story
from beatsight.report.gates.health_parts import (
    SHOWN,
    bins,
    counted,
    durations,
    more,
    share,
    sound,
    split,
    spread,
)
from beatsight.report.page import Column, Fact, Facts, Figure, Section, SideBySide, Table, Text
from beatsight.report.plots import Bar, Group, bar_chart, histogram
from beatsight.report.text import duration, number, plural

# Gates that set a minimum for a label, and for a technique.
_MINIMA = ("min_class_count.", "min_count.", "label.")
_TECHNIQUE = "technique."


def story(report: HealthReport) -> Story:
    """What the page tells below the verdict."""
    sections = [
        Section(
            "Labels",
            [SideBySide([_labels(report), *_unknown(report), *_variants(report)])],
            "Hits of each label; aliases count for the canonical name. A tick is the largest minimum given.",
        ),
        Section("How the drums are played", [SideBySide([_dynamics(report), _openness(report)])]),
        Section("Techniques", [_techniques(report)]),
        Section("Tempo, meter and loudness", _tempo(report)),
        Section("Where events come from", [SideBySide(_sources(report))]),
        Section("Duplicates", _duplicates(report.duplicates, report.events)),
    ]
    if report.split is not None:
        sections.append(split(report.split))
    if report.durations is not None:
        sections.append(durations(report.durations))
    if report.audio is not None:
        sections.append(sound(report.audio, has_split=report.split is not None))
    return Story(
        title="Dataset health",
        question="Do these manifests hold what a model needs, and nothing that it must not?",
        facts=_facts(report),
        sections=sections,
    )


def _facts(report: HealthReport) -> Facts:
    covered = duration(report.coverage.seconds) if report.coverage.audio_files else "–"
    return Facts(
        (
            Fact("events", number(report.events), f"{report.negative_examples:,} negative examples"),
            Fact("hits", number(report.hits), plural(len(report.labels), "label")),
            Fact("synthetic events", share(report.synthetic_events, report.events)),
            Fact("sessions", number(report.sessions), f"{report.drummers:,} drummers, {report.kits:,} kits"),
            Fact("recordings", number(report.coverage.audio_files), f"{covered} to the last onsets"),
            Fact("duplicates", f"{report.duplicates.rate:.2%}", plural(report.duplicates.events, "event")),
        )
    )


def minima(report: HealthReport, prefixes: Sequence[str]) -> dict[str, float]:
    """The largest minimum of each name that a gate asks for."""
    found: dict[str, float] = {}
    for result in report.gating_results:
        for prefix in prefixes:
            if result.gate.startswith(prefix):
                name = result.gate.removeprefix(prefix)
                found[name] = max(result.threshold, found.get(name, 0.0))
    return found


def _labels(report: HealthReport) -> Figure:
    wanted = minima(report, _MINIMA)
    names = [*report.labels, *(name for name in wanted if name not in report.labels)]
    bars, rows = [], []
    for name in names:
        hits = report.labels.get(name, LabelHits(real=0, synthetic=0))
        least = wanted.get(name)
        short = least is not None and hits.hits < least
        bars.append(
            Bar(
                name, hits.real, f"{hits.hits:,}" + (f" of {least:,.0f}" if short else ""),
                css="series-b" if short else "series-a", target=least, second=hits.synthetic or None,
            )
        )  # fmt: skip
        spelled = ", ".join(f"{spelling} ({n:,})" for spelling, n in report.spellings.get(name, {}).items())
        rows.append((name, hits.real, hits.synthetic, hits.hits, least and int(least), spelled))
    shown = bars[: 2 * SHOWN]
    caption = "Hits of each label, recorded and synthetic."
    if len(bars) > len(shown):
        caption += f" The most frequent {len(shown)} of {len(bars):,} labels are drawn."
    columns = [Column(name) for name in ("label", "real", "synthetic", "hits", "minimum", "spelled")]
    drawn = bar_chart("Hits of each label", shown, "hits", parts=("recorded", "synthetic"))
    return Figure(drawn, caption, Table(columns, rows))


def _unknown(report: HealthReport) -> list[Table | Text]:
    if not report.unknown_labels:
        return [Text("No unknown labels.")]
    rows = more(list(report.unknown_labels.items()), len(report.unknown_labels), 2)
    return [Table([Column("unknown label"), Column("hits")], rows, "Labels that are not known.")]


def _variants(report: HealthReport) -> list[Table]:
    rows = [(label, name, n) for label, found in report.crash_variants.items() for name, n in found.items()]
    if not rows:
        return []
    columns = [Column("label"), Column("variant"), Column("hits")]
    return [Table(columns, more(rows, len(rows), 3), "Variants of the crash cymbals.")]


def _dynamics(report: HealthReport) -> Figure:
    names = [name for name in (*BUCKETS, ABSENT) if name != ABSENT or report.dynamics.get(name)]
    counts = [report.dynamics.get(name, 0) for name in names]
    bars = [
        Bar(name, count, f"{count:,} ({share(count, report.hits)})")
        for name, count in zip(names, counts, strict=True)
    ]
    table = Table([Column("bucket"), Column("hits")], list(zip(names, counts, strict=True)))
    caption = "Dynamics: from the velocity, or as the bucket states."
    return Figure(bar_chart("Hits of each dynamic bucket", bars, "hits"), caption, table)


def _openness(report: HealthReport) -> Figure | Text:
    count = sum(report.openness)
    if not count:
        return Text("No hit states its openness.")
    edges = [index / len(report.openness) for index in range(len(report.openness) + 1)]
    drawn = histogram("Openness of hits", edges, [Group("hits", report.openness)], "openness", "hits")
    caption = f"Hi-hat openness in tenths, of {count:,} hits; {report.without_openness:,} hits state none."
    return Figure(drawn, caption, bins(edges, report.openness, "openness", "hits"))


def _techniques(report: HealthReport) -> Figure | Text:
    wanted = minima(report, [_TECHNIQUE])
    counts = {name: 0 for name in wanted} | report.techniques
    if not counts:
        return Text("No event has a technique of the catalogue, and none is required.")
    # Those that are required first, the rarest of them on top.
    names = sorted(counts, key=lambda name: (name not in wanted, counts[name] if name in wanted else 0))
    bars = [
        Bar(
            name, counts[name], f"{counts[name]:,}" + (" (required)" if name in wanted else ""),
            css="series-b" if name in wanted and not counts[name] else "series-a",
        )
        for name in names[: 2 * SHOWN]
    ]  # fmt: skip
    rows: list[Any] = [(name, counts[name], "required" if name in wanted else "") for name in names]
    rows += [(name, n, "not in the catalogue") for name, n in report.unknown_techniques.items()]
    columns = [Column("technique"), Column("events"), Column("")]
    caption = "Events that have each technique; those that are required come first."
    return Figure(bar_chart("Events of each technique", bars, "events"), caption, Table(columns, rows))


def _tempo(report: HealthReport) -> list[Any]:
    return [
        SideBySide(
            [
                spread("Tempo", report.tempo_bpm, "tempo in bpm", "events"),
                counted("Meter", report.meters, "events"),
            ]
        ),
        SideBySide(
            [
                spread("Loudness", report.loudness_lufs, "loudness in LUFS", "events"),
                spread("Peak", report.peak_dbfs, "peak in dBFS", "events"),
            ]
        ),
    ]


def _sources(report: HealthReport) -> list[Figure | Table | Text]:
    return [
        counted("Source", report.sources, "events"),
        counted("Bleed", report.bleed, "events"),
        counted("Mix", report.mix_contexts, "events"),
    ]


def _duplicates(found: Duplicates, events: int) -> list[Table | Text]:
    parts: list[Table | Text] = [
        Text(
            f"{found.events:,} of {events:,} events ({found.rate:.2%}) repeat an earlier one: "
            f"{found.id_events:,} by their sample_id, {found.moment_events:,} by session, recording, onset "
            "and labels together."
        )
    ]
    if found.listed_ids:
        rows = more(list(found.listed_ids.items()), found.ids, 2)
        parts.append(Table([Column("sample_id"), Column("events")], rows, "Ids that occur more than once."))
    if found.listed_moments:
        moments = [
            (one.session_id, f"{one.onset_time:.3f}", ", ".join(one.labels), one.audio_path, one.events)
            for one in found.listed_moments
        ]
        names = ("session", "onset in s", "labels", "recording", "events")
        rows = more(moments, found.moments, len(names))
        parts.append(Table([Column(name) for name in names], rows, "Moments that occur more than once."))
    return parts
