"""Small trees of the plain file formats, made of planted hits; the public sets' trees are in source_trees.py.

``TREES`` and ``UNKNOWN`` are as there; ``PLANTED`` counts the hits (for kits: files or regions) of a tree.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from source_trees import midi, silence, write

RATE = 44_100
UNKNOWN = {
    "bsm": "gong",
    "midi": "note 3",
    "audacity": "gong",
    "csv": "gong",
    "one_shots": "Room A/conga_1.wav",
    "sfz_kits": "samples/gong_1.wav",
}
PLANTED = {"bsm": 6, "midi": 7, "audacity": 6, "csv": 6, "one_shots": 5, "sfz_kits": 7}


def strike(path: Path, onset_s: float = 0.01, channels: int = 1) -> Path:
    """A decaying noise that begins at ``onset_s``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    frames = RATE // 10
    sound = np.zeros(frames)
    first = round(onset_s * RATE)
    sound[first:] = 0.8 * np.exp(-np.arange(frames - first) / 900) * (-1.0) ** np.arange(frames - first)
    soundfile.write(path, np.stack([sound] * channels, axis=1), RATE)
    return path


def chart(hits: list[dict[str, Any]], filename: str, timing: dict[str, Any] | None = None) -> str:
    """The text of a .bsm file."""
    stamp = "2025-11-02T10:30:00Z"
    return json.dumps(
        {
            "version": "1.0.0",
            "metadata": {
                "title": "Planted", "artist": "A", "creator": "C", "difficulty": 3, "createdAt": stamp,
                "modifiedAt": stamp, "beatmapId": "3f2b8c1e-5a7d-4e0f-9b6c-1d2e3f4a5b6c",
            },
            "audio": {"filename": filename, "hash": "sha256:00", "duration": 9000, "sampleRate": RATE},
            "timing": timing or {"bpm": 120, "offset": 0, "timeSignature": "4/4"},
            "drumKit": {"components": ["kick"]},
            "hitObjects": hits,
        }
    )  # fmt: skip


def bsm(tmp_path: Path) -> Path:
    """A chart in 3/4 with its recording under another name, and one without a recording."""
    root = tmp_path / "charts"
    hits = [
        {"time": 250, "component": "snare", "velocity": 0.25},
        {"time": 500, "component": "kick", "velocity": 1.0},
        {"time": 501, "component": "crash_1"},
        {"time": 2000, "component": "gong"},
        {"time": 2499, "component": "floor_tom"},
    ]
    timing = {"bpm": 120, "offset": 500, "timeSignature": "3/4"}
    write(root / "a" / "song.bsm", chart(hits, "take 1.wav", timing))
    silence(root / "a" / "take 1.wav")
    write(root / "b.bsm", chart([{"time": 100, "component": "kick"}], "gone.mp3"))
    return root


def midi_files(tmp_path: Path) -> Path:
    """A file with a moving hi-hat pedal and its recording, and one without."""
    root = tmp_path / "midi"
    hits = [(0, 36, 127), (0, 42, 64), (4, 46, 32), (4.5, 3, 50), (7, 37, 1)]
    midi(root / "a.mid", hits, meter=(3, 4), pedal=[(0, 90), (4, 45)])
    silence(root / "a.wav")
    midi(root / "sub" / "b.midi", [(0, 38, 100), (1, 49, 90)])
    return root


def audacity(tmp_path: Path) -> Path:
    """Two label tracks, one with its recording, beside a text that is none."""
    root = tmp_path / "labels"
    lines = "0.010000\t0.010000\tkick+crash:0.5\n0.020000\t0.03\tgong\n\\\t1\t2\n0.04\t0.04\tsnare\n"
    write(root / "a.txt", lines)
    silence(root / "a.wav")
    write(root / "b.txt", "1.0\t1.0\tkick\n2.5\t2.5\tride\n")
    write(root / "README.txt", "Not a label track.\n")
    return root


def csv(tmp_path: Path) -> Path:
    """A table of two recordings, one of them missing, and a table without recordings."""
    root = tmp_path / "tables"
    rows = "audio,time,label,velocity,openness,session,kit,drummer,room\n"
    rows += "wav/x.wav,0.01,kick,0.5,,s1,k1,d1,r1\nwav/x.wav,0.02,hihat_open,,0.75,s1,k1,d1,r1\n"
    rows += "wav/gone.wav,3.0,snare,,,,,,\nwav/gone.wav,4.0,gong,,,,,,\n"
    write(root / "a.csv", rows)
    silence(root / "wav" / "x.wav")
    write(root / "b.csv", "y.wav;1.0;kick\ny.wav;1.0;ride\n")
    return root


def one_shots(tmp_path: Path) -> Path:
    """Two kits named by their files."""
    root = tmp_path / "shots"
    strike(root / "Room A" / "kick_01.wav", 0.0125)
    strike(root / "Room A" / "hat_open_01.wav", channels=2)
    strike(root / "Room A" / "conga_1.wav")
    strike(root / "Room B" / "Snare" / "05.flac")
    strike(root / "Room B" / "Snare" / "06.flac")
    return root


SFZ = r"""
<control> default_path=samples\
#define $KICK 36
<global> global_label=snare amp_veltrack=100
<master> key=38 group_volume=-6
<group> lovel=1 hivel=63 seq_length=2
<region> sample=Head 1.wav seq_position=1 // the first of two
<region> sample=Head 2.wav seq_position=2 volume=3
<group> lovel=64 hivel=127
<region> sample=missing.wav
<global>
<region> key=$KICK sample=kick_1.wav /* any
velocity */ amp_veltrack=0
<region> key=3 sample=gong_1.wav
<region> key=42 sample=hat_closed.wav locc4=112 hicc4=127
"""


def sfz_kits(tmp_path: Path) -> Path:
    """An instrument with a missing sample and samples of another suffix and case, and a small one."""
    root = tmp_path / "sfz"
    write(root / "kit one" / "One.sfz", SFZ)
    for name in ("head 1.flac", "Head 2.wav", "kick_1.flac", "gong_1.wav", "hat_closed.wav"):
        strike(root / "kit one" / "samples" / name)
    write(root / "two.sfz", "<region>sample=x.wav key=c#2 region_label=crash 1")
    strike(root / "x.wav")
    return root


TREES: dict[str, Callable[[Path], Path]] = {
    "bsm": bsm,
    "midi": midi_files,
    "audacity": audacity,
    "csv": csv,
    "one_shots": one_shots,
    "sfz_kits": sfz_kits,
}
