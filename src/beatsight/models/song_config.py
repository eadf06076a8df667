"""Shape of the transcriber's network, without torch: what a model file says and inference needs to know."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from beatsight.errors import InputError


@dataclass(frozen=True)
class SongNetworkConfig:
    """Shape of the network.

    Attributes:
        bands: mel bands that come in.
        stem: channels of the stem's convolutions; each halves the bands.
        width: channels of the context stack.
        dilations: of its layers, in frames; the kernel is ``kernel`` wide.
        kernel: odd.
        onsets: onset outputs; then come ``velocities`` and ``opennesses`` more.
        velocities, opennesses: further outputs.
        lookahead: frames after the present that the output may depend on; -1 for all that the layers see.
        dropout: between layers, in training.
    """

    bands: int = 80
    stem: tuple[int, ...] = (16, 24, 32)
    width: int = 128
    dilations: tuple[int, ...] = (1, 2, 4, 8, 16, 32, 64)
    kernel: int = 3
    onsets: int = 26
    velocities: int = 5
    opennesses: int = 1
    lookahead: int = -1
    dropout: float = 0.1

    def __post_init__(self) -> None:
        if self.kernel % 2 == 0 or self.kernel < 1:
            raise InputError(f"network setting kernel must be odd, not {self.kernel}")

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for model files."""
        return asdict(self)

    @property
    def outputs(self) -> int:
        """Outputs a frame."""
        return self.onsets + self.velocities + self.opennesses

    def shifts(self) -> list[int]:
        """How many frames each layer (stem, then stack) sees ahead of its own."""
        reach = [1] * len(self.stem) + [d * (self.kernel // 2) for d in self.dilations]
        if self.lookahead < 0:
            return reach
        left, ahead = self.lookahead, []
        for frames in reach:
            ahead.append(min(frames, left))
            left -= ahead[-1]
        return ahead

    def context(self) -> tuple[int, int]:
        """Frames before and after its own that an output depends on."""
        reach = [1] * len(self.stem) + [d * (self.kernel // 2) for d in self.dilations]
        ahead = self.shifts()
        return sum(2 * r - a for r, a in zip(reach, ahead, strict=True)), sum(ahead)
