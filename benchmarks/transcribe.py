"""Speed and memory of ``beatsight transcribe``: one song cold and warm, many songs, and a very long one.

    python benchmarks/transcribe.py [--hours 10] [--songs 100] [--workers 2] [--model FILE] [--song FILE]

Cold: a new process from start to the written chart of a 40 s file (made here, or ``--song``). Warm: the same
song in a process that has the model loaded. Memory is the peak of the whole process. The long file is one
made song over and over, streamed from disk; memory is said for a tenth of it too, so that one sees what
grows. The batch is ``--songs`` files of 40 s. Times are wall-clock and processor seconds (on a machine that
does other work, the latter are the steadier figure).

Beside ours stand figures of others, measured on a 2-core x86 machine without GPU: the system that this one
replaces (16 s and 965 MB for a 40 s file) and ADTOF's Frame-RNN (RTF 0.04 warm, 0.055 with 13 files in one
process, 885 MB).
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile
from whole_process import Measured, measure

from beatsight.audio.io import SAMPLE_RATE, load, probe
from beatsight.synth.song import make_song
from beatsight.transcription.choice import Choice, choose_transcriber
from beatsight.transcription.pipeline import transcribe

SONG_S = 40.0
# Of targets.md: seconds and MB of a 40 s file as a whole process, and the real-time factor with the model
# loaded.
GOAL_WALL_S, GOAL_MB, GOAL_RTF = 3.0, 400.0, 0.01
REPLACED_WALL_S, REPLACED_MB = 16.0, 965.0
ADTOF_WARM_RTF, ADTOF_RTF, ADTOF_MB = 0.04, 0.055, 885.0
REPEATS = 5


def machine() -> str:
    """Processor, cores, load and versions."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return (
        f"{names[0] if names else platform.machine()}, {len(os.sched_getaffinity(0))} cores, "
        f"load {os.getloadavg()[0]:.1f}, Python {platform.python_version()}, NumPy {np.__version__}"
    )


def row(what: str, value: str, other: str = "") -> None:
    """A line of the table."""
    print(f"{what:<44} {value:>34}   {other}", flush=True)


def command(*words: str | Path, model: Path | None) -> list[str]:
    """The words of a whole ``beatsight transcribe``."""
    chosen = ["--ml-model", str(model)] if model else []
    return [sys.executable, "-m", "beatsight", "transcribe", *map(str, words), *chosen]


def shown(found: Measured) -> str:
    return f"{found.wall_s:.2f} s, {found.cpu_s:.2f} CPU s, {found.peak_mb:.0f} MB"


def cold(song: Path, folder: Path, model: Path | None) -> None:
    """A new process, the best of some."""
    words = command(song, "-o", folder / "cold.bsm", model=model)
    best = min((measure(words, folder / "log") for _ in range(REPEATS)), key=lambda one: one.cpu_s)
    seconds = probe(song).duration_s
    row(f"cold, whole process, {seconds:.0f} s", shown(best), f"goal {GOAL_WALL_S:g} s, {GOAL_MB:g} MB")
    factor, less = REPLACED_WALL_S / best.cpu_s, REPLACED_MB / max(best.peak_mb, 1.0)
    row(
        "  RTF (CPU)",
        f"{best.cpu_s / seconds:.4f}",
        f"the replaced system: {factor:.0f} x the time, {less:.1f} x the MB",
    )


def warm(song: Path, model: Path | None) -> None:
    """The model loaded, the median of some."""
    transcriber = choose_transcriber(Choice(model))
    transcribe(song, transcriber=transcriber)
    walls, cpus = [], []
    for _ in range(REPEATS):
        wall, cpu = time.perf_counter(), time.process_time()
        transcribe(song, transcriber=transcriber)
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    seconds = probe(song).duration_s
    rtf = float(np.median(cpus)) / seconds
    row(
        "warm, RTF (CPU)",
        f"{rtf:.4f}",
        f"goal {GOAL_RTF:g}; ADTOF {ADTOF_WARM_RTF:g}: {ADTOF_WARM_RTF / rtf:.1f} x",
    )
    row("warm, RTF (wall)", f"{float(np.median(walls)) / seconds:.4f}")


def long(song: Path, hours: float, folder: Path, model: Path | None) -> None:
    """One song over and over, at a tenth of the length and at all of it."""
    audio = load(song)
    for share in (0.1, 1.0):
        path = folder / "long.wav"
        times = max(1, round(hours * 3600 * share / (len(audio) / SAMPLE_RATE)))
        with soundfile.SoundFile(path, "w", SAMPLE_RATE, 1, "PCM_16", format="RF64") as out:
            for _ in range(times):
                out.write(audio)
        seconds = probe(path).duration_s
        found = measure(command(path, "-o", folder / "long.csv", model=model), folder / "log")
        rate = (
            f"RTF {found.cpu_s / seconds:.4f}; {len((folder / 'long.csv').read_text().splitlines()) - 1} hits"
        )
        row(f"one file of {seconds / 3600:.2f} h", shown(found), rate)
        path.unlink()


def batch(song: Path, songs: int, workers: int, folder: Path, model: Path | None) -> None:
    """Many songs in one call."""
    album = folder / "album"
    album.mkdir()
    for number in range(songs):
        (album / f"{number:03d}{song.suffix}").symlink_to(song.resolve())
    seconds = songs * probe(song).duration_s
    for count in sorted({1, workers}):
        words = command(album, "-o", folder / f"charts{count}", "--workers", str(count), model=model)
        found = measure(words, folder / "log")
        rtf = found.cpu_s / seconds
        more = f"RTF {rtf:.4f} CPU, {found.wall_s / seconds:.4f} wall; "
        more += f"ADTOF {ADTOF_RTF:g}, {ADTOF_MB:g} MB: {ADTOF_RTF / rtf:.1f} x"
        row(f"{songs} songs, {count} worker{'s' if count > 1 else ''}", shown(found), more)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--hours", type=float, default=10.0, help="length of the long file; 0: none")
    parser.add_argument("--songs", type=int, default=100, help="of the batch; 0: none")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--model", type=Path, help="model file; else the one of the package")
    parser.add_argument("--song", type=Path, help="a song; else one is made")
    given = parser.parse_args()
    print(machine(), "\n", choose_transcriber(Choice(given.model)).name, sep="")
    with tempfile.TemporaryDirectory(prefix="beatsight-") as name:
        folder = Path(name)
        song = given.song
        if song is None:
            song = folder / "song.wav"
            made = make_song(1, duration_s=SONG_S, style="rock", accompaniment_db=-6.0)
            soundfile.write(song, made.audio, SAMPLE_RATE, subtype="PCM_16")
        cold(song, folder, given.model)
        warm(song, given.model)
        if given.songs:
            batch(song, given.songs, given.workers, folder, given.model)
        if given.hours:
            long(song, given.hours, folder, given.model)


if __name__ == "__main__":
    main()
