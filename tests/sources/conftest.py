"""A recording of four seconds, and an empty collection whose path needs quoting."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from beatsight.sources import Collection


@pytest.fixture
def song(tmp_path: Path) -> Path:
    """Noise, 4 s at 44.1 kHz, mono."""
    path = tmp_path / "in" / "song.wav"
    path.parent.mkdir()
    soundfile.write(path, 0.1 * np.random.default_rng(0).standard_normal(4 * 44_100), 44_100)
    return path


@pytest.fixture
def collection(tmp_path: Path) -> Collection:
    """Not made yet: its folder appears with the first hit."""
    return Collection(tmp_path / "training data é")
