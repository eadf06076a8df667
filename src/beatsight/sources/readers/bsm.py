"""Charts in the ``.bsm`` format, with the recording that each names or that lies beside it.

Every hit object becomes a component; hits of one instant join. A velocity that a hit does not state stays
unknown (a player would use 0.8). Bars count from the chart's offset, so that a hit before it has a negative
bar. A component that is no drum is counted; any other fault of a chart leaves out the whole chart.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from beatsight.charts.bsm import chart_from_builtins, read_bsm
from beatsight.charts.chart import Chart, Timing, TimingPoint
from beatsight.errors import InputError
from beatsight.events import Component, Event
from beatsight.files import inside, read_bytes
from beatsight.sources.contract import Card, Report, Settings, Source
from beatsight.sources.finding import Beside, audio_beside, beside, find_labelled
from beatsight.sources.strikes import Strike, gather
from beatsight.taxonomy import is_known, resolve

CARD = Card(
    name="bsm",
    title="BeatSight charts",
    version="1.0.0",
    licence="of the files",
    commercial=None,
    citation="",
    url="",
    layout="ANY/NAME.bsm    chart, JSON, format 1.x\n"
    "ANY/NAME.wav    its recording: the file that audio.filename names, else the one of the chart's name",
    has_audio=True,
)
# Hits are written in whole milliseconds: one that is rounded to just before a beat belongs to that beat.
_ROUNDING_BEATS = 0.01


class _Bars:
    """Bar and beat of a time, by a chart's tempo map."""

    def __init__(self, timing: Timing) -> None:
        self._points = points = timing.resolved()
        self._starts = [point.time for point in points]
        self._origins: list[tuple[int, float]] = []
        for index, point in enumerate(points):
            if index == 0:
                # Beats before the offset: they count down to bar 0.
                self._origins.append((0, -self._beats(0, timing.offset)))
                continue
            bar, beat = self._at(index - 1, point.time)
            if point.time_signature != points[index - 1].time_signature:
                bar, beat = bar + (beat > 0), 0.0
            self._origins.append((bar, beat))

    def _meter(self, index: int) -> tuple[int, int]:
        beats, unit = (self._points[index].time_signature or "4/4").split("/")
        return int(beats), int(unit)

    def _beats(self, index: int, milliseconds: float) -> float:
        return milliseconds * self._points[index].bpm / 60_000 * self._meter(index)[1] / 4

    def _at(self, index: int, time_ms: int) -> tuple[int, float]:
        bar, beat = self._origins[index]
        passed = beat + self._beats(index, time_ms - self._starts[index])
        if abs(passed - round(passed)) < _ROUNDING_BEATS:
            passed = float(round(passed))
        bars, rest = divmod(passed, self._meter(index)[0])
        return bar + int(bars), rest

    def place(self, time_ms: int) -> tuple[TimingPoint, int, float]:
        """The timing point in force, the bar, and the beat within it."""
        index = bisect_right(self._starts, time_ms) - 1
        return self._points[index], *self._at(index, time_ms)


def _raw(path: Path) -> Any:
    try:
        return msgspec.json.decode(read_bytes(path).removeprefix(b"\xef\xbb\xbf"))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        read_bsm(path)  # names the fault
        raise


def _drop_unknown(raw: Any, name: str, report: Report) -> None:
    """Take hits of unknown drums out of a parsed chart, and count them."""
    if not isinstance(raw, dict) or not isinstance(raw.get("hitObjects"), list):
        return
    kept = []
    for index, hit in enumerate(raw["hitObjects"]):
        label = hit.get("component") if isinstance(hit, dict) else None
        if isinstance(label, str) and not is_known(label):
            report.unmapped(label, f"{name}: hitObjects[{index}]")
            continue
        kept.append(hit)
    raw["hitObjects"] = kept


def _audio(path: Path, chart: Chart, report: Report) -> Beside | None:
    if chart.audio is not None:
        base = report.root if report.root.is_dir() else report.root.parent
        try:
            named = inside(base, (path.parent / chart.audio.filename).relative_to(base).as_posix())
        except (InputError, ValueError):
            named = None  # it names a file outside the folder that is read
        if named is not None and named.is_file():
            return beside(path.parent / chart.audio.filename, report)
    return audio_beside(path, report)


def _strikes(chart: Chart, silent: set[tuple[int, str]], name: str) -> Iterator[Strike]:
    bars = _Bars(chart.timing) if chart.timing else None
    for hit in chart.hit_objects:
        velocity = None if (hit.time, hit.component) in silent else hit.velocity
        component = Component(label=resolve(hit.component), velocity=velocity)
        if bars is None:
            yield Strike(hit.time / 1000, component, name)
        else:
            point, bar, beat = bars.place(hit.time)
            yield Strike(hit.time / 1000, component, name, point.bpm, point.time_signature, bar, beat)


def find(root: Path, settings: Settings) -> list[Path]:
    """The charts."""
    return find_labelled(root, (".bsm",), "charts in the .bsm format")


def read(path: Path, report: Report, settings: Settings) -> Iterable[Event]:
    """The hits of one chart; its session is the chart."""
    raw = _raw(path)
    name = report.used(path)
    _drop_unknown(raw, name, report)
    chart = chart_from_builtins(raw, str(path))
    silent = {(hit["time"], hit["component"]) for hit in raw["hitObjects"] if hit.get("velocity") is None}
    audio = _audio(path, chart, report)
    template = Event(
        sample_id="-",
        session_id=f"{CARD.name}:{Path(name).with_suffix('').as_posix()}",
        onset_time=0.0,
        components=[],
        source_set=CARD.title,
        track_id=chart.metadata.title or None,
        audio_path=audio.audio_path if audio else None,
        sample_rate=audio.sample_rate if audio else None,
        channels=audio.channels if audio else None,
        metadata_ref=f"provenance:{name}",
    )
    return gather(_strikes(chart, silent, name), template, report)


SOURCES = (Source(CARD, find, read),)
