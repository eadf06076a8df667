"""``beatsight transcribe --stream``: hits as lines of JSON while the music plays."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import cast

import msgspec
import numpy as np

from beatsight.audio.io import SAMPLE_RATE, stream
from beatsight.cli.console import counted, note
from beatsight.errors import UsageError
from beatsight.transcription.choice import Choice, choose_listener
from beatsight.transcription.live import MICROPHONE_PIECE, listen, microphone_pieces
from beatsight.transcription.pcm import (
    RAW_FORMATS,
    Bytes,
    PcmFormat,
    pcm_pieces,
    read_wav_header,
    working_pieces,
)

STDIN = "-"
# Of a file, which is read as fast as it is worked on.
_FILE_PIECE_S = 0.1


@dataclass(frozen=True)
class Source:
    """Where the sound comes from.

    Attributes:
        song: a file, or ``-`` for standard input; None for the microphone.
        rate, form, channels: of raw samples on standard input; rate and form None for a WAV.
    """

    song: Path | None
    rate: int | None = None
    form: str | None = None
    channels: int = 1

    def __post_init__(self) -> None:
        raw = self.rate is not None or self.form is not None
        if raw and str(self.song) != STDIN:
            raise UsageError("--rate and a raw --format are for sound on standard input: give - as the song")
        if raw and (self.rate is None or self.form is None):
            raise UsageError(f"raw samples need both --rate HZ and --format {' or '.join(RAW_FORMATS)}")
        if raw and self.form not in RAW_FORMATS:
            raise UsageError(f"raw samples are {' or '.join(RAW_FORMATS)}, not {self.form!r}")


class _Stop:
    """Ctrl-C (or a polite kill) ends the sound, not the program: what was heard is still answered."""

    def __init__(self) -> None:
        self.asked = False
        self._waiting = False

    def __call__(self) -> bool:
        return self.asked

    def heard(self, number: int, frame: FrameType | None) -> None:
        """A signal came: while waiting for sound, wait no longer."""
        self.asked = True
        if self._waiting:
            raise KeyboardInterrupt

    def reading(self, pieces: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """The pieces, until asked to stop."""
        source = iter(pieces)
        while not self.asked:
            try:
                self._waiting = True
                piece = next(source, None)
                self._waiting = False
            except KeyboardInterrupt:
                self._waiting = False
                return
            if piece is None:
                return
            yield piece


def run_stream(source: Source, choice: Choice, vocabulary: str) -> None:
    """Print the hits of a source until it ends, Ctrl-C is pressed or nobody reads them any more."""
    transcriber = choose_listener(choice)
    left_out: Counter[str] = Counter()
    labels: Counter[str] = Counter()
    with _stoppable() as stop:
        pieces = _pieces(source, stop, transcriber.delay_s, transcriber.name)
        try:
            for line in listen(stop.reading(pieces), transcriber, vocabulary, left_out):
                labels[line.label] += 1
                sys.stdout.write(msgspec.json.encode(line).decode() + "\n")
                sys.stdout.flush()
        except BrokenPipeError:
            # Nobody listens any more; what Python writes when it ends must not complain either.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    kinds = ", ".join(f"{label} {count}" for label, count in labels.most_common())
    unnamed = ", ".join(f"{label} {count}" for label, count in left_out.most_common())
    total = counted(labels.total(), "hit")
    note(f"{total}{f' ({kinds})' if kinds else ''}{f'; left out: {unnamed}' if unnamed else ''}")


@contextmanager
def _stoppable() -> Iterator[_Stop]:
    stop = _Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.signal(number, stop.heard) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _pieces(source: Source, stop: _Stop, delay_s: float, name: str) -> Iterator[np.ndarray]:
    """Mono pieces at 44.1 kHz; what is listened to, and how late hits are, is said first."""

    def tell(what: str, more: str) -> None:
        note(f"{name}: {what}; a hit is known {1000 * delay_s:.0f} ms after it sounds, and {more}")

    if source.song is None:
        piece_ms = 1000 * MICROPHONE_PIECE / SAMPLE_RATE
        tell("the microphone", f"{piece_ms:.0f} ms for the pieces it comes in; Ctrl-C stops")
        yield from microphone_pieces(stop)
    elif str(source.song) == STDIN:
        pipe = cast(Bytes, sys.stdin.buffer)
        if source.rate is not None and source.form is not None:
            form = PcmFormat(source.rate, source.channels, source.form)
        else:
            form = read_wav_header(pipe)
        more = "the length of the pieces that arrive"
        more += "" if form.rate == SAMPLE_RATE else ", and some 20 ms for resampling"
        tell(f"standard input, {form.sample} at {form.rate} Hz, {counted(form.channels, 'channel')}", more)
        yield from working_pieces(pcm_pieces(pipe, form, stop), form.rate)
    else:
        tell(str(source.song), "a file waits for nobody")
        yield from stream(source.song, block_s=_FILE_PIECE_S)
