"""Sound from a pipe: raw samples, or a WAV whose length nobody knows yet, as pieces of mono at 44.1 kHz.

Nothing is sought or read ahead: what the other end has sent is handed on at once, and what arrives while a
piece is worked on waits in the pipe. WAV: RIFF with 16, 24 or 32 bit integers or 32 bit floats, also as
WAVE_FORMAT_EXTENSIBLE; the length it states is not looked at, since a recorder that writes to a pipe cannot
know it. Source: Multimedia Programming Interface and Data Specifications 1.0 (IBM and Microsoft, 1991), and
its 1994 update.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import soxr

from beatsight.audio.io import SAMPLE_RATE, first_fault
from beatsight.errors import InputError

# Samples of a channel, by the names that ffmpeg and arecord give them: bytes each.
_BYTES = {"s16le": 2, "s24le": 3, "s32le": 4, "f32le": 4}
RAW_FORMATS = ("s16le", "f32le")
RATES_HZ = (4_000, 768_000)
MOST_CHANNELS = 64
# More waits in the pipe: a piece that long is worked on before the next is read.
_MOST_BYTES = 1 << 16
_INTEGER, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_QUALITY = "HQ"


class Bytes(Protocol):
    """A binary stream, as ``sys.stdin.buffer`` is one."""

    def read(self, size: int, /) -> bytes:
        """So many bytes, fewer at the end only."""

    def read1(self, size: int, /) -> bytes:
        """What is there, at least a byte and at most so many; nothing at the end."""


@dataclass(frozen=True)
class PcmFormat:
    """Samples of a stream: ``sample`` is ``s16le``, ``s24le``, ``s32le`` or ``f32le``; channels alternate."""

    rate: int
    channels: int
    sample: str

    def __post_init__(self) -> None:
        if self.sample not in _BYTES:
            raise InputError(f"unknown sample format {self.sample!r}; known: {', '.join(_BYTES)}")
        if not RATES_HZ[0] <= self.rate <= RATES_HZ[1]:
            raise InputError(f"a rate of {self.rate} Hz; between {RATES_HZ[0]} and {RATES_HZ[1]} can be read")
        if not 1 <= self.channels <= MOST_CHANNELS:
            raise InputError(f"{self.channels} channels; between 1 and {MOST_CHANNELS} can be read")

    @property
    def frame_bytes(self) -> int:
        """Bytes of one sample of every channel."""
        return _BYTES[self.sample] * self.channels

    def decoded(self, data: bytes) -> np.ndarray:
        """Samples, full scale ±1, float32, shape (frames, channels)."""
        if self.sample == "s24le":
            low = np.frombuffer(data, np.uint8).reshape(-1, 3).astype(np.int32)
            values = ((low[:, 0] << 8 | low[:, 1] << 16 | low[:, 2] << 24) / 2.0**31).astype(np.float32)
        elif self.sample == "f32le":
            values = np.frombuffer(data, "<f4").astype(np.float32)
        else:
            kind = "<i2" if self.sample == "s16le" else "<i4"
            values = (np.frombuffer(data, kind) / 2.0 ** (8 * _BYTES[self.sample] - 1)).astype(np.float32)
        return values.reshape(-1, self.channels)


def read_wav_header(stream: Bytes, name: str = "standard input") -> PcmFormat:
    """Read a WAV file's head, up to its samples.

    Raises:
        InputError: it is no WAV, ends early, or holds another kind of samples.
    """
    riff = stream.read(12)
    if len(riff) < 12 or riff[:4] != b"RIFF" or riff[8:] != b"WAVE":
        raise InputError(f"{name}: is no WAV; raw samples need --rate and --format")
    found: PcmFormat | None = None
    while True:
        head = stream.read(8)
        if len(head) < 8:
            raise InputError(f"{name}: ends before its samples")
        size = struct.unpack("<I", head[4:])[0]
        if head[:4] == b"data":
            if found is None:
                raise InputError(f"{name}: does not say what its samples are")
            return found
        body = _body(stream, size + size % 2, name)
        if head[:4] == b"fmt ":
            found = _format(body, name)


def _body(stream: Bytes, size: int, name: str) -> bytes:
    """A chunk before the samples; its first bytes are kept, the rest is passed over."""
    kept = b""
    while size > 0:
        data = stream.read(min(size, _MOST_BYTES))
        if not data:
            raise InputError(f"{name}: ends before its samples")
        kept, size = kept or data, size - len(data)
    return kept


def _format(body: bytes, name: str) -> PcmFormat:
    if len(body) < 16:
        raise InputError(f"{name}: its format chunk is cut short")
    kind, channels, rate, _, _, bits = struct.unpack("<HHIIHH", body[:16])
    if kind == _EXTENSIBLE and len(body) >= 26:
        kind = struct.unpack("<H", body[24:26])[0]
    sample = {
        (_INTEGER, 16): "s16le",
        (_INTEGER, 24): "s24le",
        (_INTEGER, 32): "s32le",
        (_FLOAT, 32): "f32le",
    }
    if (kind, bits) not in sample:
        raise InputError(f"{name}: holds samples of kind {kind} with {bits} bits, which cannot be read")
    try:
        return PcmFormat(rate, channels, sample[kind, bits])
    except InputError as error:
        raise InputError(f"{name}: says {error}") from None


def pcm_pieces(
    stream: Bytes, form: PcmFormat, stopped: Callable[[], bool] = lambda: False, name: str = "standard input"
) -> Iterator[np.ndarray]:
    """Samples as they arrive, shape (frames, channels) each, float32, at the stream's own rate.

    A last frame that is cut short is dropped.

    Args:
        stream: after its head, if it has one.
        form: of the samples.
        stopped: asked before each reading whether to end.
        name: for errors.

    Raises:
        InputError: a sample is not a finite number, or absurdly large.
    """
    held, done = b"", 0
    while not stopped() and (data := stream.read1(_MOST_BYTES)):
        held += data
        whole = len(held) // form.frame_bytes * form.frame_bytes
        frames = form.decoded(held[:whole])
        if fault := first_fault(frames):
            bad = done + fault[0]
            raise InputError(f"{name}: sample {bad} ({bad / form.rate:.3f} s) {fault[1]}")
        held, done = held[whole:], done + len(frames)
        if len(frames):
            yield frames


def working_pieces(pieces: Iterable[np.ndarray], rate: int) -> Iterator[np.ndarray]:
    """Pieces of shape (frames, channels) at ``rate`` as mono at 44.1 kHz, shape (frames,), float32.

    At 44.1 kHz nothing is delayed; else the resampler holds back what it needs, some hundredths of a second.
    """
    resampler = (
        None if rate == SAMPLE_RATE else soxr.ResampleStream(rate, SAMPLE_RATE, 1, "float32", _QUALITY)
    )
    for piece in pieces:
        mono = piece.mean(axis=1, dtype=np.float32) if piece.shape[1] > 1 else piece[:, 0]
        if resampler is not None:
            mono = resampler.resample_chunk(np.ascontiguousarray(mono))
        if len(mono):
            yield mono
    if resampler is not None and len(tail := resampler.resample_chunk(np.zeros(0, np.float32), True)):
        yield tail
