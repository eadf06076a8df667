"""Tracks over one time axis: waveform, spectrogram and piano roll, with true and found drum hits marked.

Conventions: times in seconds from the start of the audio shown. A track is two drawings of equal height:
the names at its left, which stay in view, and the plot, whose x positions are percentages of the length
shown, so that the plot can be stretched without bending marks or type. Hits outside the length shown are
not drawn.

Marks differ by form as well as colour: a found hit is a disc (larger and denser when louder), a missed one
an empty ring, a false one a cross.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from markupsafe import Markup

from beatsight.report.images import colour_map, data_uri, encode_png, mel_height, spectrogram_pixels
from beatsight.report.palette import family
from beatsight.report.svg import Attributes, coordinate, tag, tick_text, ticks

GUTTER_PX = 104.0  # room for the names at the left; "hihat_foot_splash", the longest label, is set smaller
_ROW_PX = 24.0
_STRIP_PX = 18.0  # the strip of marks above and below waveform and spectrogram
_WAVE_PX = 76.0
_SPECTROGRAM_PX = 150.0
_SPECTROGRAM_TICKS_HZ = (200, 1000, 2000, 5000, 10000)
_LONG_NAME = 13
_UNKNOWN_VELOCITY = 0.7


@dataclass(frozen=True)
class Hit:
    """A drum hit: time in seconds, label, velocity 0..1 (or None), and whether the other side has it too."""

    time_s: float
    label: str
    velocity: float | None = None
    matched: bool = True


@dataclass(frozen=True)
class Track:
    """One row of a timeline: ``names`` (fixed) and ``plot`` (scrolls), drawings of equal height."""

    title: str
    names: Markup
    plot: Markup


MarkKind = Literal["found", "missed", "false"]


def _percent(time_s: float, length_s: float) -> str:
    return f"{100 * time_s / length_s:.3f}".rstrip("0").rstrip(".") + "%"


def mark(kind: MarkKind, css: str, size: float, at: str, y: float, note: str) -> Markup:
    """One hit's mark, centred at (``at``, ``y``); ``note`` is what a reader sees who points at it."""
    if kind == "false":
        arm = coordinate(size)
        body = tag("path", {"class": "cross", "d": f"M-{arm}-{arm}L{arm} {arm}M-{arm} {arm}L{arm}-{arm}"})
    else:
        body = tag("circle", {"class": "disc" if kind == "found" else "ring", "r": size})
    attributes: Attributes = {"class": f"mark {css}", "x": at, "y": y, "overflow": "visible"}
    return tag("svg", attributes, tag("title", {}, note), body)


def _note(hit: Hit, verdict: str) -> str:
    velocity = "" if hit.velocity is None else f", velocity {hit.velocity:.2f}"
    return f"{hit.label} at {hit.time_s:.3f} s{velocity}: {verdict}"


def _sized_mark(kind: MarkKind, hit: Hit, at: str, y: float, most: float) -> Markup:
    velocity = _UNKNOWN_VELOCITY if hit.velocity is None else min(1.0, max(0.0, hit.velocity))
    # Loudness is read from area, so the radius grows with its root; the softest ghost stays visible.
    size = most * (0.4 + 0.6 * velocity**0.5) if kind == "found" else most * 0.7
    return mark(kind, family(hit.label), size, at, y, _note(hit, kind))


def _frame(height: float, names: Iterable[Markup], plot: Iterable[Markup], title: str) -> Track:
    gutter: Attributes = {"width": GUTTER_PX, "height": height, "class": "names", "aria-hidden": "true"}
    sheet: Attributes = {
        "width": "100%",
        "height": height,
        "class": "plot",
        "role": "img",
        "aria-label": title,
    }
    return Track(title, tag("svg", gutter, *names), tag("svg", sheet, *plot))


def _name(text: str, y: float, css: str = "") -> Markup:
    small = " small" if len(text) > _LONG_NAME else ""
    return tag("text", {"class": f"label end{small} {css}".rstrip(), "x": GUTTER_PX - 14, "y": y}, text)


def _shown(hits: Iterable[Hit], length_s: float) -> list[tuple[Hit, str]]:
    """Hits inside the length shown with their x position, faults last so that they are drawn on top."""
    inside = [(hit, _percent(hit.time_s, length_s)) for hit in hits if 0 <= hit.time_s <= length_s]
    return sorted(inside, key=lambda pair: not pair[0].matched)


def _strips(
    true_hits: Sequence[Hit], found_hits: Sequence[Hit], length_s: float, low_y: float
) -> tuple[list[Markup], list[Markup]]:
    """Hairlines at the true hits, and marks above (true hits) and below (found hits) a picture."""
    lines, marks = [], []
    for hit, at in _shown(true_hits, length_s):
        edge: Attributes = {"x1": at, "x2": at, "y1": _STRIP_PX, "y2": low_y - _STRIP_PX / 2}
        lines.append(tag("line", {"class": "hairline", **edge}))
        marks.append(_strip_mark(hit, "found" if hit.matched else "missed", at, _STRIP_PX / 2))
    for hit, at in _shown(found_hits, length_s):
        marks.append(_strip_mark(hit, "found" if hit.matched else "false", at, low_y))
    return lines, marks


def _strip_mark(hit: Hit, kind: MarkKind, at: str, y: float) -> Markup:
    return mark(kind, family(hit.label), 3.2, at, y, _note(hit, kind))


def waveform_track(
    audio: np.ndarray, length_s: float, true_hits: Sequence[Hit], found_hits: Sequence[Hit]
) -> Track:
    """The envelope of a signal, true hits above it and found hits below.

    Args:
        audio: shape ``(samples,)``, -1..1, ``length_s`` long.
        length_s: seconds shown.
        true_hits, found_hits: hits with their ``matched`` flag.
    """
    points = min(1200, audio.size)
    edges = np.linspace(0, audio.size, points + 1).astype(np.int64)[:-1]
    peak = max(float(np.abs(audio).max()), 1e-9)
    tops, lows = np.maximum.reduceat(audio, edges) / peak, np.minimum.reduceat(audio, edges) / peak
    upper = [f"{index},{50 - 48 * value:.1f}" for index, value in enumerate(tops)]
    lower = [f"{index},{50 - 48 * value:.1f}" for index, value in enumerate(lows)]
    outline = tag("polygon", {"class": "wave", "points": " ".join([*upper, *reversed(lower)])})
    box = {"viewBox": f"0 0 {points} 100", "preserveAspectRatio": "none"}
    picture = tag("svg", {**box, "x": 0, "y": _STRIP_PX, "width": "100%", "height": _WAVE_PX}, outline)
    low_y = _STRIP_PX + _WAVE_PX + _STRIP_PX / 2
    lines, marks = _strips(true_hits, found_hits, length_s, low_y)
    names = [
        _name("true", 13),
        _name("waveform", _STRIP_PX + _WAVE_PX / 2 + 4, "muted"),
        _name("found", low_y + 4),
    ]
    return _frame(
        _STRIP_PX * 2 + _WAVE_PX, names, [*lines, picture, *marks], "Waveform with true and found hits"
    )


def spectrogram_track(
    audio: np.ndarray, sample_rate: int, length_s: float, true_hits: Sequence[Hit], found_hits: Sequence[Hit]
) -> Track:
    """A log-mel spectrogram, true hits above it and found hits below; frequencies in Hz at the left."""
    png = encode_png(spectrogram_pixels(audio, sample_rate), colour_map())
    size: Attributes = {
        "x": 0,
        "y": _STRIP_PX,
        "width": "100%",
        "height": _SPECTROGRAM_PX,
        "preserveAspectRatio": "none",
    }
    picture = tag("image", {**size, "href": data_uri(png, "image/png")})
    low_y = _STRIP_PX + _SPECTROGRAM_PX + _STRIP_PX / 2
    lines, marks = _strips(true_hits, found_hits, length_s, low_y)
    names = [_name("true", 13), _name("found", low_y + 4)]
    for frequency in _SPECTROGRAM_TICKS_HZ:
        if frequency < sample_rate / 2:
            y = _STRIP_PX + _SPECTROGRAM_PX * (1 - mel_height(frequency, sample_rate))
            text = f"{frequency // 1000} kHz" if frequency >= 1000 else f"{frequency} Hz"
            names.append(_name(text, y + 4, "muted"))
            names.append(
                tag("line", {"class": "axis", "x1": GUTTER_PX - 6, "x2": GUTTER_PX, "y1": y, "y2": y})
            )
    height = _STRIP_PX * 2 + _SPECTROGRAM_PX
    return _frame(height, names, [picture, *lines, *marks], "Log-mel spectrogram with true and found hits")


def roll_track(
    true_hits: Sequence[Hit],
    found_hits: Sequence[Hit],
    length_s: float,
    beats_s: Sequence[float] | np.ndarray,
    lanes: Mapping[str, int],
) -> Track:
    """A piano roll of the found chart: a row per label that occurs, in the order of lanes, faults marked.

    Args:
        true_hits, found_hits: hits with their ``matched`` flag; matched true hits are not drawn again.
        length_s: seconds shown.
        beats_s: beat times, drawn as thin lines.
        lanes: lane number of each label; labels without one come last.
    """
    order = sorted(lanes, key=lambda label: lanes[label])
    used = {hit.label for hit in (*true_hits, *found_hits)}
    rows = [label for label in order if label in used] + sorted(used - set(order))
    height = _ROW_PX * max(1, len(rows))
    middle = {label: _ROW_PX * (index + 0.5) for index, label in enumerate(rows)}
    names = [_name(label, middle[label] + 4) for label in rows]
    plot = []
    for index, label in enumerate(rows):
        shade = "row even" if index % 2 == 0 else "row"
        plot.append(
            tag("rect", {"class": shade, "x": 0, "y": _ROW_PX * index, "width": "100%", "height": _ROW_PX})
        )
        names.append(
            tag(
                "circle", {"class": f"disc {family(label)}", "cx": GUTTER_PX - 5, "cy": middle[label], "r": 3}
            )
        )
    for beat in beats_s:
        if 0 <= beat <= length_s:
            at = _percent(float(beat), length_s)
            plot.append(tag("line", {"class": "beat", "x1": at, "x2": at, "y1": 0, "y2": height}))
    missed = [hit for hit in true_hits if not hit.matched]
    groups: tuple[tuple[Sequence[Hit], MarkKind], ...] = ((found_hits, "false"), (missed, "missed"))
    for hits, fault in groups:
        for hit, at in _shown(hits, length_s):
            kind = "found" if hit.matched else fault
            plot.append(_sized_mark(kind, hit, at, middle[hit.label], _ROW_PX * 0.27))
    return _frame(height, names, plot, "Piano roll of the found chart")


def time_track(length_s: float) -> Track:
    """The time axis: a label every few seconds."""
    marks = ticks(0.0, length_s, 11)
    step = marks[1] - marks[0] if len(marks) > 1 else 0.0
    plot = []
    for at_s in marks:
        at = _percent(at_s, length_s)
        side = "start" if at_s == 0 else "end" if at_s > 0.98 * length_s else "middle"
        plot.append(tag("line", {"class": "axis", "x1": at, "x2": at, "y1": 0, "y2": 5}))
        plot.append(tag("text", {"class": f"tick {side}", "x": at, "y": 18}, tick_text(at_s, step)))
    return _frame(24.0, [_name("time (s)", 18, "muted")], plot, "Time in seconds")
