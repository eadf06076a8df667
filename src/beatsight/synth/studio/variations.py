"""What a song changes in a performance: cymbals swapped, fills put in, strokes doubled, drums left out.

Conventions: strokes in, strokes out, times in seconds from the start of the song; nothing keeps the order of
time except :func:`single_strokes`, which comes last. All choices come from the generator that is given.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np

from beatsight.synth.studio.performances import Stroke
from beatsight.taxonomy import is_hihat

_TOMS = ("tom_high", "tom_mid", "tom_low")
_CYMBALS = ("crash", "crash2", "crash", "splash", "china", "ride_bell", "ride_edge")
# How open a hat is that is put in, drawn between.
OPENNESS_OF = {
    "hihat_closed": (0.0, 0.12), "hihat_half": (0.25, 0.65), "hihat_open": (0.75, 1.0),
    "hihat_pedal": (0.0, 0.0), "hihat_foot_splash": (0.5, 0.8),
}  # fmt: skip
# One stroke of a drum cannot follow another sooner.
_CLOSEST_S = 0.028


def swap(rng: np.random.Generator, strokes: list[Stroke], share: float) -> list[Stroke]:
    """Cymbals trade places: what the hand plays on the hat it may play on a ride or a crash."""
    if rng.random() < share:
        to = str(rng.choice(("ride_bow", "ride_bow", "crash", "china", "ride_edge")))
        strokes = [
            replace(s, label=to, openness=None)
            if is_hihat(s.label) and s.label not in ("hihat_pedal", "hihat_foot_splash")
            else s
            for s in strokes
        ]
    elif rng.random() < share:
        openness = float(rng.choice((0.05, 0.05, 0.35, 0.5, 0.9)))
        strokes = [
            replace(s, label="hihat_closed" if openness < 0.2 else "hihat_open", openness=openness)
            if s.label.startswith("ride")
            else s
            for s in strokes
        ]
    elif rng.random() < share:
        # Loose hats: the whole song is played a little open.
        low, high = np.sort(rng.uniform(0.1, 0.8, 2))
        strokes = [
            replace(s, label="hihat_half", openness=float(rng.uniform(low, high)))
            if s.label == "hihat_closed"
            else s
            for s in strokes
        ]
    return strokes


def _beat_s(strokes: list[Stroke], rng: np.random.Generator) -> float:
    """A plausible time between strokes of a fill."""
    return float(rng.uniform(0.07, 0.22)) if strokes else 0.15


def tom_fills(rng: np.random.Generator, strokes: list[Stroke], seconds: float) -> list[Stroke]:
    """Runs over snare and toms take the place of what was there."""
    for _ in range(int(rng.integers(1, 5))):
        start = float(rng.uniform(0.0, seconds))
        gap = _beat_s(strokes, rng)
        count = int(rng.integers(3, 13))
        end = start + gap * count
        kept = [s for s in strokes if not start - 0.02 <= s.time_s < end or rng.random() < 0.15]
        order = list(_TOMS if rng.random() < 0.7 else reversed(_TOMS))
        if rng.random() < 0.4:
            order.insert(0, "snare")
        loud = rng.uniform(0.4, 0.95)
        for index in range(count):
            label = order[min(index * len(order) // count, len(order) - 1)]
            if rng.random() < 0.2:
                label = str(rng.choice(_TOMS))
            velocity = float(np.clip(loud + rng.normal(0.0, 0.12) + 0.15 * index / count, 0.08, 1.0))
            kept.append(Stroke(start + index * gap + float(rng.normal(0.0, 0.006)), label, velocity))
            if rng.random() < 0.2:
                kept.append(Stroke(start + index * gap + float(rng.normal(0.0, 0.008)), "kick", velocity))
        strokes = kept
    return strokes


def add_crashes(rng: np.random.Generator, strokes: list[Stroke]) -> list[Stroke]:
    kicks = [s for s in strokes if s.label == "kick" and s.velocity > 0.3]
    added = []
    for stroke in kicks:
        if rng.random() < 0.08:
            label = str(rng.choice(_CYMBALS))
            time = stroke.time_s + float(rng.normal(0.0, 0.006))
            added.append(Stroke(time, label, float(rng.uniform(0.4, 1.0))))
    taken = {round(s.time_s, 2) for s in added}
    hands = [
        s
        for s in strokes
        if not (is_hihat(s.label) and s.label != "hihat_pedal" and round(s.time_s, 2) in taken)
    ]
    return hands + added


def double(rng: np.random.Generator, strokes: list[Stroke]) -> list[Stroke]:
    """A hat or ride right on each kick and snare: the strokes that are hardest to hear."""
    label = str(rng.choice(("hihat_closed", "hihat_closed", "hihat_half", "ride_bow", "hihat_open")))
    openness = rng.uniform(*OPENNESS_OF[label]) if label in OPENNESS_OF else None
    share, loud = rng.uniform(0.3, 1.0), rng.uniform(0.25, 0.8)
    cymbals = np.array(
        [s.time_s for s in strokes if is_hihat(s.label) or s.label.startswith(("ride", "cra"))]
    )
    added = []
    for stroke in strokes:
        if stroke.label not in ("kick", "snare") or rng.random() > share:
            continue
        if len(cymbals) and np.abs(cymbals - stroke.time_s).min() < 0.04:
            continue
        velocity = float(np.clip(loud + rng.normal(0.0, 0.1), 0.05, 1.0))
        added.append(Stroke(stroke.time_s + float(rng.normal(0.0, 0.007)), label, velocity, openness))
    return strokes + added


_HAND_PERCUSSION = ("tambourine", "tambourine", "tambourine", "shaker", "clap", "cowbell")
_FOLLOWED = ("snare", "snare", "kick", "hihat", "ride")


def percussion(rng: np.random.Generator, strokes: list[Stroke]) -> list[Stroke]:
    """Hand percussion along with a drum or between its strokes: a tambourine on each snare is no cymbal."""
    label, followed = str(rng.choice(_HAND_PERCUSSION)), str(rng.choice(_FOLLOWED))
    times = np.array([s.time_s for s in strokes if s.label.startswith(followed)])
    if not len(times):
        times = np.array([s.time_s for s in strokes])
    if len(times) > 1 and rng.random() < 0.4:
        times = np.sort(np.concatenate([times, (times[:-1] + times[1:]) / 2]))
    late, loud, share = rng.normal(0.0, 0.008), rng.uniform(0.3, 0.9), rng.uniform(0.4, 1.0)
    return strokes + [
        Stroke(
            max(0.0, float(time + late + rng.normal(0.0, 0.007))),
            label,
            float(np.clip(loud + rng.normal(0.0, 0.12), 0.05, 1.0)),
        )
        for time in times
        if rng.random() < share
    ]


def pedal(rng: np.random.Generator, strokes: list[Stroke], seconds: float) -> list[Stroke]:
    gap, at = rng.uniform(0.35, 1.1), rng.uniform(0.0, 0.5)
    times = np.arange(at, seconds, gap) + rng.normal(0.0, 0.008, len(np.arange(at, seconds, gap)))
    loud = rng.uniform(0.3, 0.8)
    return strokes + [
        Stroke(max(0.0, float(t)), "hihat_pedal", float(np.clip(loud + rng.normal(0, 0.1), 0.05, 1)), 0.0)
        for t in times
    ]


def flams(rng: np.random.Generator, strokes: list[Stroke]) -> list[Stroke]:
    added = [
        Stroke(s.time_s - float(rng.uniform(0.03, 0.06)), s.label, s.velocity * float(rng.uniform(0.3, 0.7)))
        for s in strokes
        if s.label in ("snare", *_TOMS) and s.velocity > 0.3 and rng.random() < 0.15
    ]
    return strokes + [s for s in added if s.time_s >= 0.0]


def thin(rng: np.random.Generator, strokes: list[Stroke], shares: Mapping[str, float]) -> list[Stroke]:
    """Some kinds of drums fall silent for the song."""
    gone = tuple(kind for kind, share in shares.items() if rng.random() < share)
    return [s for s in strokes if not s.label.startswith(gone)] if gone else strokes


def single_strokes(strokes: Iterable[Stroke]) -> list[Stroke]:
    """In order of time; of two strokes on one drum closer than 28 ms the louder stays."""
    kept: list[Stroke] = []
    latest: dict[str, int] = {}
    for stroke in sorted(strokes, key=lambda s: (s.time_s, s.label)):
        key = "hihat" if is_hihat(stroke.label) else stroke.label
        index = latest.get(key)
        if index is not None and stroke.time_s - kept[index].time_s < _CLOSEST_S:
            if stroke.velocity > kept[index].velocity:
                kept[index] = stroke
            continue
        latest[key] = len(kept)
        kept.append(stroke)
    return sorted(kept, key=lambda s: (s.time_s, s.label))
