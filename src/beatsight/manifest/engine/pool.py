"""Blocks of a manifest worked on by several processes, results in order.

A task is a function ``task(rows, block, params)`` of this package, named ``"module:function"``; parameters
and results are plain values. Workers are programs of their own rather than forks: they hold nothing of the
caller's memory, and a script that calls us needs no ``if __name__ == "__main__"``. A small file is worked on
right here.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import signal
import struct
import subprocess
import sys
import threading
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain
from typing import IO, Any, NamedTuple

import msgspec

from beatsight.errors import BeatSightError, InputError, MissingDependencyError, UsageError
from beatsight.files import reason
from beatsight.manifest.engine.blocks import Block, Rows, is_parquet, read_block

Task = Callable[[Rows, Block, Mapping[str, Any]], Any]

# More would wait for the disk and for the one process that writes.
_MOST_WORKERS = 8
# Less than this is done before two processes have started (0.3 s, in which one checks some 30 MB).
_SMALL_BYTES = 4 << 20
# Lines of JSON take so many times the space of their rows in a Parquet file (measured: 20 to 35).
_PARQUET_FACTOR = 16
_LENGTH = struct.Struct("<Q")
_PIPE_BYTES = 1 << 20  # what an unprivileged process may ask for
_ERRORS = {kind.__name__: kind for kind in (BeatSightError, InputError, UsageError, MissingDependencyError)}


class RowFault(Exception):
    """A fault of one row of a block: the line within the block (from 1), and ``field: why``."""

    def __init__(self, line: int, why: str) -> None:
        super().__init__(line, why)
        self.line, self.why = line, why


class _Job(msgspec.Struct):
    task: str
    params: dict[str, Any]
    block: Block


class WithBytes(NamedTuple):
    """A task's result with many bytes, which travel beside it rather than in it: several copies fewer."""

    result: Any
    data: bytes


class _Answer(msgspec.Struct):
    """Of a job: its result and the block's lines, or a fault of a row, or another error."""

    lines: int = 0
    result: Any = None
    fault: tuple[int, str] | None = None
    error: tuple[str, str] | None = None
    # Whether bytes follow, which make the result a :class:`WithBytes`.
    has_data: bool = False


def cores() -> int:
    """Processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _do(job: _Job) -> tuple[_Answer, bytes]:
    """Run a job; its answer, and the bytes that go with it."""
    module, _, name = job.task.partition(":")
    if module.split(".")[0] != "beatsight":
        raise UsageError(f"{job.task}: is no task of this program")
    try:
        rows = read_block(job.block)
        result = getattr(importlib.import_module(module), name)(rows, job.block, job.params)
    except RowFault as fault:
        return _Answer(fault=(fault.line, fault.why)), b""
    except BeatSightError as error:
        return _Answer(error=(type(error).__name__, str(error))), b""
    except OSError as error:
        # What cannot be read has its own sentence; what a task writes are temporary files.
        place = job.params.get("folder") or error.filename
        text = f"{place}: temporary files cannot be written: {reason(error)} (TMPDIR chooses another disk)"
        return _Answer(error=(BeatSightError.__name__, text)), b""
    if isinstance(result, WithBytes):
        return _Answer(rows.count, result.result, has_data=True), result.data
    return _Answer(rows.count, result), b""


def _send(stream: IO[bytes], data: bytes) -> None:
    stream.write(_LENGTH.pack(len(data)))
    stream.write(data)
    stream.flush()


def _receive(stream: IO[bytes]) -> bytes | None:
    head = stream.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    (length,) = _LENGTH.unpack(head)
    data = stream.read(length)
    return data if len(data) == length else None


def _widen(process: subprocess.Popen[bytes]) -> None:
    """Let a process's pipes hold a megabyte (Linux), rather than wake the other end every 64 kB."""
    with contextlib.suppress(ImportError, AttributeError, OSError):
        import fcntl

        for stream in (process.stdin, process.stdout):
            assert stream is not None
            fcntl.fcntl(stream.fileno(), fcntl.F_SETPIPE_SZ, _PIPE_BYTES)


def serve() -> None:
    """What a worker does: jobs from stdin, answers to stdout, until stdin ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent says when it is over
    # A block is thousands of records that live together: looking for cycles among them finds none.
    gc.set_threshold(200_000, 20, 20)
    jobs, answers = sys.stdin.buffer, sys.stdout.buffer
    sys.stdout = sys.stderr  # nothing that is printed may get between the answers
    while (data := _receive(jobs)) is not None:
        answer, beside = _do(msgspec.msgpack.decode(data, type=_Job))
        with contextlib.suppress(BrokenPipeError):
            _send(answers, msgspec.msgpack.encode(answer))
            if answer.has_data:
                _send(answers, beside)


class _Workers:
    """Processes that :func:`serve`, one for each thread that asks."""

    def __init__(self) -> None:
        self._mine = threading.local()
        self._all: list[subprocess.Popen[bytes]] = []
        self._lock = threading.Lock()
        self._stopped = False

    def _process(self) -> subprocess.Popen[bytes]:
        process: subprocess.Popen[bytes] | None = getattr(self._mine, "process", None)
        if process is None:
            program = "from beatsight.manifest.engine.pool import serve; serve()"
            environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
            with self._lock:
                if self._stopped:
                    raise BeatSightError("stopped")
                # Their own process group: Ctrl-C at the terminal is for the parent, which stops them.
                process = self._mine.process = subprocess.Popen(
                    [sys.executable, "-c", program],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    env=environment,
                    process_group=0,
                )
                _widen(process)
                self._all.append(process)
        return process

    def do(self, job: _Job) -> _Answer:
        process = self._process()
        assert process.stdin is not None and process.stdout is not None
        try:
            _send(process.stdin, msgspec.msgpack.encode(job))
            data = _receive(process.stdout)
            answer = msgspec.msgpack.decode(data, type=_Answer) if data is not None else None
            if answer is not None and answer.has_data:
                data = _receive(process.stdout)
                answer.result = WithBytes(answer.result, data or b"")
        except BrokenPipeError:
            data = None
        if data is None or answer is None:
            code = process.wait()
            raise BeatSightError(
                f"{job.block.path}: a process that read it ended early (exit {code}); is memory short?"
            )
        return answer

    def stop(self) -> None:
        with self._lock:
            self._stopped = True
        for process in self._all:
            process.kill()
        for process in self._all:
            process.wait()
            for stream in (process.stdin, process.stdout):
                with contextlib.suppress(OSError):
                    stream.close()  # type: ignore[union-attr]


def where(block: Block, line: int, lines_before: int) -> str:
    """``file:line`` of a line of a block (from 1), or ``file:row N`` in a Parquet file.

    >>> where(Block("a.jsonl", 3, 8192, 16384, 8192), 2, 40)
    'a.jsonl:42'
    """
    if is_parquet(block.path):
        return f"{block.path}:row {block.stop + line}"
    return f"{block.path}:{lines_before + line}"


def run_blocks(
    task: str, blocks: Iterable[Block], params: Mapping[str, Any], workers: int | None = None
) -> Iterator[tuple[Block, Any, int]]:
    """Run a task on every block.

    Args:
        task: ``"beatsight.module:function"``.
        blocks: see :func:`beatsight.manifest.engine.blocks.file_blocks`; taken as they are needed.
        params: handed to every call.
        workers: processes; default: one a core.

    Yields:
        Each block with the task's result, and the number of lines before it in its file, in order.

    Raises:
        InputError: a row is faulty (``file:line: field: why``), or what the task raised.
    """
    stream = iter(blocks)
    first = _first_blocks(stream, 0 if workers else _SMALL_BYTES)
    blocks = chain(first, stream)
    workers = workers or (min(cores(), _MOST_WORKERS) if _bytes(first) >= _SMALL_BYTES else 1)
    answers = (
        _here(task, blocks, params)
        if len(first) < 2 or workers < 2
        else _there(task, blocks, params, workers)
    )
    before: Counter[str] = Counter()
    with contextlib.closing(answers):
        for block, answer in answers:
            lines_before = before[block.path]
            if answer.fault is not None:
                line, why = answer.fault
                raise InputError(f"{where(block, line, lines_before)}: {why}")
            if answer.error is not None:
                kind, text = answer.error
                raise _ERRORS.get(kind, BeatSightError)(text)
            before[block.path] += answer.lines
            yield block, answer.result, lines_before


def _bytes(blocks: Iterable[Block]) -> int:
    """Bytes of JSON lines that blocks hold, more or less."""
    return sum(
        len(block.data or b"") or block.size * (_PARQUET_FACTOR if is_parquet(block.path) else 1)
        for block in blocks
    )


def _first_blocks(stream: Iterator[Block], least: int) -> list[Block]:
    """Blocks from the start of a stream: two and as many bytes as asked for, or all that there are."""
    first: list[Block] = []
    for block in stream:
        first.append(block)
        if len(first) > 1 and _bytes(first) >= least:
            break
    return first


def _here(
    task: str, blocks: Iterable[Block], params: Mapping[str, Any]
) -> Generator[tuple[Block, _Answer], None, None]:
    for block in blocks:
        answer, beside = _do(_Job(task, dict(params), block))
        if answer.has_data:
            answer.result = WithBytes(answer.result, beside)
        yield block, answer


def _there(
    task: str, blocks: Iterable[Block], params: Mapping[str, Any], count: int
) -> Generator[tuple[Block, _Answer], None, None]:
    workers = _Workers()
    waiting: deque[tuple[Block, Future[_Answer]]] = deque()
    with ThreadPoolExecutor(count) as threads:
        try:
            for block in blocks:
                waiting.append((block, threads.submit(workers.do, _Job(task, dict(params), block))))
                # One block more than there are workers: nobody waits, and few results pile up.
                if len(waiting) > count + 1:
                    done, answer = waiting.popleft()
                    yield done, answer.result()
            while waiting:
                done, answer = waiting.popleft()
                yield done, answer.result()
        finally:
            for _, answer in waiting:
                answer.cancel()
            workers.stop()
