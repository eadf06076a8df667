"""Pieces that are synthesised instead of recorded: drums of which no kit here has a sample.

Some thousand invented drums are a variety that a handful of recorded kits cannot give, and for jingles and
shakers, of which there are hardly any recordings, they are all there is.
"""

from __future__ import annotations

import numpy as np

from beatsight.synth.kit import make_kit
from beatsight.synth.studio.bank import HIHAT, Piece, Take
from beatsight.taxonomy import is_hihat

_LABELS = {
    HIHAT: ("hihat_closed", "hihat_half", "hihat_open", "hihat_pedal", "hihat_foot_splash"),
    "ride": ("ride_bow", "ride_bell", "ride_edge"),
}
_OPENNESS = {
    "hihat_closed": 0.05, "hihat_half": 0.4, "hihat_open": 0.9, "hihat_pedal": 0.0, "hihat_foot_splash": None,
}  # fmt: skip
_VELOCITIES = (0.25, 0.55, 0.85)
_KNOWN = frozenset(
    {
        "kick", "snare", "cross_stick", "tom_high", "tom_mid", "tom_low", "crash", "splash", "china", "clap",
        "tambourine", "shaker", "cowbell", *_LABELS,
    }
)  # fmt: skip


def synthetic_piece(seed: int, role: str) -> Piece | None:
    """An invented instrument; None for a role that is not synthesised.

    Args:
        seed: of the kit it belongs to.
        role: as in :func:`beatsight.synth.studio.bank.role_of`.
    """
    if role not in _KNOWN:
        return None
    kit = make_kit(seed)
    takes = []
    for label in _LABELS.get(role, (role,)):
        openness = _OPENNESS.get(label)
        for velocity in _VELOCITIES:
            asked = openness if is_hihat(label) and label != "hihat_pedal" else None
            audio = kit.render(label, velocity, asked, 0)
            peak = float(np.abs(audio).max(initial=0.0))
            if peak > 0.0:
                stored = np.round(audio * (32767.0 / peak)).astype(np.int16)
                takes.append(
                    Take(label, velocity, openness, False, {"main": stored}, {"main": peak / 32767.0})
                )
    return Piece(kit.kit_id, role, role, tuple(takes), {"main": "close"}) if takes else None
