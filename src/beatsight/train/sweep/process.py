"""One training run as a process of its own, watched without waiting.

A run that crashes, or that the system kills, costs its sweep nothing but this run. The process is in a
session of its own and writes to files only, so it outlives a sweep that is killed; the next sweep finds its
folder locked, waits for it and takes its result.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, Any

import msgspec

from beatsight.errors import BeatSightError, InputError
from beatsight.files import reason, sha256_file
from beatsight.train.sweep.locks import try_lock
from beatsight.train.sweep.task import (
    LOCK_NAME,
    LOG_NAME,
    RECORD_NAME,
    Outcome,
    RunRecord,
    Status,
    Task,
    done_before,
    finished,
    read_history,
    write_record,
)

# A training run notices a polite stop within a step; one that does not is killed after this long.
_GRACE_S = 20.0
_LOG_TAIL_BYTES = 8192


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """What a run did since the last look: epochs (lines of history.jsonl), and its end.

    ``waiting``: the folder is held by a training process that another sweep started.
    """

    rows: list[dict[str, Any]] = []
    outcome: Outcome | None = None
    waiting: bool = False


class RunProcess:
    """A training run: started by the first :meth:`poll`, over when that returns an outcome."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self._lock: IO[bytes] | None = None
        self._child: subprocess.Popen[bytes] | None = None
        self._started = 0.0
        self._seen = 0
        self._pruned = False
        self._deadline: float | None = None

    def poll(self) -> Progress:
        """Look after the run; returns at once."""
        try:
            if self._child is None and (early := self._begin()) is not None:
                return early
            return self._watch()
        except BeatSightError as error:
            # A folder or a dataset that this run cannot use says nothing about the next run.
            self._release()
            return Progress(
                outcome=Outcome(status="failed", exit_code=error.exit_code, error=str(error).rstrip("."))
            )

    def prune(self) -> None:
        """Ask the run to stop, because it is not worth its time; its end is recorded as pruned."""
        self._pruned = True
        self.stop()

    def stop(self) -> None:
        """Ask the run to stop; by itself this leaves it to be done again."""
        if self._child is not None and self._deadline is None:
            self._deadline = time.monotonic() + _GRACE_S
            self._child.terminate()

    def wait(self) -> None:
        """Wait until a run that was asked to stop has stopped; kill it after a while."""
        if self._child is not None and self._deadline is not None:
            try:
                self._child.wait(max(0.0, self._deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                self._child.kill()
                self._child.wait()
        self._release()

    def _begin(self) -> Progress | None:
        """Take the folder and start training; what there is to say if that is not possible, or not needed."""
        folder = self.task.path
        self._lock = try_lock(folder / LOCK_NAME)
        if self._lock is None:
            return Progress(waiting=True)
        if not self.task.fresh and (done := done_before(self.task)) is not None:
            self._release()
            return Progress(outcome=done)
        metadata = Path(self.task.dataset) / "metadata.json"
        if sha256_file(metadata) != self.task.key.dataset_sha256:
            raise InputError(f"{metadata}: is not the dataset that this sweep began with")
        _clear(folder)
        write_record(self.task, RunRecord(key=self.task.key))
        self._spawn()
        return None

    def _spawn(self) -> None:
        environment = dict(os.environ)
        if self.task.threads:
            environment.setdefault("OMP_NUM_THREADS", str(self.task.threads))
        assert self._lock is not None
        handed_on = () if sys.platform == "win32" else (self._lock.fileno(),)
        log = self.task.path / LOG_NAME
        try:
            with log.open("wb") as stream:
                self._started = time.monotonic()
                self._child = subprocess.Popen(
                    self.task.command(),
                    stdin=subprocess.DEVNULL,
                    stdout=stream,
                    stderr=stream,
                    env=environment,
                    pass_fds=handed_on,
                    # Ctrl-C in the terminal is for the sweep, which then stops its runs itself.
                    start_new_session=True,
                )
        except OSError as error:
            raise InputError(f"{self.task.folder}: training cannot be started: {reason(error)}") from error

    def _watch(self) -> Progress:
        assert self._child is not None
        code = self._child.poll()  # before the history is read: then it holds all that a finished run wrote
        rows = read_history(self.task.path)[self._seen :]
        self._seen += len(rows)
        if code is None:
            if self._deadline is not None and time.monotonic() > self._deadline:
                self._child.kill()
            return Progress(rows=rows)
        record = RunRecord(key=self.task.key, exit_code=code, seconds=time.monotonic() - self._started)
        record.status, record.error = self._ending(code)
        write_record(self.task, record)
        self._release()
        return Progress(
            rows=rows,
            outcome=Outcome(status=record.status, exit_code=code, error=record.error, seconds=record.seconds),
        )

    def _ending(self, code: int) -> tuple[Status, str]:
        # Also a run that finished just before it was stopped: its result is worth having.
        if finished(self.task) is not None:
            return "complete", ""
        if self._pruned:
            return "pruned", ""
        said = _last_words(self.task.path / LOG_NAME)
        if code == 0:
            return "failed", "the run ended well but its metrics file is missing or tells of other settings"
        if code < 0:
            name = signal.Signals(-code).name if -code in {*signal.Signals} else f"signal {-code}"
            hint = " (out of memory?)" if name == "SIGKILL" else ""
            return "failed", f"ended by {name}{hint}" + (f"; last words: {said}" if said else "")
        return "failed", said or "it said nothing"

    def _release(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None


def _clear(folder: Path) -> None:
    """Remove what an earlier try left; a folder that no sweep made is not touched."""
    try:
        inside = [path for path in folder.iterdir() if path.name != LOCK_NAME]
        # Hidden files are half-written ones of a run that was killed.
        named = [path for path in inside if not path.name.startswith(".")]
        if named and not (folder / RECORD_NAME).is_file():
            raise InputError(f"{folder}: holds files that no sweep wrote; take another --output-root")
        # The record goes last: killed half way, the folder is still known as a sweep's.
        for path in sorted(inside, key=lambda path: path.name == RECORD_NAME):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
    except OSError as error:
        raise InputError(f"{folder}: cannot be emptied: {reason(error)}") from error


def _last_words(log: Path) -> str:
    """The last line that a run wrote, without the program's name."""
    try:
        with log.open("rb") as stream:
            stream.seek(max(0, log.stat().st_size - _LOG_TAIL_BYTES))
            tail = stream.read().decode("utf-8", "replace")
    except OSError:
        return ""
    lines = [line.strip() for line in tail.splitlines() if line.strip()]
    return lines[-1].removeprefix("beatsight: ").rstrip(".") if lines else ""
