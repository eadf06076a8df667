"""Several manifests as one: rows in the order of the inputs, each ``sample_id`` once, conflicts listed.

Rows of one ``sample_id`` are *duplicates* when they hold the same values (whatever the order of their keys,
null or absent, ``1`` or ``1.0``): the first of them stays. Where some differ, they are in *conflict*, and a
policy says which one stays; its duplicates are dropped, the others are left out. Rows read are always rows
written + duplicates + rows left out.

Two readings: the first checks every row and notes its id and a hash; DuckDB finds the repeated ids
(:mod:`beatsight.manifest.same_ids`); the second copies the lines that stay, byte for byte.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from beatsight.errors import InputError, UsageError
from beatsight.events.files import PARQUET
from beatsight.manifest.engine.blocks import Block, Rows, bases, file_blocks, refuse_pipes
from beatsight.manifest.engine.columns import scan
from beatsight.manifest.engine.pool import run_blocks
from beatsight.manifest.engine.rewrite import Progress, check_format, line_output, refuse_twice, rewrite
from beatsight.manifest.engine.rows import records
from beatsight.manifest.engine.table import Table, connect, refuse_input_as_output, work_folder
from beatsight.manifest.same_ids import POLICIES, Conflict, Noted, Policy, judge, list_conflicts, unpacked


@dataclass
class MergeReport:
    """What :func:`merge` did.

    Attributes:
        inputs: rows of each input file.
        written: rows of the output.
        duplicates: rows left out because an equal one stays.
        conflicts: rows that differ from the one of their sample_id that stays (the first, where both stay).
        left_out: conflicts that are not in the output: all of them, or none where both stay.
        listed: the first conflicts (:data:`beatsight.manifest.same_ids.LISTED` of them).
    """

    inputs: dict[str, int] = field(default_factory=dict)
    written: int = 0
    duplicates: int = 0
    conflicts: int = 0
    left_out: int = 0
    listed: list[Conflict] = field(default_factory=list)


def lines_that_stay(rows: Rows, block: Block, params: Mapping[str, Any]) -> tuple[list[Any], Any]:
    """Line task: all lines but those whose places ``block.extra["drop"]`` names; asked for, these too."""
    if len(rows.lines) != block.extra["rows"]:
        raise InputError(f"{block.path}: changed while it was read")
    dropped = set(unpacked(block.extra["drop"]))
    lines = rows.lines
    if dropped:
        lines = [line for place, line in enumerate(lines) if place not in dropped]
    if params["suffix"] == PARQUET:
        kept = [number for place, number in enumerate(rows.numbers) if place not in dropped]
        lines = records(Rows(lines, kept, rows.count), whole=True)  # type: ignore[assignment]
    return lines, (len(lines), [rows.lines[place] for place in unpacked(block.extra["tell"])])


def merge(
    inputs: Sequence[str | os.PathLike[str]],
    output: str | os.PathLike[str],
    *,
    on_conflict: Policy = "first",
    conflicts: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> MergeReport:
    """Write the rows of some manifests to one.

    Args:
        inputs: manifests of any format; relative paths mean the current folder.
        output: where to; may be one of the inputs.
        on_conflict: of rows with one sample_id and different content, keep the ``first``, the ``last`` or
            ``both`` (all that differ), or ``refuse`` to write anything.
        conflicts: where to write the rows that a conflict left out.
        progress: called with (bytes read, bytes in all; both readings count).

    Raises:
        InputError: an input is faulty, a pipe or holds no events; there are conflicts to refuse; no output
            can be written.
        UsageError: no inputs, or one of them twice; an unknown policy or suffix; two outputs in one place.
    """
    if on_conflict not in POLICIES:
        raise UsageError(f"unknown conflict policy {on_conflict!r}; known: {', '.join(POLICIES)}")
    _check_paths(inputs, output, conflicts)
    paths = [Path(path) for path in inputs]
    size = sum(path.stat().st_size for path in paths if path.is_file())
    report = MergeReport(inputs={str(path): 0 for path in paths})
    with work_folder() as folder, connect(folder) as db:
        shards = folder / "ids"
        shards.mkdir()
        noted = Noted(paths, Table(db, 0, (), [], folder), [], [])
        done = 0
        for block, rows, before in run_blocks(
            "beatsight.manifest.same_ids:note_ids", file_blocks(paths), {"folder": str(shards)}
        ):
            noted.counts.append(rows)
            noted.before.append(before)
            report.inputs[block.path] += rows
            done += block.size
            if progress:
                progress(min(done, size), 2 * size)
        if empty := [path for path, rows in report.inputs.items() if not rows]:
            raise InputError(f"{empty[0]}: holds no events")
        noted.table = Table(db, sum(noted.counts), (), bases(noted.counts), folder)
        db.execute(f"CREATE VIEW ids AS SELECT * FROM {scan(shards, '*.parquet')}")
        report.duplicates, report.conflicts = judge(noted, on_conflict)
        report.left_out = 0 if on_conflict == "both" else report.conflicts
        report.listed = list_conflicts(noted)
        if report.conflicts and on_conflict == "refuse":
            one = report.listed[0]
            raise InputError(
                f"{one.other}: sample_id {one.sample_id!r} stands in {one.kept} with other "
                f"{', '.join(one.keys)}; {report.conflicts} such rows, nothing was written"
            )
        _write(noted, report, output, conflicts, progress)
    return report


def _check_paths(
    inputs: Sequence[str | os.PathLike[str]],
    output: str | os.PathLike[str],
    conflicts: str | os.PathLike[str] | None,
) -> None:
    if not inputs:
        raise UsageError("merge needs at least one input")
    refuse_twice(inputs)
    check_format(output)
    if conflicts is not None:
        check_format(conflicts)
        if os.path.realpath(conflicts) == os.path.realpath(output):
            raise UsageError(f"{conflicts}: cannot take both the merged rows and those left out")
        refuse_input_as_output(inputs, conflicts)
    refuse_pipes(inputs)


def _write(
    noted: Noted,
    report: MergeReport,
    output: str | os.PathLike[str],
    conflicts: str | os.PathLike[str] | None,
    progress: Progress | None,
) -> None:
    dropped = noted.places("SELECT place FROM dropped ORDER BY place")
    told = (
        noted.places("SELECT place FROM dropped WHERE conflict ORDER BY place")
        if conflicts is not None
        else {}
    )

    def about(block: Block) -> dict[str, Any]:
        if block.number >= len(noted.counts):
            raise InputError(f"{block.path}: changed while it was read")
        return {
            "rows": noted.counts[block.number],
            "drop": dropped.get(block.number, b""),
            "tell": told.get(block.number, b""),
        }

    with ExitStack() as stack:
        tell = stack.enter_context(line_output(conflicts)) if conflicts is not None else None
        for block, (written, lines), _ in rewrite(
            noted.inputs,
            output,
            f"{__name__}:lines_that_stay",
            extra=about,
            rows=sum(noted.counts),
            progress=(lambda done, total: progress(total + done, 2 * total)) if progress else None,
        ):
            report.written += written
            if tell is not None:
                tell(lines)
            if block.number == len(noted.counts) - 1:
                # What is left out must be safe before the output takes an input's place.
                stack.close()
