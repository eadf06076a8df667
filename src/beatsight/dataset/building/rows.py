"""The rows of ``moments.npz``, collected file by file in columns that grow; and the dataset's other files.

Durations count what is kept: the segments, in seconds of sound.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from beatsight import taxonomy
from beatsight.audio.io import SAMPLE_RATE
from beatsight.dataset.building.cut import Layout
from beatsight.dataset.building.gather import Table
from beatsight.dataset.splits import SPLITS, SplitPlan
from beatsight.dataset.store import FORMAT_VERSION, Metadata
from beatsight.files import sha256_file
from beatsight.version import VERSION

_TYPES: dict[str, type] = {
    "shard": np.int32, "onset": np.int64, "start": np.int64, "end": np.int64, "labels": np.uint8,
    "velocity": np.float32, "openness": np.float32, "split": np.uint8, "session": np.int32,
    "audio_file": np.int32, "onset_s": np.float64, "isolated": np.bool_,
}  # fmt: skip
_MATRICES = ("labels", "velocity")
_FIRST_ROWS = 1024


class MomentRows:
    """Rows of all moments; ``samples`` is what is kept of each file, int64 (files,)."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._session = {name: number for number, name in enumerate(table.sessions)}
        self.samples = np.zeros(len(table.files), np.int64)
        self._count = 0
        self._columns: dict[str, np.ndarray] = {}
        self._grow(_FIRST_ROWS)

    def _grow(self, size: int) -> None:
        for name, kind in _TYPES.items():
            shape = (size, len(taxonomy.CLASSIFIER)) if name in _MATRICES else (size,)
            grown: np.ndarray = np.zeros(shape, kind)
            if self._count:
                grown[: self._count] = self._columns[name][: self._count]
            self._columns[name] = grown

    def add(self, number: int, layout: Layout, shards: np.ndarray, offsets: np.ndarray) -> None:
        """The rows of file ``number``, whose segments lie at these offsets of these shards."""
        table, count = self._table, len(layout.order)
        first = int(table.first_moment[number])
        labelled = int(table.first_moment[number + 1]) - first
        if self._count + count > len(self._columns["onset"]):
            self._grow(2 * (self._count + count))
        at = slice(self._count, self._count + count)
        segment, moved = layout.segment, offsets - layout.starts
        # Negatives stand behind the labelled moments and have no labels.
        hit = layout.order < labelled
        source = first + np.where(hit, layout.order, 0)
        values: dict[str, Any] = {
            "shard": shards[segment], "onset": layout.onsets + moved[segment],
            "start": offsets[segment], "end": (offsets + layout.lengths)[segment],
            "labels": np.where(hit[:, None], table.labels[source], 0),
            "velocity": np.where(hit[:, None], table.velocity[source], np.nan),
            "openness": np.where(hit, table.openness[source], np.nan),
            "session": self._session[table.files[number].session], "audio_file": number,
            "onset_s": layout.times_s, "isolated": labelled == 1,
        }  # fmt: skip
        for name, value in values.items():
            self._columns[name][at] = value
        self._count += count
        self.samples[number] = layout.lengths.sum()

    def columns(self) -> dict[str, np.ndarray]:
        """Everything, by the names of :class:`beatsight.dataset.store.Moments`."""
        return {name: column[: self._count] for name, column in self._columns.items()}


def finish(
    rows: MomentRows, table: Table, plan: SplitPlan, folder: Path, notes: Sequence[str], build: dict[str, Any]
) -> None:
    """Split, then write moments.npz and metadata.json beside the shards.

    Args:
        rows: complete.
        table: what they were made of.
        plan: of the split.
        folder: holds the shards and nothing else.
        notes: remarks for the metadata, before those on the split.
        build: the settings, for the metadata.
    """
    columns = rows.columns()
    split, split_notes = plan.split(table.sessions, columns["session"], columns["labels"])
    columns["split"] = split
    np.savez(folder / "moments.npz", **columns)  # type: ignore[arg-type]
    by_split = {name: split == index for index, name in enumerate(SPLITS)}
    members = {
        name: [table.sessions[number] for number in np.unique(columns["session"][mine])]
        for name, mine in by_split.items()
    }
    counts = {name: columns["labels"][mine].sum(axis=0) for name, mine in by_split.items()}
    labels = list(taxonomy.CLASSIFIER)
    split_seconds, source_seconds = _durations(rows, table, members)
    metadata = Metadata(
        format_version=FORMAT_VERSION,
        program_version=VERSION,
        taxonomy_digest=taxonomy.digest(),
        labels=labels,
        sample_rate=SAMPLE_RATE,
        moments={name: int(mine.sum()) for name, mine in by_split.items()},
        label_counts={name: dict(zip(labels, count.tolist(), strict=True)) for name, count in counts.items()},
        sessions=members,
        files=[file.name for file in table.files],
        split_durations_seconds=split_seconds,
        duration_seconds_by_source=source_seconds,
        run_split_durations_seconds=split_seconds,
        run_duration_seconds_by_source=source_seconds,
        notes=[*notes, *split_notes],
        build=build,
        sha256={path.name: sha256_file(path) for path in sorted(folder.iterdir())},
        untrained_labels=[label for label, n in zip(labels, counts["train"], strict=True) if n == 0],
        file_sources=[file.source for file in table.files],
        session_kits=_kits(table),
    )
    data = msgspec.json.format(msgspec.json.encode(metadata), indent=2)
    (folder / "metadata.json").write_bytes(data)


def _kits(table: Table) -> dict[str, str]:
    """The kit of every session whose events name one and no other."""
    kits: dict[str, set[str]] = defaultdict(set)
    for event in table.ties:
        kits[event.session_id].add(event.kit_id or "")
    return {
        session: kit for session in table.sessions for kit in kits[session] if kit and len(kits[session]) == 1
    }


def _durations(
    rows: MomentRows, table: Table, members: dict[str, list[str]]
) -> tuple[dict[str, float], dict[str, float]]:
    """Seconds of sound by split and by source."""
    split_of = {session: name for name, sessions in members.items() for session in sessions}
    by_split: dict[str, int] = dict.fromkeys(SPLITS, 0)
    by_source: dict[str, int] = defaultdict(int)
    for file, samples in zip(table.files, rows.samples.tolist(), strict=True):
        by_split[split_of[file.session]] += samples
        by_source[file.source] += samples
    return (
        {name: round(samples / SAMPLE_RATE, 3) for name, samples in by_split.items()},
        {name: round(samples / SAMPLE_RATE, 3) for name, samples in by_source.items()},
    )
