"""A manifest's sessions into train, val and test: no drummer, kit or room on two sides.

The answer is ``split.json`` (schema in docs/formats.md), which ``dataset build`` and ``near-duplicates``
read; the rows themselves can be written apart as well. The rules: :mod:`beatsight.manifest.splitting.assign`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from beatsight import taxonomy
from beatsight.errors import InputError, UsageError
from beatsight.events.files import PARQUET
from beatsight.manifest.engine.blocks import Block, Rows, file_blocks, refuse_pipes
from beatsight.manifest.engine.pool import run_blocks
from beatsight.manifest.engine.rewrite import (
    SUFFIXES,
    Progress,
    output_pieces,
    pack,
    refuse_empty,
    refuse_twice,
)
from beatsight.manifest.engine.rows import records
from beatsight.manifest.engine.table import Table, open_table
from beatsight.manifest.splitting.assign import Assignment, SessionTable, assign_splits
from beatsight.manifest.splitting.grouping import SHARED_KEYS, connected_groups
from beatsight.manifest.splitting.split_file import SplitFile

DEFAULT_FRACTIONS = {"train": 0.8, "val": 0.1, "test": 0.1}
LEFT_OUT = "left_out"


@dataclass(frozen=True)
class Split:
    """A split and how it was found.

    Attributes:
        sessions: split name per session; None where it is left out.
        groups: number of connected groups of sessions.
        assignment: shares and notes.
        content: what ``split.json`` holds.
    """

    sessions: dict[str, str | None]
    groups: int
    assignment: Assignment
    content: SplitFile


def _sessions(table: Table, shared: Sequence[str]) -> SessionTable:
    """Counts per session, and the groups that share keys."""
    rows = table.all(
        """SELECT session_id, count(*), count_if(coalesce(is_synthetic, false)) FROM rows
        GROUP BY session_id ORDER BY session_id"""
    )
    names = tuple(name for name, _, _ in rows)
    index = {name: number for number, name in enumerate(names)}
    hits = table.all(
        """SELECT session_id, label, count(*) FROM (
            SELECT session_id, unnest(components).label AS label FROM rows) GROUP BY ALL"""
    )
    # Unknown labels are divided evenly too, under their own names.
    canonical = {
        label: taxonomy.resolve(label) if taxonomy.is_known(label) else label for _, label, _ in hits
    }
    labels = tuple(sorted(set(canonical.values())))
    column = {label: number for number, label in enumerate(labels)}
    counts = np.zeros((len(names), len(labels)), np.int64)
    for session, label, number in hits:
        counts[index[session], column[canonical[label]]] += number
    pairs: list[tuple[int, str]] = []
    for key in shared:
        known = table.all(
            f"SELECT DISTINCT session_id, {key} FROM rows WHERE {key} IS NOT NULL AND {key} <> ''"
        )
        pairs += [(index[session], f"{key}:{value}") for session, value in known]
    numbers = {value: number for number, value in enumerate(sorted({value for _, value in pairs}))}
    group = connected_groups(
        len(names),
        np.array([session for session, _ in pairs], np.int64),
        np.array([numbers[value] for _, value in pairs], np.int64),
    )
    return SessionTable(
        names, group, labels, counts,
        np.array([number for _, number, _ in rows], np.int64),
        np.array([number for _, _, number in rows], np.int64),
    )  # fmt: skip


def split_manifest(
    events: Sequence[str | os.PathLike[str]],
    *,
    fractions: Mapping[str, float] | None = None,
    seed: int = 0,
    synthetic_cap: float | None = None,
    shared: Sequence[str] = SHARED_KEYS,
    progress: Progress | None = None,
) -> Split:
    """Divide the sessions of some manifests.

    Args:
        events: manifests of any format, taken together.
        fractions: wanted share of the events by split; default 0.8 train, 0.1 val, 0.1 test.
        seed: of the choice among equals.
        synthetic_cap: largest share of synthetic events in each split, 0..1.
        shared: keys whose values may not stand in two splits, of :data:`SHARED_KEYS`.
        progress: called with (bytes read, bytes in all).

    Raises:
        InputError: a manifest is faulty or empty, shares that do not add up to 1.
        UsageError: an unknown key in ``shared``, a manifest given twice, a split name that no file can have.
    """
    refuse_twice(events)
    if unknown := [key for key in shared if key not in SHARED_KEYS]:
        raise UsageError(f"{unknown[0]} cannot hold sessions together; known: {', '.join(SHARED_KEYS)}")
    wanted = dict(fractions or DEFAULT_FRACTIONS)
    for name in wanted:
        if name in ("", ".", "..", LEFT_OUT) or not name.isprintable() or {*name} & {*"/\\"}:
            raise UsageError(f"{name!r} cannot be the name of a split")
    columns = ["session_id", "is_synthetic", *SHARED_KEYS]
    with open_table(events, columns, ("label",), progress=progress) as table:
        refuse_empty(table.count, *events)
        sessions = _sessions(table, shared)
    made = assign_splits(sessions, wanted, seed=seed, synthetic_cap=synthetic_cap)
    names: dict[str, str | None] = {
        name: made.splits[number] if number >= 0 else None
        for name, number in zip(sessions.names, made.split.tolist(), strict=True)
    }
    groups = int(sessions.group.max()) + 1
    parameters = {
        "fractions": wanted, "seed": seed, "synthetic_cap": synthetic_cap, "shared": list(shared),
        "events": [str(path) for path in events],
    }  # fmt: skip
    content = SplitFile(
        parameters=parameters,
        sessions=names,
        events=msgspec.to_builtins(made.events),
        synthetic=msgspec.to_builtins(made.synthetic),
        labels=msgspec.to_builtins(made.labels),
        groups=groups,
        notes=made.notes,
    )
    return Split(names, groups, made, content)


def divide_lines(rows: Rows, block: Block, params: Mapping[str, Any]) -> list[Any]:
    """Task: the block's lines packed by split, in the order of ``params["splits"]``, each with its count."""
    sessions, splits = params["sessions"], params["splits"]
    parquet = params["suffix"] == PARQUET
    events = records(rows, whole=parquet)
    lines: list[list[Any]] = [[] for _ in splits]
    for event, line in zip(events, rows.lines, strict=True):
        if event.session_id not in sessions:
            raise InputError(f"{block.path}: the split does not name its session {event.session_id!r}")
        lines[sessions[event.session_id]].append(event if parquet else line)
    return [(pack(some, params["suffix"]), len(some)) for some in lines]


def check_writable(events: Sequence[str | os.PathLike[str]], suffix: str) -> None:
    """Say, before any work is done, why :func:`write_manifests` would fail.

    Raises:
        InputError: a manifest is a pipe, which cannot be read a second time.
        UsageError: an unknown suffix.
    """
    if suffix not in SUFFIXES:
        raise UsageError(f"{suffix}: unknown format; known: {', '.join(SUFFIXES)}")
    refuse_pipes(events)


def write_manifests(
    split: Split,
    events: Sequence[str | os.PathLike[str]],
    folder: str | os.PathLike[str],
    *,
    suffix: str = ".jsonl",
    progress: Progress | None = None,
) -> dict[str, int]:
    """Write the rows of each split to its own file, ``<folder>/<split><suffix>``; returns the rows of each.

    Rows of sessions that are left out go to ``left_out<suffix>``. All files appear together at the end.

    Raises:
        InputError: a manifest is faulty or has changed, or the files cannot be written.
        UsageError: an unknown suffix.
    """
    check_writable(events, suffix)
    names = list(split.assignment.splits)
    if None in split.sessions.values():
        names.append(LEFT_OUT)
    number = {name: index for index, name in enumerate(names)}
    sessions = {session: number[name or LEFT_OUT] for session, name in split.sessions.items()}
    params = {"sessions": sessions, "splits": names, "suffix": Path(f"x{suffix}").suffix}
    written = dict.fromkeys(names, 0)
    total = sum(Path(path).stat().st_size for path in events if Path(path).is_file())
    done = 0
    with output_pieces(*(Path(folder) / f"{name}{suffix}" for name in names)) as outputs:
        for block, pieces, _ in run_blocks(f"{__name__}:divide_lines", file_blocks(events), params):
            for name, write, (piece, count) in zip(names, outputs, pieces, strict=True):
                write(piece)
                written[name] += count
            done += block.size
            if progress:
                progress(min(done, total), total)
    return written
