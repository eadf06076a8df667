"""CompactClassifier: a small network that knows where in the clip the onset is.

    Conv2d(1->w) 5 x 3, stride 2 in frequency and time
    four blocks: depthwise 3 x 3 and pointwise convolution, batch norm, ReLU; the first three halve both axes
    depthwise convolution over all that is left of the frequency axis
    Flatten, Dropout, Linear

The large classifier averages over time, so a drum 100 ms after the onset weighs as much as the one at it.
This one keeps its few time steps apart up to the last layer, which learns what each of them is worth. The
blocks are those of MobileNet (Howard et al., 2017).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from torch import Tensor, nn

from beatsight.models.heads import check_heads, columns
from beatsight.models.sizes import check_dropout, check_size
from beatsight.taxonomy import CLASSIFIER

_HALVINGS = 4
_STEP = 2**_HALVINGS


@dataclass(frozen=True)
class CompactConfig:
    """Shape of the network; stored in the checkpoint.

    Attributes:
        classes: labels scored.
        mels, frames: size of the log-mel clip, at least 16 each.
        width: channels of the first layer; later ones have two, three and four times as many.
        dropout: probability before the last layer.
        heads: what is estimated beside the labels: ``velocity``, ``openness``.
    """

    classes: int = len(CLASSIFIER)
    mels: int = 128
    frames: int = 128
    width: int = 32
    dropout: float = 0.3
    heads: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, least in (("classes", 1), ("mels", _STEP), ("frames", _STEP), ("width", 1)):
            check_size("a compact classifier", name, getattr(self, name), least)
        check_dropout(self.dropout)
        check_heads(self.heads)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for checkpoints."""
        return {**asdict(self), "heads": list(self.heads)}


def _block(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, inputs, 3, stride=stride, padding=1, groups=inputs, bias=False),
        nn.BatchNorm2d(inputs),
        nn.ReLU(),
        nn.Conv2d(inputs, outputs, 1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )


class CompactClassifier(nn.Module):
    """See the module's text.

    >>> sum(p.numel() for p in CompactClassifier().parameters())
    55340
    """

    def __init__(self, config: CompactConfig | None = None) -> None:
        super().__init__()
        self.config = config or CompactConfig()
        width = self.config.width
        self.stem = nn.Sequential(
            nn.Conv2d(1, width, (5, 3), stride=2, padding=(2, 1), bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
        )
        self.block1 = _block(width, 2 * width, 2)
        self.block2 = _block(2 * width, 3 * width, 2)
        self.block3 = _block(3 * width, 4 * width, 2)
        self.block4 = _block(4 * width, 4 * width, 1)
        high, wide = (-(-size // _STEP) for size in (self.config.mels, self.config.frames))
        self.collapse = nn.Sequential(
            nn.Conv2d(4 * width, 4 * width, (high, 1), groups=4 * width, bias=False),
            nn.BatchNorm2d(4 * width),
            nn.ReLU(),
        )
        self.dropout = nn.Dropout(self.config.dropout)
        self.fc = nn.Linear(4 * width * wide, columns(self.config.classes, self.config.heads))

    def forward(self, clips: Tensor) -> Tensor:
        """Logits (n, columns) of log-mel clips (n, 1, mels, frames)."""
        hidden = self.block4(self.block3(self.block2(self.block1(self.stem(clips)))))
        return self.fc(self.dropout(self.collapse(hidden).flatten(1)))
