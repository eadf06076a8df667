"""Hits at the edges of a streaming recogniser's windows: what ``beatsight gate boundary`` tests a model on.

Window ``k`` of an audio file covers ``[k * hop, k * hop + window)``, ``k >= 0``, whatever the file's length
(which the labels do not tell). A hit is at the *leading* edge of a window when it lies in the window's first
``margin``, ``[start, start + margin)``, and at its *trailing* edge when it lies in the last, ``[start +
window - margin, start + window)``. Every window counts by itself, so a hit may be at several edges.

Times are whole nanoseconds here, onsets and settings rounded to the nearest, and everything after that is
integer
arithmetic: no window gains or loses a hit by rounding. (A double holds a nanosecond up to 97 days.)
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

import msgspec

from beatsight.errors import InputError, UsageError
from beatsight.events.files import PARQUET
from beatsight.files import atomic_path, open_output
from beatsight.manifest.engine.blocks import is_parquet
from beatsight.manifest.engine.table import Progress, Table, open_table
from beatsight.taxonomy import is_known, resolve

EDGES = ("leading", "trailing")
_NS_PER_MS = 1_000_000
_NS_PER_S = 1_000_000_000
# 64-bit nanoseconds end after 292 years; an onset beyond 31 years is a mistake in the file.
LATEST_ONSET_S = 1e9
# Rows of the answer that are held at once.
_ROWS_AT_ONCE = 50_000


@dataclass
class BoundaryReport:
    """What :func:`boundary_pack` wrote.

    Attributes:
        events: events in the manifest.
        without_labels: events without components, which are at no edge.
        rows: rows of the pack.
        edges: rows by edge, leading and trailing.
        labels: rows by label, for each edge.
        repeated_ids: rows whose event's sample_id an earlier event has too; their own ids end in ``:2``,
            ``:3`` …
    """

    events: int = 0
    without_labels: int = 0
    rows: int = 0
    edges: dict[str, int] = field(default_factory=lambda: dict.fromkeys(EDGES, 0))
    labels: dict[str, dict[str, int]] = field(default_factory=lambda: {edge: {} for edge in EDGES})
    repeated_ids: int = 0


def _nanoseconds(milliseconds: float, name: str) -> int:
    whole = round(milliseconds * _NS_PER_MS) if 0 < milliseconds <= LATEST_ONSET_S * 1000 else 0
    if whole <= 0:
        raise UsageError(f"{name} must be a number of milliseconds above 0, got {milliseconds}")
    return whole


def _milliseconds(nanoseconds: int) -> float:
    """Milliseconds, as an integer where they are whole."""
    whole, rest = divmod(nanoseconds, _NS_PER_MS)
    return nanoseconds / _NS_PER_MS if rest else whole


@lru_cache(maxsize=4096)
def _canonical(label: str) -> str:
    return resolve(label) if is_known(label) else label


def _refuse_late(table: Table, path: str | os.PathLike[str]) -> None:
    late = table.all(
        "SELECT sample_id, onset_time FROM rows WHERE onset_time > ? ORDER BY row LIMIT 1", [LATEST_ONSET_S]
    )
    if late:
        sample, onset = late[0]
        raise InputError(f"{path}: event {sample!r}: onset_time: {onset:g} s is longer than any audio file")


def _edge_rows(table: Table, window: int, hop: int, margin: int) -> Iterator[tuple[Any, ...]]:
    """Events at an edge in file order: the columns of the query, one row for each edge and window."""
    # Windows whose edge begins at `start + offset` and holds the hit: start in (ns - offset - margin, ns -
    # offset]. SQL divides towards zero, so what is below zero is looked at before it is divided.
    table.query(
        f"""CREATE TABLE hits AS
        WITH timed AS (
            SELECT row, CAST(floor(onset_time) AS BIGINT) * {_NS_PER_S}
                + CAST(round((onset_time - floor(onset_time)) * {_NS_PER_S}) AS BIGINT) AS ns
            FROM rows WHERE len(components) > 0),
        offsets AS (SELECT unnest([0, {window - margin}]) AS edge_start, unnest([0, 1]) AS edge),
        spans AS (
            SELECT row, ns, edge,
                CASE WHEN ns < edge_start THEN -1 ELSE (ns - edge_start) // {hop} END AS last,
                CASE WHEN ns < edge_start + {margin} THEN 0
                     ELSE (ns - edge_start - {margin}) // {hop} + 1 END AS first
            FROM timed, offsets)
        SELECT row, ns, edge, first, last FROM spans WHERE first <= last"""
    )
    table.query(
        """CREATE TABLE again AS
        SELECT row, row_number() OVER (PARTITION BY sample_id ORDER BY row) AS nth
        FROM rows WHERE sample_id IN (SELECT sample_id FROM rows GROUP BY sample_id HAVING count(*) > 1)"""
    )
    batches = table.batches(
        """SELECT h.ns, h.edge, h.first, h.last, coalesce(again.nth, 1), sample_id, session_id, audio_path,
            onset_time, list_transform(components, lambda c: c.label)
        FROM hits h JOIN rows USING (row) LEFT JOIN again USING (row) ORDER BY row, edge""",
        _ROWS_AT_ONCE,
    )
    for batch in batches:
        for ns, edge, first, last, *rest in zip(*(column.to_pylist() for column in batch), strict=True):
            for index in range(first, last + 1):
                yield ns, EDGES[edge], index, *rest


def _write(out: IO[bytes], table: Table, window: int, hop: int, margin: int, report: BoundaryReport) -> None:
    encode = msgspec.json.Encoder().encode
    counts = {edge: Counter[str]() for edge in EDGES}
    for ns, edge, index, nth, sample, session, audio, onset, names in _edge_rows(table, window, hop, margin):
        labels = list(dict.fromkeys(map(_canonical, names)))
        start = index * hop
        row = {
            "sample_id": f"{sample}:{edge}:{index}" + (f":{nth}" if nth > 1 else ""),
            "event_sample_id": sample,
            "session_id": session,
            "audio_path": audio,
            "onset_time": onset,
            "labels": labels,
            "window_index": index,
            "window_size": _milliseconds(window),
            "hop_size": _milliseconds(hop),
            "edge": edge,
            "window_start_s": start / _NS_PER_S,
            "edge_distance_ms": _milliseconds(ns - start if edge == "leading" else start + window - ns),
        }
        if audio is None:
            del row["audio_path"]
        out.write(encode(row) + b"\n")
        counts[edge].update(labels)
        report.edges[edge] += 1
        report.repeated_ids += nth > 1
    report.rows = sum(report.edges.values())
    report.labels = {edge: dict(sorted(counts[edge].items())) for edge in EDGES}


def boundary_pack(
    events: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    window_ms: float = 2048.0,
    hop_ms: float = 512.0,
    margin_ms: float = 40.0,
    progress: Progress | None = None,
) -> BoundaryReport:
    """Write one row for every hit and every window that has it at an edge, in the order of the events.

    A row holds ``sample_id`` (``<event>:<edge>:<window>``, unique), ``event_sample_id``, ``session_id``,
    ``audio_path``, ``onset_time`` (s), ``labels`` (those of the event itself by their canonical names, each
    once; unknown ones as they are), ``window_index``, ``window_size`` and ``hop_size`` (ms), ``edge``,
    ``window_start_s`` and ``edge_distance_ms``: from the window's start to a leading hit, from a trailing hit
    to the window's end.

    Args:
        events: a manifest of any format.
        output: the pack, ``.jsonl``, ``.jsonl.gz`` or ``.jsonl.zst``.
        window_ms: length of a window.
        hop_ms: from the start of one window to that of the next; may be longer than the window.
        margin_ms: length of an edge, at most the window.
        progress: called with (bytes read, bytes in all).

    Raises:
        InputError: the manifest is faulty or holds no events, or the output cannot be written.
        UsageError: a length is not above 0, the margin is longer than the window, or the output is no JSON
            lines.
    """
    window, hop = _nanoseconds(window_ms, "window_ms"), _nanoseconds(hop_ms, "hop_ms")
    margin = _nanoseconds(margin_ms, "margin_ms")
    if margin > window:
        raise UsageError(f"margin_ms {margin_ms:g} is longer than the window of {window_ms:g} ms")
    if is_parquet(output):
        raise UsageError(f"{output}: a boundary pack is JSON lines, so its name cannot end in {PARQUET}")
    report = BoundaryReport()
    fields = ("sample_id", "session_id", "audio_path", "onset_time")
    with open_table([events], fields, ("label",), progress=progress) as table:
        if not table.count:
            raise InputError(f"{Path(events)}: holds no events")
        report.events = table.count
        report.without_labels = table.all("SELECT count(*) FROM rows WHERE len(components) = 0")[0][0]
        _refuse_late(table, events)
        with atomic_path(output) as temporary, open_output(temporary) as out:
            _write(out, table, window, hop, margin, report)
    return report
