"""Files of records: JSON lines (plain, ``.gz`` or ``.zst``) and Parquet, chosen by suffix."""

from __future__ import annotations

import codecs
import itertools
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from beatsight.errors import InputError
from beatsight.events.lines import decode, encode
from beatsight.events.records import Event, Prediction, Record
from beatsight.files import DAMAGED, atomic_path, open_input, open_output

PARQUET = ".parquet"


def read_records(path: str | os.PathLike[str], kind: type[Record]) -> Iterator[Record]:
    """Stream the records of a file: JSON lines (plain, ``.gz``, ``.zst``; blank lines skipped) or Parquet.

    Raises:
        InputError: the file cannot be read, is cut short, or holds a faulty line (named).
    """
    path = Path(path)
    if path.suffix.lower() == PARQUET:
        from beatsight.events.parquet import read_parquet

        yield from read_parquet(path, kind)
        return
    for number, line in numbered_lines(path):
        yield decode(line, kind, f"{path}:{number}")


def numbered_lines(path: str | os.PathLike[str]) -> Iterator[tuple[int, bytes]]:
    """The lines of a text file (plain, ``.gz``, ``.zst``) that are not blank, with their numbers from 1.

    Raises:
        InputError: the file cannot be read, or is cut short.
    """
    number = 0
    try:
        with open_input(path) as stream:
            for number, line in enumerate(stream, start=1):
                if number == 1:
                    line = line.removeprefix(codecs.BOM_UTF8)
                if line.strip():
                    yield number, line
    except DAMAGED as error:
        raise InputError(f"{path}: the compressed file is damaged after line {number}: {error}") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error


def read_events(path: str | os.PathLike[str]) -> list[Event]:
    """All events of a file; a file without any is an error.

    Raises:
        InputError: as :func:`read_records`, and when the file holds no event.
    """
    events = list(read_records(path, Event))
    if not events:
        raise InputError(f"{path}: holds no events")
    return events


def write_records(path: str | os.PathLike[str], records: Iterable[Event | Prediction]) -> int:
    """Write records, in the format of the suffix, aside and renamed; the count is returned.

    ``records`` may be a generator that reads from ``path`` itself: the old file stays until the end. To
    Parquet goes one kind of record, that of the first; a file without records holds events.
    """
    path = Path(path)
    with atomic_path(path) as temporary:
        if path.suffix.lower() == PARQUET:
            from beatsight.events.parquet import write_parquet

            stream = iter(records)
            first = next(stream, None)
            rest = stream if first is None else itertools.chain([first], stream)
            kind: Any = type(first) if first is not None else Event
            return write_parquet(temporary, rest, kind)
        count = 0
        with open_output(temporary) as out:
            for record in records:
                out.write(encode(record) + b"\n")
                count += 1
    return count
