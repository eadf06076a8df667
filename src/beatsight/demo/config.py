"""How much the demo makes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from beatsight.dataset.augment import NOTHING
from beatsight.errors import UsageError
from beatsight.synth.styles import STYLES
from beatsight.train.config import TrainConfig


@dataclass(frozen=True)
class DemoConfig:
    """How much the demo makes.

    Attributes:
        train_songs, test_songs: how many songs of each; many short ones teach more than few long ones.
        unseen_songs: test songs more, on kits that nobody trained on, scored apart.
        kits: drum kits of the studio, on which training and test songs are played.
        styles: played in turn. Metal is left out: its double kick at 180 bpm needs longer training.
        train_seconds, test_seconds: length of a song.
        band_db: level of bass and chords against the drums.
        seed: of the first training song.
        train: settings of the training run.
    """

    train_songs: int = 126
    test_songs: int = 9
    unseen_songs: int = 4
    kits: int = 3
    styles: tuple[str, ...] = tuple(style for style in STYLES if style != "metal")
    train_seconds: float = 10.0
    test_seconds: float = 20.0
    band_db: float = -16.0
    seed: int = 1
    train: TrainConfig = field(
        default_factory=lambda: TrainConfig(
            epochs=7,
            batch_size=16,
            lr=0.003,
            patience=0,
            augment=replace(NOTHING, jitter_ms=3.0),
        )
    )

    def __post_init__(self) -> None:
        for name in ("train_songs", "test_songs", "unseen_songs", "kits"):
            if getattr(self, name) < 1:
                raise UsageError(f"the demo needs {name} of at least 1, not {getattr(self, name)}")
        if not self.styles:
            raise UsageError("the demo needs at least one style")
