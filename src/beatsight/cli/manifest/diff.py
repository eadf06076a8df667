"""``beatsight manifest diff``: what a new manifest changes, and whether it may."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from beatsight.cli.console import note, progress_bar, say
from beatsight.cli.manifest.options import Json, number, printable
from beatsight.errors import UsageError
from beatsight.manifest.diff import LIMITS, Delta, ManifestDiff, diff_manifests

# Largest differences shown at the terminal; the JSON holds all.
_SHOWN = 10
_FAILED = 1
_LIMITS_HELP = "Largest value allowed, NAME=NUMBER; repeat. Exceeded: exit 1. " + "; ".join(
    f"{name}: {meaning}" for name, (meaning, _) in LIMITS.items()
)


def diff(
    base: Annotated[Path, typer.Argument(metavar="BASE", help="Manifest that is trusted.")],
    candidate: Annotated[Path, typer.Argument(metavar="CANDIDATE", help="Manifest to compare with it.")],
    json_output: Annotated[
        Path | None, typer.Option("--json-output", help="Where to write the complete diff (JSON).")
    ] = None,
    fail_on: Annotated[list[str] | None, typer.Option("--fail-on", help=_LIMITS_HELP)] = None,
    as_json: Json = False,
) -> None:
    """Compare two manifests: sessions, labels, techniques, sources.

    Example: beatsight manifest diff old.jsonl new.jsonl --json-output diff.json --fail-on label-drop=5
    """
    limits = _limits(fail_on or [])
    with progress_bar("Comparing") as progress:
        found = diff_manifests(base, candidate, json_output, limits=limits, progress=progress)
    say(as_json, found, "" if as_json else _prose(found, json_output))
    for limit in found.limits:
        if limit.exceeded:
            note(f"{limit.name}: {limit.value:.6g} is more than {limit.limit:g} ({LIMITS[limit.name][0]})")
    if not found.passed:
        raise typer.Exit(_FAILED)


def _limits(texts: Sequence[str]) -> dict[str, float]:
    limits: dict[str, float] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        try:
            limit = float(value)
        except ValueError:
            equals = ""
        if not equals:
            raise UsageError(f"--fail-on {text!r} is not NAME=NUMBER; known limits: {', '.join(LIMITS)}")
        if name in limits:
            raise UsageError(f"--fail-on {name} is given twice")
        limits[name] = limit
    return limits


def _prose(found: ManifestDiff, json_output: Path | None) -> str:
    console = Console(width=100, highlight=False)
    with console.capture() as capture:
        totals = {"events": found.events, "hits": found.hits, "sessions": found.sessions.count}
        console.print(_deltas("", totals))
        sources = {name: source.events for name, source in found.sources.items()}
        for title, deltas in (
            ("labels (hits)", found.labels),
            ("techniques (events)", found.techniques),
            ("sources (events)", sources),
        ):
            if any(delta.delta for delta in deltas.values()):
                console.print(_deltas(title, deltas))
    return capture.get() + "\n".join(_sessions(found, json_output))


def _deltas(title: str, deltas: Mapping[str, Delta]) -> Table:
    """The largest differences; totals (no title) all, in their order."""
    table = Table(box=None, pad_edge=False)
    table.add_column(title, min_width=24)
    for column in ("base", "candidate", "change", "%"):
        table.add_column(column, justify="right")
    rows = [(name, delta) for name, delta in deltas.items() if delta.delta or not title]
    if title:
        rows.sort(key=lambda row: (-abs(row[1].delta), row[0]))
    for name, delta in rows[:_SHOWN]:
        percent = "new" if delta.percent is None else f"{delta.percent:+.2f}"
        change = ("+" if delta.delta > 0 else "") + number(delta.delta)
        table.add_row(printable(name), number(delta.base), number(delta.candidate), change, percent)
    if len(rows) > _SHOWN:
        table.add_row(f"… {len(rows) - _SHOWN} more", "", "", "", "")
    table.add_row("", "", "", "", "")
    return table


def _sessions(found: ManifestDiff, json_output: Path | None) -> list[str]:
    sessions = found.sessions
    lines = []
    for word, events in (("added", sessions.added), ("removed", sessions.removed)):
        lines.append(f"Sessions {word}: {number(len(events))}{_first(events)}")
    sizes = {name: change.size for name, change in sessions.changed.items()}
    lines.append(f"Sessions changed: {number(len(sizes))}{_first(sizes, 'differences')}")
    if json_output is not None:
        lines.append(f"{json_output}: the complete diff.")
    return lines


def _first(sizes: Mapping[str, int], noun: str = "events") -> str:
    """The largest, in words."""
    if not sizes:
        return "."
    largest = sorted(sizes, key=lambda name: (-sizes[name], name))[:_SHOWN]
    more = ", …" if len(sizes) > _SHOWN else "."
    return f", by {noun}: " + ", ".join(f"{name!r} {number(sizes[name])}" for name in largest) + more
