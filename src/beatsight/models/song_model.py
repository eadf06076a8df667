"""The transcriber's model file: weights ready for inference, and all that makes hits of activations.

A ``.safetensors`` file; its metadata has one key, ``beatsight``, with a JSON object (:class:`SongSettings`).
Normalisation layers are folded into the convolutions, weights are stored as float16 and used as float32.
Reading needs no torch and unpickles nothing.

Tensors, with C channels in, D out: ``stem.I.weight`` (D, C, 3, 3), ``context.I.conv`` (D, C, kernel),
``context.I.mix`` (D, C), ``enter`` and ``leave`` (D, C); each with a ``….bias`` (D,).
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import numpy as np
import safetensors
from safetensors.numpy import save

from beatsight.audio.frames import FrameConfig
from beatsight.errors import InputError
from beatsight.files import write_bytes
from beatsight.models.song_blocks import BlockFilter
from beatsight.models.song_config import SongNetworkConfig
from beatsight.models.song_labels import GROUPS, articulation_of, group_of
from beatsight.models.song_ostinato import Ostinato, OstinatoConfig
from beatsight.models.song_presence import Presence, PresenceConfig
from beatsight.models.song_repetition import Repetition, RepetitionConfig
from beatsight.models.song_velocity import COEFFICIENTS, PARTS

FORMAT = "beatsight-transcriber"
FORMAT_VERSION = 1
_KEY = "beatsight"
# The largest file that is read: a hundred times the shipped one.
_MOST_BYTES = 1 << 28
# Far more than any network of that size has: channels, bands and frames of a dilation; frames that an output
# depends on (10 minutes); samples of a window.
_MOST_SIZE, _MOST_CONTEXT, _MOST_WINDOW = 1 << 16, 60_000, 1 << 16
_MOST_ODDS = 20.0
_Config = TypeVar("_Config", SongNetworkConfig, FrameConfig)


class SongSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What a model file says beside its weights.

    Attributes:
        format, format_version: of the file.
        program_version: of the beatsight that wrote it.
        network: :class:`SongNetworkConfig` as a dictionary.
        frames: :class:`FrameConfig` as a dictionary.
        level_mean_db, level_spread_db: the network sees (level - mean) / spread.
        groups, articulations: onset outputs, in order.
        thresholds: group -> activation from which on a peak is a hit.
        second_thresholds: articulation -> activation from which on it is a hit of its own beside the
            strongest one of its group.
        listening_thresholds: as ``thresholds``, for hits that are told at once, before the song is known;
            empty where both are the same.
        repetition: how a song's repetition moves its activations; None for not at all.
        ostinato: how even strokes of hats and cymbals do, after repetition; None for not at all.
        presence: how onsets fall where nobody drums, after both; None for not at all.
        offsets_ms: group -> taken off the found times.
        velocity_curves: group -> points (raw, calibrated) of the calibration of velocities, rising.
        openness_curve: likewise for openness.
        song_velocities: group -> numbers that tell velocities once the whole song is known, see
            :func:`beatsight.models.song_velocity.weighed`; a group without them keeps what its curve says.
        training: free facts for the model card.
    """

    format: str = FORMAT
    format_version: int = FORMAT_VERSION
    program_version: str = ""
    network: dict[str, Any] = {}
    frames: dict[str, Any] = {}
    level_mean_db: float = -20.0
    level_spread_db: float = 20.0
    groups: tuple[str, ...] = ()
    articulations: tuple[str, ...] = ()
    thresholds: dict[str, float] = {}
    second_thresholds: dict[str, float] = {}
    listening_thresholds: dict[str, float] = {}
    repetition: RepetitionConfig | None = None
    ostinato: OstinatoConfig | None = None
    presence: PresenceConfig | None = None
    offsets_ms: dict[str, float] = {}
    velocity_curves: dict[str, list[tuple[float, float]]] = {}
    openness_curve: list[tuple[float, float]] = []
    song_velocities: dict[str, list[float]] = {}
    training: dict[str, Any] = {}

    def filters(self) -> list[BlockFilter]:
        """What a whole song tells of its activations: fresh filters, first to last."""
        made: list[BlockFilter] = []
        if self.repetition is not None:
            made.append(Repetition(self.groups, self.repetition))
        if self.ostinato is not None:
            made.append(Ostinato(self.groups, self.ostinato))
        if self.presence is not None:
            made.append(Presence(len(self.groups), len(self.groups) + len(self.articulations), self.presence))
        return made


@dataclass(frozen=True, eq=False)
class SongModel:
    """A transcriber: settings, and float32 weights by name."""

    settings: SongSettings
    network: SongNetworkConfig
    frames: FrameConfig
    weights: dict[str, np.ndarray]


def expected_shapes(config: SongNetworkConfig) -> dict[str, tuple[int, ...]]:
    """Name and shape of every tensor of a network."""
    shapes: dict[str, tuple[int, ...]] = {}
    channels, bands = 1, config.bands
    for index, outside in enumerate(config.stem):
        shapes[f"stem.{index}"] = (outside, channels, 3, 3)
        channels, bands = outside, (bands - 1) // 2 + 1
    shapes["enter"] = (config.width, channels * bands)
    for index in range(len(config.dilations)):
        shapes[f"context.{index}.conv"] = (config.width, config.width, config.kernel)
        shapes[f"context.{index}.mix"] = (config.width, config.width)
    shapes["leave"] = (config.outputs, config.width)
    return {
        **{f"{name}.weight": shape for name, shape in shapes.items()},
        **{f"{name}.bias": shape[:1] for name, shape in shapes.items()},
    }


def write_song_model(model: SongModel, path: str | os.PathLike[str]) -> None:
    """Write a model file, aside and renamed; equal models give equal bytes.

    Raises:
        InputError: the file cannot be written.
    """
    stored = {name: np.ascontiguousarray(value, np.float16) for name, value in sorted(model.weights.items())}
    write_bytes(path, save(stored, metadata={_KEY: msgspec.json.encode(model.settings).decode()}))


def read_song_model(path: str | os.PathLike[str]) -> SongModel:
    """Read a model file.

    Raises:
        InputError: it is missing, damaged, not a transcriber, or its parts do not fit together.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such model file")
    if path.stat().st_size > _MOST_BYTES:
        raise InputError(f"{path}: is too large for a transcriber ({path.stat().st_size} bytes)")
    try:
        with safetensors.safe_open(path, framework="np") as file:
            metadata = file.metadata() or {}
            weights = {name: file.get_tensor(name).astype(np.float32) for name in file.keys()}  # noqa: SIM118
    except (safetensors.SafetensorError, OSError, ValueError, LookupError, TypeError) as error:
        raise InputError(f"{path}: is damaged or not a safetensors file") from error
    settings = _settings(path, metadata.get(_KEY))
    try:
        network = _strictly(settings.network, SongNetworkConfig)
        frames = _strictly(settings.frames, FrameConfig)
        _check_settings(settings, network, frames)
    except (msgspec.ValidationError, InputError) as error:
        raise InputError(f"{path}: its settings are not those of a transcriber: {error}") from None
    _check(path, settings, network, frames, weights)
    return SongModel(settings, network, frames, weights)


def _settings(path: Path, text: str | None) -> SongSettings:
    if text is None:
        raise InputError(f"{path}: holds tensors, but no description of a transcriber")
    try:
        settings = msgspec.convert(json.loads(text), SongSettings)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: its description of the transcriber is damaged: {error}") from None
    if settings.format != FORMAT:
        raise InputError(f"{path}: is a {settings.format!r}, not a transcriber")
    if settings.format_version > FORMAT_VERSION:
        raise InputError(f"{path}: was written by a newer beatsight ({settings.program_version})")
    return settings


def _strictly(given: dict[str, Any], kind: type[_Config]) -> _Config:
    """A configuration from a file: every key known, every value of its type."""
    if unknown := sorted(set(given) - {field.name for field in fields(kind)}):
        raise InputError(f"unknown setting {unknown[0]!r}")
    return msgspec.convert(given, kind)


def _check_filters(settings: SongSettings) -> None:
    """What a whole song tells: shares and groups."""
    if (repeated := settings.repetition) is not None:
        shares = (repeated.up, repeated.down, repeated.fills_down)
        if not all(0.0 <= share <= 1.0 for share in shares):
            raise InputError("repetition needs shares from 0 to 1")
        if odd := [group for group in repeated.fills if group not in GROUPS]:
            raise InputError(f"repetition names {odd[0]!r}, which is no group")
    if (even := settings.ostinato) is not None:
        if not 0.0 <= even.up <= 1.0:
            raise InputError("ostinato needs a share from 0 to 1")
        if odd := [group for group in even.groups if group not in GROUPS]:
            raise InputError(f"ostinato names {odd[0]!r}, which is no group")
    if (near := settings.presence) is not None and not (
        0.0 <= near.unsure < near.sure <= 1.0 and 0.0 <= near.down <= _MOST_ODDS
    ):
        raise InputError(f"presence needs 0 <= unsure < sure <= 1 and 0 <= down <= {_MOST_ODDS:g}")


def _check_settings(settings: SongSettings, network: SongNetworkConfig, frames: FrameConfig) -> None:
    """Values that would take all memory, divide by zero or name nothing."""
    _check_filters(settings)
    sizes = [network.bands, network.width, network.onsets, *network.stem, *network.dilations]
    if min(sizes) < 1 or max(sizes) > _MOST_SIZE or sum(network.context()) > _MOST_CONTEXT:
        raise InputError("the network's sizes are out of range")
    if frames.n_fft > _MOST_WINDOW or frames.hop_length > frames.n_fft:
        raise InputError("the frames are out of range")
    curves = [settings.openness_curve, *settings.velocity_curves.values()]
    numbers = [settings.level_mean_db, settings.level_spread_db, *settings.offsets_ms.values()]
    numbers += [*settings.thresholds.values(), *settings.second_thresholds.values()]
    numbers += [*settings.listening_thresholds.values()]
    numbers += [value for curve in curves for point in curve for value in point]
    numbers += [value for values in settings.song_velocities.values() for value in values]
    if not np.isfinite(numbers).all() or settings.level_spread_db <= 0:
        raise InputError("a number is out of range")
    named = [label for label in settings.articulations if articulation_of(label) != label]
    if odd := named + [group for group in settings.groups if group not in GROUPS]:
        raise InputError(f"{odd[0]!r} is no output of a transcriber")
    found = {group_of(label) for label in settings.articulations}
    if bare := [group for group in settings.groups if group not in found]:
        raise InputError(f"{bare[0]} has no articulation")
    if not settings.groups:
        raise InputError("it has no groups")
    if settings.song_velocities and network.bands < PARTS:
        raise InputError(f"song_velocities need {PARTS} bands at least, not {network.bands}")
    for group, values in settings.song_velocities.items():
        if group not in settings.groups:
            raise InputError(f"song_velocities names {group!r}, which is no group of the model")
        if len(values) != COEFFICIENTS:
            raise InputError(f"song_velocities of {group} needs {COEFFICIENTS} numbers, not {len(values)}")


def _check(
    path: Path,
    settings: SongSettings,
    network: SongNetworkConfig,
    frames: FrameConfig,
    weights: dict[str, np.ndarray],
) -> None:
    expected = expected_shapes(network)
    if set(expected) != set(weights):
        odd = sorted(set(expected) ^ set(weights))[0]
        raise InputError(f"{path}: tensor {odd!r} is missing or does not belong to the network")
    for name, shape in expected.items():
        if weights[name].shape != shape:
            raise InputError(f"{path}: tensor {name!r} has shape {weights[name].shape}, not {shape}")
        if not np.isfinite(weights[name]).all():
            raise InputError(f"{path}: tensor {name!r} holds a value that is no number")
    if len(settings.groups) + len(settings.articulations) != network.onsets or (
        len(settings.groups) != network.velocities
    ):
        raise InputError(f"{path}: its labels do not fit the network's outputs")
    if frames.n_mels != network.bands:
        raise InputError(f"{path}: {frames.n_mels} bands do not fit a network for {network.bands}")
    if set(settings.thresholds) != set(settings.groups):
        raise InputError(f"{path}: needs one threshold for each of {', '.join(settings.groups)}")
