"""Hits by the network that hears the whole song: mel levels, activations, peaks, each as the audio comes.

A model file that comes with the package is the default. Two forms may be there: the offline one sees seconds
ahead, the streaming one answers within a tenth of a second.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from importlib import resources
from pathlib import Path

import msgspec
import numpy as np

from beatsight.audio.frames import LevelStream, stream_levels
from beatsight.audio.io import SAMPLE_RATE
from beatsight.errors import InputError
from beatsight.files import sha256_file
from beatsight.models.song_model import SongModel, read_song_model
from beatsight.models.song_velocity import ATTACK_FRAMES
from beatsight.transcription.decoding import EDGE, Decoder
from beatsight.transcription.engine import AS_THEY_COME, Engine
from beatsight.transcription.hits import Hit
from beatsight.transcription.runners import Runner, runner_of
from beatsight.transcription.song_velocities import HeldLevels, SongVelocities
from beatsight.version import VERSION

_WEIGHTS = "weights"
_OFFLINE, _STREAMING = "transcriber.safetensors", "transcriber-streaming.safetensors"


class SongTranscriber:
    """Transcriber by a frame-level network.

    Args:
        model: from :func:`~beatsight.models.song_model.read_song_model`.
        name: what charts say of it.
        runner: what runs the network; NumPy by default.
    """

    is_model = True

    def __init__(self, model: SongModel, name: str, runner: Runner | None = None) -> None:
        self.model, self.name = model, name
        self._runner: Runner = runner or Engine(model)
        self.device = self._runner.device

    def find_hits(self, pieces: Iterable[np.ndarray]) -> Iterator[list[Hit]]:
        """Hits of a song; see :class:`~.transcriber.Transcriber`.

        Yields:
            block by block; at the song's end, still block by block, where the model file says how velocities
            are told from the whole song.
        """
        levels = stream_levels(pieces, LevelStream(self.model.frames))
        settings = self.model.settings
        if not settings.song_velocities:
            yield from Decoder(self.model).hits(self._activations(levels))
            return
        held = HeldLevels(levels)
        velocities = SongVelocities(settings.groups, settings.song_velocities)
        for decided, struck in Decoder(self.model).strokes(self._activations(held)):
            velocities.add(struck, held)
            held.forget(decided + int(ATTACK_FRAMES[0]))
        yield from velocities.hits()

    def _activations(self, levels: Iterable[np.ndarray]) -> Iterable[np.ndarray]:
        heard = self._runner.stream(levels)
        for each in self.model.settings.filters():
            heard = each.stream(heard)
        return heard

    def listen(self, pieces: Iterable[np.ndarray]) -> Iterator[list[Hit]]:
        """Hits of audio that is being played: each within :attr:`delay_s` and the length of a piece.

        Velocities are what the network says, and nothing counts that the rest of the song would tell
        (repetition, ostinati, whether anybody drums), since it is not known yet.
        """
        levels = stream_levels(pieces, LevelStream(self.model.frames))
        settings = self.model.settings
        at_once = msgspec.structs.replace(
            settings, thresholds=settings.listening_thresholds or settings.thresholds
        )
        decoder = Decoder(replace(self.model, settings=at_once))
        return decoder.hits(Engine(self.model).stream(levels, AS_THEY_COME))

    @property
    def delay_s(self) -> float:
        """How much later audio :meth:`listen` must have before it reports a hit, in seconds: half a window,
        the network's look-ahead, and the frames that make a peak sure."""
        frames = self.model.frames
        ahead = (self.model.network.context()[1] + EDGE) * frames.hop_length
        return (frames.n_fft / 2 + ahead) / frames.sample_rate


def load_song_transcriber(
    path: str | os.PathLike[str], *, engine: str | None = None, device: str = "auto", name: str | None = None
) -> SongTranscriber:
    """A transcriber from its model file.

    Args:
        path: a transcriber's ``.safetensors``.
        engine, device: see :func:`~beatsight.transcription.runners.runner_of`.
        name: what charts say of it, to which the file's hash is added; by default the file's name.

    Raises:
        InputError: the file cannot be used.
        MissingDependencyError: the engine's package is not installed.
    """
    model = read_song_model(path)
    if model.frames.sample_rate != SAMPLE_RATE:
        raise InputError(f"{path}: the model wants {model.frames.sample_rate} Hz audio, not {SAMPLE_RATE} Hz")
    said = name or f"transcriber {Path(path).name}"
    return SongTranscriber(model, f"{said} sha256:{sha256_file(path)[:12]}", runner_of(model, engine, device))


def shipped_transcriber(
    *, engine: str | None = None, device: str = "auto", streaming: bool = False
) -> SongTranscriber:
    """The transcriber that comes with the package.

    Args:
        engine, device: see :func:`~beatsight.transcription.runners.runner_of`.
        streaming: the one with the short look-ahead, where the package has one; else the offline one.

    Raises:
        InputError: the package was installed without it.
    """
    folder = resources.files("beatsight") / _WEIGHTS
    file = folder / _STREAMING
    if not (streaming and file.is_file()):
        file = folder / _OFFLINE
    if not file.is_file():
        raise InputError("this installation has no transcriber model; name one with --ml-model")
    kind = "streaming transcriber" if file.name == _STREAMING else "transcriber"
    with ExitStack() as stack:
        path = stack.enter_context(resources.as_file(file))
        return load_song_transcriber(path, engine=engine, device=device, name=f"beatsight {kind} {VERSION}")
