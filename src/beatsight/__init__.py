"""beatsight: labelled drum recordings in, a trusted transcription model and playable charts out.

The common steps are plain functions here; each is imported when first used, so that ``import beatsight`` is
quick and needs no torch.

>>> import beatsight
>>> callable(beatsight.transcribe)
True
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from beatsight.version import VERSION as __version__

if TYPE_CHECKING:
    from beatsight.charts import Chart, read_chart, write_chart
    from beatsight.dataset.build import build_dataset
    from beatsight.dataset.store import open_dataset
    from beatsight.evaluate import evaluate_model
    from beatsight.events import Component, Event, Prediction, read_events
    from beatsight.models.checkpoint import load_model
    from beatsight.synth.song import make_song
    from beatsight.train.loop import train_classifier
    from beatsight.transcription.pipeline import transcribe

_HOMES = {
    "Chart": "charts",
    "read_chart": "charts",
    "write_chart": "charts",
    "build_dataset": "dataset.build",
    "open_dataset": "dataset.store",
    "evaluate_model": "evaluate",
    "Component": "events",
    "Event": "events",
    "Prediction": "events",
    "read_events": "events",
    "load_model": "models.checkpoint",
    "make_song": "synth.song",
    "train_classifier": "train.loop",
    "transcribe": "transcription.pipeline",
}

__all__ = [
    "Chart",
    "Component",
    "Event",
    "Prediction",
    "__version__",
    "build_dataset",
    "evaluate_model",
    "load_model",
    "make_song",
    "open_dataset",
    "read_chart",
    "read_events",
    "train_classifier",
    "transcribe",
    "write_chart",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'beatsight' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"beatsight.{_HOMES[name]}"), name)
    # Kept under its own name, so that the next use does not come here again.
    globals()[name] = value
    return value
