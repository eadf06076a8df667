"""Rows of a manifest that repeat an earlier row in some keys, found by value and within fixed memory.

Values are compared, not their spelling: the order of keys is of no account, null is absent, 1 equals 1.0 and
-0.0 equals 0.0. The order of a list counts. First every row is hashed to 64 bits; only rows that share a hash
are then compared in full.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from beatsight.errors import InputError
from beatsight.events import Event
from beatsight.events.lines import KNOWN_KEYS
from beatsight.events.parquet import ANY_KEYS, EXTRA, struct_type
from beatsight.events.records import Component
from beatsight.manifest.engine.columns import column, scan
from beatsight.manifest.engine.table import Table

_JSON_PARTS = [one.name for one in struct_type(Component) if one.name in ANY_KEYS or one.name == EXTRA]


def create_repeats(table: Table, fields: Sequence[str], condition: str, path: str) -> int:
    """Fill the table ``repeats`` (row) with every row that agrees in all fields with an earlier one.

    A row that has none of the fields repeats nothing.

    Args:
        table: opened with the fields; with all keys of the components where ``components`` is among them.
        fields: keys of an event, known or unknown.
        condition: SQL; other rows are passed over.
        path: what to name in an error.

    Returns:
        The number of rows that repeat an earlier one.

    Raises:
        InputError: no row has one of the fields.
    """
    texts = [name for name in fields if name in ANY_KEYS or name not in KNOWN_KEYS[Event]]
    values = {name: _text(name) if name in texts else column(name) for name in fields if name != "components"}
    _check_present(table, values, path)
    keys = [value for name, value in values.items() if name not in texts]
    has_any = " OR ".join(f"{value} IS NOT NULL" for value in values.values())
    if "components" in fields:
        keys.append(_components())
        has_any = "true"
    source = "rows"
    if _create_texts(table, texts, "components" in fields, condition):
        keys.append("json_values")
        source = "rows LEFT JOIN json_texts USING (row)"
    if not keys:
        return 0
    names = ", ".join(f"k{index}" for index in range(len(keys)))
    selected = ", ".join(f"{key} AS k{index}" for index, key in enumerate(keys))
    table.query(
        f"CREATE VIEW keyed AS SELECT row, {names}, hash({names}) AS h FROM "
        f"(SELECT row, {selected} FROM {source} WHERE ({condition}) AND ({has_any}))"
    )
    table.query("CREATE TABLE shared_hashes AS SELECT h FROM keyed GROUP BY h HAVING count(*) > 1")
    table.query(
        "INSERT INTO repeats SELECT row FROM "
        f"(SELECT row, row_number() OVER (PARTITION BY {names} ORDER BY row) AS n "
        "FROM keyed SEMI JOIN shared_hashes USING (h)) WHERE n > 1"
    )
    return table.all("SELECT count(*) FROM repeats")[0][0]


def _text(name: str) -> str:
    """SQL of a key that may hold anything, as JSON text."""
    return f"nullif({column(name)}, 'null')"


def _check_present(table: Table, values: Mapping[str, str], path: str) -> None:
    counts = ", ".join(f"count({value})" for value in values.values())
    found = table.all(f"SELECT {counts} FROM rows")[0] if values else ()
    for name, number in zip(values, found, strict=True):
        if not number:
            raise InputError(f"{path}: no event has the dedupe field {name!r}")


def _components() -> str:
    """SQL of the components, without the keys that may hold anything."""
    parts = ", ".join(
        f"{column(one.name)} := c.{column(one.name)}"
        for one in struct_type(Component)
        if one.name not in _JSON_PARTS
    )
    return f"list_transform(components, lambda c: struct_pack({parts}))"


def _create_texts(table: Table, texts: Sequence[str], components: bool, condition: str) -> bool:
    """Table ``json_texts`` (row, json_values): what rows hold in keys of any content, written one way.

    Returns:
        False where no row holds such values, and there is no table.
    """
    columns = [_text(name) for name in texts]
    there = [f"{value} IS NOT NULL" for value in columns]
    if components:
        columns += [f"list_transform(components, lambda c: c.{name})" for name in _JSON_PARTS]
        there += [f"len(list_filter(components, lambda c: c.{name} IS NOT NULL)) > 0" for name in _JSON_PARTS]
    if not columns:
        return False
    batches = table.batches(
        f"SELECT row, {', '.join(f'{value} AS t{index}' for index, value in enumerate(columns))} "
        f"FROM rows WHERE ({condition}) AND ({' OR '.join(there)})"
    )
    number = -1
    for number, batch in enumerate(_spelled(batches, components)):
        pq.write_table(batch, table.folder / f"json-texts-{number:06d}.parquet", compression="lz4")
    if number < 0:
        return False
    table.query(f"CREATE VIEW json_texts AS FROM {scan(table.folder, 'json-texts-*.parquet')}")
    return True


def _spelled(batches: Iterator[pa.RecordBatch], components: bool) -> Iterator[pa.Table]:
    for batch in batches:
        rows, *columns = (one.to_pylist() for one in batch.columns)
        parsed = [[_parsed(value) for value in one] for one in columns]
        if components:
            # Unknown keys come as an object; with nothing in it, it is absent.
            parsed[-1] = [_or_none([part or None for part in value]) for value in parsed[-1]]
            parsed[-2] = [_or_none(value) for value in parsed[-2]]
        values = [
            None
            if all(value is None for value in row)
            else msgspec.json.encode(row, order="deterministic").decode()
            for row in zip(*parsed, strict=True)
        ]
        yield pa.table({"row": pa.array(rows, pa.int64()), "json_values": pa.array(values, pa.string())})


def _parsed(value: str | list[str | None] | None) -> Any:
    """A JSON text, or one for each component, as comparable values."""
    if isinstance(value, list):
        return [_parsed(text) for text in value]
    return None if value is None else _same(msgspec.json.decode(value))


def _or_none(values: list[Any]) -> list[Any] | None:
    return None if all(value is None for value in values) else values


def _same(value: Any) -> Any:
    """A JSON value written one way: no null in an object, whole numbers as integers."""
    if isinstance(value, dict):
        return {key: _same(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_same(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
