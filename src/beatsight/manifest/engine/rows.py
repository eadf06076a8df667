"""What every task on a block does with its lines: check them, and name the line at fault."""

from __future__ import annotations

from typing import Any

import msgspec

from beatsight.errors import InputError
from beatsight.events import Event, Record, check_all, decode
from beatsight.manifest.engine.blocks import Rows
from beatsight.manifest.engine.pool import RowFault


def refuse_bad_text(rows: Rows) -> None:
    """Unknown keys are passed over unread, so broken UTF-8 in them is looked for here."""
    if rows.ascii:
        return
    for line, number in zip(rows.lines, rows.numbers, strict=True):
        if not line.isascii():
            try:
                line.decode()
            except UnicodeDecodeError as error:
                raise RowFault(number, f"is not valid UTF-8 (byte {error.start + 1} of the line)") from None


def records(rows: Rows, kind: type[Record] = Event, *, whole: bool = False) -> list[Record]:  # type: ignore[assignment]
    """The records of a block, every one checked.

    Args:
        rows: lines of a block.
        kind: Event or Prediction.
        whole: with their unknown keys, which takes three times as long.

    Raises:
        RowFault: the first faulty line.
    """
    refuse_bad_text(rows)
    found: list[Record] = []
    try:
        if whole:
            for line in rows.lines:
                found.append(decode(line, kind, ""))
        else:
            check_all(rows.lines, kind, found)
    except InputError as error:
        raise RowFault(rows.numbers[len(found)], str(error).removeprefix(": ")) from None
    return found


def fields_of(rows: Rows, place: int) -> dict[str, Any]:
    """A row that :func:`records` has checked as a dictionary, with its unknown keys.

    Args:
        rows: lines of a block.
        place: of the row among them, from 0.

    Raises:
        RowFault: an unknown key holds a number beyond all bounds, such as 1e400, which the check lets pass.
    """
    line, number = rows.lines[place], rows.numbers[place]
    try:
        return msgspec.json.decode(line)
    except msgspec.MsgspecError as error:
        records(Rows([line], [number], 1), whole=True)
        raise RowFault(number, f"is not valid JSON: {error}") from None
