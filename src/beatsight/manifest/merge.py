"""Several manifests as one: rows in the order of the inputs, each ``sample_id`` once, conflicts listed.

Two rows of one ``sample_id`` are *duplicates* when they hold the same values (whatever the order of their keys,
absent or null); the first one stays. Otherwise they are a *conflict*, and a policy says which one stays.

Two passes: the first checks every row and notes its id and a hash; DuckDB finds the repeated ids; the second
copies the lines that stay, byte for byte.
"""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from beatsight.errors import InputError, UsageError
from beatsight.events.files import PARQUET
from beatsight.manifest.blocks import Block, Rows, bases, file_blocks, is_parquet
from beatsight.manifest.columns import quoted
from beatsight.manifest.pool import run_blocks
from beatsight.manifest.rewrite import Progress, check_format, line_output, rewrite
from beatsight.manifest.rows import records
from beatsight.manifest.table import Table, connect, work_folder

Policy = Literal["first", "last", "both", "refuse"]
POLICIES: tuple[Policy, ...] = ("first", "last", "both", "refuse")
# So many conflicts are described one by one; the rest is counted.
LISTED = 100


@dataclass(frozen=True)
class Conflict:
    """Two different rows of one sample_id: where they stand (``file:line``), and the keys that differ."""

    sample_id: str
    kept: str
    other: str
    keys: tuple[str, ...]


@dataclass
class MergeReport:
    """What :func:`merge` did.

    Attributes:
        inputs: rows of each input file.
        written: rows of the output.
        duplicates: rows left out because an equal one stays.
        conflicts: rows whose sample_id another row with other content has.
        left_out: rows of ``conflicts`` that are not in the output.
        listed: the first :data:`LISTED` conflicts.
    """

    inputs: dict[str, int] = field(default_factory=dict)
    written: int = 0
    duplicates: int = 0
    conflicts: int = 0
    left_out: int = 0
    listed: list[Conflict] = field(default_factory=list)


def _hash(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=8).digest()


def _canonical(value: Any) -> Any:
    """A JSON value such that equal meanings are equal values: no nulls, whole numbers as integers."""
    if isinstance(value, dict):
        return {key: _canonical(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_canonical(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def note_ids(rows: Rows, block: Block, params: Mapping[str, Any]) -> int:
    """Task: check the block; write id, session, onset and hash of every row to a small Parquet file."""
    events = records(rows)
    columns = {
        "block": pa.array([block.number] * len(events), pa.int32()),
        "place": pa.array(range(len(events)), pa.int32()),
        "sample_id": pa.array([event.sample_id for event in events], pa.string()),
        "session_id": pa.array([event.session_id for event in events], pa.string()),
        "onset_time": pa.array([event.onset_time for event in events], pa.float64()),
        "hash": pa.array([_hash(line) for line in rows.lines], pa.binary(8)),
    }
    target = Path(params["folder"]) / f"{block.number:07d}.parquet"
    pq.write_table(pa.table(columns), target, compression="lz4")
    return len(events)


def canonical_hashes(rows: Rows, block: Block, params: Mapping[str, Any]) -> list[bytes]:
    """Task: a hash of the values of some rows (``block.extra``: their places), whatever the order of their keys."""
    return [
        hashlib.blake2b(
            msgspec.json.encode(
                _canonical(msgspec.json.decode(rows.lines[place])), order="deterministic"
            ),
            digest_size=16,
        ).digest()
        for place in block.extra
    ]


def pick_lines(rows: Rows, block: Block, params: Mapping[str, Any]) -> list[tuple[int, bytes]]:
    """Task: some rows (``block.extra``: their places) with the numbers of their lines."""
    return [(rows.numbers[place], rows.lines[place]) for place in block.extra]


def lines_that_stay(rows: Rows, block: Block, params: Mapping[str, Any]) -> tuple[list[Any], Any]:
    """Line task: all lines but those whose places ``block.extra["drop"]`` names; asked for, these too."""
    if len(rows.lines) != block.extra["rows"]:
        raise InputError(f"{block.path}: changed while it was read")
    dropped = set(block.extra["drop"])
    lines = rows.lines
    if dropped:
        lines = [line for place, line in enumerate(lines) if place not in dropped]
    if params["suffix"] == PARQUET:
        kept = [number for place, number in enumerate(rows.numbers) if place not in dropped]
        lines = records(Rows(lines, kept, rows.count), whole=True)  # type: ignore[assignment]
    return lines, (len(lines), [rows.lines[place] for place in block.extra["tell"]])


class _Pass:
    """The state of one merge between its passes."""

    def __init__(self, inputs: list[Path], table: Table, counts: list[int]) -> None:
        self.inputs, self.table, self.counts = inputs, table, counts

    def places(self, sql: str) -> dict[int, list[int]]:
        """Rows that a query names, as places by block; ``sql`` gives block and place in order."""
        found: dict[int, list[int]] = defaultdict(list)
        for batch in self.table.batches(sql):
            for block, place in zip(batch[0].to_pylist(), batch[1].to_pylist(), strict=True):
                found[block].append(place)
        return found

    def blocks(self, places: Mapping[int, Any]) -> Iterable[Block]:
        """The blocks that hold some of the places, which become their ``extra``."""
        for block in file_blocks(self.inputs):
            if block.number in places:
                yield msgspec.structs.replace(block, extra=places[block.number])


def _find_repeated(state: _Pass) -> None:
    """Table ``repeated``: every row whose sample_id an earlier row has, beside the first row of that id."""
    state.table.query(
        "CREATE TABLE same AS SELECT sample_id FROM ids GROUP BY sample_id HAVING count(*) > 1"
    )
    state.table.query(
        """CREATE TABLE repeated AS
        WITH all_rows AS (
            SELECT ids.*, first(struct_pack(block, place, session_id, onset_time, hash)) OVER (
                PARTITION BY sample_id ORDER BY block, place) AS head,
                row_number() OVER (PARTITION BY sample_id ORDER BY block, place) AS nth
            FROM ids SEMI JOIN same USING (sample_id))
        SELECT sample_id, block, place, head.block AS head_block, head.place AS head_place,
            CASE WHEN hash = head.hash THEN 'duplicate'
                 WHEN session_id <> head.session_id OR onset_time <> head.onset_time THEN 'conflict'
                 ELSE 'unsure' END AS verdict
        FROM all_rows WHERE nth > 1"""
    )


def _settle_unsure(state: _Pass) -> None:
    """Compare by value the rows that differ as text though session and time agree."""
    wanted = state.places(
        """SELECT DISTINCT block, place FROM (
            SELECT block, place FROM repeated WHERE verdict = 'unsure'
            UNION ALL SELECT head_block, head_place FROM repeated WHERE verdict = 'unsure') ORDER BY ALL"""
    )
    state.table.query("CREATE TABLE by_value (block INTEGER, place INTEGER, hash BLOB)")
    for block, hashes, _ in run_blocks(f"{__name__}:canonical_hashes", state.blocks(wanted), {}):
        places = wanted[block.number]
        found = pa.table(  # noqa: F841 (DuckDB finds it by its name)
            {
                "block": pa.array([block.number] * len(places), pa.int32()),
                "place": pa.array(places, pa.int32()),
                "hash": pa.array(hashes, pa.binary()),
            }
        )
        state.table.db.execute("INSERT INTO by_value SELECT * FROM found")
    state.table.query(
        """UPDATE repeated SET verdict = CASE WHEN mine.hash = head.hash THEN 'duplicate' ELSE 'conflict' END
        FROM by_value mine, by_value head
        WHERE repeated.verdict = 'unsure' AND mine.block = repeated.block AND mine.place = repeated.place
            AND head.block = head_block AND head.place = head_place"""
    )


def _decide(state: _Pass, policy: Policy) -> None:
    """Table ``dropped``: rows that do not go to the output, and whether they are in conflict."""
    if policy == "last":
        # Of an id in conflict the last row stays; it may equal the first, then nothing of it is lost.
        state.table.query(
            """CREATE TABLE dropped AS
            WITH conflicts AS (SELECT DISTINCT sample_id FROM repeated WHERE verdict = 'conflict'),
            members AS (
                SELECT sample_id, block, place, verdict = 'conflict' AS differs FROM repeated
                UNION ALL
                SELECT DISTINCT sample_id, head_block, head_place, false FROM repeated),
            ranked AS (
                SELECT *, row_number() OVER (PARTITION BY sample_id ORDER BY block DESC, place DESC) AS from_end,
                    last(differs) OVER (PARTITION BY sample_id ORDER BY block, place
                        ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS last_differs
                FROM members SEMI JOIN conflicts USING (sample_id))
            SELECT block, place, differs OR last_differs AS conflict FROM ranked WHERE from_end > 1
            UNION ALL
            SELECT block, place, false FROM repeated ANTI JOIN conflicts USING (sample_id)"""
        )
        return
    verdicts = "('duplicate')" if policy == "both" else "('duplicate', 'conflict')"
    state.table.query(
        f"""CREATE TABLE dropped AS
        SELECT block, place, verdict = 'conflict' AS conflict FROM repeated WHERE verdict IN {verdicts}"""
    )


def _list_conflicts(state: _Pass, policy: Policy) -> list[Conflict]:
    """The first conflicts in file order, described."""
    pairs = state.table.all(
        f"""SELECT sample_id, block, place, head_block, head_place FROM repeated
        WHERE verdict = 'conflict' ORDER BY block, place LIMIT {LISTED}"""
    )
    wanted: dict[int, set[int]] = defaultdict(set)
    for _, block, place, head_block, head_place in pairs:
        wanted[block].add(place)
        wanted[head_block].add(head_place)
    places = {block: sorted(there) for block, there in wanted.items()}
    found: dict[tuple[int, int], tuple[str, dict[str, Any]]] = {}
    lines_of: dict[str, int] = defaultdict(int)
    # Every block up to the last wanted one is read, since only that tells its first line's number.
    last = max(places, default=-1)
    blocks = (
        msgspec.structs.replace(block, extra=places.get(block.number, []))
        for block in file_blocks(state.inputs)
        if block.number <= last
    )
    for block, picked, before in run_blocks(f"{__name__}:pick_lines", blocks, {}):
        lines_of[block.path] = before
        for place, (number, line) in zip(places.get(block.number, []), picked, strict=True):
            at = f"row {block.stop + number}" if is_parquet(block.path) else str(before + number)
            found[block.number, place] = f"{block.path}:{at}", _canonical(msgspec.json.decode(line))
    conflicts = []
    for sample_id, block, place, head_block, head_place in pairs:
        head, other = found[head_block, head_place], found[block, place]
        keys = tuple(
            key
            for key in dict.fromkeys([*head[1], *other[1]])
            if head[1].get(key) != other[1].get(key)
        )
        kept, left = (other, head) if policy == "last" else (head, other)
        conflicts.append(Conflict(sample_id, kept[0], left[0], keys))
    return conflicts


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
            ``both``, or ``refuse`` to write anything.
        conflicts: where to write the rows that a conflict left out.
        progress: called with (bytes read, bytes in all; both passes count).

    Raises:
        InputError: an input is faulty or holds no events; there are conflicts to refuse; no output can be written.
        UsageError: no inputs, an unknown policy or suffix.
    """
    if not inputs:
        raise UsageError("merge needs at least one input")
    if on_conflict not in POLICIES:
        raise UsageError(f"unknown conflict policy {on_conflict!r}; known: {', '.join(POLICIES)}")
    for path in (output, conflicts):
        if path is not None:
            check_format(path)
    paths = [Path(path) for path in inputs]
    size = sum(path.stat().st_size for path in paths if path.is_file())
    report = MergeReport(inputs={str(path): 0 for path in paths})
    with work_folder() as folder, connect(folder) as db:
        shards = folder / "ids"
        shards.mkdir()
        counts, done = [], 0
        for block, rows, _ in run_blocks(f"{__name__}:note_ids", file_blocks(paths), {"folder": str(shards)}):
            counts.append(rows)
            report.inputs[block.path] += rows
            done += block.size
            if progress:
                progress(min(done, size), 2 * size)
        if empty := [path for path, rows in report.inputs.items() if not rows]:
            raise InputError(f"{empty[0]}: holds no events")
        db.execute(f"CREATE VIEW ids AS SELECT * FROM read_parquet('{quoted(shards)}/*.parquet')")
        table = Table(db, sum(counts), (), bases(counts), folder)
        state = _Pass(paths, table, counts)
        _find_repeated(state)
        _settle_unsure(state)
        verdicts = dict(table.all("SELECT verdict, count(*) FROM repeated GROUP BY verdict"))
        report.duplicates, report.conflicts = verdicts.get("duplicate", 0), verdicts.get("conflict", 0)
        if report.conflicts:
            report.listed = _list_conflicts(state, on_conflict)
            if on_conflict == "refuse":
                one = report.listed[0]
                raise InputError(
                    f"{one.other}: sample_id {one.sample_id!r} stands in {one.kept} with other "
                    f"{', '.join(one.keys)}; {report.conflicts} such rows, nothing was written"
                )
        _decide(state, on_conflict)
        _write(state, report, output, conflicts, progress, size)
    return report


def _write(
    state: _Pass,
    report: MergeReport,
    output: str | os.PathLike[str],
    conflicts: str | os.PathLike[str] | None,
    progress: Progress | None,
    size: int,
) -> None:
    dropped = state.places("SELECT block, place FROM dropped ORDER BY ALL")
    told = state.places("SELECT block, place FROM dropped WHERE conflict ORDER BY ALL")
    report.left_out = sum(map(len, told.values()))

    def about(block: Block) -> dict[str, Any]:
        tell = told.get(block.number, []) if conflicts is not None else []
        return {"rows": state.counts[block.number], "drop": dropped.get(block.number, []), "tell": tell}

    with ExitStack() as stack:
        tell = stack.enter_context(line_output(conflicts)) if conflicts is not None else None
        for _, (written, lines), _ in rewrite(
            state.inputs,
            output,
            f"{__name__}:lines_that_stay",
            extra=about,
            progress=(lambda done, _: progress(size + done, 2 * size)) if progress else None,
        ):
            report.written += written
            if tell is not None:
                tell(lines)


