"""How long transcription takes on this machine: the measurement of the gate ``latency``.

Cold: ``beatsight transcribe`` in a process of its own, on the first seconds of the first song, so that
starting Python, imports and model loading count. Warm: each song in this process, the model loaded and run
once before. All times are wall-clock, from the audio file to the finished chart.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np

from beatsight.audio.io import SAMPLE_RATE, save, stream
from beatsight.errors import BeatSightError, InputError
from beatsight.gates.latency import EXCERPT_S, MIN_SONG_S, LatencySettings, Machine, Measured, SongTiming
from beatsight.manifest.engine.table import Progress
from beatsight.transcription.choice import Choice, choose_transcriber
from beatsight.transcription.onset_transcriber import OnsetTranscriber
from beatsight.transcription.pipeline import transcribe
from beatsight.transcription.transcriber import Transcriber

# Quieter than the last bit of a 16-bit recording at any moment: nothing to hear.
_SILENT_PEAK = 2.0**-15
_CPUINFO = Path("/proc/cpuinfo")

# Seconds from some fixed moment, as time.perf_counter gives them.
Clock = Callable[[], float]
# Transcribes one file in a new process.
Cold = Callable[[Path, LatencySettings], None]
Result = TypeVar("Result")


def transcribe_afresh(song: Path, settings: LatencySettings) -> None:
    """``beatsight transcribe`` as a user would call it, in a new process; the chart lands beside the song.

    Raises:
        BeatSightError: it failed; what it said is repeated.
    """
    command = [
        sys.executable,
        "-m",
        "beatsight",
        "transcribe",
        str(song),
        "-o",
        str(song.with_suffix(".bsm")),
    ]
    command += ["--device", settings.device]
    if settings.model is not None:
        command += ["--ml-model", str(settings.model)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = done.stderr.strip().splitlines()
        raise BeatSightError(
            f"{settings.audio[0]}: its first seconds could not be transcribed in a new process: "
            f"{said[-1].removeprefix('beatsight: ') if said else f'exit code {done.returncode}'}"
        )


def measure_latency(
    settings: LatencySettings,
    progress: Progress | None = None,
    *,
    clock: Clock = time.perf_counter,
    cold: Cold = transcribe_afresh,
) -> Measured:
    """Time the transcriber, cold and warm.

    Args:
        settings: songs, model, device and repeats.
        progress: called with (timed runs done, in all).
        clock: what tells the time.
        cold: what transcribes the excerpt in a new process.

    Raises:
        InputError: a song cannot be read or is shorter than a second, or the model cannot be used.
    """
    lengths = {path: _listen(path) for path in settings.audio}
    start = clock()
    transcriber = choose_transcriber(Choice(settings.model, device=settings.device))
    load_s = clock() - start
    watch = _Stopwatch(clock, progress, settings.repeats * (1 + len(settings.audio)))
    repeats = range(settings.repeats)
    with tempfile.TemporaryDirectory(prefix="beatsight-") as folder:
        excerpt = Path(folder) / "excerpt.wav"
        excerpt_s = _cut(settings.audio[0], excerpt)
        first = [watch.time(lambda: cold(excerpt, settings))[0] for _ in repeats]
        transcribe(excerpt, transcriber=transcriber)  # whatever is loaded at first use is loaded now
    songs = []
    for path, (duration_s, silent) in lengths.items():
        runs = [watch.time(partial(transcribe, path, transcriber=transcriber)) for _ in repeats]
        songs.append(
            SongTiming(
                path=str(path),
                duration_s=duration_s,
                runs_s=[seconds for seconds, _ in runs],
                hits=len(runs[-1][1].hit_objects),
                silent=silent,
            )
        )
    return Measured(
        machine=_machine(transcriber),
        recogniser=transcriber.name,
        is_model=transcriber.is_model,
        load_s=load_s,
        excerpt_s=excerpt_s,
        first_results_s=first,
        songs=songs,
    )


class _Stopwatch:
    """Times pieces of work and tells how many of all are done."""

    def __init__(self, clock: Clock, progress: Progress | None, total: int) -> None:
        self._clock, self._progress, self._total, self._done = clock, progress, total, 0

    def time(self, work: Callable[[], Result]) -> tuple[float, Result]:
        """(seconds, what the work returned)."""
        start = self._clock()
        result = work()
        seconds = self._clock() - start
        self._done += 1
        if self._progress:
            self._progress(self._done, self._total)
        return seconds, result


def _listen(path: Path) -> tuple[float, bool]:
    """(length in seconds, whether it is silent) of a song; too short a one is refused."""
    frames, peak = 0, 0.0
    for block in stream(path):
        frames += len(block)
        peak = max(peak, float(np.abs(block).max()))
    seconds = frames / SAMPLE_RATE
    if seconds < MIN_SONG_S:
        raise InputError(f"{path}: is {seconds:.2f} s long; at least {MIN_SONG_S:g} s are needed to time it")
    return seconds, peak < _SILENT_PEAK


def _cut(path: Path, excerpt: Path) -> float:
    """Write the first seconds of a song; their number is returned."""
    wanted = round(EXCERPT_S * SAMPLE_RATE)
    blocks: list[np.ndarray] = []
    for block in stream(path):
        blocks.append(block)
        if sum(map(len, blocks)) >= wanted:
            break
    audio = np.concatenate(blocks)[:wanted]
    save(excerpt, audio)
    return len(audio) / SAMPLE_RATE


def _machine(transcriber: Transcriber) -> Machine:
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    # A transcriber's model runs in NumPy but for a GPU, a classifier always in torch.
    is_classifier = isinstance(transcriber, OnsetTranscriber) and transcriber.is_model
    uses_torch = is_classifier or transcriber.device != "cpu"
    return Machine(
        processor=_processor(),
        cores=usable or 1,
        system=f"{platform.system()} {platform.machine()}",
        python=platform.python_version(),
        torch=importlib.metadata.version("torch") if uses_torch else "",
        device=transcriber.device,
    )


def _processor() -> str:
    """The processor's name; Python itself knows it on some systems only."""
    if _CPUINFO.is_file():
        for line in _CPUINFO.read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()
