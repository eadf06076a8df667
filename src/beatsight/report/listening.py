"""A song to hear with its hits: a player that clicks them class by class, over lanes that show them.

Conventions: times in seconds from the start of the stretch; x positions are percentages of its length, so
that the lanes can be zoomed without bending marks. A hit is a bar that stands on its lane, higher when
louder; a missed one is hollow, a false one crossed. Without scripts the lanes and a plain player remain.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import msgspec
import numpy as np
from markupsafe import Markup

from beatsight.report.palette import click_hz, family
from beatsight.report.song_sound import Sound
from beatsight.report.svg import Attributes, tag
from beatsight.report.timeline import Hit

LANE_PX = 46.0
WAVE_PX = 56.0
AXIS_PX = 34.0
_FLOOR_PX = 5.0  # under the bars
_LEAST_PX, _MOST_PX = 9.0, 36.0
_BAR_PX = 3.0
_CROSS_PX = 3.5
_UNKNOWN_VELOCITY = 0.7
_LABEL_EVERY_S = 5  # every second has a tick; these carry their time at any zoom
_WAVE_POINTS_PER_S = 40
# Labels of one family sound a whole tone apart, so that they can be told by ear.
_STEP = 2 ** (2 / 12)
# Share of noise in a click: cymbals and hats hiss.
_NOISE = {"fam-hihat": 0.6, "fam-cymbal": 0.5, "fam-snare": 0.3}


@dataclass(frozen=True)
class Lane:
    """One label's row: how it clicks (``hz``, share of ``noise``), its hits (time, loudness), its drawing."""

    label: str
    css: str
    hz: float
    noise: float
    hits: Sequence[tuple[float, float]]
    plot: Markup


@dataclass(frozen=True)
class Listening:
    """A player with lanes below it.

    Attributes:
        title: of the song, for readers who cannot see it.
        seconds: length of the stretch.
        start_s: where it begins in the song.
        sound: the stretch.
        lanes: from kick to cymbals.
        wave, axis, grid: drawings above and behind the lanes.
        verdicts: whether missed and false hits are marked, for the legend.
        caption: below the lanes.
    """

    title: str
    seconds: float
    start_s: float
    sound: Sound
    lanes: Sequence[Lane]
    wave: Markup
    axis: Markup
    grid: Markup
    verdicts: bool
    caption: str = ""
    kind: ClassVar[str] = "listening"

    @property
    def data(self) -> Markup:
        """What the script needs, as JSON that is safe inside an HTML script element."""
        content = {
            "seconds": self.seconds,
            "start": self.start_s,
            "lanes": [
                {"label": lane.label, "hz": round(lane.hz, 1), "noise": lane.noise, "hits": lane.hits}
                for lane in self.lanes
            ],
        }
        text = msgspec.json.encode(content).decode()
        return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


def _at(time_s: float, seconds: float) -> str:
    return f"{100 * time_s / seconds:.3f}".rstrip("0").rstrip(".") + "%"


def clock(time_s: float) -> str:
    """A time in a song as players show it.

    >>> clock(7.0), clock(83.5), clock(3671.0)
    ('0:07', '1:23', '61:11')
    """
    return f"{int(time_s) // 60}:{int(time_s) % 60:02d}"


def _loudness(hit: Hit) -> float:
    return _UNKNOWN_VELOCITY if hit.velocity is None else min(1.0, max(0.0, hit.velocity))


def _bar(hit: Hit, verdict: str, start_s: float, seconds: float) -> Markup:
    """One hit: found, missed or false."""
    at, height = _at(hit.time_s - start_s, seconds), _LEAST_PX + (_MOST_PX - _LEAST_PX) * _loudness(hit)
    top = LANE_PX - _FLOOR_PX - height
    loud = "" if hit.velocity is None else f", velocity {hit.velocity:.2f}"
    note = tag("title", {}, f"{hit.label} at {hit.time_s:.3f} s{loud}: {verdict}")
    width = _BAR_PX + 2 if verdict == "missed" else _BAR_PX
    css = "hollow" if verdict == "missed" else "stroke"
    shape: Attributes = {"class": css, "x": -width / 2, "y": top, "width": width, "height": height, "rx": 1}
    parts = [note, tag("rect", shape)]
    if verdict == "false":
        # On the bar's head, where it is not taken for a part of its neighbour.
        a, b = -_CROSS_PX, _CROSS_PX
        parts.append(
            tag("path", {"class": "cross", "d": f"M{a} {top + a}L{b} {top + b}M{a} {top + b}L{b} {top + a}"})
        )
    return tag("svg", {"class": "hit", "x": at, "overflow": "visible"}, *parts)


def lane(
    label: str, turn: int, found: Sequence[Hit], missed: Sequence[Hit], start_s: float, seconds: float
) -> Lane:
    """The row of one label.

    Args:
        label: of any vocabulary.
        turn: how many labels of its family come before it.
        found: the found hits of this label in the stretch, times in the song.
        missed: the true ones that were not found.
        start_s, seconds: the stretch.
    """
    css = family(label)
    drawn = [(hit, "found" if hit.matched else "false") for hit in found] + [
        (hit, "missed") for hit in missed
    ]
    # Faults last, so that they are drawn on top.
    drawn.sort(key=lambda pair: (pair[1] != "found", pair[0].time_s))
    bars = [_bar(hit, verdict, start_s, seconds) for hit, verdict in drawn]
    floor = LANE_PX - _FLOOR_PX
    base = tag("line", {"class": "floor", "x1": "0", "x2": "100%", "y1": floor, "y2": floor})
    sheet: Attributes = {
        "class": f"plot {css}", "width": "100%", "height": LANE_PX, "role": "img",
        "aria-label": f"{label}: {len(found)} found" + (f", {len(missed)} missed" if missed else ""),
    }  # fmt: skip
    times = [(round(hit.time_s - start_s, 4), round(_loudness(hit), 3)) for hit in found]
    hz = click_hz(label) * _STEP**turn
    return Lane(label, css, hz, _NOISE.get(css, 0.0), sorted(times), tag("svg", sheet, base, *bars))


def wave(audio: np.ndarray, sample_rate: int) -> Markup:
    """The envelope of a stretch, shape (samples,)."""
    points = max(2, min(audio.size, round(_WAVE_POINTS_PER_S * audio.size / sample_rate)))
    edges = np.linspace(0, audio.size, points + 1).astype(np.int64)[:-1]
    peak = max(float(np.abs(audio).max()), 1e-9)
    loud = np.maximum.reduceat(np.abs(audio), edges) / peak
    upper = [f"{index},{50 - 46 * value:.0f}" for index, value in enumerate(loud)]
    lower = [f"{index},{50 + 46 * value:.0f}" for index, value in enumerate(loud)]
    outline = tag("polygon", {"class": "wave", "points": " ".join([*upper, *reversed(lower)])})
    box: Attributes = {
        "class": "plot", "viewBox": f"0 0 {points - 1} 100", "preserveAspectRatio": "none", "width": "100%",
        "height": WAVE_PX, "role": "img", "aria-label": "Loudness of the song",
    }  # fmt: skip
    return tag("svg", box, outline)


def axis(start_s: float, seconds: float, bars_s: Sequence[float]) -> Markup:
    """Time in the song below, numbers of the bars above."""
    parts = []
    for number, bar in enumerate(bars_s, start=1):
        if start_s <= bar < start_s + seconds - 0.5:
            at = _at(bar - start_s, seconds)
            css = "tick bar-number" if number % 4 == 1 else "tick bar-number fine"
            parts.append(tag("text", {"class": css, "x": at, "dx": "3", "y": 11}, str(number)))
    for second in range(int(np.ceil(start_s)), int(start_s + seconds) + 1):
        at, share = _at(second - start_s, seconds), (second - start_s) / seconds
        whole = second % _LABEL_EVERY_S == 0
        parts.append(
            tag(
                "line",
                {"class": "axis", "x1": at, "x2": at, "y1": AXIS_PX - (6 if whole else 3), "y2": AXIS_PX},
            )
        )
        side = "start" if share < 0.01 else "end" if share > 0.98 else "middle"
        css = f"tick {side}" if whole else f"tick {side} fine"
        parts.append(
            tag(
                "text", {"class": css, "x": at, "dx": 4.0 if side == "start" else 0.0, "y": 25}, clock(second)
            )
        )
    box: Attributes = {"class": "plot", "width": "100%", "height": AXIS_PX, "aria-hidden": "true"}
    return tag("svg", box, *parts)


def grid(start_s: float, seconds: float, beats_s: Sequence[float], bars_s: Sequence[float]) -> Markup:
    """Beats as thin lines and bars as strong ones, behind all lanes."""
    bars, parts = set(bars_s), []
    for beat in beats_s:
        if start_s <= beat <= start_s + seconds:
            at = _at(beat - start_s, seconds)
            css = "bar-line" if beat in bars else "beat"
            parts.append(tag("line", {"class": css, "x1": at, "x2": at, "y1": "0", "y2": "100%"}))
    return tag(
        "svg", {"class": "grid-lines", "width": "100%", "height": "100%", "aria-hidden": "true"}, *parts
    )
