"""The unfinished dataset: ``NAME.partial`` beside the dataset ``NAME``, from which ``--resume`` goes on.

    .lock             held by the process that builds
    dataset/          the folder that becomes the dataset; audio shards grow in it
    journal           one line of JSON for every audio file whose sound is in the shards
    replaced/         the older dataset, for the moment in which the new one takes its place

A file's sound is written before its line. Whatever moment a build is killed in, the lines that are there
speak of sound that is there; what lies behind it is cut off when the build goes on. A line also names
everything its sound was made from (:func:`fingerprint`): from the first line that no longer fits, the work is
done again.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import msgspec
import numpy as np
import soundfile
import soxr

from beatsight.audio.io import SAMPLE_RATE
from beatsight.dataset.building import cut
from beatsight.dataset.store import FORMAT_VERSION, MOMENT_S
from beatsight.errors import InputError
from beatsight.files import reason
from beatsight.sources.lock import locked
from beatsight.version import VERSION

SHARD_SAMPLES = 1 << 28  # 512 MB a file
_SAMPLE_BYTES = 2
_JOURNAL, _LOCK, _DATASET, _REPLACED = "journal", ".lock", "dataset", "replaced"
# What decides, beside the file and its moments, which samples are kept.
_SETTINGS = (
    FORMAT_VERSION, VERSION, SAMPLE_RATE, MOMENT_S, cut.KEEP_BEFORE_S, cut.KEEP_AFTER_S,
    cut.NEGATIVE_DISTANCE_S, cut.NEGATIVE_SHARE, cut.RANDOM_SHARE, cut.SONG_MOMENTS,
    cut.STRETCH_S, cut.STRETCH_MARGIN_S,
    soundfile.__libsndfile_version__, soxr.__version__,
)  # fmt: skip


class Done(msgspec.Struct):
    """A line of the journal: one audio file whose segments are in the shards.

    Attributes:
        fingerprint: of what they were made from.
        length: samples of the whole file.
        negatives: times without a drum, in seconds.
        crc32: of the segments' bytes.
    """

    fingerprint: str
    length: int
    negatives: list[float]
    crc32: int


def fingerprint(path: Path, times: np.ndarray, hits: np.ndarray, seed: list[int]) -> str:
    """Hex digest of all that decides what is kept of a file; the file itself stands in it by size and times.

    A file that was changed, replaced or touched has another time of change, so its content need not be read.

    Raises:
        OSError: the file is missing.
    """
    status = path.stat()
    facts = [_SETTINGS, str(path), status.st_size, status.st_mtime_ns, status.st_ctime_ns, seed]
    digest = hashlib.sha256(msgspec.msgpack.encode(facts))
    digest.update(times.tobytes())
    digest.update(hits.tobytes())
    return digest.hexdigest()


def partial_folder(output: str | os.PathLike[str]) -> Path:
    """Where the unfinished work on a dataset folder lies."""
    output = Path(output).resolve()
    return output.parent / f"{output.name}.partial"


class Shards:
    """Audio shards of a folder, which grow at the end; a segment lies in one of them as a whole."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.shard, self.position = -1, SHARD_SAMPLES
        self._stream: IO[bytes] | None = None

    def _path(self, shard: int) -> Path:
        return self._folder / f"audio-{shard:03d}.i16"

    def place(self, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where the next segments go, by their lengths: their shards and first samples."""
        shards, offsets = np.empty(len(lengths), np.int32), np.empty(len(lengths), np.int64)
        for number, length in enumerate(lengths.tolist()):
            if self.position + length > SHARD_SAMPLES and self.position > 0:
                self.shard, self.position = self.shard + 1, 0
            shards[number], offsets[number] = self.shard, self.position
            self.position += length
        return shards, offsets

    def write(self, shards: np.ndarray, lengths: np.ndarray, data: bytes) -> None:
        """Append segments that have a place."""
        start, view = 0, memoryview(data)
        for shard in np.unique(shards):
            stop = start + int(lengths[shards == shard].sum()) * _SAMPLE_BYTES
            _write(self._open(int(shard)), view[start:stop])
            start = stop

    def _open(self, shard: int) -> IO[bytes]:
        path = self._path(shard)
        if self._stream is None or self._stream.name != str(path):
            self.close()
            self._stream = path.open("ab", buffering=0)
        return self._stream

    def read(self, shards: np.ndarray, offsets: np.ndarray, lengths: np.ndarray) -> Iterator[bytes]:
        """The bytes of segments that have a place, fewer where there are no more."""
        for shard in np.unique(shards):
            mine = np.flatnonzero(shards == shard)
            size = int(lengths[mine].sum()) * _SAMPLE_BYTES
            path = self._path(int(shard))
            if path.is_file():
                with path.open("rb") as stream:
                    stream.seek(int(offsets[mine[0]]) * _SAMPLE_BYTES)
                    yield stream.read(size)

    def cut_off(self, shard: int, position: int) -> None:
        """Go on at this place: whatever lies behind it is removed."""
        self.close()
        self.shard, self.position = shard, position
        for path in self._folder.iterdir():
            if path.name > self._path(shard).name or shard < 0:
                path.unlink()
        if shard >= 0:
            os.truncate(self._path(shard), position * _SAMPLE_BYTES)

    def close(self) -> None:
        """Close the shard that is open."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None


class Partial:
    """An unfinished dataset that this process holds; see :func:`held`."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.dataset = folder, folder / _DATASET
        self.dataset.mkdir(exist_ok=True)
        self.shards = Shards(self.dataset)
        self._path = folder / _JOURNAL
        self._journal: IO[bytes] | None = None

    def lines(self) -> Iterator[tuple[Done, int]]:
        """What the journal holds, each with the byte behind it; a torn line ends it."""
        if not self._path.is_file():
            return
        end = 0
        with self._path.open("rb") as stream:
            for line in stream:
                end += len(line)
                try:
                    done = msgspec.json.decode(line, type=Done)
                except (msgspec.DecodeError, UnicodeDecodeError):
                    return
                if not line.endswith(b"\n"):
                    return
                yield done, end

    def holds(self, done: Done, shards: np.ndarray, offsets: np.ndarray, lengths: np.ndarray) -> bool:
        """Whether the sound of a line is there, whole and unchanged."""
        crc = 0
        for data in self.shards.read(shards, offsets, lengths):
            crc = zlib.crc32(data, crc)
        return crc == done.crc32

    def go_on(self, journal_end: int, shard: int, position: int) -> None:
        """Cut off everything behind a place, and write from there."""
        self.shards.cut_off(shard, position)
        self._journal = self._path.open("ab", buffering=0)
        self._journal.truncate(journal_end)

    def add(self, done: Done, shards: np.ndarray, lengths: np.ndarray, data: bytes) -> None:
        """Write the sound of one audio file, then its line."""
        assert self._journal is not None
        self.shards.write(shards, lengths, data)
        _write(self._journal, memoryview(msgspec.json.encode(done) + b"\n"))

    def close(self) -> None:
        """Close what is open."""
        self.shards.close()
        if self._journal is not None:
            self._journal.close()

    def put(self, output: Path) -> None:
        """Make the finished dataset take its place; an older one stays until then."""
        check_replaceable(output)
        self.close()
        self.dataset.chmod(0o755)
        old = self.folder / _REPLACED
        if output.exists():
            output.rename(old)
        try:
            self.dataset.rename(output)
        except OSError:
            if old.exists():
                old.rename(output)
            raise
        self._path.unlink()
        shutil.rmtree(self.folder, ignore_errors=True)


def check_replaceable(output: Path) -> None:
    """Refuse a file, or a folder that holds anything but a dataset."""
    if output.exists() and not output.is_dir():
        raise InputError(f"{output}: is a file, not a folder that a dataset can be written to")
    if output.exists() and not (output / "metadata.json").is_file() and any(output.iterdir()):
        raise InputError(f"{output}: exists and is not a dataset; choose another folder")


@contextmanager
def held(output: Path, resume: bool) -> Iterator[Partial]:
    """Hold the unfinished work on ``output``; without ``resume``, what an earlier run left is removed.

    When the block fails, work that is worth going on from stays; otherwise nothing does.

    Raises:
        InputError: the folder cannot be written, is somebody else's, or another process builds in it.
    """
    folder = partial_folder(output)
    try:
        check_replaceable(output)
        if folder.exists() and (not folder.is_dir() or _foreign(folder)):
            raise InputError(f"{folder}: is in the way of an unfinished dataset; move or remove it")
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{output}: cannot be written: {reason(error)}") from error
    with locked(folder, "building this dataset"):
        if not (folder / _LOCK).is_file():
            raise InputError(f"{output}: another process has just built this dataset; try again")
        _recover(folder, output, resume)
        work = Partial(folder)
        try:
            yield work
        finally:
            work.close()
            if folder.exists() and next(work.lines(), None) is None:
                _recover(folder, output, resume=True)
                shutil.rmtree(folder, ignore_errors=True)


def _foreign(folder: Path) -> bool:
    return any(path.name not in (_JOURNAL, _LOCK, _DATASET, _REPLACED) for path in folder.iterdir())


def _recover(folder: Path, output: Path, resume: bool) -> None:
    """Bring back a dataset whose successor never took its place; remove what an earlier run left."""
    if (folder / _REPLACED).exists() and not output.exists():
        (folder / _REPLACED).rename(output)
    shutil.rmtree(folder / _REPLACED, ignore_errors=True)
    if not resume:
        shutil.rmtree(folder / _DATASET, ignore_errors=True)
        (folder / _JOURNAL).unlink(missing_ok=True)


def _write(stream: IO[bytes], data: memoryview) -> None:
    """Write all of it: an unbuffered stream may take a part only."""
    while data:
        data = data[stream.write(data) :]
