"""Alignment gate: do the microphones of one session share one clock?

Every hit heard in the anchor microphone is looked for in every other microphone by a whitened
cross-correlation. Hits whose correlations look alike (one drum, heard along one path) are compared with each
other, which tells how the delay changes to about a hundredth of a sample although the paths themselves differ
from drum to drum.

Conventions: a late microphone has a positive delay. Samples are those of the session's rate. Drift is in
samples per minute, of the target against the anchor.

- :mod:`records`: settings and report. :mod:`session`: the manifest and where its files may lie.
- :mod:`listening`: files to levels, spectra and windows, streamed. :mod:`hits`: anchor and hits.
- :mod:`correlation`: one hit in two microphones. :mod:`matching`: hits that are alike, their delays.
- :mod:`fitting`: drift, jumps and outliers. :mod:`judging`: measures to pairs, alerts and results.
"""

from beatsight.gates.alignment.gate import alignment_gate
from beatsight.gates.alignment.records import (
    MAX_DELAY_MS,
    MAX_DRIFT,
    SEARCH_MS,
    AlignmentReport,
    AlignmentSettings,
    Microphone,
    Pair,
    Track,
)

__all__ = [
    "MAX_DELAY_MS",
    "MAX_DRIFT",
    "SEARCH_MS",
    "AlignmentReport",
    "AlignmentSettings",
    "Microphone",
    "Pair",
    "Track",
    "alignment_gate",
]
