"""Events and their audio files become a dataset folder (see :mod:`beatsight.dataset.store`)."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from beatsight import taxonomy
from beatsight.audio.io import SAMPLE_RATE, load
from beatsight.audio.onsets import detect_onsets
from beatsight.dataset.splits import SPLITS, SplitPlan, check_splits
from beatsight.dataset.store import (
    FORMAT_VERSION,
    MOMENT_S,
    Dataset,
    Metadata,
    Moments,
    open_dataset,
    to_int16,
)
from beatsight.errors import InputError, UsageError
from beatsight.events import Event
from beatsight.files import inside, sha256_file
from beatsight.version import VERSION

# Audio kept around a moment: more than a clip reaches, so that clips can be shifted and stretched.
_KEEP_BEFORE_S, _KEEP_AFTER_S = 0.3, 0.8
_SHARD_SAMPLES = 1 << 28  # 512 MB a file
# A detected onset this far from every labelled one is a moment without a drum.
_NEGATIVE_DISTANCE_S = 0.06
# At most this many detected non-drums, and this many random instants, per labelled moment of a song.
_NEGATIVE_SHARE, _RANDOM_SHARE = 0.3, 0.05
# Under this many moments a file is a one-shot or a fragment: its unlabelled rest may hold drums.
_SONG_MOMENTS = 8

Progress = Callable[[int, int], None]


@dataclass
class _File:
    """The moments of one audio file, before they have a place in a shard."""

    path: str
    session: str
    source: str
    times_s: list[float]
    components: list[list[Any]]
    hits_s: list[float]  # every event's time; a moment may hold several


def _group(events: Sequence[Event]) -> list[_File]:
    by_file: dict[str, list[Event]] = defaultdict(list)
    for event in events:
        if not event.audio_path:
            raise InputError(f"event {event.sample_id}: has no audio_path, so no clip can be cut")
        for component in event.components:
            try:
                taxonomy.resolve(component.label)
            except taxonomy.UnknownLabelError as error:
                raise InputError(f"event {event.sample_id}: {error}") from error
        # "a.wav" and "./a.wav" are one file: it must not fall into two sessions.
        by_file[Path(event.audio_path).as_posix()].append(event)
    files = []
    for path, items in sorted(by_file.items()):
        items.sort(key=lambda event: event.onset_time)
        sessions = {event.session_id for event in items}
        if len(sessions) > 1:
            raise InputError(f"{path}: belongs to several sessions: {', '.join(sorted(sessions))}")
        file = _File(path, items[0].session_id, items[0].source_set or "unknown", [], [], [])
        for event in items:
            file.hits_s.append(event.onset_time)
            if file.times_s and event.onset_time - file.times_s[-1] <= MOMENT_S:
                file.components[-1].extend(event.components)
            else:
                file.times_s.append(event.onset_time)
                file.components.append(list(event.components))
        files.append(file)
    return files


def _negatives(file: _File, audio: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Times of a song at which no labelled drum starts: false alarms of the detector, and random ones."""
    if len(file.times_s) < _SONG_MOMENTS:
        return np.zeros(0)
    truth = np.array(file.hits_s)
    found = detect_onsets(audio).times_s
    count = int(_RANDOM_SHARE * len(file.times_s)) + 1
    # Random instants lie where there is known music: between the first and the last labelled moment.
    random = rng.uniform(truth[0], truth[-1], count)

    def far(times: np.ndarray) -> np.ndarray:
        after = np.clip(np.searchsorted(truth, times), 1, len(truth) - 1)
        distance = np.minimum(np.abs(times - truth[after]), np.abs(times - truth[after - 1]))
        return times[(distance > _NEGATIVE_DISTANCE_S) & (times > truth[0]) & (times < truth[-1])]

    false_alarms = far(found)
    limit = int(_NEGATIVE_SHARE * len(file.times_s))
    if len(false_alarms) > limit:
        false_alarms = rng.choice(false_alarms, limit, replace=False)
    return np.sort(np.concatenate([false_alarms, far(random)]))


def _segments(onsets: np.ndarray, length: int) -> Iterator[tuple[int, int, np.ndarray]]:
    """Merged stretches around the onsets: (first sample, past-the-last, indices of the onsets inside)."""
    before, after = int(_KEEP_BEFORE_S * SAMPLE_RATE), int(_KEEP_AFTER_S * SAMPLE_RATE)
    starts, ends = np.maximum(onsets - before, 0), np.minimum(onsets + after, length)
    new = np.flatnonzero(np.r_[True, starts[1:] > ends[:-1]])
    for first, last in zip(new, np.r_[new[1:], len(onsets)], strict=True):
        yield int(starts[first]), int(ends[last - 1]), np.arange(first, last)


class _Writer:
    """Lays segments end to end into shards and collects the rows."""

    def __init__(self, folder: Path, labels: tuple[str, ...]) -> None:
        self.folder, self.labels = folder, labels
        self.shard, self.position = -1, _SHARD_SAMPLES
        self.rows: dict[str, list[Any]] = {name: [] for name in Moments.__dataclass_fields__}
        self.files: list[str] = []
        self.stream: Any = None
        self.seconds: dict[tuple[str, str], float] = defaultdict(float)

    def _place(self, samples: np.ndarray) -> int:
        if self.position + len(samples) > _SHARD_SAMPLES and self.position > 0:
            self.close()
            self.shard, self.position = self.shard + 1, 0
            self.stream = (self.folder / f"audio-{self.shard:03d}.i16").open("wb")
        self.stream.write(to_int16(samples).astype("<i2").tobytes())
        at, self.position = self.position, self.position + len(samples)
        return at

    def close(self) -> None:
        if self.stream is not None:
            self.stream.close()

    def add(self, file: _File, session: int, audio: np.ndarray, negatives: np.ndarray) -> None:
        """Write one file's segments and rows."""
        self.files.append(file.path)
        times = np.concatenate([np.array(file.times_s), negatives])
        order = np.argsort(times, kind="stable")
        onsets = np.minimum(np.round(times[order] * SAMPLE_RATE).astype(np.int64), len(audio) - 1)
        audio = audio / max(1.0, float(np.abs(audio).max()))  # an ogg may decode past full scale
        for start, end, inside_segment in _segments(onsets, len(audio)):
            offset = self._place(audio[start:end]) - start
            self.seconds[(file.session, file.source)] += (end - start) / SAMPLE_RATE
            for number in inside_segment:
                source = int(order[number])
                hit = file.components[source] if source < len(file.times_s) else []
                labels, velocity, openness = self._targets(hit)
                row: dict[str, Any] = {
                    "shard": self.shard, "onset": onsets[number] + offset, "start": start + offset,
                    "end": end + offset, "labels": labels, "velocity": velocity, "openness": openness,
                    "split": 0, "session": session, "audio_file": len(self.files) - 1,
                    "onset_s": times[source], "isolated": len(file.times_s) == 1,
                }  # fmt: skip
                for name, value in row.items():
                    self.rows[name].append(value)

    def _targets(self, components: list[Any]) -> tuple[np.ndarray, np.ndarray, float]:
        labels = np.zeros(len(self.labels), np.uint8)
        velocity = np.full(len(self.labels), np.nan, np.float32)
        openness = float("nan")
        for component in components:
            folded = taxonomy.fold(component.label, "classifier")
            if folded is None:
                continue
            column = self.labels.index(folded)
            labels[column] = 1
            if component.velocity is not None:
                velocity[column] = np.nanmax([velocity[column], component.velocity])
            if component.openness is not None and taxonomy.is_hihat(component.label):
                openness = component.openness
        return labels, velocity, openness

    def columns(self) -> dict[str, np.ndarray]:
        types = {
            "shard": np.int32, "onset": np.int64, "start": np.int64, "end": np.int64, "labels": np.uint8,
            "velocity": np.float32, "openness": np.float32, "split": np.uint8, "session": np.int32,
            "audio_file": np.int32, "onset_s": np.float64, "isolated": np.bool_,
        }  # fmt: skip
        return {name: np.array(values, dtype=types[name]) for name, values in self.rows.items()}


def _check_replaceable(output: Path) -> None:
    """Refuse a file, or a folder that holds anything but a dataset."""
    if output.exists() and not output.is_dir():
        raise InputError(f"{output}: is a file, not a folder that a dataset can be written to")
    if output.exists() and not (output / "metadata.json").is_file() and any(output.iterdir()):
        raise InputError(f"{output}: exists and is not a dataset; choose another folder")


def _replace_folder(finished: Path, output: Path) -> None:
    """Put a finished folder in place of an older dataset; nothing else is ever removed."""
    _check_replaceable(output)
    if output.exists():
        old = Path(tempfile.mkdtemp(prefix=f".{output.name}.old.", dir=output.parent))
        output.rename(old / "dataset")
        finished.rename(output)
        shutil.rmtree(old)
    else:
        finished.rename(output)


def build_dataset(
    events: Sequence[Event],
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
    """Build a dataset folder; the old one, if any, stays until the new one is complete.

    Args:
        events: labelled moments; ``audio_path`` is relative to ``audio_root`` and must stay inside it.
        audio_root: folder of the audio.
        output: folder to write.
        val_fraction, test_fraction: share of moments to hold out, by whole sessions; sessions that share
            a drummer, kit or room go to one side where that leaves enough (:mod:`beatsight.dataset.splits`).
        test_sessions: sessions that are the test split, whatever the fractions.
        splits: the split of every session, instead of fractions and ``test_sessions``; None leaves one out.
        seed: of the split and of the negative examples.
        progress: called with (files done, files in all).

    Raises:
        InputError: no events, unknown labels, audio missing or damaged, an onset after the file's end,
            sessions unknown to ``splits`` or the other way round.
    """
    if not events:
        raise InputError(f"{output}: no events to build a dataset from")
    if not (0 <= val_fraction < 1 and 0 <= test_fraction < 1 and val_fraction + test_fraction < 1):
        raise InputError("val_fraction and test_fraction must lie in 0..1 and leave something to train on")
    if seed < 0:
        raise InputError(f"seed must not be negative, not {seed}")
    if splits is not None:
        if test_sessions:
            raise UsageError("splits says where every session goes, so test_sessions cannot be given as well")
        check_splits(splits, {event.session_id for event in events}, "splits")
        events = [event for event in events if splits[event.session_id] is not None]
    files = _group(events)
    sessions = sorted({file.session for file in files})
    if unknown := set(test_sessions) - set(sessions):
        raise InputError(f"test session {min(unknown)!r} is not among the events' sessions")
    plan = SplitPlan((val_fraction, test_fraction), tuple(test_sessions), splits, seed, events)
    output = Path(output).resolve()
    try:
        _check_replaceable(output)
        output.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{output.name}.", dir=output.parent))
    except OSError as error:
        raise InputError(f"{output}: cannot be written: {error.strerror or error}") from error
    writer = _Writer(work, taxonomy.CLASSIFIER)
    try:
        for done, file in enumerate(files):
            path = inside(audio_root, file.path)
            audio = load(path)
            late = [time for time in file.times_s if time * SAMPLE_RATE >= len(audio)]
            if late:
                raise InputError(
                    f"{path}: an event lies at {late[0]:.3f} s, after the end of the audio "
                    f"({len(audio) / SAMPLE_RATE:.3f} s)"
                )
            rng = np.random.default_rng([seed, done])
            writer.add(file, sessions.index(file.session), audio, _negatives(file, audio, rng))
            if progress:
                progress(done + 1, len(files))
        writer.close()
        _finish(writer, work, sessions, plan)
        work.chmod(0o755)
        _replace_folder(work, output)
    except OSError as error:
        raise InputError(f"{output}: cannot be written: {error.strerror or error}") from error
    finally:
        writer.close()
        shutil.rmtree(work, ignore_errors=True)
    return open_dataset(output)


def _finish(writer: _Writer, folder: Path, sessions: list[str], plan: SplitPlan) -> None:
    """Split, then write moments.npz and metadata.json."""
    columns = writer.columns()
    split, notes = plan.split(sessions, columns["session"], columns["labels"])
    columns["split"] = split
    np.savez(folder / "moments.npz", **columns)  # type: ignore[arg-type]
    by_split: dict[str, np.ndarray] = {name: split == index for index, name in enumerate(SPLITS)}
    members = {
        name: [sessions[i] for i in np.unique(columns["session"][rows])] for name, rows in by_split.items()
    }
    seconds_by_source: dict[str, float] = defaultdict(float)
    for (_, source), seconds in writer.seconds.items():
        seconds_by_source[source] += seconds
    train_counts = columns["labels"][by_split["train"]].sum(axis=0)
    metadata = Metadata(
        format_version=FORMAT_VERSION,
        program_version=VERSION,
        taxonomy_digest=taxonomy.digest(),
        labels=list(writer.labels),
        sample_rate=SAMPLE_RATE,
        moments={name: int(rows.sum()) for name, rows in by_split.items()},
        label_counts={
            name: dict(zip(writer.labels, columns["labels"][rows].sum(axis=0).tolist(), strict=True))
            for name, rows in by_split.items()
        },
        sessions=members,
        files=writer.files,
        split_durations_seconds={
            name: round(sum(s for (session, _), s in writer.seconds.items() if session in members[name]), 3)
            for name in SPLITS
        },
        duration_seconds_by_source={name: round(value, 3) for name, value in seconds_by_source.items()},
        notes=notes,
        build={
            "val_fraction": plan.fractions[0],
            "test_fraction": plan.fractions[1],
            "seed": plan.seed,
            "given_split": plan.splits is not None,
        },
        sha256={path.name: sha256_file(path) for path in sorted(folder.iterdir())},
        untrained_labels=[label for label, n in zip(writer.labels, train_counts, strict=True) if n == 0],
    )
    (folder / "metadata.json").write_bytes(msgspec.json.format(msgspec.json.encode(metadata), indent=2))
