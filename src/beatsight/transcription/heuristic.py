"""Labels without a model: which bands gain energy at an onset, and how fast the high ones lose it again.

A rule of thumb for machines without torch or a trained model; it knows kick, snare, hi-hat (closed and open),
crash and toms, and is far weaker than the classifier.
"""

from __future__ import annotations

import numpy as np

from beatsight.audio.onsets import HOP_S, Onsets, band_centres_hz

_LOW_HZ, _BODY_HZ, _CRACK_HZ, _HIGH_HZ = (30, 130), (130, 600), (1500, 5000), (6000, 16000)
_BEFORE_FRAMES, _AFTER_FRAMES = 4, 6
_LATE_S, _LATE_FRAMES = 0.15, 6
_RISE_DB = 6.0
# A drum counts when its band comes within this of the band's loud level in the recording.
_KICK_RANGE_DB, _SNARE_RANGE_DB, _TOM_RANGE_DB, _HIGH_RANGE_DB = 14.0, 16.0, 12.0, 24.0
_LOUD_PERCENTILE = 95.0
_KICK_DEEP_DB = -4.0  # a kick has about as much under 130 Hz as above, or more
_TOM_DULL_DB = 16.0  # a tom's body stands this far over its crack
# A snare by itself has less above 6 kHz than in its crack, a hat by itself more, both together about as much.
# Between medians of 300 onsets of synthetic songs: snare -8, hat with snare -4, hat with kick 3, hat 7 dB.
_SNARE_BRIGHT_DB, _HAT_BRIGHT_DB = 1.0, -6.0
_BODY_RANGE_DB = 12.0  # a snare's body is among the loud ones, a hat's far below
_OPEN_DECAY_DB, _CRASH_DECAY_DB = 20.0, 9.0  # what the high band loses in 150 ms, at most
_SILENT_POWER = 1e-10


class Heuristic:
    """Recogniser by band energies."""

    name, device, is_model = "heuristic", "cpu", False

    def recognise(self, audio: np.ndarray, onsets: Onsets) -> list[dict[str, float]]:
        """Per onset the labels that sound, with a confidence; ``audio`` is not needed."""
        if not len(onsets.times_s):
            return []
        at = np.round(onsets.times_s / HOP_S).astype(np.int64)
        rises, levels, losses = {}, {}, {}
        bands = {"low": _LOW_HZ, "body": _BODY_HZ, "crack": _CRACK_HZ, "high": _HIGH_HZ}
        for name, (low, high) in bands.items():
            energy = _decibels(onsets.power, low, high)
            before = _window(energy, at - 2 - _BEFORE_FRAMES, _BEFORE_FRAMES).mean(axis=1)
            levels[name] = _window(energy, at, _AFTER_FRAMES).max(axis=1)
            rises[name] = levels[name] - before
            losses[name] = levels[name] - _window(energy, at + round(_LATE_S / HOP_S), _LATE_FRAMES).mean(
                axis=1
            )
        near = {name: np.percentile(level, _LOUD_PERCENTILE) - level for name, level in levels.items()}
        deep = levels["low"] - levels["body"] > _KICK_DEEP_DB
        kick = (rises["low"] > _RISE_DB) & (near["low"] < _KICK_RANGE_DB) & deep
        dull = levels["body"] - levels["crack"] > _TOM_DULL_DB
        body = (rises["body"] > _RISE_DB) & ~kick
        tom = body & dull & (near["body"] < _TOM_RANGE_DB)
        bright = levels["high"] - levels["crack"]
        snare = (
            (rises["crack"] > _RISE_DB)
            & (rises["body"] > _RISE_DB)
            & (near["crack"] < _SNARE_RANGE_DB)
            & (near["body"] < _BODY_RANGE_DB)
            & (bright < _SNARE_BRIGHT_DB)
            & ~tom
        )
        high = (rises["high"] > _RISE_DB) & (near["high"] < _HIGH_RANGE_DB)
        crash = high & (losses["high"] < _CRASH_DECAY_DB) & (near["high"] < _RISE_DB)
        hat = high & ~crash & (bright > _HAT_BRIGHT_DB)
        opened = hat & (losses["high"] < _OPEN_DECAY_DB)
        found = {
            "kick": kick, "snare": snare, "tom_mid": tom, "crash": crash,
            "hihat_open": opened & ~snare, "hihat_closed": hat & ~opened,
        }  # fmt: skip
        band_of = {"kick": "low", "snare": "crack", "tom_mid": "body"}
        confidence = {
            label: np.clip(rises[band_of.get(label, "high")] / (4.0 * _RISE_DB), 0.0, 1.0) for label in found
        }
        return [
            {label: float(confidence[label][i]) for label, present in found.items() if present[i]}
            for i in range(len(at))
        ]


def _decibels(power: np.ndarray, low: float, high: float) -> np.ndarray:
    centres = band_centres_hz()
    energy = power[:, (centres >= low) & (centres <= high)].sum(axis=1)
    return 10.0 * np.log10(np.maximum(energy, _SILENT_POWER))


def _window(values: np.ndarray, first: np.ndarray, count: int) -> np.ndarray:
    return values[np.clip(first[:, None] + np.arange(count), 0, len(values) - 1)]
