"""Which session is on which side of a split, and what stands on more than one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa

from beatsight.errors import InputError
from beatsight.events import decode_as
from beatsight.files import read_bytes
from beatsight.gates.health.records import LISTED, Durations, Isolation, Split
from beatsight.gates.health.settings import GROUPS
from beatsight.gates.inputs import named
from beatsight.manifest.engine.table import Table

_COLUMNS = {group: f"{group}_id" for group in GROUPS}


class _SplitFile(msgspec.Struct):
    sessions: Any


def read_sides(path: Path) -> dict[str, list[str]]:
    """Session → the sides it is on, sorted; none where it is left out.

    Args:
        path: ``split.json`` (session → split or null), or a dataset's ``metadata.json`` (split → sessions).

    Raises:
        InputError: it cannot be read, or is neither.
    """
    sessions = decode_as(read_bytes(path), _SplitFile, str(path)).sessions
    if not isinstance(sessions, dict) or not sessions:
        raise InputError(f"{path}: sessions: is no object that names any session")
    if all(isinstance(value, list) for value in sessions.values()):
        sides: dict[str, set[str]] = {}
        for side, members in sessions.items():
            for session in members:
                if not isinstance(session, str):
                    raise InputError(f"{path}: sessions.{side}: holds {session!r}, which is no session")
                sides.setdefault(session, set()).add(side)
        return {session: sorted(found) for session, found in sides.items()}
    for session, side in sessions.items():
        if side is not None and (not isinstance(side, str) or not side):
            raise InputError(f"{path}: sessions.{session}: is {side!r}, neither a split nor null")
    return {session: [] if side is None else [side] for session, side in sessions.items()}


def measure_split(table: Table, sides: dict[str, list[str]], path: Path) -> Split:
    """Events on each side, and what stands on more than one.

    Raises:
        InputError: the split has no word of a session of the manifests.
    """
    _create_sides(table, sides, path)
    counts = dict(
        table.all(
            "SELECT side, count(*) FROM rows JOIN sides USING (session_id) WHERE side IS NOT NULL "
            "GROUP BY side ORDER BY side"
        )
    )
    ((left_out,),) = table.all("SELECT count(*) FROM rows JOIN sides USING (session_id) WHERE side IS NULL")
    return Split(
        events=counts,
        left_out_events=left_out,
        isolation={group: _isolation(table, name) for group, name in _COLUMNS.items()},
    )


def _create_sides(table: Table, sides: dict[str, list[str]], path: Path) -> None:
    pairs = [
        (session, side) for session, found in sides.items() for side in (*found, *([] if found else [None]))
    ]
    given = pa.table(
        {
            "session_id": pa.array([session for session, _ in pairs], pa.string()),
            "side": pa.array([side for _, side in pairs], pa.string()),
        }
    )
    table.db.register("given_sides", given)
    table.query("CREATE OR REPLACE TABLE sides AS FROM given_sides")
    table.db.unregister("given_sides")
    unknown = [
        name
        for (name,) in table.all(
            "SELECT DISTINCT session_id FROM rows ANTI JOIN sides USING (session_id) ORDER BY session_id"
        )
    ]
    if unknown:
        raise InputError(f"{path}: has no word of {named(unknown, 'session')} of the events")


def _isolation(table: Table, name: str) -> Isolation:
    """Of the names in one column."""
    named_rows = f"{name} IS NOT NULL AND {name} <> ''"
    sql = (
        f"SELECT name, list_sort(list(DISTINCT side)) AS found FROM "
        f"(SELECT DISTINCT {name} AS name, session_id FROM rows WHERE {named_rows}) "
        "JOIN sides USING (session_id) WHERE side IS NOT NULL GROUP BY name"
    )
    ((names, shared),) = table.all(f"SELECT count(*), count(*) FILTER (WHERE len(found) > 1) FROM ({sql})")
    listed = table.all(f"SELECT * FROM ({sql}) WHERE len(found) > 1 ORDER BY name LIMIT {LISTED}")
    ((unnamed,),) = table.all(
        "SELECT count(*) FROM rows SEMI JOIN (FROM sides WHERE side IS NOT NULL) USING (session_id) "
        f"WHERE NOT coalesce({named_rows}, false)"
    )
    return Isolation(names=names, shared=shared, unnamed_events=unnamed, listed=dict(listed))


def read_durations(path: Path) -> Durations:
    """The durations in a dataset's metadata, of this program or of the one before it.

    Raises:
        InputError: it cannot be read, a duration is none, or there are none.
    """
    data = read_bytes(path)
    if not data.strip():
        raise InputError(f"{path}: is empty")
    found: Durations = decode_as(data, Durations, str(path))
    if found == Durations():
        raise InputError(f"{path}: holds no durations by split or source; is it a dataset's metadata.json?")
    return found
