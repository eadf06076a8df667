"""Pieces that are synthesised instead of recorded: drums of which no kit here has a sample.

Some thousand invented drums are a variety that a handful of recorded kits cannot give, and for jingles and
shakers, of which there are hardly any recordings, they are all there is.
"""

from __future__ import annotations

import numpy as np

from beatsight.synth.kit import make_kit
from beatsight.synth.studio.bank import HIHAT, Piece, Take
from beatsight.synth.studio.jingles import tambourine
from beatsight.taxonomy import is_hihat

_LABELS = {
    HIHAT: ("hihat_closed", "hihat_half", "hihat_open", "hihat_pedal", "hihat_foot_splash"),
    "ride": ("ride_bow", "ride_bell", "ride_edge"),
}
_OPENNESS = {
    "hihat_closed": 0.05, "hihat_half": 0.4, "hihat_open": 0.9, "hihat_pedal": 0.0, "hihat_foot_splash": None,
}  # fmt: skip
# One tambourine in so many is the invented kit's.
_KIT_TAMBOURINE = 4
_VELOCITIES = (0.25, 0.55, 0.85)
_KNOWN = frozenset(
    {
        "kick", "snare", "cross_stick", "tom_high", "tom_mid", "tom_low", "crash", "splash", "china", "clap",
        "tambourine", "shaker", "cowbell", *_LABELS,
    }
)  # fmt: skip


def _stored(audio: np.ndarray) -> tuple[dict[str, np.ndarray], dict[str, float]]:
    peak = float(np.abs(audio).max())
    return {"main": np.round(audio * (32767.0 / peak)).astype(np.int16)}, {"main": peak / 32767.0}


def synthetic_piece(seed: int, role: str) -> Piece | None:
    """An invented instrument; None for a role that is not synthesised.

    Args:
        seed: of the kit it belongs to.
        role: as in :func:`beatsight.synth.studio.bank.role_of`.
    """
    if role not in _KNOWN:
        return None
    if role == "tambourine" and seed % _KIT_TAMBOURINE:
        made = [
            Take(role, velocity, None, False, *_stored(audio))
            for velocity, audio in tambourine(np.random.default_rng(seed))
        ]
        return Piece(f"jingles-{seed}", role, role, tuple(made), {"main": "close"})
    kit = make_kit(seed)
    takes = []
    for label in _LABELS.get(role, (role,)):
        openness = _OPENNESS.get(label)
        for velocity in _VELOCITIES:
            asked = openness if is_hihat(label) and label != "hihat_pedal" else None
            audio = kit.render(label, velocity, asked, 0)
            if np.any(audio):
                takes.append(Take(label, velocity, openness, False, *_stored(audio)))
    return Piece(kit.kit_id, role, role, tuple(takes), {"main": "close"}) if takes else None
