"""A manifest cut into blocks of whole lines, so that several processes can read one file.

Every input looks the same from here on: JSON lines. Plain files are cut by bytes and read where they are
needed; compressed ones are unpacked by whoever asks for the blocks; a Parquet file's row groups are its
blocks, each row turned into the line it stands for.
"""

from __future__ import annotations

import codecs
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from pathlib import Path
from typing import Any

import msgspec

from beatsight.errors import InputError
from beatsight.events.files import PARQUET
from beatsight.files import DAMAGED, open_input

# Some 7 000 events: enough to hide the price of handing a block over, and some 30 MB when decoded.
BLOCK_BYTES = 8 << 20


class Block(msgspec.Struct, frozen=True, gc=False):
    """A stretch of one input file.

    Attributes:
        path: the file.
        number: of the block, over all files, from 0.
        start, stop: bytes of a plain file (a line belongs to the block in which it starts), or the number of
            a Parquet file's row group and the number of the rows before it.
        inode: of a plain or Parquet file, which is opened anew for every block.
        data: the lines themselves, where the file is compressed.
        size: bytes of the file that the block stands for, for progress.
        extra: what the task wants to know about this block.
    """

    path: str
    number: int
    start: int
    stop: int
    size: int
    inode: int = 0
    data: bytes | None = None
    extra: Any = None


@dataclass(frozen=True)
class Rows:
    """Lines of a block that are not blank, where they stand (from 1), and how many lines the block has."""

    lines: list[bytes]
    numbers: list[int] | range
    count: int
    ascii: bool = False  # whether all lines are known to be


def is_parquet(path: str | os.PathLike[str]) -> bool:
    """Whether a path ends in ``.parquet``."""
    return Path(path).suffix.lower() == PARQUET


def refuse_pipes(paths: Iterable[str | os.PathLike[str]]) -> None:
    """Raise, where the work reads its inputs twice, for what can be read only once.

    Raises:
        InputError: one of the paths is a pipe, a terminal or another device.
    """
    for path in paths:
        if Path(path).exists() and not Path(path).is_file() and not Path(path).is_dir():
            raise InputError(
                f"{path}: is a pipe or device, and this reads its input twice; save it to a file first"
            )


def file_blocks(paths: Iterable[str | os.PathLike[str]], block_bytes: int = BLOCK_BYTES) -> Iterator[Block]:
    """The blocks of some files, in order.

    Raises:
        InputError: a file is missing, a folder, or damaged.
    """
    number = 0
    for path in paths:
        for block in _one_file(Path(path), number, block_bytes):
            yield block
            number = block.number + 1


def _one_file(path: Path, number: int, block_bytes: int) -> Iterator[Block]:
    if is_parquet(path):
        yield from _parquet_blocks(path, number)
        return
    try:
        status = path.stat()
        size = status.st_size
        if path.is_dir():
            raise InputError(f"{path}: is a folder, not a file of events")
        if path.suffix in (".gz", ".zst") or not path.is_file():
            yield from _stream_blocks(path, number, size, block_bytes)
            return
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    # At least one block, so that an unreadable file is noticed by whoever reads it.
    for start in range(0, max(size, 1), block_bytes):
        stop = min(start + block_bytes, size)
        yield Block(str(path), number, start, stop, stop - start, status.st_ino)
        number += 1


def _stream_blocks(path: Path, number: int, size: int, block_bytes: int) -> Iterator[Block]:
    rest, lines, unpacked = b"", 0, 0
    try:
        with open_input(path) as stream:
            while chunk := stream.read(block_bytes):
                whole, newline, tail = chunk.rpartition(b"\n")
                if not newline:
                    rest += tail
                    continue
                data, rest = rest + whole + newline, tail
                yield Block(str(path), number, 0, 0, 0, data=data)
                number, lines, unpacked = number + 1, lines + data.count(b"\n"), unpacked + len(data)
    except DAMAGED as error:
        lines = max(lines, _whole_lines(path))
        raise InputError(f"{path}: the compressed file is damaged after line {lines}: {error}") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    yield Block(str(path), number, 0, 0, size, data=rest)


def _whole_lines(path: Path) -> int:
    """Lines before the damage; the block that was being read is lost, so they are counted anew."""
    lines = 0
    with open_input(path) as stream, suppress(*DAMAGED):
        for _ in stream:
            lines += 1
    return lines


def _parquet_blocks(path: Path, number: int) -> Iterator[Block]:
    from beatsight.events.parquet import open_parquet

    if path.is_dir():
        raise InputError(f"{path}: is a folder, not a file of events")
    refuse_pipes([path])  # the description of a Parquet file stands at its end
    with open_parquet(path) as file:
        groups = [file.metadata.row_group(index).num_rows for index in range(file.num_row_groups)]
    before = 0
    status = path.stat()
    share = status.st_size // max(len(groups), 1)
    for group, rows in enumerate(groups):
        yield Block(str(path), number + group, group, before, share, status.st_ino)
        before += rows


def read_block(block: Block) -> Rows:
    """The lines of a block.

    Raises:
        InputError: the file is damaged, or a Parquet row holds what no line can.
    """
    if is_parquet(block.path):
        from beatsight.events.parquet import group_lines, open_parquet

        metadata = _metadata(block)
        with open_parquet(block.path, metadata) as file:
            lines = group_lines(file, block.start, block.path, block.stop + 1)
        return Rows(lines, range(1, len(lines) + 1), len(lines))
    data = _bytes_of(block) if block.data is None else block.data
    if block.start == 0:
        data = data.removeprefix(codecs.BOM_UTF8)
    lines = data.split(b"\n")
    count = len(lines) - 1 + bool(lines[-1])
    if not lines[-1]:
        lines.pop()
    if all(map(bytes.strip, lines)):
        return Rows(lines, range(1, count + 1), count, data.isascii())
    numbers = [number for number, line in enumerate(lines, start=1) if line.strip()]
    return Rows([line for line in lines if line.strip()], numbers, count)


def _metadata(block: Block) -> Any:
    """The description of a Parquet file, read once while the file stays what it is."""
    try:
        now = Path(block.path).stat()
    except OSError as error:
        raise InputError(f"{block.path}: cannot be read: {error.strerror or error}") from error
    _refuse_replaced(block, now)
    return _read_metadata(block.path, now.st_ino, now.st_size, now.st_mtime_ns)


def _refuse_replaced(block: Block, now: os.stat_result) -> None:
    """Two versions of a file, each read in part, are no manifest. (One that grows is read as it was.)"""
    if now.st_ino != block.inode or (now.st_size < block.stop and not is_parquet(block.path)):
        raise InputError(f"{block.path}: was replaced by another program while it was read")


@lru_cache(maxsize=2)
def _read_metadata(path: str, *_: int) -> Any:
    from beatsight.events.parquet import open_parquet

    with open_parquet(path) as file:
        return file.metadata


def _bytes_of(block: Block) -> bytes:
    """The lines that start within the block's bytes."""
    try:
        with Path(block.path).open("rb") as stream:
            _refuse_replaced(block, os.fstat(stream.fileno()))
            if block.start:
                # The line that runs across the border belongs to the block before.
                stream.seek(block.start - 1)
                head = stream.readline()
                skipped = block.start - 1 + len(head)
                if skipped >= block.stop:
                    return b""
            else:
                skipped = 0
            data = stream.read(block.stop - skipped)
            if data and not data.endswith(b"\n"):
                data += stream.readline()
            return data
    except OSError as error:
        raise InputError(f"{block.path}: cannot be read: {error.strerror or error}") from error


def bases(counts: Iterable[int]) -> list[int]:
    """Running totals: the number of the first row of each block, and the number of all rows.

    >>> bases([3, 0, 2])
    [0, 3, 3, 5]
    """
    return list(accumulate(counts, initial=0))
