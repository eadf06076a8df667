"""Columns of a Parquet manifest as SQL: what to select, and what each value must satisfy.

The limits are those of the typed records (:mod:`beatsight.events.records`), read from them, so that a Parquet
row and a line of JSON are held to the same rules.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import duckdb
import pyarrow as pa
from msgspec import inspect

from beatsight.errors import InputError
from beatsight.events import Event, Prediction
from beatsight.events.lines import KNOWN_KEYS
from beatsight.events.parquet import ANY_KEYS, EXTRA, is_ours, open_parquet, schema, struct_type
from beatsight.events.records import Component

_MISSING = "is missing"
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


def _typed(path: Path, at: str, name: str, there: dict[str, pa.DataType], wanted: pa.DataType) -> str:
    """SQL of one known key: the column with the format's type, or NULL where the file lacks it."""
    sql = _sql_type(wanted)
    if name not in there:
        return f"CAST(NULL AS {sql})"
    if not _fits(there[name], wanted):
        raise InputError(f"{path}: column {at.lstrip('.')}{name} holds {there[name]}, expected {sql}")
    return f"CAST({at + column(name) if at else column(name)} AS {sql})"


def _scores_of_struct(kind: pa.StructType) -> str:
    """SQL of a struct of scores, one field a label, as a map of those that are there."""
    pairs = ", ".join(
        f"struct_pack(k := '{quoted(field.name)}', v := CAST(scores.{column(field.name)} AS DOUBLE))"
        for field in kind
    )
    return f"map_from_entries(list_filter([{pairs}], lambda e: e.v IS NOT NULL))"


def _limits(kind: inspect.Type, value: str) -> Iterator[tuple[str, str]]:
    """SQL conditions under which a value that is there is faulty, each with the reason."""
    if isinstance(kind, inspect.UnionType):
        for option in kind.types:
            yield from _limits(option, value)
    elif isinstance(kind, inspect.FloatType | inspect.IntType):
        if isinstance(kind, inspect.FloatType):
            yield f"NOT isfinite({value})", "is not a finite number"
        word = "float" if isinstance(kind, inspect.FloatType) else "int"
        for bound, bad, sign in ((kind.ge, "<", ">="), (kind.gt, "<=", ">"), (kind.le, ">", "<=")):
            if bound is not None and abs(bound) < 2**63 - 1:
                yield f"{value} {bad} {bound}", f"Expected {word} {sign} {bound}"
    elif isinstance(kind, inspect.StrType):
        if kind.min_length:
            yield f"length({value}) < {kind.min_length}", f"Expected str of length >= {kind.min_length}"
        if kind.pattern:
            pattern = kind.pattern.replace(r"\Z", "$")
            yield f"NOT regexp_matches({value}, '{pattern}')", 'is not a meter such as "7/8"'
    elif isinstance(kind, inspect.ListType):
        yield f"len(list_filter({value}, lambda e: e IS NULL)) > 0", "Expected str, got null"
    elif isinstance(kind, inspect.LiteralType):
        words = ", ".join(f"'{word}'" for word in kind.values)
        yield f"{value} NOT IN ({words})", "is none of " + words.replace("'", "")


def _fields(kind: type) -> dict[str, inspect.Field]:
    info = inspect.type_info(kind)
    assert isinstance(info, inspect.StructType)
    return {field.name: field for field in info.fields}


def _component_types(path: Path, kind: pa.DataType) -> dict[str, pa.DataType]:
    is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind)
    if not is_list or not pa.types.is_struct(kind.value_type):
        raise InputError(f"{path}: column components holds {kind}, expected a list of structs")
    return {field.name: field.type for field in kind.value_type}


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
    there = _component_types(path, kind)
    fields = []
    for field in struct_type(Component):
        if field.name not in parts:
            continue
        if field.name == EXTRA:
            sql = f"CAST(c.{column(EXTRA)} AS VARCHAR)" if ours else "CAST(NULL AS VARCHAR)"
        elif field.name in ANY_KEYS and not ours:
            sql = _unknown_key(field.name, there, ours, "c.")
        else:
            sql = _typed(path, "c.", field.name, there, field.type)
        fields.append(f"{column(field.name)} := {sql}")
    return f"list_transform(components, lambda c: struct_pack({', '.join(fields)})) AS components"


def _checks(
    path: Path, there: dict[str, pa.DataType], fields: Sequence[str], parts: Sequence[str], kind: type
) -> Iterator[tuple[str, str, str]]:
    """(condition under which a row is faulty, field, reason) for required keys and those that are used."""
    known, types = _fields(kind), schema(kind)
    for name, field in known.items():
        if name in ("components", "scores", EXTRA) or not (field.required or name in fields):
            continue
        if field.required and name not in there:
            raise InputError(f"{path}: has no column {name}")
        if name not in there or name in ANY_KEYS:
            continue
        value = _typed(path, "", name, there, types.field(name).type)
        if field.required:
            yield f"{value} IS NULL", name, _MISSING
        for bad, why in _limits(field.type, value):
            yield bad, name, why
    if kind is Event:
        yield from _component_checks(path, there, parts)
    if kind is Prediction:
        yield from _score_checks(path, there)


def _score_checks(path: Path, there: dict[str, pa.DataType]) -> Iterator[tuple[str, str, str]]:
    if "scores" not in there:
        raise InputError(f"{path}: has no column scores")
    yield "scores IS NULL", "scores", _MISSING
    if pa.types.is_struct(there["scores"]):
        # One field a label; a label without a score is not there.
        values = [f"scores.{column(field.name)}" for field in there["scores"]]
        bad = " OR ".join(f"coalesce(NOT ({value} BETWEEN 0 AND 1), false)" for value in values)
    else:
        wrong = "lambda v: coalesce(NOT (v BETWEEN 0 AND 1), true)"
        bad = f"list_bool_or(list_transform(map_values(scores), {wrong}))"
    if bad:
        yield bad, "scores", "holds a score that is not between 0 and 1"


def _component_checks(
    path: Path, there: dict[str, pa.DataType], parts: Sequence[str]
) -> Iterator[tuple[str, str, str]]:
    if "components" not in there:
        raise InputError(f"{path}: has no column components")
    inner = _component_types(path, there["components"])
    negative = _typed(path, "", "negative_example", there, pa.bool_())
    yield "components IS NULL", "components", _MISSING
    yield (
        f"len(components) = 0 AND NOT coalesce({negative}, false)",
        "components",
        "is empty, and negative_example is not true",
    )
    for name, field in _fields(Component).items():
        if name == EXTRA or name in ANY_KEYS or not (field.required or name in parts):
            continue
        if field.required and name not in inner:
            raise InputError(f"{path}: has no column components.{name}")
        if name not in inner:
            continue
        value = _typed(path, "c.", name, inner, struct_type(Component).field(name).type)
        tests = [(f"{value} IS NULL", _MISSING)] if field.required else []
        for bad, why in [*tests, *_limits(field.type, value)]:
            yield (
                f"list_bool_or(list_transform(components, lambda c: coalesce({bad}, false)))",
                (f"components[].{name}"),
                why,
            )


def parquet_select(
    db: duckdb.DuckDBPyConnection, path: Path, fields: Sequence[str], parts: Sequence[str], kind: type
) -> tuple[list[str], str, list[int]]:
    """What to select from a Parquet manifest, once its rows are checked.

    Args:
        db: a connection.
        path: the file.
        fields: keys to have as columns, known or unknown.
        parts: keys of the components to have, or none.
        kind: Event or Prediction.

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
            sql = _typed(path, "", name, there, types.field(name).type)
        selected.append(f"{sql} AS {column(name)}")
    source = scan(path, row_numbers=True)
    checks = list(_checks(path, there, fields, parts, kind))
    if checks:
        tests = ", ".join(f"min(file_row_number) FILTER (WHERE {bad})" for bad, _, _ in checks)
        try:
            first = db.execute(f"SELECT {tests} FROM {source}").fetchone()
        except duckdb.Error as error:
            raise InputError(f"{path}: cannot be read: {' '.join(str(error).split())[:300]}") from error
        assert first is not None
        faults = [
            (row, field, why) for row, (_, field, why) in zip(first, checks, strict=True) if row is not None
        ]
        if faults:
            row, field, why = min(faults)
            raise InputError(f"{path}:row {row + 1}: {field}: {why}")
    if parts:
        selected.append(_components(path, there["components"], parts, ours))
    return selected, source, groups
