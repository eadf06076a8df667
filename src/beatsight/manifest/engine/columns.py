"""Names, paths and types of columns as SQL."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow as pa

from beatsight.errors import InputError

# Letters of a path that DuckDB's patterns take for more, written so that they mean themselves.
_AS_IT_STANDS = {"*": "[*]", "?": "[?]", "[": "[[]"}


def quoted(path: os.PathLike[str] | str) -> str:
    """A path inside a SQL string."""
    return str(path).replace("'", "''")


def scan(path: os.PathLike[str] | str, pattern: str = "", *, row_numbers: bool = False) -> str:
    """SQL of the rows of a Parquet file, or of those files of a folder that a pattern names.

    DuckDB takes ``*``, ``?`` and ``[`` in a path for a pattern, and a folder named ``kit_id=3`` for a column
    of that name, in place of the file's own: neither is wanted of a path that a user gave.

    >>> scan("/songs[1]/it's.parquet")
    "read_parquet('/songs[[]1]/it''s.parquet', hive_partitioning = false)"
    """
    text = str(path)
    if pattern or any(sign in text for sign in _AS_IT_STANDS):
        if "\\" in text:
            raise InputError(
                f"{path}: DuckDB cannot open a path with a backslash and one of * ? [ in it; rename it"
            )
        text = "".join(_AS_IT_STANDS.get(letter, letter) for letter in text)
    options = ", file_row_number = true" if row_numbers else ""
    name = quoted(f"{text}/{pattern}" if pattern else text)
    return f"read_parquet('{name}', hive_partitioning = false{options})"


def column(name: str) -> str:
    """A column's name in SQL."""
    return '"' + name.replace('"', '""') + '"'


def _sql_type(kind: pa.DataType) -> str:
    if pa.types.is_list(kind):
        return f"{_sql_type(kind.value_type)}[]"
    if pa.types.is_map(kind):
        return f"MAP({_sql_type(kind.key_type)}, {_sql_type(kind.item_type)})"
    return {pa.float64(): "DOUBLE", pa.int64(): "BIGINT", pa.bool_(): "BOOLEAN"}.get(kind, "VARCHAR")


def _fits(there: pa.DataType, wanted: pa.DataType) -> bool:
    """Whether a column's type can stand for the wanted one without guessing."""
    if pa.types.is_null(there):
        return True
    if pa.types.is_dictionary(there):
        return _fits(there.value_type, wanted)
    if pa.types.is_floating(wanted):
        return pa.types.is_floating(there) or pa.types.is_integer(there) or pa.types.is_decimal(there)
    if pa.types.is_integer(wanted):
        return pa.types.is_integer(there)
    if pa.types.is_boolean(wanted):
        return pa.types.is_boolean(there)
    if pa.types.is_map(wanted):
        return pa.types.is_map(there) or pa.types.is_struct(there)
    if pa.types.is_list(wanted):
        is_list = pa.types.is_list(there) or pa.types.is_large_list(there)
        return is_list and _fits(there.value_type, wanted.value_type)
    return pa.types.is_string(there) or pa.types.is_large_string(there) or str(there) == "string_view"


def typed(path: Path, at: str, name: str, there: dict[str, pa.DataType], wanted: pa.DataType) -> str:
    """SQL of one known key: the column with the format's type, or NULL where the file lacks it."""
    sql = _sql_type(wanted)
    if name not in there:
        return f"CAST(NULL AS {sql})"
    if not _fits(there[name], wanted):
        raise InputError(f"{path}: column {at.lstrip('.')}{name} holds {there[name]}, expected {sql}")
    return f"CAST({at + column(name) if at else column(name)} AS {sql})"


def component_types(path: Path, kind: pa.DataType) -> dict[str, pa.DataType]:
    """The types of the keys of a file's components."""
    is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind)
    if not is_list or not pa.types.is_struct(kind.value_type):
        raise InputError(f"{path}: column components holds {kind}, expected a list of structs")
    return {field.name: field.type for field in kind.value_type}
