"""A tiny dataset and the stand-in trainer, for the tests of sweeps."""

from __future__ import annotations

import sys
from pathlib import Path

from beatsight.dataset.build import build_dataset
from beatsight.train.sweep import SweepConfig
from beatsight.train.sweep.space import Space
from tiny_dataset import tiny_songs

TRAINER = Path(__file__).with_name("stand_in_trainer.py")
PROGRAM = (sys.executable, "-S", str(TRAINER))


def make_dataset(folder: Path, val_fraction: float = 0.5) -> Path:
    """A dataset of two sessions under ``folder``, with the audio it was cut from."""
    events = tiny_songs(folder / "songs", 2, ("kick", "snare"), beats=4)
    build_dataset(events, folder / "songs", folder / "dataset", val_fraction=val_fraction)
    return folder / "dataset"


def config_for(folder: Path, space: Space) -> SweepConfig:
    """A sweep of the stand-in over ``space``, its runs under ``folder/runs``."""
    return SweepConfig(
        dataset=folder / "dataset",
        output_root=folder / "runs",
        space=space,
        devices=("cpu",),
        program=PROGRAM,
    )


def starts(folder: Path) -> list[str]:
    """The names of the runs that were started so far, in order; reading forgets them."""
    path = folder / "starts.txt"
    lines = path.read_text().splitlines() if path.exists() else []
    path.unlink(missing_ok=True)
    return [line.split()[0] for line in lines]
