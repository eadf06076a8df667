"""Sound files to arrays and back: decode, mix to mono, resample, stream, write.

Conventions: samples are float32, full scale ±1; one working rate (44.1 kHz) for everything that a model sees.
Decoding is libsndfile's (wav, flac, ogg, mp3, …), resampling soxr's high-quality setting. Whole-file and
streamed reading give the same samples.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr

from beatsight.errors import InputError
from beatsight.files import atomic_path

SAMPLE_RATE = 44_100
_QUALITY = "HQ"
_BLOCK_S = 10.0
# What libsndfile reads that users have; used to find audio in folders.
# A power of a window of such samples still is a finite float32; full scale is 1.
_LOUDEST = 1e9
AUDIO_SUFFIXES = frozenset({".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff"})
# An MP3 states its length by estimate; the others exactly.
_LENGTH_IS_ESTIMATE = frozenset({"MP3", "MPEG"})
# libsndfile quietly shortens a wav whose data chunk says more than there is; its log tells. A recorder that
# writes to a pipe cannot know the length and states 0 or about 2**31 or 2**32: such a file is whole.
_WAV_SHORTENED = re.compile(r"^data : (\d+) \(should be (\d+)\)", re.MULTILINE)
_LENGTH_UNKNOWN_BYTES = 0x7FFF_0000


@dataclass(frozen=True)
class AudioInfo:
    """What a file's header says: rate in Hz, channel count, length in frames, container format."""

    sample_rate: int
    channels: int
    frames: int
    format: str

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.frames / self.sample_rate


@contextmanager
def _opened(path: Path) -> Iterator[soundfile.SoundFile]:
    try:
        size = path.stat().st_size
    except OSError as error:
        why = "no such audio file" if isinstance(error, FileNotFoundError) else error.strerror or str(error)
        raise InputError(f"{path}: {why}") from error
    if not path.is_file():
        raise InputError(f"{path}: no such audio file")
    if size == 0:
        raise InputError(f"{path}: is an empty file, not audio")
    try:
        with soundfile.SoundFile(path) as file:
            if file.frames == 0:
                raise InputError(f"{path}: holds no audio samples")
            if cut := _WAV_SHORTENED.search(file.extra_info):
                stated, there = int(cut[1]), int(cut[2])
                if there < stated < _LENGTH_UNKNOWN_BYTES:
                    raise InputError(f"{path}: is cut short: {there} of {stated} bytes of sound are there")
            yield file
    except soundfile.LibsndfileError as error:
        raise InputError(
            f"{path}: cannot be decoded as audio ({error.error_string.rstrip('. ')}); "
            "wav, flac, ogg and mp3 can"
        ) from error
    except TypeError as error:  # a name such as .raw: soundfile wants to be told rate and format
        raise InputError(f"{path}: has no header that says its rate and format") from error


def probe(path: str | os.PathLike[str]) -> AudioInfo:
    """Read a file's header only.

    Raises:
        InputError: missing, empty, or not audio.
    """
    with _opened(Path(path)) as file:
        return AudioInfo(file.samplerate, file.channels, file.frames, file.format)


def first_fault(block: np.ndarray) -> tuple[int, str] | None:
    """The first frame of a block, shape (frames, channels), that is no sound, and what is wrong with it."""
    good = np.abs(block) <= _LOUDEST  # not so for NaN
    if good.all():
        return None
    frame = int(np.flatnonzero(~good.all(axis=1))[0])
    finite = bool(np.isfinite(block[frame]).all())
    return frame, "is far louder than any sound" if finite else "is not a finite number"


def _blocks(path: Path, file: soundfile.SoundFile, block_s: float) -> Iterator[np.ndarray]:
    """Raw blocks, shape (frames, channels), each checked; a file shorter than it says is refused."""
    done = 0
    block_frames = max(1, int(block_s * file.samplerate))
    while True:
        block = file.read(block_frames, dtype="float32", always_2d=True)
        if not len(block):
            break
        if fault := first_fault(block):
            bad = done + fault[0]
            raise InputError(f"{path}: sample {bad} ({bad / file.samplerate:.3f} s) {fault[1]}")
        done += len(block)
        yield block
    if done == 0:
        raise InputError(f"{path}: holds no audio samples")
    if done < file.frames and file.format not in _LENGTH_IS_ESTIMATE:
        raise InputError(
            f"{path}: is cut short: {done / file.samplerate:.3f} s of "
            f"{file.frames / file.samplerate:.3f} s could be read"
        )


def stream(
    path: str | os.PathLike[str], sample_rate: int = SAMPLE_RATE, block_s: float = _BLOCK_S
) -> Iterator[np.ndarray]:
    """Mono blocks of a file at ``sample_rate``: memory stays that of one block, however long the file.

    Args:
        path: any file libsndfile reads.
        sample_rate: of the blocks, in Hz.
        block_s: length of the blocks read, in seconds (the blocks yielded vary a little by resampling).

    Yields:
        float32 arrays, shape (frames,); joined they equal :func:`load`.

    Raises:
        InputError: missing, empty, damaged, cut short, or holding NaN or infinity.
    """
    path = Path(path)
    with _opened(path) as file:
        resampler = None
        if file.samplerate != sample_rate:
            resampler = soxr.ResampleStream(file.samplerate, sample_rate, 1, "float32", _QUALITY)
        for block in _blocks(path, file, block_s):
            mono = block.mean(axis=1, dtype=np.float32) if block.shape[1] > 1 else block[:, 0]
            if resampler is not None:
                mono = resampler.resample_chunk(mono)
            if len(mono):
                yield mono
        if resampler is not None and len(tail := resampler.resample_chunk(np.zeros(0, np.float32), True)):
            yield tail


def stream_channels(path: str | os.PathLike[str], block_s: float = _BLOCK_S) -> Iterator[np.ndarray]:
    """All channels of a file at its own rate, block by block.

    Args:
        path: any file libsndfile reads.
        block_s: length of the blocks, in seconds.

    Yields:
        float32 arrays, shape (frames, channels).

    Raises:
        InputError: as :func:`stream`.
    """
    path = Path(path)
    with _opened(path) as file:
        yield from _blocks(path, file, block_s)


def load(path: str | os.PathLike[str], sample_rate: int = SAMPLE_RATE) -> np.ndarray:
    """The whole file as mono float32 at ``sample_rate``, shape (frames,); errors as :func:`stream`."""
    return np.concatenate(list(stream(path, sample_rate)))


def load_channels(path: str | os.PathLike[str]) -> tuple[np.ndarray, int]:
    """All channels at the file's own rate: float32 array of shape (channels, frames), and the rate in Hz."""
    path = Path(path)
    with _opened(path) as file:
        blocks = list(_blocks(path, file, _BLOCK_S))
        return np.ascontiguousarray(np.concatenate(blocks).T), file.samplerate


def resample(audio: np.ndarray, from_hz: int, to_hz: int) -> np.ndarray:
    """Resample along the last axis: shape (frames,) or (channels, frames), float32."""
    if from_hz == to_hz:
        return audio.astype(np.float32, copy=False)
    return np.ascontiguousarray(soxr.resample(audio.T.astype(np.float32), from_hz, to_hz, _QUALITY).T)


def save(
    path: str | os.PathLike[str],
    audio: np.ndarray,
    sample_rate: int = SAMPLE_RATE,
    subtype: str = "PCM_16",
) -> None:
    """Write (frames,) or (channels, frames) to wav, flac or ogg by the file's suffix, aside and renamed.

    Values beyond ±1 are clipped, as integer formats must.
    """
    path = Path(path)
    data = np.clip(np.asarray(audio, dtype=np.float32), -1.0, 1.0).T
    with atomic_path(path) as temporary:
        try:
            subtype = "VORBIS" if path.suffix.lower() == ".ogg" else subtype
            channels = 1 if data.ndim == 1 else data.shape[1]
            with soundfile.SoundFile(temporary, "w", sample_rate, channels, subtype) as out:
                # libsndfile's Vorbis encoder overruns its stack when it is given minutes at once.
                for start in range(0, len(data), sample_rate):
                    out.write(data[start : start + sample_rate])
        except (soundfile.LibsndfileError, ValueError, TypeError) as error:
            raise InputError(f"{path}: cannot be written as audio: {error}") from error


def find_audio(folder: str | os.PathLike[str]) -> list[Path]:
    """All audio files under a folder, in the order of their paths."""
    return sorted(p for p in Path(folder).rglob("*") if p.suffix.lower() in AUDIO_SUFFIXES and p.is_file())
