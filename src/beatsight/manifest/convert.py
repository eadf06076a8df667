"""A manifest in another format: JSON lines, plain or compressed, to Parquet and back, nothing lost."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from beatsight.events.files import PARQUET
from beatsight.manifest.engine.blocks import Block, Rows
from beatsight.manifest.engine.rewrite import Progress, rewrite
from beatsight.manifest.engine.rows import records


def checked_lines(rows: Rows, block: Block, params: Mapping[str, Any]) -> tuple[list[Any], int]:
    """Line task: the block as it is, every row checked; the number of rows."""
    if params["suffix"] == PARQUET:
        return records(rows, whole=True), len(rows.lines)
    records(rows)
    return rows.lines, len(rows.lines)


def convert(
    events: str | os.PathLike[str], output: str | os.PathLike[str], *, progress: Progress | None = None
) -> int:
    """Write a manifest in the format of the output's suffix; the number of events is returned.

    From JSON lines to JSON lines, every line stays as it is, byte for byte. Through Parquet and back, every
    value stays (``1`` may come back as ``1.0``), explicit nulls go, and the known keys come first.

    Args:
        events: ``.jsonl``, ``.jsonl.gz``, ``.jsonl.zst`` or ``.parquet``.
        output: the same, also the same file.
        progress: called with (bytes read, bytes in all).

    Raises:
        InputError: a row is faulty (``file:line: field: why``), there is none, or the output cannot be
            written.
        UsageError: the output's suffix is unknown.
    """
    count = 0
    for _, rows, _ in rewrite([events], output, f"{__name__}:checked_lines", progress=progress):
        count += rows
    return count
