"""Thresholds against numbers: the results of the gate ``health``, one a name.

Names: ``duplication_rate``, ``duplication_rate.sound``, ``unknown_labels``, ``min_class_count.LABEL``,
``min_count.LABEL``, ``label.LABEL``, ``technique.TECHNIQUE``, ``isolation.GROUP``, ``isolation.sound``,
``unreadable_audio``, ``clipped_share``, ``dc``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from beatsight.gates.health.records import Duplicates, HealthReport, Sound, Split
from beatsight.gates.health.requirements import (
    Requirement,
    Vocabulary,
    read_min_counts,
    read_names,
    required_labels,
    required_techniques,
)
from beatsight.gates.health.settings import HealthSettings
from beatsight.gates.inputs import named
from beatsight.gates.result import GateResult, at_least, at_most


@dataclass(frozen=True)
class Requirements:
    """Everything that must occur, read before any counting begins, so that a bad file is known at once."""

    labels: Sequence[Requirement]
    min_counts: Sequence[Requirement]
    techniques: Sequence[Requirement]


def read_requirements(settings: HealthSettings, vocabulary: Vocabulary) -> Requirements:
    """The requirements of flags and files.

    Raises:
        InputError: a file cannot be read, or holds something else.
    """
    labels = list(settings.require_label)
    if settings.require_labels_file is not None:
        labels += read_names(settings.require_labels_file)
    techniques = list(settings.require_technique)
    if settings.require_techniques_file is not None:
        techniques += read_names(settings.require_techniques_file)
    counts = read_min_counts(settings.min_counts_json) if settings.min_counts_json is not None else {}
    return Requirements(
        required_labels(dict.fromkeys(labels, 1), vocabulary),
        required_labels(counts, vocabulary),
        required_techniques(techniques),
    )


def judge(
    report: HealthReport, settings: HealthSettings, requirements: Requirements, vocabulary: Vocabulary
) -> list[GateResult]:
    """The numbers of a report against every threshold that was given."""
    results = [
        *judge_duplicates(report.duplicates, report.events, settings),
        *judge_labels(report, settings, requirements, vocabulary),
        *judge_techniques(report.techniques, requirements.techniques),
    ]
    if report.split is not None:
        results += judge_split(report.split, settings, report.audio)
    if report.audio is not None:
        results += judge_sound(report.audio, settings)
    return results


def judge_labels(
    report: HealthReport, settings: HealthSettings, requirements: Requirements, vocabulary: Vocabulary
) -> Iterator[GateResult]:
    """Unknown labels, minima and requirements."""
    if settings.max_unknown_labels is not None:
        unknown = report.unknown_labels
        detail = named(list(unknown), "label") + " unknown" if unknown else ""
        yield at_most("unknown_labels", sum(unknown.values()), settings.max_unknown_labels, detail, "hits")
    if settings.min_class_count is not None:
        classes = vocabulary.names if vocabulary.names is not None else tuple(report.labels)
        if not classes:
            yield at_least("min_class_count", None, settings.min_class_count, "no hit has a label", "hits")
        wanted = [Requirement(name, settings.min_class_count) for name in classes]
        yield from _label_results("min_class_count", wanted, report)
    yield from _label_results("min_count", requirements.min_counts, report)
    yield from _label_results("label", requirements.labels, report)


def _label_results(gate: str, wanted: Iterable[Requirement], report: HealthReport) -> Iterator[GateResult]:
    for one in wanted:
        hits = report.labels.get(one.name)
        value = None if one.fault else hits.hits if hits else 0
        detail = one.fault or _label_detail(one.name, report)
        yield at_least(f"{gate}.{one.name}", value, one.least, detail, "hits")


def _label_detail(name: str, report: HealthReport) -> str:
    hits = report.labels.get(name)
    if hits is None:
        return "no hit has this label"
    detail = f"{hits.real:,} real, {hits.synthetic:,} synthetic"
    if spellings := report.spellings.get(name):
        detail += ", spelled " + ", ".join(f"{spelling!r} ({n:,})" for spelling, n in spellings.items())
    return detail


def judge_techniques(counts: dict[str, int], wanted: Iterable[Requirement]) -> Iterator[GateResult]:
    """Techniques that some event must have."""
    for one in wanted:
        value = None if one.fault else counts.get(one.name, 0)
        detail = one.fault or ("" if value else "no event has it")
        yield at_least(f"technique.{one.name}", value, one.least, detail, "events")


def judge_duplicates(found: Duplicates, events: int, settings: HealthSettings) -> Iterator[GateResult]:
    """Events that repeat another."""
    if settings.max_duplication_rate is None:
        return
    detail = (
        f"{found.events:,} of {events:,} events repeat an earlier one "
        f"({found.id_events:,} by sample_id, {found.moment_events:,} by moment)"
    )
    yield at_most("duplication_rate", found.rate, settings.max_duplication_rate, detail)


def judge_split(split: Split, settings: HealthSettings, sound: Sound | None) -> Iterator[GateResult]:
    """Names on more than one side; None where all that are named are isolated, but not all are named."""
    for group in settings.isolate:
        found = split.isolation[group]
        value: int | None = found.shared
        detail = f"{_plural(found.names, group)}, each on one of {_plural(len(split.events), 'side')}"
        if found.shared:
            detail = named([f"{name} ({' and '.join(on)})" for name, on in found.listed.items()], group)
            detail += "" if found.shared == len(found.listed) else f" of {found.shared:,}"
        elif not split.events:
            value, detail = None, "no event is on a side of the split"
        elif found.unnamed_events:
            value = None
            detail = f"{_plural(found.unnamed_events, 'event')} on a side without a {group}, so nobody knows"
        yield at_most(f"isolation.{group}", value, 0, detail, "names")
    if sound is not None:
        yield at_most(
            "isolation.sound",
            sound.on_several_sides if sound.heard else None,
            0,
            f"recordings, and pairs of one sound, on several sides; {sound.heard:,} were heard",
        )


def judge_sound(sound: Sound, settings: HealthSettings) -> Iterator[GateResult]:
    """Recordings: readable always, and the thresholds that were given."""
    unreadable = sound.recordings - sound.heard
    detail = next(iter(sound.unreadable.values()), "")
    yield at_most("unreadable_audio", unreadable, 0, detail, "recordings")
    if settings.max_duplication_rate is not None:
        detail = f"{sound.repeats:,} of {sound.heard:,} recordings are the same audio as another"
        yield at_most("duplication_rate.sound", sound.repeat_rate, settings.max_duplication_rate, detail)
    if settings.max_clipped_share is not None:
        detail = f"{sound.clipped:,} of {sound.heard:,} recordings"
        if sound.worst_clipped:
            detail += f", the worst {sound.worst_clipped[0].audio_path!r}"
        yield at_most("clipped_share", sound.clipped_share, settings.max_clipped_share, detail)
    if settings.max_dc is not None:
        detail = f"in {sound.worst_dc[0].audio_path!r}" if sound.worst_dc else "nothing was heard"
        yield at_most("dc", sound.max_dc, settings.max_dc, detail)


def _plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
