"""Small transcribers with random weights, and activations with planted peaks, for tests of several rooms."""

from __future__ import annotations

import numpy as np

from beatsight.audio.frames import FrameConfig
from beatsight.models.song_config import SongNetworkConfig
from beatsight.models.song_labels import ARTICULATIONS, GROUPS
from beatsight.models.song_model import SongModel, SongSettings, expected_shapes

ONSETS = len(GROUPS) + len(ARTICULATIONS)
SMALL = SongNetworkConfig(bands=16, stem=(4, 5), width=8, dilations=(1, 2, 4), onsets=ONSETS)
SMALL_FRAMES = FrameConfig(n_mels=16)


def settings_of(
    network: SongNetworkConfig = SMALL, frames: FrameConfig = SMALL_FRAMES, **said: object
) -> SongSettings:
    """Settings that fit a network; thresholds of 0.5."""
    content: dict[str, object] = {
        "network": network.to_dict(), "frames": frames.to_dict(), "groups": GROUPS,
        "articulations": ARTICULATIONS, "thresholds": dict.fromkeys(GROUPS, 0.5),
    }  # fmt: skip
    return SongSettings(**{**content, **said})  # type: ignore[arg-type]


def random_model(network: SongNetworkConfig = SMALL, seed: int = 0, **said: object) -> SongModel:
    """A transcriber of random weights, each layer's outputs about as large as its inputs."""
    rng = np.random.default_rng(seed)
    weights = {
        name: (rng.standard_normal(shape) / np.sqrt(max(1, np.prod(shape[1:])) / 2)).astype(np.float32)
        for name, shape in expected_shapes(network).items()
    }
    return SongModel(settings_of(network, **said), network, SMALL_FRAMES, weights)


def random_levels(frames: int, bands: int = 16, seed: int = 0) -> np.ndarray:
    """Mel levels of nothing in particular, in dB, shape (frames, bands)."""
    return np.random.default_rng(seed).uniform(-60.0, 20.0, (frames, bands)).astype(np.float32)


def quiet(frames: int) -> np.ndarray:
    """Activations without a peak, shape (frames, outputs)."""
    return np.zeros((frames, SMALL.outputs), np.float32)


def strike(activations: np.ndarray, label: str, frame: int, height: float = 0.9) -> None:
    """Plant a peak five frames wide, shaped as the training's targets, of a group or an articulation."""
    outputs = [*GROUPS, *ARTICULATIONS]
    for away, share in ((-2, 1 / 3), (-1, 2 / 3), (0, 1.0), (1, 2 / 3), (2, 1 / 3)):
        if 0 <= frame + away < len(activations):
            column = activations[:, outputs.index(label)]
            column[frame + away] = max(column[frame + away], height * share)
