"""What each value of a Parquet manifest must satisfy, as SQL.

The limits are those of the typed records (:mod:`beatsight.events.records`), read from them, so that a Parquet
row and a line of JSON are held to the same rules.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import duckdb
import pyarrow as pa
from msgspec import inspect

from beatsight.errors import InputError
from beatsight.events import Event, Prediction
from beatsight.events.parquet import ANY_KEYS, EXTRA, schema, struct_type
from beatsight.events.records import Component
from beatsight.manifest.engine.columns import column, component_types, typed

_MISSING = "is missing"
# How the field of a condition on a component, called ``c`` in its SQL, begins.
_PART = "components[]."


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


def parquet_checks(
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
        value = typed(path, "", name, there, types.field(name).type)
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
    inner = component_types(path, there["components"])
    negative = typed(path, "", "negative_example", there, pa.bool_())
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
        value = typed(path, "c.", name, inner, struct_type(Component).field(name).type)
        tests = [(f"{value} IS NULL", _MISSING)] if field.required else []
        yield from ((bad, f"{_PART}{name}", why) for bad, why in [*tests, *_limits(field.type, value)])


def refuse_faulty(
    db: duckdb.DuckDBPyConnection, path: Path, source: str, checks: Sequence[tuple[str, str, str]]
) -> None:
    """Raise the error of the first faulty row.

    All conditions together are looked at first, those on components in one go: a good file passes in half of
    the time that it takes to find the first row of every condition.
    """
    per_row = [bad for bad, field, _ in checks if not field.startswith(_PART)]
    per_part = [bad for bad, field, _ in checks if field.startswith(_PART)]
    each = [*per_row, *([_in_any_part(*per_part)] if per_part else [])]
    any_bad = " OR ".join(f"coalesce({bad}, false)" for bad in each)
    whole = [_in_any_part(bad) if field.startswith(_PART) else bad for bad, field, _ in checks]
    firsts = ", ".join(f"min(file_row_number) FILTER (WHERE {bad})" for bad in whole)
    try:
        if not each or db.execute(f"SELECT bool_or({any_bad}) FROM {source}").fetchone() in (
            (False,),
            (None,),
        ):
            return
        first = db.execute(f"SELECT {firsts} FROM {source}").fetchone()
    except duckdb.Error as error:
        raise InputError(f"{path}: cannot be read: {' '.join(str(error).split())[:300]}") from error
    assert first is not None
    row, field, why = min(
        (row, field, why) for row, (_, field, why) in zip(first, checks, strict=True) if row is not None
    )
    raise InputError(f"{path}:row {row + 1}: {field}: {why}")


def _in_any_part(*bad: str) -> str:
    """SQL that is true where one of some conditions on a component ``c`` is true of any component."""
    either = " OR ".join(f"coalesce({one}, false)" for one in bad)
    return f"list_bool_or(list_transform(components, lambda c: {either}))"
