"""The numbers inside an event's ``loudness`` as columns: ``loudness.LUFS_i`` and ``loudness.peak_dbfs``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from beatsight.errors import InputError
from beatsight.events import Loudness
from beatsight.events.parquet import EXTRA, struct_type

_OUTER = "loudness"
# Every such column, and its key inside the object.
INNER: dict[str, str] = {
    f"{_OUTER}.{field.name}": field.name for field in struct_type(Loudness) if field.name != EXTRA
}


def inner_array(found: Sequence[Any], name: str) -> pa.Array:
    """One of :data:`INNER` of some events, null where the object or the number is absent."""
    key = INNER[name]
    values = [None if one.loudness is None else getattr(one.loudness, key) for one in found]
    return pa.array(values, pa.float64())


def inner_sql(path: Path, name: str, there: dict[str, pa.DataType]) -> str:
    """SQL of one of :data:`INNER` in a Parquet manifest, NULL where the file lacks it.

    Raises:
        InputError: the column holds something else.
    """
    outer, key = there.get(_OUTER, pa.null()), INNER[name]
    if not pa.types.is_struct(outer) and not pa.types.is_null(outer):
        raise InputError(f"{path}: column {_OUTER} holds {outer}, expected a struct")
    inner = {} if pa.types.is_null(outer) else {field.name: field.type for field in outer}
    kind = inner.get(key, pa.null())
    if pa.types.is_null(kind):
        return "CAST(NULL AS DOUBLE)"
    if not (pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_decimal(kind)):
        raise InputError(f"{path}: column {name} holds {kind}, expected DOUBLE")
    return f'CAST("{_OUTER}"."{key}" AS DOUBLE)'


def inner_checks(
    path: Path, there: dict[str, pa.DataType], names: Sequence[str]
) -> Iterator[tuple[str, str, str]]:
    """(condition under which a row is faulty, field, reason) of each of some of :data:`INNER`."""
    for name in names:
        yield f"NOT isfinite({inner_sql(path, name, there)})", name, "is not a finite number"
