"""``beatsight manifest weights``: how often training draws from each session or audio file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from beatsight.cli.console import counted, note, progress_bar, say
from beatsight.cli.manifest.options import Events, Json, number
from beatsight.errors import UsageError
from beatsight.manifest.sampling_profiles import WeightSettings, load_profiles
from beatsight.manifest.weights import WeightReport, sampling_weights

# Groups that are too small, listed at the terminal; the report lists all.
_SHOWN = 10


def weights(
    events: Events,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Weights to write (JSON), for train."),
    ] = None,
    profile: Annotated[
        str | None, typer.Option("--profile", metavar="NAME", help="Settings to start from.")
    ] = None,
    profiles: Annotated[
        Path | None, typer.Option("--profiles", metavar="FILE", help="Profiles; default: the packaged ones.")
    ] = None,
    group_field: Annotated[
        str | None,
        typer.Option(
            "--group-field", metavar="KEY", help="Key that names the group: session_id, audio_path …"
        ),
    ] = None,
    min_count: Annotated[
        int | None, typer.Option("--min-count", min=0, metavar="N", help="Drop smaller groups.")
    ] = None,
    smoothing: Annotated[
        float | None, typer.Option("--smoothing", min=0, metavar="X", help="Added to every count.")
    ] = None,
    exponent: Annotated[
        float | None,
        typer.Option("--exponent", metavar="X", help="How much less each event of a large group weighs."),
    ] = None,
    technique_boost: Annotated[
        list[str] | None,
        typer.Option(
            "--technique-boost",
            metavar="NAME=X",
            help="Factor for groups that have the technique; repeat. 1 undoes one.",
        ),
    ] = None,
    dedupe_field: Annotated[
        list[str] | None,
        typer.Option(
            "--dedupe-field", metavar="KEY", help="Events that agree in these keys count once; repeat."
        ),
    ] = None,
    max_events_per_group: Annotated[
        int | None,
        typer.Option("--max-events-per-group", min=0, metavar="N", help="Stop counting here; 0: no limit."),
    ] = None,
    technique_filter: Annotated[
        list[str] | None,
        typer.Option(
            "--technique-filter", metavar="NAME", help="Count only events with one of these; repeat."
        ),
    ] = None,
    filter_match_all: Annotated[
        bool | None,
        typer.Option("--filter-match-all/--filter-match-any", help="Events must have all of them."),
    ] = None,
    include_unmatched: Annotated[
        bool | None,
        typer.Option(
            "--include-unmatched/--no-include-unmatched",
            help="Keep groups without any such event, counted in full.",
        ),
    ] = None,
    min_weight: Annotated[
        float | None, typer.Option("--min-weight", min=0, metavar="X", help="Lowest weight.")
    ] = None,
    max_weight: Annotated[
        float | None, typer.Option("--max-weight", min=0, metavar="X", help="Highest weight.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Weigh every session or audio file of a manifest, for train to sample from.

    weight = clamp((count + smoothing) ** -exponent × boosts of the techniques present, min, max)

    Example: beatsight manifest weights events.jsonl -o weights.json --profile prod_combined
    """
    changes: dict[str, Any] = {
        "group_field": group_field,
        "min_count": min_count,
        "smoothing": smoothing,
        "exponent": exponent,
        "dedupe_fields": dedupe_field or None,
        "max_events_per_group": max_events_per_group,
        "technique_filter": technique_filter or None,
        "filter_match_all": filter_match_all,
        "include_unmatched": include_unmatched,
        "min_weight": min_weight,
        "max_weight": max_weight,
    }
    settings = _overridden(_profile(profile, profiles), changes, technique_boost or [])
    with progress_bar("Weighing") as progress:
        report = sampling_weights(events, settings, output, profile=profile, progress=progress)
    say(as_json, report, _prose(report, output))
    _remark(report)


def _profile(name: str | None, file: Path | None) -> WeightSettings:
    if name is None:
        if file is not None:
            raise UsageError(f"--profiles {file}: say which one with --profile NAME")
        return WeightSettings()
    known = load_profiles(file)
    if name not in known:
        raise UsageError(f"unknown profile {name!r}; known profiles: {', '.join(known)}")
    return known[name]


def _overridden(settings: WeightSettings, changes: dict[str, Any], boosts: Sequence[str]) -> WeightSettings:
    changed = {name: value for name, value in changes.items() if value is not None}
    if changed.get("max_events_per_group") == 0:
        changed["max_events_per_group"] = None
    factors = dict(settings.technique_boosts)
    for text in boosts:
        name, equals, value = text.partition("=")
        try:
            factors[name.strip()] = float(value)
        except ValueError:
            equals = ""
        if not equals or not name.strip():
            raise UsageError(f"--technique-boost {text!r} is not NAME=FACTOR, such as hihat_bark=1.5")
    return msgspec.structs.replace(settings, **changed, technique_boosts=factors)


def _prose(report: WeightReport, output: Path | None) -> str:
    summary = report.summary
    values = [group.weight for group in report.weights.values()]
    rows = [
        ("events", summary.events),
        ("without a group", summary.without_group),
        ("duplicates", summary.duplicates),
        ("left out by the filter", summary.unmatched),
        ("beyond the cap", summary.over_cap),
        ("in groups too small", summary.under_min_count),
        ("counted", summary.counted),
    ]
    lines = [
        f"{name:<24}{number(value):>12}" for name, value in rows if value or name in ("events", "counted")
    ]
    if report.technique_totals:
        lines += ["", "techniques (of the events counted)"]
    lines += [f"{name:<24}{number(value):>12}" for name, value in report.technique_totals.items()]
    where = f"{output}: " if output else ""
    lines.append(
        f"{where}{counted(summary.groups, 'group')} by {report.parameters['group_field']}, "
        f"weights {min(values):.4g} to {max(values):.4g}{_limited(report)}."
    )
    return "\n".join(lines)


def _limited(report: WeightReport) -> str:
    """How many weights are at a limit, so that equal weights explain themselves."""
    values = [group.weight for group in report.weights.values()]
    low, high = report.parameters["min_weight"], report.parameters["max_weight"]
    limits = (("lowest", low, values.count(low)), ("highest", high, values.count(high)))
    words = [f"{number(count)} at the {name} allowed, {limit:g}" for name, limit, count in limits if count]
    return f"; {' and '.join(words)}" if words else ""


def _remark(report: WeightReport) -> None:
    summary = report.summary
    for text in summary.notes:
        note(text)
    if summary.without_group:
        field = report.parameters["group_field"]
        note(f"{counted(summary.without_group, 'event')} without {field} did not count")
    if summary.unmatched_groups:
        note(
            f"{counted(summary.unmatched_groups, 'group')} without an event that passes the filter: no weight"
        )
    small = summary.dropped_groups
    if small:
        first = ", ".join(f"{name} ({count})" for name, count in list(small.items())[:_SHOWN])
        more = ", …" if len(small) > _SHOWN else ""
        least = report.parameters["min_count"]
        note(
            f"{counted(len(small), 'group')} under {counted(least, 'event')}, without a weight: {first}{more}"
        )
