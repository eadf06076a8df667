"""How right the transcriber is: ``python benchmarks/accuracy.py --data DATA [--model FILE] [--json OUT]``.

Three parts, each printed beside the figures of others where there are any:

- recordings with annotations (``DATA/mdb``: MDB Drums, evaluation only): onset F-measure of the five classes
  within 50 and 20 ms, summed over classes and tracks, and the signed timing error;
- songs rendered from a kit, performances and recordings that training never had: the same, and velocity and
  openness against the truth of the rendering;
- sounds without drums (``DATA/background``): hits a minute, none of which is right.

Matching is mir_eval's (maximum cardinality). Figures of ADTOF are those it reached on the same five tracks.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from mir_eval.util import match_events
from rich.console import Console
from rich.table import Table
from scipy.stats import spearmanr

from beatsight.audio.io import SAMPLE_RATE, find_audio, load
from beatsight.synth.studio.backing import load_recordings
from beatsight.synth.studio.bank import load_bank
from beatsight.synth.studio.performances import Stroke, read_grooves
from beatsight.synth.studio.song import SongConfig, Stock, make_song
from beatsight.taxonomy import FIVE_CLASS, fold, is_hihat
from beatsight.transcription.choice import Choice, choose_transcriber
from beatsight.transcription.hits import Hit
from beatsight.transcription.transcriber import Transcriber

TOLERANCES_S = (0.05, 0.02)
# Measured by others on the same tracks: F within 50 ms.
ADTOF = {"drum_only": 0.873, "full_mix_rebuilt": 0.840}
HELD_OUT_KIT = "avl/red_zeppelin"
HELD_OUT_RECORDINGS = (
    "5703", "glacier", "ambi_drone", "ambi_choir", "ambi_sauna", "bass_voxy", "bass_drop", "guit_harmonics",
)  # fmt: skip
# These hold drums: whatever is found there may be right.
WITH_DRUMS = ("Vibe_Ace", "Karissa")
# One-shots of drums lie in this folder.
DRUM_FOLDER = "oneshots"
SONGS, SONG_S = 20, 30.0
# Of the songs, for intervals.
DRAWS = 2000
PAIR_S = 0.02
_MDB = {
    "KD": "KD", "SD": "SD", "SDB": "SD", "SDD": "SD", "SDF": "SD", "SDG": "SD", "SDNS": "SD", "SST": "SD",
    "CHH": "HH", "OHH": "HH", "PHH": "HH", "HIT": "TT", "MHT": "TT", "HFT": "TT", "LFT": "TT",
    "RDC": "CY", "RDB": "CY", "CRC": "CY", "CHC": "CY", "SPC": "CY",
}  # fmt: skip

Times = dict[str, np.ndarray]


@dataclass
class Score:
    """Found, false and missed hits by class and tolerance, and the errors of what was found."""

    counts: dict[float, dict[str, np.ndarray]] = field(
        default_factory=lambda: {t: {g: np.zeros(3, int) for g in FIVE_CLASS} for t in TOLERANCES_S}
    )
    errors_s: list[float] = field(default_factory=list)
    songs: list[np.ndarray] = field(default_factory=list)

    def add(self, true: Times, found: Times) -> None:
        """Count one song."""
        before = self._all()
        for tolerance, counts in self.counts.items():
            for group in FIVE_CLASS:
                ref, est = true[group], found[group]
                pairs = match_events(ref, est, tolerance + 1e-6) if len(ref) and len(est) else []
                counts[group] += (len(pairs), len(est) - len(pairs), len(ref) - len(pairs))
                if tolerance == TOLERANCES_S[0]:
                    self.errors_s += [float(est[j] - ref[i]) for i, j in pairs]
        self.songs.append(self._all() - before)

    def _all(self) -> np.ndarray:
        return np.sum(list(self.counts[TOLERANCES_S[0]].values()), axis=0)

    def interval(self) -> list[float] | None:
        """95 % interval of the F-measure within 50 ms, songs drawn anew; None for a single song."""
        if len(self.songs) < 2:
            return None
        songs = np.array(self.songs)
        drawn = songs[np.random.default_rng(0).integers(0, len(songs), (DRAWS, len(songs)))].sum(axis=1)
        f = 2 * drawn[:, 0] / np.maximum(1, 2 * drawn[:, 0] + drawn[:, 1] + drawn[:, 2])
        return [float(bound) for bound in np.quantile(f, (0.025, 0.975))]

    def f(self, tolerance: float, group: str | None = None) -> float:
        """F-measure of a class, or of all summed."""
        counts = self.counts[tolerance]
        true, false, missed = counts[group] if group else np.sum(list(counts.values()), axis=0)
        return float(2 * true / (2 * true + false + missed)) if true + false + missed else 1.0

    def row(self) -> dict[str, Any]:
        """All of it as plain values."""
        return {
            "f_50ms": self.f(0.05),
            "f_50ms_interval": self.interval(),
            "f_20ms": self.f(0.02),
            "classes_50ms": {g: self.f(0.05, g) for g in FIVE_CLASS},
            "counts_50ms": {g: self.counts[0.05][g].tolist() for g in FIVE_CLASS},
            "median_error_ms": 1000 * float(np.median(self.errors_s)) if self.errors_s else None,
        }


def by_class(events: Iterable[tuple[float, str]]) -> Times:
    """Times of each of the five classes, sorted."""
    times: dict[str, list[float]] = defaultdict(list)
    for time, label in events:
        if (group := fold(label, "five")) is not None:
            times[group].append(time)
    return {group: np.array(sorted(times[group])) for group in FIVE_CLASS}


def annotated(path: Path) -> Times:
    """An annotation file of MDB Drums: seconds and a label a line."""
    times: dict[str, list[float]] = defaultdict(list)
    for line in path.read_text(encoding="utf-8").splitlines():
        words = line.split()
        if len(words) >= 2 and words[1] in _MDB:
            times[_MDB[words[1]]].append(float(words[0]))
    return {group: np.array(sorted(times[group])) for group in FIVE_CLASS}


def hits_of(transcriber: Transcriber, audio: np.ndarray) -> list[Hit]:
    """All hits of audio in memory, articulations as they were found."""
    return [hit for some in transcriber.find_hits([audio]) for hit in some]


def recordings(transcriber: Transcriber, folder: Path) -> dict[str, Any]:
    """Scores on every kind of audio of the annotated recordings."""
    rows = {}
    for kind in ("drum_only", "full_mix", "full_mix_rebuilt"):
        score = Score()
        for path in find_audio(folder / kind):
            stem = path.stem.removesuffix("_Drum").removesuffix("_MIX")
            true = annotated(next((folder / "annotations" / "subclass").glob(f"{stem}_subclass.*")))
            found = hits_of(transcriber, load(path))
            score.add(true, by_class((hit.time_s, hit.label) for hit in found))
        rows[kind] = score.row()
    return rows


def stock(data: Path) -> Stock:
    """Kit, performances and recordings that training never had."""
    files = [
        path
        for path in find_audio(data / "background")
        if any(word in path.name for word in HELD_OUT_RECORDINGS)
    ]
    bank = load_bank([data / "kits" / "avl", data / "percussion"], only=[HELD_OUT_KIT, "body_percussion"])
    grooves, _ = read_grooves(data / "grooves", split="validation")
    return Stock.of(bank, grooves, load_recordings(files))


def pairs_of(strokes: Sequence[Stroke], hits: Sequence[Hit]) -> list[tuple[Stroke, Hit]]:
    """Strokes with the hits of their class nearest to them."""
    pairs = []
    for group in FIVE_CLASS:
        mine = [s for s in strokes if fold(s.label, "five") == group]
        found = [h for h in hits if fold(h.label, "five") == group]
        if mine and found:
            matched = match_events(
                np.array([s.time_s for s in mine]), np.array([h.time_s for h in found]), PAIR_S
            )
            pairs += [(mine[i], found[j]) for i, j in matched]
    return pairs


def rendered(transcriber: Transcriber, data: Path) -> dict[str, Any]:
    """Scores on rendered songs, and how well velocity and openness are told."""
    made, rows = stock(data), {}
    for kind, drums_only in (("rendered_drums", True), ("rendered_mix", False)):
        score, pairs = Score(), []
        for number in range(SONGS):
            song = make_song(made, SongConfig(seconds=SONG_S, seed=4242), number, drums_only=drums_only)
            hits = hits_of(transcriber, song.audio)
            score.add(
                by_class((s.time_s, s.label) for s in song.strokes),
                by_class((h.time_s, h.label) for h in hits),
            )
            pairs += pairs_of(song.strokes, hits)
        rows[kind] = {**score.row(), **dynamics(pairs)}
    return rows


def dynamics(pairs: Sequence[tuple[Stroke, Hit]]) -> dict[str, Any]:
    """Velocity and openness of matched strokes."""
    true = np.array([stroke.velocity for stroke, _ in pairs])
    said = np.array([hit.velocity for _, hit in pairs])
    hats = [
        (stroke.openness, hit.openness)
        for stroke, hit in pairs
        if is_hihat(stroke.label)
        and stroke.label != "hihat_pedal"
        and stroke.openness is not None
        and hit.openness is not None
    ]
    gaps = [abs(a - b) for a, b in hats]
    return {
        "velocity_mae": float(np.abs(true - said).mean()),
        "velocity_spearman": float(spearmanr(true, said).statistic),
        "openness_mae": float(np.mean(gaps)) if gaps else None,
        "matched": len(pairs),
        "matched_hats": len(gaps),
    }


def background(transcriber: Transcriber, folder: Path) -> dict[str, Any]:
    """False hits a minute on sounds without drums: those of training, and those held out."""
    totals: dict[str, list[float]] = {"heard_in_training": [0, 0], "held_out": [0, 0]}
    worst: list[tuple[int, str]] = []
    for path in find_audio(folder):
        if path.relative_to(folder).parts[0] == DRUM_FOLDER or any(word in path.name for word in WITH_DRUMS):
            continue
        audio = load(path)
        count = sum(fold(hit.label, "five") is not None for hit in hits_of(transcriber, audio))
        name = "held_out" if any(word in path.name for word in HELD_OUT_RECORDINGS) else "heard_in_training"
        totals[name][0] += count
        totals[name][1] += len(audio) / SAMPLE_RATE / 60
        worst.append((count, path.name))
    return {
        **{name: {"hits": h, "minutes": m, "per_minute": h / m} for name, (h, m) in totals.items() if m},
        "worst": [f"{name}: {count}" for count, name in sorted(worst, reverse=True)[:8] if count],
    }


def show(results: dict[str, Any]) -> None:
    """Print the tables."""
    console = Console(width=120)
    table = Table("audio", "F 50 ms", "95 %", "F 20 ms", *FIVE_CLASS, "median error", "ADTOF F")
    for name, row in {**results.get("recordings", {}), **results.get("rendered", {})}.items():
        error = row["median_error_ms"]
        table.add_row(
            name,
            f"{row['f_50ms']:.3f}",
            "-" if row["f_50ms_interval"] is None else "{:.3f}-{:.3f}".format(*row["f_50ms_interval"]),
            f"{row['f_20ms']:.3f}",
            *(f"{row['classes_50ms'][g]:.2f}" for g in FIVE_CLASS),
            "-" if error is None else f"{error:+.1f} ms",
            f"{ADTOF[name]:.3f}" if name in ADTOF else "",
        )
    console.print(table)
    for name, row in results.get("rendered", {}).items():
        console.print(
            f"{name}: velocity MAE {row['velocity_mae']:.3f}, Spearman {row['velocity_spearman']:.3f} "
            f"({row['matched']} hits); openness MAE {row['openness_mae']:.3f} ({row['matched_hats']} hats)"
        )
    for name, row in results.get("background", {}).items():
        console.print(f"{name}: {row}")


def main() -> None:
    """Run the parts for which there is data."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder with mdb, kits, grooves, background")
    parser.add_argument("--model", type=Path, help="a model file; the shipped one by default")
    parser.add_argument("--json", type=Path, help="write the results here too")
    given = parser.parse_args()
    transcriber = choose_transcriber(Choice(model=given.model))
    print(transcriber.name)
    results: dict[str, Any] = {"model": transcriber.name}
    if (given.data / "mdb").is_dir():
        results["recordings"] = recordings(transcriber, given.data / "mdb")
    if (given.data / "kits" / "avl").is_dir():
        results["rendered"] = rendered(transcriber, given.data)
    if (given.data / "background").is_dir():
        results["background"] = background(transcriber, given.data / "background")
    show(results)
    if given.json:
        given.json.write_text(json.dumps(results, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
