"""Speed of rendering songs of recorded kits: ``python benchmarks/rendering.py``.

Seconds of audio a second of CPU time, one process, step by step: playing (strokes chosen, rendered and
placed; the first use of a recording in a song costs more than the next), the drum bus, the backing, tape and
coding, and the mel levels that training sees. CPU time, because other programs on the machine disturb it less
than the clock. Songs are independent, so so many processes give so many times the rate.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from beatsight.audio.frames import FrameConfig, song_levels
from beatsight.synth.studio.damage import draw_damage
from beatsight.synth.studio.drumset import Drumset
from beatsight.synth.studio.mixing import BusConfig, place_strokes, treat_bus
from beatsight.synth.studio.playing import draw_part
from beatsight.synth.studio.song import SongConfig, make_band
from beatsight.synth.studio.writing import SetConfig, load_stock

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
# On two cores; a core alone then needs half.
TARGET = 60.0
_BOUND = {
    "playing": "resampling and filtering each recording once a song",
    "drum bus": "FFT of the room, filters",
    "backing": "vowels, strings and rooms",
    "tape and coding": "libsndfile's MP3 encoder",
    "mel levels": "FFT",
}


def measure(config: SetConfig) -> tuple[dict[str, float], float]:
    """CPU seconds by step for all songs, and of loading."""
    started = time.process_time()
    stock, _, _ = load_stock(config)
    loading = time.process_time() - started
    spent = dict.fromkeys(_BOUND, 0.0)
    song, frames = config.song, FrameConfig()
    worn = BusConfig(bleed_share=0.3, tape_share=1.0, mp3_share=1.0)
    for number in range(config.songs):
        rng = np.random.default_rng([song.seed, 0, number])
        marks = [time.process_time()]
        part = draw_part(rng, stock.grooves, stock.weights, song.seconds, song.playing)
        placed = place_strokes(rng, Drumset(rng, stock.bank, song.drumset), part.strokes, song.samples)
        marks.append(time.process_time())
        drums = treat_bus(rng, placed.track, placed.send, song.bus)
        marks.append(time.process_time())
        backing, _ = make_band(stock, song, number)
        marks.append(time.process_time())
        damage = draw_damage(np.random.default_rng(number), song.seconds, worn)
        damage.worn(damage.warped(drums))
        marks.append(time.process_time())
        for track in (drums, backing):
            song_levels(track, frames)
        marks.append(time.process_time())
        for step, seconds in zip(_BOUND, np.diff(marks), strict=True):
            spent[step] += float(seconds)
    return spent, loading


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kit", type=Path, nargs="+", default=[DATA / "kits", DATA / "percussion"])
    parser.add_argument("--grooves", type=Path, default=DATA / "grooves")
    parser.add_argument("--songs", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=30.0)
    options = parser.parse_args()
    config = SetConfig(
        tuple(options.kit), options.grooves, songs=options.songs, song=SongConfig(options.seconds)
    )
    spent, loading = measure(config)
    audio_s = options.songs * options.seconds
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    table = Table(
        title=f"{machine}, numpy {np.__version__}; {options.songs} songs of {options.seconds:.0f} s"
    )
    for column in ("step", "x real time", "share", "bounded by"):
        table.add_column(column)
    total = sum(spent.values())
    for step, seconds in spent.items():
        table.add_row(step, f"{audio_s / seconds:.0f}", f"{seconds / total:.0%}", _BOUND[step])
    shards = total - spent["tape and coding"]
    cores = os.cpu_count() or 1
    table.add_row(
        "drums, backing and levels", f"{audio_s / shards:.0f}", "", f"target {TARGET:.0f} on 2 cores"
    )
    Console(width=120).print(table)
    print(
        f"Loading and decoding the kits took {loading:.1f} s of CPU time. A process a core: "
        f"{cores * audio_s / shards:.0f} x real time."
    )


if __name__ == "__main__":
    main()
