"""One file of a laid-out kit: what its name says, and the velocity and gain that its layout gives it.

The gain restores the level of the strike: piece gain + 20 log10(1 - t + t v^2) dB with v the velocity 0..1
and t = veltrack / 100, the sfz format's ``amp_veltrack`` curve (https://sfzformat.com/opcodes/amp_veltrack/).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from beatsight.synth.kit_layouts import RANK, Layout, Piece

MAIN_MIC = "main"
# Full tracking of velocity 0 would be silence, which has no level in dB: -120 dB stands for it.
_FAINTEST = 1e-6


@dataclass(frozen=True)
class MatchedFile:
    """The parts of one file's name, before the microphones of a strike are put together."""

    path: Path
    piece: str
    layer: str | None
    take: int
    mic: str


def match_file(path: Path, relative: str, layout: Layout, pattern: re.Pattern[str]) -> MatchedFile | str:
    """The parts of a file's name, or the reason why it is no part of the kit.

    Args:
        path: of the file.
        relative: its path in the kit folder, with ``/`` and without suffix.
        layout: of the kit.
        pattern: the layout's ``files``, compiled.
    """
    match = pattern.search(relative)
    if match is None:
        return "its name does not fit the kit's layout"
    groups = match.groupdict()
    piece, layer = groups["piece"], groups.get("layer")
    if piece not in layout.pieces:
        return f"piece {piece!r} is not in the kit's layout"
    mic = groups.get("mic") or layout.default_mic or MAIN_MIC
    if mic not in (layout.mics or {MAIN_MIC}):
        return f"microphone {mic!r} is not in the kit's layout"
    rule = layout.pieces[piece]
    if rule.layers == RANK:
        if layer is None or not layer.isdecimal():
            return f"layer {layer!r} is not a rank"
    elif layer is not None and rule.velocity is None and layout.layer_velocity(rule, layer) is None:
        return f"layer {layer!r} of {piece!r} is not in the kit's layout"
    take = groups.get("take") or "1"
    if not take.isdecimal():
        return f"take {take!r} is not a number"
    return MatchedFile(path, piece, layer, int(take), mic)


def rank_velocity(rank: int, ranks: Iterable[int]) -> float:
    """Middle of one of N equal ranges of velocity, N the number of different ranks.

    >>> [rank_velocity(rank, [1, 2, 5, 6]) for rank in (1, 5)]
    [0.125, 0.625]
    """
    ordered = sorted(set(ranks))
    return (ordered.index(rank) + 0.5) / len(ordered)


def velocity_of(layout: Layout, file: MatchedFile, ranks: Iterable[int]) -> float | None:
    """Velocity 0..1 of a matched file, None without layers; ``ranks`` are those found of its piece."""
    piece = layout.pieces[file.piece]
    if piece.velocity is not None or file.layer is None:
        return piece.velocity
    if piece.layers == RANK:
        return rank_velocity(int(file.layer), ranks)
    return layout.layer_velocity(piece, file.layer)


def _by_layer(value: float | dict[str, float] | None, layer: str | None, default: float) -> float:
    if isinstance(value, dict):
        return value.get(layer or "", default)
    return default if value is None else value


def gain_db(layout: Layout, piece: Piece, layer: str | None, velocity: float | None) -> float:
    """Gain in dB that restores the level of a strike; without velocity or veltrack, the piece's own."""
    gain = _by_layer(piece.gain_db, layer, 0.0)
    if velocity is None or (layout.level.veltrack is None and piece.veltrack is None):
        return gain
    share = _by_layer(piece.veltrack, layer, layout.level.veltrack or 0.0) / 100
    return gain + 20 * math.log10(max(1 - share + share * velocity**2, _FAINTEST))
