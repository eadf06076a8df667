"""The dataset folder: sound in memory-mapped shards, one row per labelled moment, and metadata.json.

    metadata.json     what is inside, by split and source, with SHA-256 of every other file
    audio-000.i16     mono 44.1 kHz 16-bit little-endian samples, segments laid end to end
    moments.npz       arrays, one row a moment (see :class:`Moments`)

A *moment* is one instant at which one or more drums start: hits closer than ``MOMENT_S`` are one example with
several labels. A *segment* is a stretch of one audio file around its moments; a clip that reaches past its
segment's ends sees zeros there.
"""

from __future__ import annotations

import os
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from beatsight import taxonomy
from beatsight.dataset.splits import SPLITS
from beatsight.errors import InputError
from beatsight.files import read_bytes, sha256_file

FORMAT_VERSION = 2  # 2: moments know their file
FULL_SCALE = 32768
# Two strokes this close are heard, and detected, as one onset.
MOMENT_S = 0.02


class _Version(msgspec.Struct):
    """The part of metadata.json that every version has."""

    format_version: int


class Metadata(msgspec.Struct, kw_only=True):
    """metadata.json; the duration maps are those that dataset health reads.

    The maps named ``run_…`` are what this build added. A build always makes the whole dataset, resumed or
    not, so they equal the others; datasets of older programs lack them.
    """

    format_version: int
    program_version: str
    taxonomy_digest: str
    labels: list[str]
    sample_rate: int
    moments: dict[str, int]
    label_counts: dict[str, dict[str, int]]
    sessions: dict[str, list[str]]
    files: list[str]
    split_durations_seconds: dict[str, float]
    duration_seconds_by_source: dict[str, float]
    run_split_durations_seconds: dict[str, float] = {}
    run_duration_seconds_by_source: dict[str, float] = {}
    notes: list[str]
    build: dict[str, Any]
    sha256: dict[str, str]
    untrained_labels: list[str]
    # Where each of `files` comes from, and the kit of each session that was played on one: what an evaluation
    # groups by. Datasets of older programs lack both.
    file_sources: list[str] = []
    session_kits: dict[str, str] = {}


@dataclass(frozen=True)
class Moments:
    """Columns of moments.npz, n rows.

    Attributes:
        shard: index of the audio shard, int32.
        onset: sample of the onset within the shard, int64.
        start, end: the segment's first and past-the-last sample within the shard, int64.
        labels: 1 where a class sounds, uint8 (n, classes); all zero in a negative example.
        velocity: 0..1 per class, NaN where unknown, float32 (n, classes).
        openness: hi-hat openness 0..1, NaN where there is none, float32.
        split: index into ``SPLITS``, uint8.
        session: index into the sorted list of all sessions, int32.
        audio_file: index into ``metadata.files``, int32.
        onset_s: seconds within the original file, float64.
        isolated: whether the moment is alone in its file (a one-shot sample), bool.
    """

    shard: np.ndarray
    onset: np.ndarray
    start: np.ndarray
    end: np.ndarray
    labels: np.ndarray
    velocity: np.ndarray
    openness: np.ndarray
    split: np.ndarray
    session: np.ndarray
    audio_file: np.ndarray
    onset_s: np.ndarray
    isolated: np.ndarray

    def __len__(self) -> int:
        return len(self.onset)


def to_int16(samples: np.ndarray) -> np.ndarray:
    """Samples ±1 as 16-bit integers; exact for audio that was 16-bit to begin with."""
    return np.clip(np.round(samples * np.float32(FULL_SCALE)), -FULL_SCALE, FULL_SCALE - 1).astype(np.int16)


@dataclass(frozen=True)
class Dataset:
    """An opened dataset folder; the shards stay on disk."""

    root: Path
    metadata: Metadata
    moments: Moments
    shards: tuple[np.ndarray, ...]

    @property
    def labels(self) -> tuple[str, ...]:
        """Class names, in the order of the label columns."""
        return tuple(self.metadata.labels)

    @property
    def session_names(self) -> list[str]:
        """All sessions, sorted; ``moments.session`` counts in this list."""
        return sorted(name for members in self.metadata.sessions.values() for name in members)

    def rows(self, split: str) -> np.ndarray:
        """Row numbers of a split, rising."""
        if split not in SPLITS:
            raise InputError(f"unknown split {split!r}; known: {', '.join(SPLITS)}")
        return np.flatnonzero(self.moments.split == SPLITS.index(split))


def open_dataset(folder: str | os.PathLike[str], *, verify: bool = False) -> Dataset:
    """Open a dataset folder.

    Args:
        folder: written by ``beatsight dataset build``, ``collect export`` or :func:`build_dataset`.
        verify: compare every file with its SHA-256 first.

    Raises:
        InputError: not a dataset, of another version or taxonomy, or damaged.
    """
    root = Path(folder)
    path = root / "metadata.json"
    # The older system wrote a metadata.json of its own beside its labels.
    if (root / "train_labels.json").is_file() or (root / "train" / "train_labels.json").is_file():
        raise InputError(
            f"{root}: holds clips of the older system; convert it: beatsight dataset build {root} -o NEW"
        )
    if not path.is_file():
        raise InputError(f"{root}: is not a dataset folder (it has no metadata.json)")
    metadata = _read_metadata(path)
    if metadata.taxonomy_digest != taxonomy.digest():
        raise InputError(f"{root}: was built with another label taxonomy; build it again")
    if verify:
        for name, expected in metadata.sha256.items():
            if sha256_file(root / name) != expected:
                raise InputError(f"{root / name}: content does not match its checksum; build it again")
    try:
        with np.load(root / "moments.npz", allow_pickle=False) as columns:
            moments = Moments(**{name: columns[name] for name in Moments.__dataclass_fields__})
        names = sorted(name for name in metadata.sha256 if name.endswith(".i16"))
        shards = tuple(np.memmap(root / name, dtype="<i2", mode="r") for name in names)
    except (OSError, KeyError, ValueError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{root}: the dataset is damaged ({error}); build it again") from error
    _check(root, metadata, moments, shards)
    return Dataset(root, metadata, moments, shards)


def _read_metadata(path: Path) -> Metadata:
    data = read_bytes(path)
    try:
        version = msgspec.json.decode(data, type=_Version).format_version
        if version != FORMAT_VERSION:
            raise InputError(
                f"{path}: format version {version}, this program reads {FORMAT_VERSION}; build it again"
            )
        return msgspec.json.decode(data, type=Metadata)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: is not a dataset's metadata: {error}") from error


def _check(root: Path, metadata: Metadata, moments: Moments, shards: tuple[np.ndarray, ...]) -> None:
    """Refuse columns that do not fit each other, the labels or the shards."""
    n, classes = len(moments), len(metadata.labels)
    for name in Moments.__dataclass_fields__:
        shape = (n, classes) if name in ("labels", "velocity") else (n,)
        if getattr(moments, name).shape != shape:
            raise InputError(f"{root}: the dataset is damaged (column {name} is not {shape}); build it again")
    if not n:
        return
    if moments.shard.min() < 0 or moments.shard.max() >= len(shards):
        raise InputError(f"{root}: an audio shard is missing; build it again")
    sessions = sum(len(members) for members in metadata.sessions.values())
    for name, known in (("session", sessions), ("audio_file", len(metadata.files))):
        if getattr(moments, name).min() < 0 or getattr(moments, name).max() >= known:
            raise InputError(f"{root}: the dataset is damaged (unknown {name} in a row); build it again")
    ends = np.array([len(shard) for shard in shards])
    if (moments.end > ends[moments.shard]).any():
        raise InputError(f"{root}: an audio shard is shorter than its moments say; build it again")
    placed = (moments.start >= 0) & (moments.start <= moments.onset) & (moments.onset < moments.end)
    if not placed.all():
        raise InputError(f"{root}: row {int(placed.argmin())} lies outside its segment; build it again")
