"""One run of a sweep as data: what is to be trained and where, and what its folder says of it.

A run's folder holds, beside what ``beatsight train`` writes there:

    run.json        :class:`RunRecord`: settings, dataset, how it ended
    metrics.json    the metrics file of ``beatsight train``, written last of all
    train.log       what the training run said
    .lock           held while the run trains, also by the training process itself

A run is complete when its metrics file is whole and tells of these settings on this dataset.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import msgspec

from beatsight.errors import InputError
from beatsight.files import read_bytes, write_bytes
from beatsight.train.sweep.space import SETTINGS, Settings, text_of

RECORD_NAME, METRICS_NAME, LOG_NAME, LOCK_NAME = "run.json", "metrics.json", "train.log", ".lock"
HISTORY_NAME = "history.jsonl"
RECORD_VERSION = 1

Status = Literal["running", "complete", "failed", "pruned"]


class RunKey(msgspec.Struct, frozen=True, kw_only=True):
    """What decides a run's result: the same key, the same training.

    Attributes:
        settings: the sweep's.
        fixed: flags of ``beatsight train`` that are equal in all runs, with their values.
        config_sha256: of the TOML run file, or empty.
        dataset_sha256: of the dataset's metadata.json, which holds a checksum of every other file.
    """

    settings: Settings
    fixed: dict[str, str]
    config_sha256: str
    dataset_sha256: str


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """A run to be done. Paths are absolute: another machine may do it.

    Attributes:
        name: of its folder.
        folder, dataset: where.
        key: what.
        device: for ``beatsight train --device``.
        threads: how many the training process may use, where nothing in the environment says so; 0: all.
        fresh: train even if the folder holds the complete result.
        program: the command that trains, before its flags.
    """

    name: str
    folder: str
    dataset: str
    key: RunKey
    device: str
    program: tuple[str, ...]
    threads: int = 0
    fresh: bool = False

    @property
    def path(self) -> Path:
        """The run's folder."""
        return Path(self.folder)

    def command(self) -> list[str]:
        """The command line that trains."""
        flags = {"--dataset": self.dataset, "--output": self.folder, "--device": self.device}
        flags |= {SETTINGS[name].flag: text_of(value) for name, value in self.key.settings.items()}
        flags |= self.key.fixed | {"--metrics-json": str(self.path / METRICS_NAME)}
        return [*self.program, *(word for pair in flags.items() for word in pair)]


class RunRecord(msgspec.Struct, kw_only=True):
    """run.json. ``seconds`` is the time of the training process, start-up included."""

    format_version: int = RECORD_VERSION
    key: RunKey
    status: Status = "running"
    exit_code: int | None = None
    error: str = ""
    seconds: float | None = None


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """How a run ended; ``skipped`` when its complete result was there already."""

    status: Status
    exit_code: int | None = None
    error: str = ""
    seconds: float | None = None
    skipped: bool = False


class Metrics(msgspec.Struct, kw_only=True):
    """The part of a metrics file that a sweep reads."""

    best_epoch: int
    best: dict[str, Any]
    history: list[dict[str, Any]]
    config: dict[str, Any]


def write_record(task: Task, record: RunRecord) -> None:
    """Write run.json in one step."""
    write_bytes(task.path / RECORD_NAME, msgspec.json.format(msgspec.json.encode(record), indent=2))


def read_record(folder: Path) -> RunRecord | None:
    """The record of a run's folder; None when there is none, or none of this version."""
    try:
        record = msgspec.json.decode(read_bytes(folder / RECORD_NAME), type=RunRecord)
    except (InputError, msgspec.DecodeError, UnicodeDecodeError):
        return None
    return record if record.format_version == RECORD_VERSION else None


def finished(task: Task) -> Metrics | None:
    """The metrics of a run that is complete, of these settings and this dataset; None for any other."""
    record = read_record(task.path)
    if record is None or record.key != task.key:
        return None
    try:
        metrics = msgspec.json.decode(read_bytes(task.path / METRICS_NAME), type=Metrics)
    except (InputError, msgspec.DecodeError, UnicodeDecodeError):
        return None
    trained_with = {name: metrics.config.get(name) for name in task.key.settings}
    whole = 1 <= metrics.best_epoch <= len(metrics.history) and trained_with == task.key.settings
    return metrics if whole else None


def done_before(task: Task) -> Outcome | None:
    """The outcome of a run whose complete result is there already."""
    if finished(task) is None:
        return None
    record = read_record(task.path)
    return Outcome(status="complete", exit_code=0, seconds=record.seconds if record else None, skipped=True)


def read_history(folder: Path) -> list[dict[str, Any]]:
    """The epochs that history.jsonl tells of so far; a line that is not whole yet ends it."""
    try:
        data = read_bytes(folder / HISTORY_NAME)
    except InputError:
        return []
    rows: list[dict[str, Any]] = []
    for line in data.splitlines(keepends=True):
        try:
            row = msgspec.json.decode(line) if line.endswith(b"\n") else None
        except (msgspec.DecodeError, UnicodeDecodeError):
            row = None
        if not isinstance(row, dict):
            break
        rows.append(row)
    return rows
