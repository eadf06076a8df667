"""A manifest as a DuckDB table: some columns of some files, every row checked, of any size.

:func:`open_table` reads JSON lines with several processes into columns on disk, or looks straight into a
Parquet file; either way the same SQL runs on the view ``rows``. DuckDB works within a fixed amount of memory
and lays what does not fit into a folder that is removed at the end.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from beatsight.errors import BeatSightError, InputError, UsageError
from beatsight.events import Event, Prediction, decode
from beatsight.events.lines import KNOWN_KEYS
from beatsight.events.parquet import ANY_KEYS, EXTRA, components_array, schema, struct_type
from beatsight.events.records import Component
from beatsight.files import reason
from beatsight.manifest.engine.blocks import Block, Rows, bases, file_blocks, is_parquet
from beatsight.manifest.engine.columns import column, quoted, scan
from beatsight.manifest.engine.inner import inner_array
from beatsight.manifest.engine.parquet_rows import parquet_select
from beatsight.manifest.engine.pool import run_blocks
from beatsight.manifest.engine.rows import records

# Called with (bytes read, bytes in all).
Progress = Callable[[int, int], None]

# DuckDB's share of the 500 MB that an operation on a million events may take; the rest is Python's.
MEMORY_LIMIT = "250MB"
_KINDS: dict[str, type] = {"events": Event, "predictions": Prediction}
ALL_COMPONENT_KEYS = (*(field.name for field in struct_type(Component)),)
# Decodes an event whose components have known keys only, their values unread, and fails on any other.
_KnownComponent = msgspec.defstruct(
    "_KnownComponent",
    [(name, msgspec.Raw, msgspec.Raw()) for name in ALL_COMPONENT_KEYS if name != EXTRA],
    forbid_unknown_fields=True,
)
_KNOWN_PARTS: Any = msgspec.json.Decoder(
    msgspec.defstruct("_KnownParts", [("components", list[_KnownComponent])])  # type: ignore[valid-type]
)


@dataclass
class Table:
    """An opened manifest.

    Attributes:
        db: the DuckDB connection; its view ``rows`` has ``row`` (BIGINT, from 0, in file order over all
            inputs), ``file`` (INTEGER, index of the input) and the columns asked for.
        count: rows in all.
        file_counts: rows of each input.
        block_bases: number of the first row of every block of :func:`file_blocks`, and the number of all
            rows.
        folder: where to lay more temporary files.
    """

    db: duckdb.DuckDBPyConnection
    count: int
    file_counts: tuple[int, ...]
    block_bases: list[int]
    folder: Path

    def query(self, sql: str, parameters: Sequence[Any] | None = None) -> duckdb.DuckDBPyConnection:
        """Run SQL; its errors become ours."""
        try:
            return self.db.execute(sql, parameters)
        except duckdb.Error as error:
            raise _explained(error, self.folder) from error

    def all(self, sql: str, parameters: Sequence[Any] | None = None) -> list[tuple[Any, ...]]:
        """All rows of an answer that is known to be small."""
        try:
            return self.query(sql, parameters).fetchall()
        except duckdb.Error as error:
            raise _explained(error, self.folder) from error

    def batches(self, sql: str, rows_per_batch: int = 100_000) -> Iterator[pa.RecordBatch]:
        """An answer of any size in Arrow batches."""
        try:
            relation = self.db.sql(sql)
            # The name since DuckDB 1.4, and the one before.
            reader = getattr(relation, "to_arrow_reader", None) or relation.fetch_record_batch
            yield from reader(rows_per_batch)
        except (duckdb.Error, pa.ArrowException) as error:
            raise _explained(error, self.folder) from error


def _explained(error: Exception, folder: Path) -> BeatSightError:
    text = " ".join(str(error).split())
    if isinstance(error, duckdb.OutOfMemoryException) or "No space left" in text:
        return BeatSightError(
            f"{folder}: not enough memory or temporary disk space (TMPDIR chooses another disk): {text[:200]}"
        )
    return InputError(f"the manifest could not be read: {text[:300]}")


@contextmanager
def work_folder() -> Iterator[Path]:
    """A temporary folder that is gone at the end.

    Raises:
        BeatSightError: none can be made.
    """
    try:
        folder = tempfile.TemporaryDirectory(prefix="beatsight-", ignore_cleanup_errors=True)
    except OSError as error:
        named = f"{error.filename}: " if error.filename else ""
        raise BeatSightError(
            f"{named}no temporary folder can be made: {reason(error)} (TMPDIR chooses another disk)"
        ) from error
    with folder as name:
        yield Path(name)


def refuse_input_as_output(
    inputs: Sequence[str | os.PathLike[str]], output: str | os.PathLike[str] | None
) -> None:
    """Keep a report from taking the place of the manifest that it is about.

    Raises:
        UsageError: the output is one of the inputs.
    """
    if output is not None and os.path.realpath(output) in map(os.path.realpath, inputs):
        raise UsageError(f"{output}: is the manifest itself, which the report would replace")


@contextmanager
def connect(folder: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A DuckDB connection that spills into ``folder`` and reaches for nothing outside.

    Its errors become ours, and Ctrl-C during a query is Ctrl-C.
    """
    with duckdb.connect(":memory:") as db:
        try:
            db.execute(f"SET memory_limit = '{MEMORY_LIMIT}'")
            db.execute(f"SET temp_directory = '{quoted(folder / 'spill')}'")
            db.execute("SET preserve_insertion_order = false")
            db.execute("SET autoinstall_known_extensions = false")
            db.execute("SET enable_progress_bar = false")
            yield db
        except duckdb.Error as error:
            raise _explained(error, folder) from error
        except RuntimeError as error:
            # DuckDB puts this in place of the KeyboardInterrupt that stopped its query.
            if str(error) != "Query interrupted":
                raise
            raise KeyboardInterrupt from error


def write_columns(rows: Rows, block: Block, params: Mapping[str, Any]) -> int:
    """Task: the columns asked for, of one block, as a small Parquet file; the number of its rows."""
    kind = _KINDS[params["kind"]]
    fields, parts = params["fields"], params["components"]
    unknown = [name for name in fields if name not in KNOWN_KEYS[kind]]
    found: list[Any] = records(rows, kind, whole=bool(unknown))
    if EXTRA in parts and not unknown:
        _complete_components(found, rows)
    columns: dict[str, pa.Array] = {"block": np.full(len(found), block.number, np.int32)}
    columns["place"] = np.arange(len(found), dtype=np.int32)
    types = schema(kind)
    for number, name in enumerate(fields):
        at = f"c{number}"  # not the name: a key of a file may have any, also that of another column
        if name in unknown or name in ANY_KEYS:
            values = [
                record.extra.get(name) if name in unknown else getattr(record, name) for record in found
            ]
            columns[at] = pa.array([_text(value) for value in values], pa.string())
        elif name == "scores":
            columns[at] = pa.array([list(record.scores.items()) for record in found], types.field(name).type)
        else:
            columns[at] = pa.array(list(map(attrgetter(name), found)), types.field(name).type)
    for number, name in enumerate(params["inner"]):
        columns[f"i{number}"] = inner_array(found, name)
    if parts:
        columns["components"] = components_array([record.components for record in found], parts)
    pq.write_table(
        pa.table(columns), Path(params["folder"]) / f"{block.number:07d}.parquet", compression="lz4"
    )
    return len(found)


def _complete_components(found: list[Any], rows: Rows) -> None:
    """Read the few lines anew whose components have unknown keys; reading all of them whole takes long."""
    for index, line in enumerate(rows.lines):
        try:
            _KNOWN_PARTS.decode(line)
        except (msgspec.MsgspecError, UnicodeError):
            found[index] = decode(line, Event, "")


def _text(value: Any) -> str | None:
    """A free value as text that is equal where the values are equal."""
    return None if value is None else msgspec.json.encode(value, order="deterministic").decode()


def _refuse_clashes(fields: Sequence[str]) -> None:
    """SQL does not tell names apart by case, and two names are the table's own."""
    seen = {"row": "the table's own row number", "file": "the table's own file number"}
    for name in fields:
        if not name or "\0" in name:
            raise UsageError(f"{name!r}: is no name of a column")
        if name.lower() in seen:
            raise UsageError(
                f"{name}: cannot be used here, its name is too like that of {seen[name.lower()]}"
            )
        seen[name.lower()] = name


@contextmanager
def open_table(
    paths: Sequence[str | os.PathLike[str]],
    fields: Sequence[str],
    components: Sequence[str] = (),
    *,
    inner: Sequence[str] = (),
    kind: str = "events",
    progress: Progress | None = None,
) -> Iterator[Table]:
    """Open files of records as one table.

    Args:
        paths: manifests, ``.jsonl``, ``.gz``, ``.zst`` or ``.parquet``, also mixed.
        fields: keys to have as columns; unknown keys come as JSON text.
        components: keys of the components to have in the column ``components``, a list of structs in the
            order of the format, ``extra`` last.
        inner: numbers inside an object of an event to have as columns, such as ``loudness.LUFS_i``
            (:data:`beatsight.manifest.engine.inner.INNER`).
        kind: ``events`` or ``predictions``.
        progress: called with (bytes read, bytes in all).

    Raises:
        InputError: a file cannot be read, or a row is faulty (``file:line: field: why``).
        UsageError: a field that is no single value.
    """
    fields = list(dict.fromkeys(fields))
    known = schema(_KINDS[kind])
    for name in fields:
        if name == "components" or (name in known.names and pa.types.is_struct(known.field(name).type)):
            raise UsageError(f"{name}: is no single value, so it cannot be used here")
    _refuse_clashes(fields)
    parts = [name for name in ALL_COMPONENT_KEYS if name in components]
    files = [Path(path) for path in paths]
    total = sum(path.stat().st_size for path in files if path.is_file())
    with work_folder() as folder, connect(folder) as db:
        views: list[str] = []
        counts: list[int] = []  # rows of every block
        file_counts: list[int] = []
        done = 0
        for index, path in enumerate(files):
            place = f"{sum(counts)} + {{}} AS row, {index} AS file"
            if is_parquet(path):
                selected, source, mine = parquet_select(db, path, fields, parts, _KINDS[kind], inner)
                done += path.stat().st_size
                first = place.format("file_row_number")
            else:
                mine = []
                shards = folder / f"columns-{index}"
                params = {"kind": kind, "fields": fields, "components": parts, "inner": list(inner)}
                for block, rows in _lines_to_columns(path, shards, params):
                    mine.append(rows)
                    done += block.size
                    if progress:
                        progress(min(done, total), total)
                values = ", ".join(f"({block}, {base})" for block, base in enumerate(bases(mine)))
                db.execute(f"CREATE TABLE blocks_{index} AS FROM (VALUES {values}) t(block, base)")
                selected = [f"s.c{number} AS {column(name)}" for number, name in enumerate(fields)]
                selected += [f"s.i{number} AS {column(name)}" for number, name in enumerate(inner)]
                selected += ["s.components"] if parts else []
                source = f"{scan(shards, '*.parquet')} s JOIN blocks_{index} b USING (block)"
                first = place.format("b.base + s.place")
            views.append(f"SELECT {', '.join([first, *selected])} FROM {source}")
            counts += mine
            file_counts.append(sum(mine))
        db.execute("CREATE VIEW rows AS " + " UNION ALL ".join(views))
        yield Table(db, sum(counts), tuple(file_counts), bases(counts), folder)


def _lines_to_columns(path: Path, shards: Path, params: Mapping[str, Any]) -> Iterator[tuple[Block, int]]:
    """Write a file's columns to a folder; every block with the number of its rows."""
    shards.mkdir()
    task = f"{__name__}:write_columns"
    for block, rows, _ in run_blocks(task, file_blocks([path]), {**params, "folder": str(shards)}):
        yield block, rows
