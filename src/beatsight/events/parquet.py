"""Records as rows of a Parquet file, without loss: JSON lines -> Parquet -> the same records.

One column a known key, absent values null. Keys that may hold anything (``qc``, ``pedal`` …) and the unknown
keys (column ``extra``, at every level) are JSON text. The file's metadata says ``beatsight`` = ``events/1``
or ``predictions/1``; a Parquet file from elsewhere is read by its column names, and what it has beyond them
becomes unknown keys.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from operator import attrgetter
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from beatsight.errors import InputError
from beatsight.events.lines import decode
from beatsight.events.records import Component, Context, Event, Loudness, Prediction, Record
from beatsight.files import reason

MARK = b"beatsight"
FORMATS: dict[type, bytes] = {Event: b"events/1", Prediction: b"predictions/1"}
EXTRA = "extra"
# Keys that hold any JSON value.
ANY_KEYS = frozenset({"pedal", "processing_chain", "qc", "metadata_ref"})
# Large enough that a reader's threads have work, small enough that one group is some 20 MB in memory.
ROW_GROUP = 16_384

_TYPES: dict[str, pa.DataType] = {
    "onset_time": pa.float64(), "offset_time": pa.float64(), "tempo_bpm": pa.float64(),
    "beat_index": pa.float64(), "velocity": pa.float64(), "openness": pa.float64(),
    "openness_raw": pa.float64(), "pre": pa.float64(), "post": pa.float64(), "LUFS_i": pa.float64(),
    "peak_dbfs": pa.float64(), "openness_pred": pa.float64(), "velocity_pred": pa.float64(),
    "sample_rate": pa.int64(), "channels": pa.int64(), "bar_index": pa.int64(),
    "is_synthetic": pa.bool_(), "negative_example": pa.bool_(), "choke": pa.bool_(),
    "techniques": pa.list_(pa.string()), "tags": pa.list_(pa.string()),
    "predicted_labels": pa.list_(pa.string()), "scores": pa.map_(pa.string(), pa.float64()),
}  # fmt: skip
_NESTED: dict[str, type] = {"context_ms": Context, "loudness": Loudness}


def _names(kind: type) -> list[str]:
    return [name for name in kind.__struct_fields__ if name != EXTRA]  # type: ignore[attr-defined]


@lru_cache
def struct_type(kind: type) -> pa.StructType:
    """The Arrow type of a record: its known keys in their order, then ``extra``."""
    fields = []
    for name in _names(kind):
        if name == "components":
            arrow = pa.list_(struct_type(Component))
        elif name in _NESTED:
            arrow = struct_type(_NESTED[name])
        else:
            arrow = _TYPES.get(name, pa.string())
        fields.append(pa.field(name, arrow))
    return pa.struct([*fields, pa.field(EXTRA, pa.string())])


@lru_cache
def schema(kind: type) -> pa.Schema:
    """The schema of a Parquet file of :class:`Event` or :class:`Prediction`."""
    return pa.schema(list(struct_type(kind)), metadata={MARK: FORMATS[kind]})


def _json(value: Any) -> str | None:
    # Sorted, so that equal values are equal text.
    return None if value is None else msgspec.json.encode(value, order="deterministic").decode()


def _columns(records: Sequence[Any], fields: Iterable[pa.Field]) -> list[pa.Array]:
    """One array a key; ``records`` may hold None where a nested object is absent."""
    arrays = []
    whole = all(record is not None for record in records)
    for field in fields:
        name = field.name
        if whole:
            values = list(map(attrgetter(name), records))
        else:
            values = [None if record is None else getattr(record, name) for record in records]
        if name == EXTRA:
            values = [_json(value) if value else None for value in values]
        elif name in ANY_KEYS:
            values = [_json(value) for value in values]
        elif name == "components":
            arrays.append(components_array(values))
            continue
        elif name in _NESTED:
            nested = pa.array([value is None for value in values], pa.bool_())
            parts = _columns(values, field.type)
            arrays.append(pa.StructArray.from_arrays(parts, fields=list(field.type), mask=nested))
            continue
        elif name == "scores":
            values = [list(value.items()) for value in values]
        arrays.append(pa.array(values, field.type))
    return arrays


def components_array(lists: Sequence[Sequence[Component]], keys: Sequence[str] | None = None) -> pa.Array:
    """The components of some events as one list-of-struct array, with all keys or those given."""
    offsets = [0]
    flat: list[Component] = []
    for components in lists:
        flat += components
        offsets.append(len(flat))
    fields = [field for field in struct_type(Component) if keys is None or field.name in keys]
    values = pa.StructArray.from_arrays(_columns(flat, fields), fields=fields)
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), values, type=pa.list_(pa.struct(fields)))


def to_table(records: Sequence[Record], kind: type[Record]) -> pa.Table:
    """Records as an Arrow table of :func:`schema`."""
    return pa.Table.from_arrays(_columns(records, struct_type(kind)), schema=schema(kind))


def _objects(columns: dict[str, pa.Array], length: int, ours: bool) -> list[dict[str, Any]]:
    """Columns as JSON objects: nulls left out, JSON text spliced in as it stands, unknown keys in place."""
    names, values, extras = [], [], None
    for name, column in columns.items():
        if column.null_count == length:
            continue
        if ours and name == EXTRA:
            extras = column.to_pylist()
            continue
        names.append(name)
        values.append(_values(name, column, ours))
    rows = [
        {name: value for name, value in zip(names, row, strict=True) if value is not None}
        for row in (zip(*values, strict=True) if values else [()] * length)
    ]
    if extras is not None:
        for row, extra in zip(rows, extras, strict=True):
            if extra is not None:
                row |= msgspec.json.decode(extra)
    return rows


def _values(name: str, column: pa.Array, ours: bool) -> list[Any]:
    """One column as JSON values, None where it is null."""
    if ours and name in ANY_KEYS:
        return [None if text is None else msgspec.Raw(text.encode()) for text in column.to_pylist()]
    if name == "scores":
        # A map column comes as pairs, a struct column (one field a label) as a dictionary.
        return [
            None
            if item is None
            else dict(item)
            if isinstance(item, list)
            else {label: score for label, score in item.items() if score is not None}
            for item in column.to_pylist()
        ]
    if pa.types.is_struct(column.type):
        parts = dict(zip((field.name for field in column.type), column.flatten(), strict=True))
        objects: list[Any] = _objects(parts, len(column), ours)
        if column.null_count:
            objects = [
                one if there else None
                for one, there in zip(objects, column.is_valid().to_pylist(), strict=True)
            ]
        return objects
    if pa.types.is_list(column.type) and pa.types.is_struct(column.type.value_type):
        items = _values("", column.flatten(), ours)
        ends = pc.cumulative_sum(pc.fill_null(pc.list_value_length(column), 0)).to_pylist()
        lists: list[Any] = [items[start:end] for start, end in zip([0, *ends], ends, strict=False)]
        if column.null_count:
            lists = [
                one if there else None
                for one, there in zip(lists, column.is_valid().to_pylist(), strict=True)
            ]
        return lists
    return column.to_pylist()


def _all_finite(column: pa.Array) -> bool:
    """Whether no number in a column, however deep, is NaN or infinite."""
    if pa.types.is_floating(column.type):
        return pc.all(pc.fill_null(pc.is_finite(column), True)).as_py() is not False
    if pa.types.is_struct(column.type):
        return all(_all_finite(part) for part in column.flatten())
    if pa.types.is_map(column.type):
        return _all_finite(column.items)
    return not pa.types.is_list(column.type) or _all_finite(column.flatten())


def _parsed(value: Any) -> Any:
    """What stands for a value that Python's own JSON writer does not know: spliced text, parsed."""
    if isinstance(value, msgspec.Raw):
        return msgspec.json.decode(value)
    raise TypeError(f"{type(value).__name__} is not a JSON value")


def is_ours(meta: pa.Schema) -> bool:
    """Whether a schema says that this program wrote the file."""
    return (meta.metadata or {}).get(MARK) in FORMATS.values()


def open_parquet(path: str | os.PathLike[str], metadata: pq.FileMetaData | None = None) -> pq.ParquetFile:
    """Open a Parquet file; ``metadata``, from an earlier opening, saves reading that of many row groups.

    Raises:
        InputError: it is missing, empty, cut short or no Parquet file.
    """
    if Path(path).is_dir():
        raise InputError(f"{path}: is a folder, not a Parquet file")
    try:
        return pq.ParquetFile(path, metadata=metadata)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {reason(error)}") from error
    except pa.ArrowException as error:
        why = str(error).rstrip(".")
        raise InputError(f"{path}: is not a Parquet file, or is cut short: {why}") from error


def group_lines(file: pq.ParquetFile, group: int, path: str, first_row: int) -> list[bytes]:
    """The rows of one row group as lines of JSON, not yet checked.

    NaN and infinity, for which JSON has no word, become the words that Python writes, which no check lets
    through.

    Args:
        file: opened with :func:`open_parquet`.
        group: number of the row group.
        path: what to name in an error.
        first_row: number of the group's first row in the file, from 1.

    Raises:
        InputError: the group is damaged, or holds what JSON cannot.
    """
    try:
        table = file.read_row_group(group).combine_chunks()
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{path}: the Parquet file is damaged after row {first_row - 1}: {error}") from error
    columns = {}
    for name in table.column_names:
        chunks = table.column(name).chunks
        columns[name] = chunks[0] if chunks else pa.array([], table.schema.field(name).type)
    encode: Callable[[Any], bytes] = msgspec.json.Encoder().encode
    if not all(map(_all_finite, columns.values())):
        encode = lambda row: json.dumps(row, ensure_ascii=False, default=_parsed).encode()  # noqa: E731
    try:
        return [encode(row) for row in _objects(columns, len(table), is_ours(file.schema_arrow))]
    except (msgspec.DecodeError, TypeError, UnicodeError) as error:
        raise InputError(
            f"{path}: rows {first_row} to {first_row + len(table) - 1} hold what JSON cannot: {error}"
        ) from error


def read_parquet(path: Path, kind: type[Record]) -> Iterator[Record]:
    """Stream the records of a Parquet file; a fault is named as ``file:row N: field: why`` (rows from 1)."""
    with open_parquet(path) as file:
        number = 0
        for group in range(file.num_row_groups):
            for line in group_lines(file, group, str(path), number + 1):
                number += 1
                yield decode(line, kind, f"{path}:row {number}")


def write_parquet(path: Path, records: Iterable[Record], kind: type[Record]) -> int:
    """Write records to ``path`` (not aside: see :func:`beatsight.files.atomic_path`); returns their count."""
    count = 0
    with pq.ParquetWriter(path, schema(kind), compression="zstd") as writer:
        batch: list[Record] = []
        for record in records:
            batch.append(record)
            if len(batch) == ROW_GROUP:
                writer.write_table(to_table(batch, kind))
                count, batch = count + len(batch), []
        if batch:
            writer.write_table(to_table(batch, kind))
    return count + len(batch)
