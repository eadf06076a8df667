"""Hits of a sample kit as recordings of a collection: the microphones of a strike mixed to one mono file."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Literal

import numpy as np

from beatsight.audio.io import SAMPLE_RATE, save
from beatsight.events import Component, Event
from beatsight.sources.moments import sample_id
from beatsight.sources.recordings import Recording, stored_name
from beatsight.synth.sample_kit import KitHit, SampleKit, mix_hit

# A sum of microphones may pass full scale; it is turned down to here (-0.1 dBFS) rather than clipped.
_PEAK = 0.989


def _mix_context(kit: SampleKit, mics: list[str]) -> Literal["close_mic", "overheads"] | None:
    """What the microphones of a mix have in common; None for several kinds: the format has no word for it."""
    roles = {kit.mics[name].role for name in mics}
    if roles == {"close"}:
        return "close_mic"
    return "overheads" if roles == {"overhead"} else None


def kit_event(root: Path, hit: KitHit, kit: SampleKit, scratch: Path) -> tuple[Recording, Event]:
    """Mix a hit into ``scratch`` and describe it.

    Args:
        root: folder of the collection that the hit is for.
        hit: of ``kit``.
        kit: its name becomes session and kit of the event.
        scratch: a folder; the recording lies there until it is copied, and the next call overwrites it.

    Raises:
        InputError: a file of the hit is missing or damaged.
    """
    mics = sorted(name for name in hit.mics if kit.mics[name].hears(hit.label))
    audio, onset_s = mix_hit(hit, kit, mics)
    turned_down = min(1.0, _PEAK / max(_PEAK, float(np.abs(audio).max())))
    path = scratch / "hit.flac"
    save(path, audio * np.float32(turned_down))
    recording = Recording(path, stored_name(root, path), len(audio) / SAMPLE_RATE, SAMPLE_RATE, channels=1)
    component = Component(
        label=hit.label,
        velocity=hit.velocity,
        openness=hit.openness,
        choke=hit.choke or None,
        instrument_variant=hit.variant or None,
    )
    event = Event(
        sample_id=sample_id(recording.name, onset_s),
        session_id=kit.name,
        onset_time=onset_s,
        components=[component],
        kit_id=kit.name,
        source_set="kit",
        audio_path=recording.name,
        sample_rate=SAMPLE_RATE,
        channels=1,
        mix_context=_mix_context(kit, mics),
        processing_chain={
            "microphones": mics,
            "gain_db": round(hit.gain_db + 20 * math.log10(turned_down), 3),
        },
        metadata_ref={
            "original_path": str(next(iter(hit.mics.values()))),
            "kit": kit.name,
            "licence": kit.licence,
            "attribution": kit.attribution,
        },
    )
    return recording, event
