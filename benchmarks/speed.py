"""Speed of the main job's steps, beside a peer or a limit: ``python benchmarks/speed.py``, ``make bench``.

Every figure is measured here and now, on songs the program makes itself; the best of some runs is taken,
because noise only ever adds time. "Limit" says what bounds the figure.
"""

from __future__ import annotations

import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import librosa
import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from beatsight.audio.features import FeatureConfig, cut_clips, log_mel
from beatsight.audio.io import SAMPLE_RATE, save
from beatsight.audio.onsets import detect_onsets
from beatsight.models.classifier import DrumClassifierCNN
from beatsight.synth.song import make_song, write_song

CLIPS = 64
SONG_S = 40.0


def best_of(runs: int, work: Callable[[], object]) -> float:
    """Seconds of the quickest of some runs."""
    times = []
    for _ in range(runs):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return min(times)


def process_seconds(*arguments: str) -> tuple[float, float]:
    """Wall seconds and peak MB of a whole ``python …`` process, the best of three."""
    command = [sys.executable, *arguments]
    seconds = best_of(3, lambda: subprocess.run(command, check=True, capture_output=True))
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return seconds, peak


def features_row(audio: np.ndarray) -> list[str]:
    """Clips a second through the feature function, and through librosa's."""
    config = FeatureConfig()
    at = np.linspace(0, len(audio) - 1, CLIPS).astype(int)
    clips = np.ascontiguousarray(cut_clips(audio, at, config))
    tensor = torch.from_numpy(clips)
    ours = CLIPS / best_of(5, lambda: log_mel(tensor, config))

    def peer() -> None:
        for clip in clips:
            power = librosa.feature.melspectrogram(
                y=clip, sr=SAMPLE_RATE, n_fft=config.n_fft, hop_length=config.hop_length,
                n_mels=config.n_mels, fmin=config.f_min, fmax=config.f_max, center=False,
            )  # fmt: skip
            librosa.power_to_db(power, ref=np.max, top_db=config.top_db)

    theirs = CLIPS / best_of(3, peer)
    return [
        "log-mel clips",
        f"{ours:,.0f}/s",
        f"librosa {theirs:,.0f}/s ({ours / theirs:.1f}x)",
        "FFT and cache",
    ]


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        making = best_of(2, lambda: make_song(3, duration_s=SONG_S))
        song = make_song(3, duration_s=SONG_S)
        write_song(song, folder)
        save(folder / "song.wav", song.audio)
        onset_s = best_of(3, lambda: detect_onsets(song.audio))
        from beatsight.models.checkpoint import Model, save_model

        save_model(Model(DrumClassifierCNN()), folder / "model.pth")
        out = str(folder / "song.bsm")
        by_model = process_seconds(
            "-m", "beatsight", "transcribe", str(folder / "song.wav"), "-o", out,
            "--ml-model", str(folder / "model.pth"),
        )  # fmt: skip
        by_rule = process_seconds(
            "-m", "beatsight", "transcribe", str(folder / "song.wav"), "-o", out, "--no-ml"
        )
        help_s, _ = process_seconds("-m", "beatsight", "--help")
        bare_s, _ = process_seconds("-c", "pass")
        rows = [
            [
                "beatsight --help",
                f"{help_s:.2f} s",
                f"python alone {bare_s:.2f} s; target 0.30 s",
                "interpreter",
            ],
            ["making songs", f"{SONG_S / making:.0f} x real time", "target 60 x", "filters"],
            ["onset detection", f"{SONG_S / onset_s:.0f} x real time", "-", "FFT"],
            features_row(song.audio),
            [
                f"transcribe {SONG_S:.0f} s, whole process",
                f"{by_model[0]:.1f} s, peak {by_model[1]:.0f} MB",
                "the old system 16 s, 965 MB; target 3 s",
                "importing torch, convolutions",
            ],
            ["  the same without a model", f"{by_rule[0]:.1f} s", "-", "imports"],
        ]
    table = Table(
        title=f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"torch {torch.__version__}"
    )
    for column in ("what", "measured", "beside", "bounded by"):
        table.add_column(column)
    for row in rows:
        table.add_row(*row)
    Console(width=130).print(table)


if __name__ == "__main__":
    main()
