"""The whole chain on songs it makes itself: songs, dataset, training, evaluation, transcription, report.

Nothing is downloaded. The test songs have kits, grooves and seeds that training never sees; the F-measure at
the end is over their hits, classes and times as a chart has them.
"""

from __future__ import annotations

from beatsight.demo.config import DemoConfig
from beatsight.demo.run import DemoResult, run_demo
from beatsight.demo.scores import found_hits, score_song, true_hits

__all__ = ["DemoConfig", "DemoResult", "found_hits", "run_demo", "score_song", "true_hits"]
