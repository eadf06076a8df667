"""The faults of one block of rows, and what to remark on: the part of validation that several processes
share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from beatsight.errors import InputError
from beatsight.events import Event, check, line_faults
from beatsight.events.files import PARQUET
from beatsight.manifest.engine.blocks import Block, Rows
from beatsight.manifest.engine.rewrite import pack
from beatsight.manifest.engine.rows import records
from beatsight.taxonomy import is_known, resolve_technique

# So many faults are told one by one; the rest is counted.
FAULTS_LISTED = 10_000


def _faults_of(line: bytes) -> list[tuple[str, str]]:
    try:
        line.decode()
    except UnicodeDecodeError as error:
        return [("", f"is not valid UTF-8 (byte {error.start + 1} of the line)")]
    return line_faults(line, Event)


def check_lines(rows: Rows, block: Block, params: Mapping[str, Any]) -> dict[str, Any]:
    """Task: check every row; its faults, the good and the bad rows where they are wanted, and the names to
    remark on.

    The ids of the good rows go to a small Parquet file in ``params["folder"]``.
    """
    good: list[int] = []
    bad: list[int] = []
    faults: list[tuple[int, str, str]] = []
    count = 0
    labels: Counter[str] = Counter()
    techniques: Counter[str] = Counter()
    ids: list[str] = []
    for index, line in enumerate(rows.lines):
        try:
            if not line.isascii():
                line.decode()
            event = check(line, Event, "")
        except (InputError, UnicodeDecodeError):
            bad.append(index)
            found = _faults_of(line)
            count += len(found)
            if len(faults) < FAULTS_LISTED:
                faults += [(rows.numbers[index], *fault) for fault in found]
            continue
        good.append(index)
        ids.append(event.sample_id)
        labels.update([part.label for part in event.components])
        if event.techniques:
            techniques.update(event.techniques)
    numbers = rows.numbers if len(good) == len(rows.lines) else [rows.numbers[index] for index in good]
    _write_ids(ids, numbers, block, params["folder"])
    return {
        "good": len(good),
        "bad": len(bad),
        "faults": faults[:FAULTS_LISTED],
        "count": count,
        "labels": {name: n for name, n in labels.items() if not is_known(name)},
        "techniques": {name: n for name, n in techniques.items() if not _is_technique(name)},
        "good_piece": _good_piece(rows, good, params["suffix"]) if params["suffix"] else None,
        "bad_piece": pack([rows.lines[index] for index in bad], params["rejects"])
        if params["rejects"]
        else None,
    }


@lru_cache(maxsize=4096)
def _is_technique(name: str) -> bool:
    try:
        resolve_technique(name)
    except InputError:
        return False
    return True


def _good_piece(rows: Rows, good: list[int], suffix: str) -> bytes:
    lines = rows.lines if len(good) == len(rows.lines) else [rows.lines[index] for index in good]
    if suffix == PARQUET:
        return pack(records(Rows(lines, range(1, len(lines) + 1), len(lines)), whole=True), suffix)
    return pack(lines, suffix)


def _write_ids(ids: list[str], numbers: Sequence[int], block: Block, folder: str) -> None:
    columns = {
        "block": pa.array([block.number] * len(ids), pa.int32()),
        "line": pa.array(numbers, pa.int64()),
        "sample_id": pa.array(ids, pa.string()),
    }
    pq.write_table(pa.table(columns), Path(folder) / f"{block.number:07d}.parquet", compression="lz4")
