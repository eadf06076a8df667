"""DrumClassifierCNN: four convolution blocks over a 128 x 128 log-mel clip, one score per class.

    Conv2d(1->32), Conv2d(32->64), Conv2d(64->128): 3 x 3, batch norm, ReLU, 2 x 2 max pooling
    Conv2d(128->256): 3 x 3, batch norm, ReLU, global average pooling
    Flatten, Dropout(0.3), Linear(256->12)

With 12 classes it has 391 884 parameters. (The requirements draw this network and call it "~840K"; the
drawing does not add up to that number, and the drawing is what is built.) A clip carries several labels when
several drums start at once, so the scores are independent sigmoids unless a checkpoint says softmax. With
further heads the last layer grows by their columns (:mod:`beatsight.models.heads`).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from torch import Tensor, nn

from beatsight.errors import InputError
from beatsight.models.heads import check_heads, columns
from beatsight.models.sizes import check_dropout, check_size
from beatsight.taxonomy import CLASSIFIER

_BLOCKS = 4
# Three halvings must leave something of either axis.
LEAST_SIDE = 8


@dataclass(frozen=True)
class ClassifierConfig:
    """Shape of the network; stored in the checkpoint.

    Attributes:
        classes: scores given.
        channels: output channels of the four blocks.
        dropout: probability before the last layer.
        heads: what is estimated beside the labels: ``velocity``, ``openness``.
    """

    classes: int = len(CLASSIFIER)
    channels: tuple[int, ...] = field(default=(32, 64, 128, 256))
    dropout: float = 0.3
    heads: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_size("a classifier", "classes", self.classes, 1)
        if not isinstance(self.channels, tuple) or len(self.channels) != _BLOCKS:
            raise InputError(f"a classifier needs the channels of {_BLOCKS} blocks, not {self.channels!r}")
        for count in self.channels:
            check_size("a classifier", "channels", count, 1)
        check_dropout(self.dropout)
        check_heads(self.heads)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for checkpoints."""
        return {**asdict(self), "channels": list(self.channels), "heads": list(self.heads)}


def _block(inputs: int, outputs: int, pool: nn.Module) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU(), pool)


class DrumClassifierCNN(nn.Module):
    """See the module's text.

    >>> sum(p.numel() for p in DrumClassifierCNN().parameters())
    391884
    """

    def __init__(self, config: ClassifierConfig | None = None) -> None:
        super().__init__()
        self.config = config or ClassifierConfig()
        first, second, third, fourth = self.config.channels
        self.conv1 = _block(1, first, nn.MaxPool2d(2))
        self.conv2 = _block(first, second, nn.MaxPool2d(2))
        self.conv3 = _block(second, third, nn.MaxPool2d(2))
        self.conv4 = _block(third, fourth, nn.AdaptiveAvgPool2d(1))
        self.dropout = nn.Dropout(self.config.dropout)
        self.fc = nn.Linear(fourth, columns(self.config.classes, self.config.heads))

    def forward(self, clips: Tensor) -> Tensor:
        """Logits (n, columns) of log-mel clips (n, 1, mels, frames)."""
        hidden = self.conv4(self.conv3(self.conv2(self.conv1(clips))))
        return self.fc(self.dropout(hidden.flatten(1)))
