"""Events and their audio become a dataset folder, in any number of processes, after any number of kills.

The result depends on the events, the audio and the settings that say so, and on nothing else: neither on
``workers`` nor on whether the build was stopped and resumed, down to the last byte.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from beatsight.audio.io import probe
from beatsight.dataset.building.cut import CUT, lay_out
from beatsight.dataset.building.gather import Gatherer, Labelled, Table
from beatsight.dataset.building.partial import Done, Partial, fingerprint, held
from beatsight.dataset.building.rows import MomentRows, finish
from beatsight.dataset.splits import SplitPlan, check_splits
from beatsight.dataset.store import Dataset, open_dataset
from beatsight.errors import InputError, UsageError
from beatsight.events import Event
from beatsight.files import reason
from beatsight.manifest.engine.blocks import Block
from beatsight.manifest.engine.pool import WithBytes, cores, run_blocks

__all__ = ["BuildSettings", "Labelled", "Progress", "build", "build_dataset"]

Progress = Callable[[int, int], None]
# Less audio than this is cut before a second process has started (0.5 s, in which one cuts some 20 MB).
_SMALL_BYTES = 16 << 20


@dataclass(frozen=True)
class BuildSettings:
    """How a dataset is built.

    Attributes:
        val_fraction, test_fraction: share of moments to hold out, by whole sessions; sessions that share
            a drummer, kit or room go to one side where that leaves enough (:mod:`beatsight.dataset.splits`).
        test_sessions: sessions that are the test split, whatever the fractions.
        splits: the split of every session, instead of fractions and ``test_sessions``; None leaves one out.
        splits_name: what messages call them, such as their file.
        seed: of the split and of the negative examples.
        audio_roots: folder of the audio by the events' ``source_set``, where it is not that of all others.
        limit: only so many audio files, the first by name.
        workers: processes that decode; by default one a core, and none for a few megabytes of audio.
        resume: go on with what an earlier run left; what no longer fits is done again.
        notes: remarks for the metadata, such as on where the data come from.
    """

    val_fraction: float = 0.15
    test_fraction: float = 0.0
    test_sessions: Sequence[str] = ()
    splits: Mapping[str, str | None] | None = None
    splits_name: str = "splits"
    seed: int = 0
    audio_roots: Mapping[str, Path] = field(default_factory=dict)
    limit: int | None = None
    workers: int | None = None
    resume: bool = False
    notes: Sequence[str] = ()

    def __post_init__(self) -> None:
        val, test = self.val_fraction, self.test_fraction
        if not (0 <= val < 1 and 0 <= test < 1 and val + test < 1):
            raise InputError(
                "val_fraction and test_fraction must lie in 0..1 and leave something to train on"
            )
        if self.seed < 0:
            raise InputError(f"seed must not be negative, not {self.seed}")
        for name in ("limit", "workers"):
            if (value := getattr(self, name)) is not None and value < 1:
                raise InputError(f"{name} must be at least 1, not {value}")
        if self.splits is not None and self.test_sessions:
            raise UsageError("splits says where every session goes, so test_sessions cannot be given as well")

    @property
    def left_out(self) -> list[str]:
        """Sessions that the given split leaves out."""
        return [session for session, split in (self.splits or {}).items() if split is None]


def build_dataset(
    events: Iterable[Event],
    audio_root: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    val_fraction: float = 0.15,
    test_fraction: float = 0.0,
    test_sessions: Sequence[str] = (),
    splits: Mapping[str, str | None] | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Dataset:
    """Build a dataset of one list of events: :func:`build`, in short.

    Args:
        events: labelled moments; ``audio_path`` is relative to ``audio_root`` and must stay inside it.
        audio_root: folder of the audio.
        output: folder to write.
        val_fraction, test_fraction, test_sessions, splits, seed: as in :class:`BuildSettings`.
        progress: called with (bytes of audio done, bytes in all).

    Raises:
        InputError: as :func:`build`.
    """
    settings = BuildSettings(val_fraction, test_fraction, test_sessions, splits, seed=seed)
    return build([Labelled(events, Path(audio_root), str(output))], output, settings, progress)


def build(
    labelled: Iterable[Labelled],
    output: str | os.PathLike[str],
    settings: BuildSettings | None = None,
    progress: Progress | None = None,
) -> Dataset:
    """Build a dataset folder; the old one, if any, stays until the new one is complete.

    A build that fails or is killed leaves what it has done in ``NAME.partial`` beside the folder, for
    ``resume``; the next build without ``resume`` removes it.

    Args:
        labelled: lists of events, each with the folder of its audio.
        output: folder to write.
        settings: split, limits and processes.
        progress: called with (bytes of audio done, bytes in all).

    Raises:
        InputError: no events, unknown labels, audio missing or damaged, an onset after the file's end,
            sessions unknown to ``splits`` or the other way round, a folder that cannot be written.
    """
    settings, output = settings or BuildSettings(), Path(output).resolve()
    table = collect(labelled, settings, output)
    with held(output, settings.resume) as work:
        try:
            rows = _cut_all(work, table, settings, progress)
            fractions = (settings.val_fraction, settings.test_fraction)
            # A limit may leave some of them out.
            tested = tuple(name for name in settings.test_sessions if name in table.sessions)
            plan = SplitPlan(fractions, tested, settings.splits, settings.seed, table.ties)
            finish(rows, table, plan, work.dataset, [*settings.notes, *_notes(table)], _settings(settings))
            work.put(output)
        except OSError as error:
            raise InputError(f"{output}: cannot be written: {reason(error)}") from error
    return open_dataset(output)


def collect(labelled: Iterable[Labelled], settings: BuildSettings, output: Path) -> Table:
    """What the events say, in columns.

    Raises:
        InputError: the events or the split are faulty, or there is nothing to build from.
    """
    gatherer = Gatherer(settings.audio_roots, settings.left_out)
    for part in labelled:
        gatherer.add(part)
    table = gatherer.table(settings.limit)
    if settings.splits is not None:
        check_splits(settings.splits, table.all_sessions, settings.splits_name)
    if unknown := set(settings.test_sessions) - table.all_sessions:
        raise InputError(f"test session {min(unknown)!r} is not among the events' sessions")
    if not table.files:
        raise InputError(f"{output}: no events to build a dataset from")
    return table


def _notes(table: Table) -> list[str]:
    if len(table.files) == table.all_files:
        return []
    return [f"only the first {len(table.files)} of {table.all_files} audio files, as was asked"]


def _settings(settings: BuildSettings) -> dict[str, object]:
    """What the metadata says of the settings: those that the result depends on."""
    return {
        "val_fraction": settings.val_fraction,
        "test_fraction": settings.test_fraction,
        "seed": settings.seed,
        "given_split": settings.splits is not None,
        "limit": settings.limit,
    }


def _cut_all(work: Partial, table: Table, settings: BuildSettings, progress: Progress | None) -> MomentRows:
    """Fill the shards, from where an earlier run stopped."""
    # A missing file is noticed before hours of others are decoded.
    sizes = np.array([_size(file.path) for file in table.files], np.int64)
    done_bytes = np.cumsum(sizes)
    rows = MomentRows(table)
    first = _replay(work, table, rows, settings)

    def tell(number: int) -> None:
        if progress is not None and number >= 0:
            progress(int(done_bytes[number]), int(done_bytes[-1]))

    tell(first - 1)
    jobs = _jobs(table, first, sizes, settings)
    workers = default_workers(settings, int(sizes[first:].sum()))
    with closing(run_blocks(CUT, jobs, {}, workers)) as answers:  # type: ignore[type-var]
        for block, answer, _ in answers:
            assert isinstance(answer, WithBytes)
            number, times = block.number, table.times_of(block.number)[0]
            negatives = answer.result["negatives"]
            layout = lay_out(times, np.array(negatives, np.float64), answer.result["length"])
            shards, offsets = work.shards.place(layout.lengths)
            done = Done(
                block.extra["fingerprint"], answer.result["length"], negatives, zlib.crc32(answer.data)
            )
            work.add(done, shards, layout.lengths, answer.data)
            rows.add(number, layout, shards, offsets)
            tell(number)
    return rows


def default_workers(settings: BuildSettings, audio_bytes: int) -> int:
    """Processes for so much audio: as many as the settings say, else one a core where that pays."""
    return settings.workers or (cores() if audio_bytes >= _SMALL_BYTES else 1)


def _replay(work: Partial, table: Table, rows: MomentRows, settings: BuildSettings) -> int:
    """Take over what an earlier run left and still fits; the number of the first file that is to be cut."""
    number, journal_end, place = 0, 0, (work.shards.shard, work.shards.position)
    for done, end in work.lines():
        if number == len(table.files) or done.fingerprint != _fingerprint(table, number, settings.seed):
            break
        layout = lay_out(table.times_of(number)[0], np.array(done.negatives, np.float64), done.length)
        shards, offsets = work.shards.place(layout.lengths)
        if not work.holds(done, shards, offsets, layout.lengths):
            break
        rows.add(number, layout, shards, offsets)
        number, journal_end, place = number + 1, end, (work.shards.shard, work.shards.position)
    work.go_on(journal_end, *place)
    return number


def _jobs(table: Table, first: int, sizes: np.ndarray, settings: BuildSettings) -> Iterator[Block]:
    """What the workers are to do: one job a file."""
    for number in range(first, len(table.files)):
        times, hits = table.times_of(number)
        extra = {
            "times": times.tobytes(),
            "hits": hits.tobytes(),
            "seed": [settings.seed, number],
            # Taken before the file is read: if it changes meanwhile, a later run sees that.
            "fingerprint": _fingerprint(table, number, settings.seed),
        }
        path, size = str(table.files[number].path), int(sizes[number])
        yield Block(path, number, 0, size, size, data=b"", extra=extra)


def _fingerprint(table: Table, number: int, seed: int) -> str:
    return fingerprint(table.files[number].path, *table.times_of(number), [seed, number])


def _size(path: Path) -> int:
    """Bytes of an audio file; raises for one that is missing or empty what decoding it would raise."""
    if not path.is_file() or not path.stat().st_size:
        probe(path)
    return path.stat().st_size
