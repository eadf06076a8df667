"""Rows of one ``sample_id`` over several manifests: which are equal, which are in conflict, which one stays.

The part of :mod:`beatsight.manifest.merge` that looks and decides. A row is known by its place: the number of
its block times 2³² plus its number in the block, which rises in the order of the inputs.

Most repeated rows are equal as text, so lines are compared by a hash first; only rows that differ as text
though session and time agree are compared by value.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from beatsight.errors import InputError
from beatsight.manifest.engine.blocks import Block, Rows, file_blocks
from beatsight.manifest.engine.pool import RowFault, run_blocks, where
from beatsight.manifest.engine.rows import fields_of, records
from beatsight.manifest.engine.table import Table

Policy = Literal["first", "last", "both", "refuse"]
POLICIES: tuple[Policy, ...] = ("first", "last", "both", "refuse")
# So many conflicts are described one by one; the rest is counted.
LISTED = 100
_BLOCK_BITS = 32


@dataclass(frozen=True)
class Conflict:
    """Two different rows of one sample_id: where they stand (``file:line``), and the keys that differ.

    ``kept`` is the row that stays, ``other`` one that does not hold the same values.
    """

    sample_id: str
    kept: str
    other: str
    keys: tuple[str, ...]


@dataclass
class Noted:
    """What the first reading of the inputs left behind.

    Attributes:
        inputs: the files.
        table: its view ``ids`` has ``place`` (the place), ``sample_id``, ``session_id``, ``onset_time`` and
            ``hash`` (of the line) of every row.
        counts: rows of each block.
        before: lines before each block in its file.
    """

    inputs: list[Path]
    table: Table
    counts: list[int]
    before: list[int]

    def places(self, sql: str) -> dict[int, bytes]:
        """The places that a query gives in order, as numbers in the block (int32) by block."""
        found: dict[int, bytes] = defaultdict(bytes)
        for batch in self.table.batches(sql):
            at = batch.column(0).to_numpy(zero_copy_only=False)
            blocks, starts = np.unique(at >> _BLOCK_BITS, return_index=True)
            inner = (at & ((1 << _BLOCK_BITS) - 1)).astype("<i4")
            for block, part in zip(blocks.tolist(), np.split(inner, starts[1:]), strict=True):
                found[block] += part.tobytes()
        return found

    def blocks(self, places: Mapping[int, bytes]) -> Iterable[Block]:
        """The blocks that hold some of the places, which they take along."""
        for block in file_blocks(self.inputs):
            if block.number in places:
                extra = {"places": places[block.number], "before": self.before[block.number]}
                yield msgspec.structs.replace(block, extra=extra)


def unpacked(places: bytes) -> list[int]:
    """Places within a block, as :meth:`Noted.places` packs them."""
    return np.frombuffer(places, "<i4").tolist()


def _hashes(texts: Iterable[bytes]) -> np.ndarray:
    """64 bits of each text: they are only ever compared among the rows of one sample_id."""
    return np.frombuffer(b"".join(hashlib.blake2b(text, digest_size=8).digest() for text in texts), "<i8")


def _canonical(value: Any) -> Any:
    """A JSON value such that equal meanings are equal values: no nulls, whole numbers as integers."""
    if isinstance(value, dict):
        return {key: _canonical(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_canonical(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _text(value: Any) -> bytes:
    return msgspec.json.encode(_canonical(value), order="deterministic")


def note_ids(rows: Rows, block: Block, params: Mapping[str, Any]) -> int:
    """Task: check the block; write what :class:`Noted` says of every row to a small Parquet file."""
    events = records(rows)
    columns = {
        "place": (block.number << _BLOCK_BITS) + np.arange(len(events), dtype=np.int64),
        "sample_id": pa.array([event.sample_id for event in events], pa.string()),
        "session_id": pa.array([event.session_id for event in events], pa.string()),
        # Plus 0 makes -0.0 the same as 0.0.
        "onset_time": np.array([event.onset_time for event in events], np.float64) + 0.0,
        "hash": _hashes(rows.lines),
    }
    target = Path(params["folder"]) / f"{block.number:07d}.parquet"
    pq.write_table(pa.table(columns), target, compression="lz4")
    return len(events)


def value_hashes(rows: Rows, block: Block, params: Mapping[str, Any]) -> bytes:
    """Task: for some rows, a hash of their values (int64), whatever the order of their keys."""
    return _hashes(_text(fields) for _, fields in _picked(rows, block)).tobytes()


def pick_rows(rows: Rows, block: Block, params: Mapping[str, Any]) -> list[tuple[str, dict[str, bytes]]]:
    """Task: for some rows, ``file:line`` and the text of each value that is not null."""
    return [
        (at, {key: _text(value) for key, value in fields.items() if value is not None})
        for at, fields in _picked(rows, block)
    ]


def _picked(rows: Rows, block: Block) -> Iterable[tuple[str, dict[str, Any]]]:
    for place in unpacked(block.extra["places"]):
        at = where(block, rows.numbers[place], block.extra["before"])
        try:
            yield at, fields_of(rows, place)
        except RowFault as fault:
            # Named here: of a file that is read in part, only the caller knows the numbers of its lines.
            raise InputError(f"{at}: {fault.why}") from None


def judge(noted: Noted, policy: Policy) -> tuple[int, int]:
    """Decide on every row whose sample_id another row has; the numbers of duplicates and of conflicts.

    Makes two tables: ``judged`` (``place``, ``sample_id``, ``kept``: the row of that id that stays for
    certain, ``conflict``) of ids whose lines differ; ``dropped`` (``place``, ``conflict``) of rows that go.
    """
    query = noted.table.query
    query(
        """CREATE TABLE same AS SELECT sample_id, min(place) AS head, min(hash) <> max(hash) AS differs
        FROM ids GROUP BY sample_id HAVING count(*) > 1"""
    )
    query("CREATE TABLE members AS FROM ids SEMI JOIN (FROM same WHERE differs) USING (sample_id)")
    _compare_values(noted)
    # A class is the rows of one id with the same values, named by its first row.
    query(
        """CREATE TABLE classes AS SELECT place, sample_id, min(place) OVER (
            PARTITION BY sample_id, session_id, onset_time, coalesce(compared.hash, members.hash)) AS class
        FROM members LEFT JOIN compared USING (place)"""
    )
    # The last row stays only where rows differ: of equal ones it is always the first.
    kept, kept_class = ("if(one, head, tail)", "tail_class") if policy == "last" else ("head", "head")
    again = "place = class" if policy == "both" else "true"
    query(
        f"""CREATE TABLE judged AS
        WITH known AS (
            SELECT *, min(class) OVER same_id AS head, max(place) OVER same_id AS tail,
                arg_max(class, place) OVER same_id AS tail_class,
                max(class) OVER same_id = min(class) OVER same_id AS one
            FROM classes WINDOW same_id AS (PARTITION BY sample_id))
        SELECT place, sample_id, {kept} AS kept, class <> {kept_class} AND {again} AS conflict FROM known"""
    )
    left_out = "false" if policy == "both" else "conflict"
    query(
        f"""CREATE TABLE dropped AS
        SELECT place, false AS conflict FROM ids JOIN same USING (sample_id)
        WHERE NOT differs AND place <> head
        UNION ALL SELECT place, conflict FROM judged WHERE place <> kept AND (NOT conflict OR {left_out})"""
    )
    ((duplicates,),) = noted.table.all("SELECT count(*) FROM dropped WHERE NOT conflict")
    ((conflicts,),) = noted.table.all("SELECT count(*) FROM judged WHERE conflict")
    return duplicates, conflicts


def _compare_values(noted: Noted) -> None:
    """Table ``compared`` (``place``, ``hash`` of the values) of rows that differ as text though session and
    time agree; of all of them, so that two rows are equal exactly where the hashes are."""
    noted.table.query(
        """CREATE TABLE unsure AS SELECT sample_id, session_id, onset_time FROM members
        GROUP BY ALL HAVING min(hash) <> max(hash)"""
    )
    wanted = noted.places(
        "SELECT place FROM members SEMI JOIN unsure USING (sample_id, session_id, onset_time) ORDER BY place"
    )
    noted.table.query("CREATE TABLE compared (place BIGINT, hash BIGINT)")
    for block, hashes, _ in run_blocks(f"{__name__}:value_hashes", noted.blocks(wanted), {}):
        inner = np.frombuffer(wanted[block.number], "<i4").astype(np.int64)
        found = pa.table(  # noqa: F841 (DuckDB finds it by its name)
            {"place": (block.number << _BLOCK_BITS) + inner, "hash": np.frombuffer(hashes, "<i8")}
        )
        noted.table.db.execute("INSERT INTO compared SELECT * FROM found")


def list_conflicts(noted: Noted) -> list[Conflict]:
    """The first :data:`LISTED` conflicts in the order of the inputs, described."""
    pairs = noted.table.all(
        f"SELECT sample_id, kept, place FROM judged WHERE conflict ORDER BY place LIMIT {LISTED}"
    )
    ends = sorted({at for _, *both in pairs for at in both})
    places: dict[int, bytes] = defaultdict(bytes)
    for at in ends:
        places[at >> _BLOCK_BITS] += np.array([at & ((1 << _BLOCK_BITS) - 1)], "<i4").tobytes()
    found: list[tuple[str, dict[str, bytes]]] = []
    for _, rows, _ in run_blocks(f"{__name__}:pick_rows", noted.blocks(places), {}):
        found += rows
    rows_at = dict(zip(ends, found, strict=True))
    return [
        Conflict(
            sample_id, rows_at[kept][0], rows_at[other][0], _differing(rows_at[kept][1], rows_at[other][1])
        )
        for sample_id, kept, other in pairs
    ]


def _differing(one: Mapping[str, bytes], two: Mapping[str, bytes]) -> tuple[str, ...]:
    return tuple(key for key in dict.fromkeys([*one, *two]) if one.get(key) != two.get(key))
