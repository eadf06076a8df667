"""A manifest written anew, row by row, in any of the formats: what every operation that changes rows uses.

A task turns the lines of a block into other lines; a line that it does not touch is written as it was, byte
for byte. The output is written beside its final name and renamed, so that it may be one of the inputs and a
run that is stopped leaves the old file. The same input gives the same bytes, whatever the number of
processes.
"""

from __future__ import annotations

import gzip
import importlib
import io
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any, Protocol

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from beatsight.errors import InputError, UsageError, require
from beatsight.events import Event, decode
from beatsight.events.files import PARQUET
from beatsight.events.parquet import schema, to_table
from beatsight.files import atomic_path, reason
from beatsight.manifest.engine.blocks import Block, Rows, file_blocks, refuse_pipes
from beatsight.manifest.engine.pool import WithBytes, run_blocks

SUFFIXES = (".jsonl", ".jsonl.gz", ".jsonl.zst", ".parquet")
# Called with (bytes read, bytes in all).
Progress = Callable[[int, int], None]
# gzip's own default; 9 takes three times as long for 2 % less.
_GZIP_LEVEL = 6


class LineTask(Protocol):
    """Turns a block's lines into other lines, and says what it did (plain values).

    ``params["suffix"]`` is that of the output, empty when nothing is written.
    """

    def __call__(self, rows: Rows, block: Block, params: Mapping[str, Any]) -> tuple[list[bytes], Any]: ...


def check_format(path: str | os.PathLike[str]) -> None:
    """Refuse an output whose name does not say how to write it.

    Raises:
        UsageError: the suffix is none of :data:`SUFFIXES`.
    """
    name = Path(path).name
    # Readers know compression by .gz and .zst in lower case only.
    if not name.endswith((*SUFFIXES, ".json", ".ndjson")) and Path(path).suffix.lower() != PARQUET:
        raise UsageError(f"{path}: its name must end in {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}")


def rewrite_block(rows: Rows, block: Block, params: Mapping[str, Any]) -> WithBytes:
    """Task: run the line task that ``params`` names, and pack its lines for the output's format.

    Without a suffix there is no output, and nothing is packed. The number of rows comes first.
    """
    module, _, name = params["task"].partition(":")
    task = getattr(importlib.import_module(module), name)
    lines, result = task(rows, block, params["params"] | {"suffix": params["suffix"]})
    return WithBytes((len(rows.lines), result), pack(lines, params["suffix"]) if params["suffix"] else b"")


def pack(lines: Sequence[bytes] | Sequence[Event], suffix: str) -> bytes:
    """Lines as a piece of a file: pieces laid end to end (Parquet: tables as Arrow streams) are the file.

    For Parquet, a task that has the events already may hand them over instead of their lines.
    """
    if suffix == PARQUET:
        out = io.BytesIO()
        events = [line if isinstance(line, Event) else decode(line, Event, "a row") for line in lines]
        table = to_table(events, Event)
        with pa.ipc.new_stream(out, table.schema) as stream:
            stream.write_table(table)
        return out.getvalue()
    data = b"\n".join([*lines, b""])
    if suffix == ".gz" and data:
        return gzip.compress(data, _GZIP_LEVEL, mtime=0)
    if suffix == ".zst" and data:
        return require("zstandard", "zstd").ZstdCompressor().compress(data)
    return data


class _Output:
    """Takes packed pieces in order and writes them to ``temporary``; its errors name ``path``."""

    def __init__(self, temporary: Path, path: str | os.PathLike[str], suffix: str) -> None:
        self._path, self._suffix = path, suffix
        self._parquet: pq.ParquetWriter | None = None
        self._plain: IO[bytes] | None = None
        self._written = False
        with self._named():
            if suffix == PARQUET:
                self._parquet = pq.ParquetWriter(temporary, schema(Event), compression="zstd")
            else:
                self._plain = temporary.open("wb")

    @contextmanager
    def _named(self) -> Iterator[None]:
        # An error of writing does not say which of several files it was.
        try:
            yield
        except OSError as error:
            raise InputError(f"{self._path}: cannot be written: {reason(error)}") from error
        except pa.ArrowException as error:
            raise InputError(f"{self._path}: cannot be written: {error}") from error

    def write(self, piece: bytes) -> None:
        with self._named():
            if self._parquet:
                with pa.ipc.open_stream(piece) as stream:
                    table = stream.read_all()
                if len(table):
                    self._parquet.write_table(table)
            elif self._plain:
                self._plain.write(piece)
                self._written = self._written or bool(piece)

    def close(self) -> None:
        with self._named():
            if self._parquet:
                self._parquet.close()
            elif self._plain:
                try:
                    if self._suffix == ".gz" and not self._written:
                        self._plain.write(gzip.compress(b"", mtime=0))
                finally:
                    self._plain.close()


@contextmanager
def line_output(path: str | os.PathLike[str]) -> Iterator[Callable[[Sequence[bytes]], None]]:
    """Yield a function that appends lines of events to a new file in the format of its suffix."""
    suffix = Path(path).suffix.lower()
    with output_pieces(path) as (write,):
        yield lambda lines: write(pack(lines, suffix))


@contextmanager
def output_pieces(*paths: str | os.PathLike[str]) -> Iterator[list[Callable[[bytes], None]]]:
    """Yield, for each of some new files, a function that appends what :func:`pack` made for its suffix.

    The files appear together: none takes its place before all are complete.
    """
    for path in paths:
        check_format(path)
    with ExitStack() as renamed:
        temporaries = [renamed.enter_context(atomic_path(path)) for path in paths]
        with ExitStack() as closed:
            outputs = []
            for temporary, path in zip(temporaries, paths, strict=True):
                outputs.append(_Output(temporary, path, Path(path).suffix.lower()))
                closed.callback(outputs[-1].close)
            yield [output.write for output in outputs]


def rewrite(
    inputs: Sequence[str | os.PathLike[str]],
    output: str | os.PathLike[str] | None,
    task: str,
    params: Mapping[str, Any] | None = None,
    *,
    extra: Callable[[Block], Any] | None = None,
    rows: int | None = None,
    progress: Progress | None = None,
) -> Iterator[tuple[Block, Any, int]]:
    """Write a file made of all lines of some files, each block seen by a task.

    A generator: the output is in place when it has come to its end.

    Args:
        inputs: manifests of any format.
        output: where to; None looks without writing.
        task: ``"module:function"``, a :class:`LineTask`.
        params: handed to every call of the task.
        extra: what the task shall find in ``block.extra``; called in order, just before a block is handed
            out.
        rows: how many there were at an earlier reading; another number is an error.
        progress: called with (bytes read, bytes in all).

    Yields:
        For every block: the block, the task's result, the number of lines before it in its file.

    Raises:
        InputError: an input is faulty, there are no rows at all, or the output cannot be written.
        UsageError: the output's suffix is unknown.
    """
    blocks: Iterable[Block] = file_blocks(inputs)
    if extra is not None:
        refuse_pipes(inputs)  # what the caller knows of the blocks, it knows from an earlier reading
        blocks = (msgspec.structs.replace(block, extra=extra(block)) for block in blocks)
    total = sum(Path(path).stat().st_size for path in inputs if Path(path).is_file())
    done = count = 0
    with ExitStack() as stack:
        write, suffix = None, ""
        if output is not None:
            (write,) = stack.enter_context(output_pieces(output))
            suffix = Path(output).suffix.lower()
        wrapped = {"task": task, "params": dict(params or {}), "suffix": suffix}
        answers = run_blocks(f"{__name__}:rewrite_block", blocks, wrapped)
        for block, ((found, result), piece), before in answers:
            if write is not None:
                write(piece)
            count += found
            done += block.size
            if progress:
                progress(min(done, total), total)
            yield block, result, before
        refuse_empty(count, *inputs)
        if rows is not None and count != rows:
            raise InputError(f"{', '.join(map(str, inputs))}: changed while it was read")


def refuse_twice(paths: Sequence[str | os.PathLike[str]]) -> None:
    """Raise the error of one file that is among the inputs twice, be it by another name.

    Raises:
        UsageError: ``file: is given twice``.
    """
    seen: dict[str, str] = {}
    for path in paths:
        real = os.path.realpath(path)
        if real in seen:
            also = "" if seen[real] == str(path) else f", first as {seen[real]}"
            raise UsageError(f"{path}: is given twice{also}")
        seen[real] = str(path)


def refuse_empty(count: int, *paths: str | os.PathLike[str]) -> None:
    """Raise the error of manifests without events, where ``count`` is 0.

    Raises:
        InputError: ``file: holds no events``.
    """
    if not count:
        raise InputError(f"{', '.join(str(path) for path in paths)}: holds no events")
