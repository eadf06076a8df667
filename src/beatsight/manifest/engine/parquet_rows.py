"""Columns of a Parquet manifest as SQL: what to select, once every row is checked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import duckdb
import pyarrow as pa

from beatsight.events.lines import KNOWN_KEYS
from beatsight.events.parquet import ANY_KEYS, EXTRA, is_ours, open_parquet, schema, struct_type
from beatsight.events.records import Component
from beatsight.manifest.engine.checks import parquet_checks, refuse_faulty
from beatsight.manifest.engine.columns import column, component_types, quoted, scan, typed
from beatsight.manifest.engine.inner import inner_checks, inner_sql


def _scores_of_struct(kind: pa.StructType) -> str:
    """SQL of a struct of scores, one field a label, as a map of those that are there."""
    pairs = ", ".join(
        f"struct_pack(k := '{quoted(field.name)}', v := CAST(scores.{column(field.name)} AS DOUBLE))"
        for field in kind
    )
    return f"map_from_entries(list_filter([{pairs}], lambda e: e.v IS NOT NULL))"


def _unknown_key(name: str, there: dict[str, pa.DataType], ours: bool, at: str = "") -> str:
    """SQL of a key that the format does not know, as JSON text."""
    if ours:
        # The operator ->, not a path: a key may hold any character.
        key = name.replace("'", "''")
        return f"CAST(json_extract(CAST({at}{column(EXTRA)} AS JSON), '{_pointer(key)}') AS VARCHAR)"
    return f"CAST(to_json({at}{column(name)}) AS VARCHAR)" if name in there else "CAST(NULL AS VARCHAR)"


def _pointer(key: str) -> str:
    return "/" + key.replace("~", "~0").replace("/", "~1")


def _components(path: Path, kind: pa.DataType, parts: Sequence[str], ours: bool) -> str:
    there = component_types(path, kind)
    fields = []
    for field in struct_type(Component):
        if field.name not in parts:
            continue
        if field.name == EXTRA:
            sql = f"CAST(c.{column(EXTRA)} AS VARCHAR)" if ours else "CAST(NULL AS VARCHAR)"
        elif field.name in ANY_KEYS and not ours:
            sql = _unknown_key(field.name, there, ours, "c.")
        else:
            sql = typed(path, "c.", field.name, there, field.type)
        fields.append(f"{column(field.name)} := {sql}")
    return f"list_transform(components, lambda c: struct_pack({', '.join(fields)})) AS components"


def parquet_select(
    db: duckdb.DuckDBPyConnection,
    path: Path,
    fields: Sequence[str],
    parts: Sequence[str],
    kind: type,
    inner: Sequence[str] = (),
) -> tuple[list[str], str, list[int]]:
    """What to select from a Parquet manifest, once its rows are checked.

    Args:
        db: a connection.
        path: the file.
        fields: keys to have as columns, known or unknown.
        parts: keys of the components to have, or none.
        kind: Event or Prediction.
        inner: numbers inside an object of an event to have.

    Returns:
        The columns, the table to take them from (``file_row_number`` is the row within the file, from 0), and
        the rows of each row group.

    Raises:
        InputError: no Parquet file, a column of another type, or a faulty row (``file:row N: field: why``).
    """
    with open_parquet(path) as file:
        arrow, meta = file.schema_arrow, file.metadata
        groups = [meta.row_group(index).num_rows for index in range(meta.num_row_groups)]
    there = {field.name: field.type for field in arrow}
    ours, types = is_ours(arrow), schema(kind)
    selected = []
    for name in fields:
        if name in ANY_KEYS or name not in KNOWN_KEYS[kind]:
            known = name in KNOWN_KEYS[kind]
            sql = f"CAST({column(name)} AS VARCHAR)" if known and ours else _unknown_key(name, there, ours)
        elif name == "scores" and name in there and pa.types.is_struct(there[name]):
            sql = _scores_of_struct(there[name])
        else:
            sql = typed(path, "", name, there, types.field(name).type)
        selected.append(f"{sql} AS {column(name)}")
    selected += [f"{inner_sql(path, name, there)} AS {column(name)}" for name in inner]
    source = scan(path, row_numbers=True)
    checks = [*parquet_checks(path, there, fields, parts, kind), *inner_checks(path, there, inner)]
    refuse_faulty(db, path, source, checks)
    if parts:
        selected.append(_components(path, there["components"], parts, ours))
    return selected, source, groups
