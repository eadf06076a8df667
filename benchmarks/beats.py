"""Beats, bars and meters found from drum hits: ``python benchmarks/beats.py --mdb mdb --grooves grooves``.

The hits are those of annotations, not of a recogniser, so that only the timing is measured (but for the sets
"heard", which go from audio to bars). Every other set is then tried again with hits as a recogniser errs:
15 % missing, 5 % false, 5 ms of jitter, 8 % called another drum. Sets:

- ``mdb``: recorded songs, annotated hits against annotated beats (all velocities alike);
- ``heard drum_only``, ``heard full_mix_rebuilt``: the recordings of those songs as the package's transcriber
  hears them;
- ``grooves``: Groove MIDI's validation split, takes of 15 s and more in 4/4, played to a click that is the
  truth; a drummer who is 20 ms ahead of it costs nothing within mir_eval's 70 ms;
- ``drifting``: the same takes on a clock whose tempo wanders by about 4 % and on one that rises by 20 %;
- ``odd grooves``: takes in 3/4, 6/8 and 5/4: two of validation, and the nine of train, which
  ``benchmarks/fit_meters.py`` learns from; no more are to be had;
- ``synth 4/4``, ``synth odd``: :func:`beatsight.synth.grooves.make_groove`, one-minute parts, every style in
  every meter that it is usual in, slow drift.

Beat F and downbeat F are mir_eval's (70 ms); CMLt and AMLt want runs of right beats, AMLt forgives half,
double and off-beat. They are taken between the first and the last hit. "Within 20 ms": beats found that lie
so close to a true one, the mean lead of the player set aside. All figures are means over the parts of a set.
"""

from __future__ import annotations

import argparse
import csv
import os
import platform
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import mir_eval
import numpy as np
from rich.console import Console
from rich.table import Table

from beatsight.audio.io import SAMPLE_RATE, load
from beatsight.charts.midi import read_midi
from beatsight.synth.grooves import make_groove
from beatsight.synth.styles import STYLES
from beatsight.transcription.choice import Choice, choose_transcriber
from beatsight.transcription.tempo import Timing, estimate_timing

Hits = list[tuple[float, float, str]]

# MDB Drums' subclasses.
MDB_LABELS = {
    "KD": "kick", "SD": "snare", "SDB": "snare", "SDD": "snare", "SDF": "snare", "SDG": "snare",
    "SDNS": "snare_off", "SST": "cross_stick", "CHH": "hihat_closed", "OHH": "hihat_open",
    "PHH": "hihat_pedal", "HIT": "tom_high", "MHT": "tom_mid", "HFT": "tom_low", "LFT": "tom_low",
    "RDC": "ride", "RDB": "ride_bell", "CRC": "crash", "CHC": "china", "SPC": "splash", "TMB": "tambourine",
}  # fmt: skip
# Quarters in a bar and in a counted beat.
BARS = {"4/4": (4.0, 1.0), "3/4": (3.0, 1.0), "6/8": (3.0, 1.5), "5/4": (5.0, 1.0), "7/8": (3.5, 0.5)}
# What a recogniser calls a drum it confuses.
CONFUSED = {"snare": "tom_mid", "tom_high": "snare", "hihat_open": "crash", "ride": "hihat_closed",
            "crash": "ride", "hihat_closed": "ride", "kick": "tom_low"}  # fmt: skip
MISSING, FALSE, JITTER_S, CALLED_OTHER = 0.15, 0.05, 0.005, 0.08
WITHIN_S = 0.02
MIN_TAKE_S = 15.0
SYNTH_S, SYNTH_SEEDS = 60.0, 3
HEADS = (
    "set", "hits", "parts", "beat F", "CMLt", "AMLt", "downbeat F", "meter right", "median bpm error",
    "within 20 ms", "CPU ms a part",
)  # fmt: skip


@dataclass(frozen=True)
class Part:
    """A drum part and the truth: beats and bars in seconds, quarters a minute (0: not known)."""

    name: str
    hits: Hits
    beats_s: np.ndarray
    downbeats_s: np.ndarray
    meter: str
    bpm: float
    duration_s: float


def read_mdb(folder: Path) -> Iterator[Part]:
    """The annotated songs; the beat annotations number the beats of a bar."""
    for path in sorted((folder / "annotations/subclass").glob("*.txt")):
        rows = [line.split() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        beats = np.loadtxt(
            folder / "annotations/beats" / path.name.replace("_subclass.txt", "_MIX.beats"), ndmin=2
        )
        hits = [(float(time_s), 0.8, MDB_LABELS[name]) for time_s, name in rows]
        downs = beats[beats[:, 1] == 1, 0]
        bpm = 60.0 / float(np.median(np.diff(beats[:, 0])))
        meter = f"{int(beats[:, 1].max())}/4"
        yield Part(path.stem, hits, beats[:, 0], downs, meter, bpm, float(beats[-1, 0]) + 0.5)


def heard(folder: Path, kind: str) -> list[Part]:
    """The annotated songs with the hits that the package's transcriber finds in their recordings."""
    transcriber, parts = choose_transcriber(Choice()), []
    for part in read_mdb(folder):
        stem = part.name.removesuffix("_subclass")
        audio = load(next((folder / kind).glob(f"{stem}_*.flac")))
        found = [hit for some in transcriber.find_hits([audio]) for hit in some]
        hits = [(hit.time_s, hit.velocity, hit.label) for hit in found]
        parts.append(replace(part, hits=hits, duration_s=len(audio) / SAMPLE_RATE))
    return parts


def read_grooves(folder: Path, odd: bool, split: str) -> Iterator[Part]:
    """Long takes of a split in 4/4, or in the other meters that are known here."""
    with (folder / "info.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    for row in rows:
        meter = row["time_signature"].replace("-", "/")
        wanted = meter in BARS and (meter != "4/4") == odd and row["split"] == split
        if not wanted or row["beat_type"] != "beat" or float(row["duration"]) < MIN_TAKE_S:
            continue
        chart = read_midi(folder / row["midi_filename"], device="roland")
        hits = [(hit.time / 1000, hit.velocity, hit.component) for hit in chart.hit_objects]
        bar, beat = (quarters * 60.0 / chart.timing.bpm for quarters in BARS[meter])
        end = hits[-1][0] + 0.5
        yield Part(
            row["id"], hits, np.arange(0, end, beat), np.arange(0, end, bar), meter, chart.timing.bpm, end
        )


def drifting(parts: list[Part]) -> Iterator[Part]:
    """The parts on clocks that do not keep time."""
    for index, part in enumerate(parts):
        fine = np.arange(0, part.duration_s + 1, 0.05)
        if index % 2:
            rate = 1.0 + 0.2 * fine / fine[-1]
        else:
            rate = 1.0 + 0.04 * np.sin(2 * np.pi * (fine / 40.0 + index / 7))
        warped = np.concatenate(([0.0], np.cumsum(0.05 / rate)[:-1]))

        def at(times: np.ndarray, fine: np.ndarray = fine, warped: np.ndarray = warped) -> np.ndarray:
            return np.interp(times, fine, warped)

        onsets = at(np.array([hit[0] for hit in part.hits]))
        yield replace(
            part,
            hits=[(float(t), *hit[1:]) for t, hit in zip(onsets, part.hits, strict=True)],
            beats_s=at(part.beats_s),
            downbeats_s=at(part.downbeats_s),
            bpm=0.0,
            duration_s=float(at(np.array(part.duration_s))),
        )


def synthetic(odd: bool) -> Iterator[Part]:
    """Every style in its usual meters."""
    for index, (name, style) in enumerate(STYLES.items()):
        for meter in sorted(set(style.meters)):
            if (meter == "4/4") == odd:
                continue
            for seed in range(SYNTH_SEEDS):
                rng = np.random.default_rng([index, seed, len(meter), int(meter[0])])
                played = make_groove(rng, name, meter, None, SYNTH_S)
                quarters = played.tempo_bpm * BARS[meter][1]
                yield Part(
                    f"{name} {meter} {seed}",
                    [(hit.onset_s, hit.velocity, hit.label) for hit in played.hits],
                    played.beats_s,
                    played.downbeats_s,
                    meter,
                    quarters,
                    SYNTH_S,
                )


def degraded(part: Part, seed: int) -> Part:
    """The part as a recogniser that errs would hear it."""
    rng = np.random.default_rng(seed)
    labels = [hit[2] for hit in part.hits]
    hits: Hits = []
    for onset, velocity, label in part.hits:
        if rng.random() < MISSING:
            continue
        if rng.random() < CALLED_OTHER:
            label = CONFUSED.get(label, "snare")
        loudness = float(np.clip(velocity * rng.normal(1.0, 0.15), 0.05, 1.0))
        hits.append((max(0.0, onset + rng.normal(0, JITTER_S)), loudness, label))
    for _ in range(round(FALSE * len(part.hits))):
        hits.append((rng.uniform(0, part.duration_s), rng.uniform(0.1, 0.6), str(rng.choice(labels))))
    return replace(part, hits=sorted(hits))


def estimate(part: Part) -> Timing:
    """The package's answer."""
    onsets, weights, labels = zip(*part.hits, strict=True)
    return estimate_timing(onsets, weights, labels, part.duration_s)


def score(part: Part, timing: Timing) -> list[float]:
    """Beat F, CMLt, AMLt, downbeat F, meter right, |bpm error| in %, share within 20 ms."""
    first, last = min(hit[0] for hit in part.hits) - 0.07, max(hit[0] for hit in part.hits) + 0.07

    def inside(times: np.ndarray) -> np.ndarray:
        return times[(times >= first) & (times <= last)]

    truth, found = inside(part.beats_s), inside(timing.beats_s)
    _, cmlt, _, amlt = mir_eval.beat.continuity(truth, found)
    away = (found[:, None] - truth)[np.arange(len(found)), np.abs(found[:, None] - truth).argmin(axis=1)]
    return [
        mir_eval.beat.f_measure(truth, found),
        cmlt,
        amlt,
        mir_eval.beat.f_measure(inside(part.downbeats_s), inside(timing.downbeats_s)),
        float(timing.meter == part.meter),
        100 * abs(timing.bpm / part.bpm - 1) if part.bpm else np.nan,
        float(np.mean(np.abs(away - np.median(away)) <= WITHIN_S)),
    ]


def cpu_of(hits: Hits, duration_s: float) -> float:
    """CPU seconds of one estimate, the better of two."""
    onsets, weights, labels = zip(*hits, strict=True)
    used = []
    for _ in range(2):
        begun = time.process_time()
        estimate_timing(onsets, weights, labels, duration_s)
        used.append(time.process_time() - begun)
    return min(used)


def speed() -> list[tuple[str, float]]:
    """CPU seconds for parts of four minutes and of an hour."""
    rows = []
    for name, length in (("4 minutes", 240.0), ("1 hour", 3600.0)):
        played = make_groove(np.random.default_rng(1), "rock", "4/4", 140.0, length)
        hits = [(hit.onset_s, hit.velocity, hit.label) for hit in played.hits]
        rows.append((f"{name}, {len(hits)} hits", cpu_of(hits, length)))
    return rows


def print_sets(console: Console, sets: dict[str, Callable[[], list[Part]]], each: bool) -> None:
    """One row a set, clean and degraded; with ``each`` a line per part before."""
    table = Table(*HEADS)
    for name, make in sets.items():
        parts = make()
        for kind in ("heard",) if name.startswith("heard") else ("as played", "degraded"):
            tried = [degraded(p, n) for n, p in enumerate(parts)] if kind == "degraded" else parts
            begun = time.process_time()
            found = [estimate(part) for part in tried]
            cpu_ms = (time.process_time() - begun) / len(parts) * 1000
            scores = np.array([score(part, timing) for part, timing in zip(tried, found, strict=True)])
            for part, timing, row in zip(tried, found, scores, strict=True):
                if each:
                    figures = " ".join(f"{value:.2f}" for value in row)
                    console.print(
                        f"{name} | {kind} | {part.name} | {part.meter} {part.bpm:.1f} | "
                        f"{timing.meter} {timing.bpm:.1f} {len(timing.points)} | {figures}",
                        soft_wrap=True,
                    )
            mean = np.nanmean(scores[:, [0, 1, 2, 3, 4, 6]], axis=0)
            bpm = scores[:, 5]
            table.add_row(
                name, kind, str(len(parts)), *(f"{value:.3f}" for value in mean[:4]),
                f"{round(mean[4] * len(parts))} of {len(parts)}",
                "–" if np.isnan(bpm).all() else f"{np.nanmedian(bpm):.2f} %", f"{mean[5]:.3f}",
                f"{cpu_ms:.0f}",
            )  # fmt: skip
    console.print(table)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Score tempo, beats and meters.")
    parser.add_argument("--mdb", type=Path, help="folder with annotations/subclass and annotations/beats")
    parser.add_argument("--grooves", type=Path, help="folder of the Groove MIDI dataset with info.csv")
    parser.add_argument("--each", action="store_true", help="print every part too")
    given = parser.parse_args()
    sets: dict[str, Callable[[], list[Part]]] = {}
    if given.mdb:
        sets["mdb"] = lambda: list(read_mdb(given.mdb))
        for kind in ("drum_only", "full_mix_rebuilt"):
            sets[f"heard {kind}"] = partial(heard, given.mdb, kind)
    if given.grooves:
        sets["grooves"] = lambda: list(read_grooves(given.grooves, False, "validation"))
        sets["drifting"] = lambda: list(drifting(list(read_grooves(given.grooves, False, "validation"))))
        for split in ("train", "validation"):
            sets[f"odd grooves, {split}"] = lambda split=split: list(read_grooves(given.grooves, True, split))
    sets["synth 4/4"] = lambda: list(synthetic(odd=False))
    sets["synth odd"] = lambda: list(synthetic(odd=True))
    console = Console(width=150)
    print_sets(console, sets, given.each)
    for name, seconds in speed():
        console.print(f"{name}: {seconds:.2f} s of CPU")
    console.print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"numpy {np.__version__}"
    )


if __name__ == "__main__":
    main()
