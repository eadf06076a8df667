"""Short sounds to hear and see: a card each, with a player, a picture of its log-mel clip and a few words.

Conventions: a picture is features as networks see them, 0..1, shape (mels, frames), the lowest band first;
the onset lies at a share 0..1 of its width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
from markupsafe import Markup

from beatsight.errors import UsageError
from beatsight.report.images import colour_map, data_uri, encode_png
from beatsight.report.svg import Attributes, tag


@dataclass(frozen=True)
class Player:
    """A sound with the browser's own controls; ``wav`` is a whole WAV file."""

    title: str
    wav: bytes

    @cached_property
    def source(self) -> str:
        """The sound as a ``data:`` address."""
        return data_uri(self.wav, "audio/wav")


@dataclass(frozen=True)
class Sight:
    """What is heard and seen of one clip: a WAV file (None: there is no sound to hear) and its picture."""

    wav: bytes | None
    picture: Markup


@dataclass(frozen=True)
class Clip:
    """A card: a title, lines of text, the sound and the picture."""

    title: str
    lines: Sequence[str]
    sight: Sight

    @property
    def player(self) -> Player | None:
        """The sound, if there is one."""
        return None if self.sight.wav is None else Player(self.title, self.sight.wav)


@dataclass(frozen=True)
class Clips:
    """Cards beside each other."""

    clips: Sequence[Clip]
    kind: ClassVar[str] = "clips"


def clip_picture(features: np.ndarray, onset_share: float, title: str) -> Markup:
    """A log-mel clip as a drawing, the lowest band at the bottom, a line at the onset.

    Args:
        features: 0..1, shape (mels, frames), the lowest band first.
        onset_share: where the onset lies, 0 at the left edge, 1 at the right.
        title: for readers who cannot see it.

    Raises:
        UsageError: the features are no matrix, or empty.
    """
    if features.ndim != 2 or not features.size:
        raise UsageError(f"a picture needs features (mels, frames), not an array of shape {features.shape}")
    pixels = np.round(np.clip(features[::-1], 0.0, 1.0) * 255).astype(np.uint8)
    image: Attributes = {
        "width": "100", "height": "100", "preserveAspectRatio": "none",
        "href": data_uri(encode_png(pixels, colour_map()), "image/png"),
    }  # fmt: skip
    x = 100.0 * onset_share
    line: Attributes = {"class": "hairline", "x1": x, "x2": x, "y1": 0, "y2": 100}
    sheet: Attributes = {
        "class": "picture", "viewBox": "0 0 100 100", "preserveAspectRatio": "none", "role": "img",
        "aria-label": title,
    }  # fmt: skip
    return tag("svg", sheet, tag("image", image), tag("line", line))
