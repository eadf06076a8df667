"""Sound from a pipe: what an independent reader makes of the same bytes, whatever pieces they come in."""

from __future__ import annotations

import io
import struct
import sys

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from beatsight.audio.io import SAMPLE_RATE, resample
from beatsight.errors import BeatSightError, InputError, MissingDependencyError
from beatsight.transcription.live import MICROPHONE_PIECE, microphone_pieces
from beatsight.transcription.pcm import PcmFormat, pcm_pieces, read_wav_header, working_pieces


class Pipe:
    """Bytes that arrive in pieces of the lengths given, then all the rest."""

    def __init__(self, data: bytes, lengths: list[int] | None = None) -> None:
        self._stream, self._lengths = io.BytesIO(data), list(lengths or [])

    def read(self, size: int) -> bytes:
        return self._stream.read(size)

    def read1(self, size: int) -> bytes:
        return self._stream.read(min(size, self._lengths.pop(0) if self._lengths else size))


def wav(audio: np.ndarray, rate: int, subtype: str, kind: str = "WAV") -> bytes:
    out = io.BytesIO()
    soundfile.write(out, audio, rate, format=kind, subtype=subtype)
    return out.getvalue()


@pytest.mark.parametrize("kind", ["WAV", "WAVEX"])
@pytest.mark.parametrize(
    ("subtype", "sample"), [("PCM_16", "s16le"), ("PCM_24", "s24le"), ("PCM_32", "s32le"), ("FLOAT", "f32le")]
)
@pytest.mark.parametrize("channels", [1, 2])
def test_a_wav_is_read_as_libsndfile_reads_it(kind: str, subtype: str, sample: str, channels: int) -> None:
    audio = np.random.default_rng(0).uniform(-1, 1, (700, channels))
    data = wav(audio, 48_000, subtype, kind)
    pipe = Pipe(data, [1, 5, 100])
    form = read_wav_header(pipe)
    assert form == PcmFormat(48_000, channels, sample)
    found = np.concatenate(list(pcm_pieces(pipe, form)))[:700]
    expected, _ = soundfile.read(io.BytesIO(data), dtype="float32", always_2d=True)
    assert found.dtype == np.float32 and np.array_equal(found, expected)


@given(lengths=st.lists(st.integers(1, 50), max_size=30), channels=st.integers(1, 3))
@settings(max_examples=40)
def test_pieces_join_to_the_whole(lengths: list[int], channels: int) -> None:
    samples = np.random.default_rng(1).integers(-32768, 32767, (61, channels), dtype=np.int16)
    data = samples.astype("<i2").tobytes() + b"\x01"  # a last frame cut short
    pieces = list(pcm_pieces(Pipe(data, lengths), PcmFormat(8000, channels, "s16le")))
    assert all(len(piece) for piece in pieces)
    assert np.array_equal(np.concatenate(pieces), samples / np.float32(32768))


def test_a_recorder_that_does_not_know_the_length() -> None:
    data = bytearray(wav(np.full(100, 0.5), 44_100, "PCM_16"))
    at = data.index(b"data")
    data[at + 4 : at + 8] = data[4:8] = b"\xff\xff\xff\xff"
    pipe = Pipe(bytes(data))
    pieces = list(pcm_pieces(pipe, read_wav_header(pipe)))
    assert sum(map(len, pieces)) == 100


def test_chunks_before_the_samples_are_passed_over() -> None:
    whole = wav(np.zeros(4), 44_100, "PCM_16")
    extra = b"LIST" + struct.pack("<I", 5) + b"hello\0"
    assert read_wav_header(Pipe(whole[:12] + extra + whole[12:])) == PcmFormat(44_100, 1, "s16le")


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "is no WAV; raw samples need --rate and --format"),
        (b"ID3 and some mp3", "is no WAV; raw samples need --rate and --format"),
        (b"RIFF\0\0\0\0WAVEfmt ", "ends before its samples"),
        (b"RIFF\0\0\0\0WAVEdata\0\0\0\0", "does not say what its samples are"),
        (b"RIFF\0\0\0\0WAVEfmt \x04\0\0\0abcd", "its format chunk is cut short"),
        (b"RIFF\0\0\0\0WAVELIST\xff\xff\xff\xffabcd", "ends before its samples"),
        (wav(np.zeros(9), 44_100, "ULAW"), "holds samples of kind 7 with 8 bits, which cannot be read"),
        (
            b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0" + struct.pack("<HHIIHH", 1, 0, 44_100, 0, 0, 16),
            "says 0 channels; between 1 and 64 can be read",
        ),
        (
            b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0" + struct.pack("<HHIIHH", 1, 1, 4_000_000_000, 0, 0, 16),
            "says a rate of 4000000000 Hz; between 4000 and 768000 can be read",
        ),
    ],
)
def test_what_is_no_wav(data: bytes, why: str) -> None:
    with pytest.raises(InputError) as caught:
        read_wav_header(Pipe(data))
    assert str(caught.value) == f"standard input: {why}"


def test_numbers_that_are_none() -> None:
    data = np.array([0.0] * 50 + [np.nan], "<f4").tobytes()
    with pytest.raises(InputError, match=r"^standard input: sample 50 \(0\.005 s\) is not a finite number$"):
        list(pcm_pieces(Pipe(data, [40]), PcmFormat(10_000, 1, "f32le")))


def test_it_ends_when_asked() -> None:
    asked = iter([False, False, True])
    pieces = list(pcm_pieces(Pipe(bytes(100), [10] * 10), PcmFormat(8000, 1, "s16le"), lambda: next(asked)))
    assert [len(piece) for piece in pieces] == [5, 5]


def test_mono_at_the_working_rate() -> None:
    rng = np.random.default_rng(0)
    stereo = rng.standard_normal((4000, 2)).astype(np.float32)
    same = list(working_pieces(np.split(stereo, [7, 1000]), SAMPLE_RATE))
    assert [len(piece) for piece in same] == [7, 993, 3000]
    assert np.array_equal(np.concatenate(same), stereo.mean(axis=1, dtype=np.float32))
    other = np.concatenate(list(working_pieces(np.split(stereo, [7, 1000]), 48_000)))
    np.testing.assert_allclose(other, resample(stereo.mean(axis=1), 48_000, SAMPLE_RATE), atol=1e-5)


class Microphone:
    """The part of sounddevice that is used, with three pieces to hear."""

    class PortAudioError(Exception):
        """As the real one."""

    def __init__(self, fault: str = "") -> None:
        self.fault, self.asked = fault, {}  # type: str, dict[str, object]

    def InputStream(self, **asked: object) -> Microphone:
        if self.fault:
            raise self.PortAudioError(self.fault)
        self.asked = asked
        return self

    def __enter__(self) -> None:
        for number in (1.0, 2.0, 3.0):
            data = np.full((MICROPHONE_PIECE, 1), number, np.float32)
            self.asked["callback"](data, len(data), None, None)  # type: ignore[operator]
            data[:] = 0.0  # the sound system uses its memory again

    def __exit__(self, *error: object) -> None:
        pass


def test_the_microphone(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = Microphone()
    monkeypatch.setitem(sys.modules, "sounddevice", fake)  # type: ignore[arg-type]
    heard: list[float] = []
    for piece in microphone_pieces(lambda: len(heard) == 3):
        assert piece.shape == (MICROPHONE_PIECE,)
        heard.append(float(piece[0]))
    assert heard == [1.0, 2.0, 3.0]
    assert (fake.asked["samplerate"], fake.asked["channels"], fake.asked["dtype"]) == (44_100, 1, "float32")
    monkeypatch.setitem(sys.modules, "sounddevice", Microphone("no such device"))  # type: ignore[arg-type]
    with pytest.raises(BeatSightError, match=r"^the microphone cannot be used: no such device$"):
        next(microphone_pieces(lambda: False))
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'beatsight\[live\]'"):
        next(microphone_pieces(lambda: False))
