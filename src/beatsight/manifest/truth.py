"""The truth as hits in time, which may be short: JSON lines of ``sample_id`` and ``components`` alone.

Everything else about a line must be as the format of events says.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from beatsight.errors import InputError
from beatsight.events import Component, Event, Name, decode, from_builtins
from beatsight.events.records import Seconds
from beatsight.manifest.engine.blocks import Block, Rows, file_blocks, is_parquet
from beatsight.manifest.engine.columns import scan
from beatsight.manifest.engine.parquet_rows import parquet_select
from beatsight.manifest.engine.pool import RowFault, run_blocks
from beatsight.manifest.engine.rows import refuse_bad_text
from beatsight.manifest.engine.table import Progress, Table


class _Truth(msgspec.Struct, gc=False):
    """What is needed of an event, all but the first two keys optional."""

    sample_id: Name
    components: list[Component]
    session_id: Name | None = None
    onset_time: Seconds | None = None
    negative_example: bool | None = None


_DECODER = msgspec.json.Decoder(_Truth)


def _explain(line: bytes) -> str:
    """Why a line is no truth: it must be an event but for its session and time, which may be absent."""
    place = {"session_id": "?", "onset_time": 0.0}
    try:
        raw = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raw = None
    try:
        if isinstance(raw, dict):
            raw = place | {key: value for key, value in raw.items() if value is not None or key not in place}
            from_builtins(raw, Event, "")
        else:
            decode(line, Event, "")
    except InputError as error:
        return str(error).removeprefix(": ")
    return "is no event"


def write_truth(rows: Rows, block: Block, params: Mapping[str, Any]) -> int:
    """Task: id, session, time and labels of every row to a small Parquet file; the number of rows."""
    refuse_bad_text(rows)
    found: list[_Truth] = []
    for line, number in zip(rows.lines, rows.numbers, strict=True):
        try:
            truth = _DECODER.decode(line)
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            raise RowFault(number, _explain(line)) from None
        if not truth.components and not truth.negative_example:
            raise RowFault(number, _explain(line))
        found.append(truth)
    columns = {
        "block": pa.array([block.number] * len(found), pa.int32()),
        "place": pa.array(range(len(found)), pa.int32()),
        "sample_id": pa.array([truth.sample_id for truth in found], pa.string()),
        "session_id": pa.array([truth.session_id for truth in found], pa.string()),
        "onset_time": pa.array([truth.onset_time for truth in found], pa.float64()),
        "labels": pa.array(
            [[part.label for part in truth.components] for truth in found], pa.list_(pa.string())
        ),
    }
    target = Path(params["folder"]) / f"{block.number:07d}.parquet"
    pq.write_table(pa.table(columns), target, compression="lz4")
    return len(found)


def open_truth(table: Table, path: Path, progress: Progress | None) -> int:
    """View ``truth`` (pos, sample_id, session_id, onset_time, labels) beside the predictions; its number of
    rows."""
    if is_parquet(path):
        fields = ["sample_id", "session_id", "onset_time"]
        selected, source, groups = parquet_select(table.db, path, fields, ["label"], Event)
        table.query(
            f"""CREATE VIEW truth AS
            SELECT pos, sample_id, session_id, onset_time,
                list_transform(components, lambda c: c.label) AS labels
            FROM (SELECT file_row_number AS pos, {", ".join(selected)} FROM {source})"""
        )
        return sum(groups)
    shards = table.folder / "truth"
    shards.mkdir()
    count = done = 0
    size = path.stat().st_size if path.is_file() else 0
    for block, rows, _ in run_blocks(f"{__name__}:write_truth", file_blocks([path]), {"folder": str(shards)}):
        count += rows
        done += block.size
        if progress:
            progress(min(done, size), size)
    table.query(
        f"""CREATE VIEW truth AS
        SELECT CAST(block AS BIGINT) << 32 | place AS pos, sample_id, session_id, onset_time, labels
        FROM {scan(shards, "*.parquet")}"""
    )
    return count
