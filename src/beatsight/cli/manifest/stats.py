"""``beatsight manifest stats``: what manifests hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from beatsight.cli.console import counted, progress_bar, say
from beatsight.cli.manifest.options import Json, ManyEvents, number, printable
from beatsight.manifest.stats import ABSENT, Coverage, ManifestStats, manifest_stats

_MINUTE_S, _HOUR_S = 60, 3600
# Entries of one distribution shown at the terminal; --json holds all.
_SHOWN = 30


def stats(events: ManyEvents, as_json: Json = False) -> None:
    """Count what manifests hold: sessions, labels, techniques, dynamics, openness, tempo, time, duplicates.

    Example: beatsight manifest stats events.jsonl
    """
    with progress_bar("Counting") as progress:
        found = manifest_stats(events, progress=progress)
    say(as_json, found, "" if as_json else _prose(found))


def _prose(found: ManifestStats) -> str:
    console = Console(width=100, highlight=False)
    nothing: list[str] = []
    with console.capture() as capture:
        for path, count in found.files.items():
            console.print(f"{printable(path)}: {counted(count, 'event')}", soft_wrap=True)
        console.print(_totals(found))
        console.print(_labels(found))
        for title, values in (
            ("dynamics (hits)", found.by_hit.dynamics),
            ("openness (hits)", _openness(found)),
            ("techniques (events)", found.techniques),
            ("sources (events)", found.sources),
            ("meters (events)", found.meters),
            ("bleed (events)", found.bleed),
            ("mix contexts (events)", found.mix_contexts),
        ):
            if any(count for name, count in values.items() if name != ABSENT):
                console.print(_two_columns(title, values))
            else:
                nothing.append(title.partition(" (")[0])
        if nothing:
            console.print(f"Not given in any event: {', '.join(nothing)}.")
        if found.duplicates.ids:
            console.print(_two_columns("repeated sample_ids (events)", found.duplicates.listed))
    return capture.get().rstrip()


def _two_columns(title: str, values: Mapping[str, Any]) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column(title, min_width=30)
    table.add_column("", justify="right")
    for name, value in list(values.items())[:_SHOWN]:
        table.add_row(printable(name), number(value) if isinstance(value, int) else value)
    if len(values) > _SHOWN:
        table.add_row(f"… {len(values) - _SHOWN} more", "")
    table.add_row("", "")
    return table


def _totals(found: ManifestStats) -> Table:
    values: dict[str, Any] = {
        "events": found.events,
        "hits": found.hits,
        "synthetic events": found.synthetic_events,
        "negative examples": found.negative_examples,
        "sessions": found.sessions,
        "tracks": found.tracks,
        "drummers": found.drummers,
        "kits": found.kits,
        "rooms": found.rooms,
        "audio files": found.coverage.audio_files,
        "events without audio": found.coverage.events_without_audio,
        "time to the last onsets": _duration(found.coverage),
        "tempo": _tempo(found.tempo_bpm),
        "repeated sample_ids": f"{number(found.duplicates.events)} ({found.duplicates.rate:.2%})",
    }
    return _two_columns("all together" if len(found.files) > 1 else "", values)


def _tempo(bounds: tuple[float, float] | None) -> str:
    if bounds is None:
        return "–"
    slowest, fastest = (f"{bpm:.4g}" for bpm in bounds)
    return f"{slowest} bpm" if slowest == fastest else f"{slowest} to {fastest} bpm"


def _duration(coverage: Coverage) -> str:
    """The time covered; without audio files nobody knows it."""
    if not coverage.audio_files:
        return "–"
    seconds = coverage.seconds
    return f"{seconds / _HOUR_S:.2f} h" if seconds >= _HOUR_S else f"{seconds / _MINUTE_S:.2f} min"


def _labels(found: ManifestStats) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("labels (hits)", min_width=30)
    for name in ("real", "synthetic"):
        table.add_column(name, justify="right")
    table.add_column("")
    by_hit = found.by_hit
    for label, count in by_hit.labels.items():
        alias = by_hit.aliases.get(label)
        remark = "unknown label" if label in by_hit.unknown_labels else f"= {alias}" if alias else ""
        table.add_row(printable(label), number(count.real), number(count.synthetic), remark)
    table.add_row("", "", "", "")
    return table


def _openness(found: ManifestStats) -> dict[str, int]:
    bins = found.by_hit.openness
    if not any(bins):
        return {}
    width = 1 / len(bins)
    return {f"{index * width:.1f} to {(index + 1) * width:.1f}": count for index, count in enumerate(bins)}
