"""From averaged weights to a model: its settings from the recipe, the rest fitted on the held-out songs."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch

from beatsight.audio.frames import FrameConfig
from beatsight.errors import InputError
from beatsight.models.song_folding import folded_weights
from beatsight.models.song_labels import ARTICULATIONS, GROUPS
from beatsight.models.song_model import SongModel, SongSettings, read_song_model
from beatsight.models.song_network import SongNetwork
from beatsight.train.songs.fitting import Fitted, fit
from beatsight.train.songs.loop import LEVEL_MEAN_DB, LEVEL_SPREAD_DB, SongTrainConfig, normalised
from beatsight.train.songs.recipe import Recipe
from beatsight.train.songs.validation import validation_songs
from beatsight.train.songs.weights import read_weights
from beatsight.version import VERSION

# Settings that are told by the validation songs.
_FITTED = tuple(found.name for found in fields(Fitted) if found.name != "f_measure")


@dataclass(frozen=True, eq=False)
class Plain:
    """A model without what is fitted, and the network that it was made of."""

    model: SongModel
    network: SongNetwork


def plain_model(recipe: Recipe, config: SongTrainConfig, weights: Path) -> Plain:
    """A model of averaged weights; its settings are those of the recipe.

    Raises:
        InputError: the weights are missing, damaged or of another network.
    """
    network = SongNetwork(config.network)
    read_weights(weights, network)
    network.eval()
    sees_ahead = config.network.lookahead < 0
    settings = SongSettings(
        program_version=VERSION,
        network=config.network.to_dict(),
        frames=FrameConfig().to_dict(),
        level_mean_db=LEVEL_MEAN_DB,
        level_spread_db=LEVEL_SPREAD_DB,
        groups=GROUPS,
        articulations=ARTICULATIONS,
        offsets_ms=recipe.offsets_ms,
        repetition=recipe.repetition if sees_ahead else None,
        ostinato=recipe.ostinato if sees_ahead else None,
        presence=recipe.presence if sees_ahead else None,
        training={"recipe": msgspec.to_builtins(recipe)},
    )
    return Plain(SongModel(settings, config.network, FrameConfig(), folded_weights(network)), network)


def fitted(plain: Plain, recipe: Recipe, validation: Path) -> tuple[SongModel, dict[str, Any]]:
    """The finished model, and what it reaches on the validation songs.

    Args:
        plain: the model without thresholds and calibration.
        recipe: says how many songs, of what length.
        validation: folder of the rendered songs that are held out.
    """
    model = plain.model
    songs = validation_songs(validation, model.frames, recipe.validation_songs, recipe.song_seconds)
    said = [activations(plain.network, song.levels) for song in songs]
    found = fit(model, songs, said, recipe.threshold_raise)
    settings = msgspec.structs.replace(model.settings, **{name: getattr(found, name) for name in _FITTED})
    return replace(model, settings=settings), {"f_measure": found.f_measure, "thresholds": found.thresholds}


def is_of(path: Path, plain: SongModel) -> bool:
    """Whether a model file holds these weights and settings, whatever was fitted."""
    try:
        there = read_song_model(path)
    except InputError:
        return False
    empty = SongSettings()
    bare = msgspec.structs.replace(there.settings, **{name: getattr(empty, name) for name in _FITTED})
    return msgspec.json.encode(bare) == msgspec.json.encode(plain.settings) and all(
        np.array_equal(there.weights[name].astype(np.float16), value.astype(np.float16))
        for name, value in plain.weights.items()
    )


def activations(network: SongNetwork, levels_db: np.ndarray) -> np.ndarray:
    """Activations of a whole song, shape (frames, outputs)."""
    with torch.no_grad():
        return torch.sigmoid(network(normalised(torch.from_numpy(levels_db)[None]))[0]).numpy()
