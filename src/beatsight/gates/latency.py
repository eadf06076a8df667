"""Gate ``latency``: is the transcriber fast enough on this machine?

Two figures, both in wall-clock time. The **real-time factor** (RTF) is seconds of work over seconds of sound,
all songs together, the model loaded, each song at the median of its repeats; 0.2 means that a song of five
minutes takes one. The **first-result delay** is what a user waits at the worst: from starting the program
to the finished chart of the first 10 s of the first song, with imports and model loading, the median of its
repeats.

Measuring is handed in (:data:`Measure`), because it needs the transcriber and this room must do without
torch; :func:`beatsight.transcription.latency.measure_latency` does it. Timings differ from run to run and
from machine to machine, so the machine is part of the report.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from beatsight.errors import UsageError
from beatsight.gates.inputs import named
from beatsight.gates.result import GateReport, GateResult, at_most, verdict
from beatsight.manifest.engine.table import Progress

# A transcriber that shares a processor with other work must leave most of it free; a song must be done
# long before it ends.
MAX_RTF = 0.2
REPEATS = 3
# Of a song, for the first-result delay: enough for a tempo, short enough to be asked for while one waits.
EXCERPT_S = 10.0
# In a shorter file the fixed cost of a call is what gets measured.
MIN_SONG_S = 1.0

_NOT_REPRODUCIBLE = (
    "Timings depend on the machine and on what else it does; they are not reproducible, so compare them only "
    "with timings taken on the same machine."
)


class LatencySettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to measure.

    Attributes:
        audio: songs; the first one also gives the excerpt.
        model: model file; None: as ``beatsight transcribe`` chooses.
        device: where the model runs, as for ``beatsight transcribe``.
        repeats: how often each thing is timed.
        max_rtf: of all songs together.
        max_first_result_s: None: the delay is reported and not judged.
    """

    audio: list[Path]
    model: Path | None = None
    device: str = "auto"
    repeats: int = REPEATS
    max_rtf: float = MAX_RTF
    max_first_result_s: float | None = None

    def __post_init__(self) -> None:
        if not self.audio:
            raise UsageError("audio: at least one song is needed")
        if self.repeats < 1:
            raise UsageError(f"repeats: must be at least 1, not {self.repeats}")
        for name in ("max_rtf", "max_first_result_s"):
            limit = getattr(self, name)
            if limit is not None and not (math.isfinite(limit) and limit > 0):
                raise UsageError(f"{name}: must be a positive number, not {limit:g}")


class SongTiming(msgspec.Struct, frozen=True, kw_only=True):
    """One song, transcribed several times.

    Attributes:
        path: as given.
        duration_s: of the sound.
        runs_s: seconds of each run.
        hits: found in it.
        silent: whether there is nothing to hear.
    """

    path: str
    duration_s: float
    runs_s: list[float]
    hits: int
    silent: bool = False

    @property
    def median_s(self) -> float:
        """The run that counts."""
        return statistics.median(self.runs_s)

    @property
    def rtf(self) -> float:
        """Seconds of work a second of sound."""
        return self.median_s / self.duration_s


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """Where it was measured: processor, cores this process may use, versions, and where the model ran."""

    processor: str
    cores: int
    system: str
    python: str
    torch: str = ""
    device: str = "cpu"


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """What a measurement hands to the gate.

    Attributes:
        machine: where.
        recogniser: who named the drums, e.g. ``DrumClassifierCNN model.pth sha256:…``.
        is_model: False when it was the rule of thumb.
        load_s: seconds to load the recogniser in a running program.
        excerpt_s: length of the excerpt.
        first_results_s: seconds from starting the program to the excerpt's chart, of each run.
        songs: in the order given.
    """

    machine: Machine
    recogniser: str
    is_model: bool
    load_s: float
    excerpt_s: float
    first_results_s: list[float]
    songs: list[SongTiming]


Measure = Callable[[LatencySettings, Progress | None], Measured]


class LatencyReport(GateReport, tag="latency", frozen=True, kw_only=True):
    """The timings and what they say.

    Attributes:
        rtf: of all songs that are not silent; None when there is none.
        audio_s: their length.
        processing_s: the sum of their median runs.
        first_result_s: median of the runs.
        measured: every single figure.
        max_rtf: the limit asked for.
    """

    rtf: float | None
    audio_s: float
    processing_s: float
    first_result_s: float
    measured: Measured
    max_rtf: float


def real_time_factor(songs: Sequence[SongTiming]) -> tuple[float | None, float, float]:
    """(RTF of all songs together, their seconds of work, their seconds of sound); RTF None without sound.

    >>> a = SongTiming(path="a", duration_s=10.0, runs_s=[1.0, 9.0, 2.0], hits=4)
    >>> b = SongTiming(path="b", duration_s=30.0, runs_s=[6.0], hits=4)
    >>> real_time_factor([a, b]), real_time_factor([])
    ((0.2, 8.0, 40.0), (None, 0, 0))
    """
    work = sum(song.median_s for song in songs)
    sound = sum(song.duration_s for song in songs)
    return (work / sound if sound else None), work, sound


def latency_gate(
    settings: LatencySettings, measure: Measure, *, progress: Progress | None = None
) -> LatencyReport:
    """Measure, and judge against the limits.

    Args:
        settings: what to measure.
        measure: how.
        progress: called with (timed runs done, in all).

    Raises:
        InputError: a song or the model cannot be used.
    """
    measured = measure(settings, progress)
    heard = [song for song in measured.songs if not song.silent]
    rtf, work, sound = real_time_factor(heard)
    first = statistics.median(measured.first_results_s)
    results = _results(settings, measured, heard, rtf, first)
    return LatencyReport(
        passed=verdict(results),
        gating_results=results,
        inputs={"audio": ", ".join(str(path) for path in settings.audio)}
        | ({"model": str(settings.model)} if settings.model else {}),
        notes=_notes(measured),
        rtf=rtf,
        audio_s=sound,
        processing_s=work,
        first_result_s=first,
        measured=measured,
        max_rtf=settings.max_rtf,
    )


def _results(
    settings: LatencySettings,
    measured: Measured,
    heard: Sequence[SongTiming],
    rtf: float | None,
    first: float,
) -> list[GateResult]:
    if heard:
        slowest = max(heard, key=lambda song: song.rtf)
        detail = (
            f"{measured.recogniser} on {measured.machine.device}; "
            f"slowest of {len(heard)}: {slowest.path} ({slowest.rtf:.3f})"
        )
    else:
        detail = "every song is silent, so no speed could be measured"
    results = [at_most("rtf", rtf, settings.max_rtf, detail)]
    if settings.max_first_result_s is not None:
        detail = f"from starting the program to the chart of the first {measured.excerpt_s:g} s"
        results.append(at_most("first_result", first, settings.max_first_result_s, detail, "s"))
    return results


def _notes(measured: Measured) -> list[str]:
    notes = [_NOT_REPRODUCIBLE]
    if not measured.is_model:
        notes.append("No model was given or found, so the rule of thumb was timed; a model takes longer.")
    if silent := [song.path for song in measured.songs if song.silent]:
        notes.append(f"Left out of the real-time factor, being silent: {named(silent, 'song')}.")
    if empty := [song.path for song in measured.songs if not song.silent and not song.hits]:
        notes.append(f"No hit was found in {named(empty, 'song')}; songs with drums take longer.")
    return notes
