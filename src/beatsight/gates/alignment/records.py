"""What the alignment gate takes and what it reports.

Units stand in the names; ``samples`` are those of the report's ``sample_rate``. A value is None where it
could not be measured.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Literal

import msgspec

from beatsight.errors import UsageError
from beatsight.gates.result import GateReport

# The limits of the evaluation rules (docs/formats.md).
MAX_DELAY_MS = 0.25
MAX_DRIFT = 1.0
# 17 m of air: no drum kit is larger, and recorders that were started by hand differ by more anyway.
SEARCH_MS = 50.0
# A window of the correlation is about four times as long; much longer ones would hold several hits.
_LONGEST_SEARCH_MS = 500.0
# Fewer hits than this say little about a median and nothing about a drift.
MIN_SUPPORT = 8
# Longest run of hits, as a share of all, that may be without a measurement.
MAX_GAP = 0.1

Polarity = Literal["upright", "inverted", "unclear"]


class AlignmentSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to judge, and against which limits.

    Attributes:
        manifest: the session: ``{session_id, mics: [{name, path}]}``.
        anchor: name of the microphone that the others are measured against; None: chosen.
        audio_root: folder that the audio must lie in; None: the manifest's, or the current folder where
            that holds the manifest.
        max_delay_ms: largest delay between anchor and microphone, and largest sudden change of it.
        max_drift: largest drift in samples per minute.
        search_ms: delays are looked for up to this one, to both sides.

    Raises:
        UsageError: a limit that makes no sense.
    """

    manifest: Path
    anchor: str | None = None
    audio_root: Path | None = None
    max_delay_ms: float = MAX_DELAY_MS
    max_drift: float = MAX_DRIFT
    search_ms: float = SEARCH_MS

    def __post_init__(self) -> None:
        for name in ("max_delay_ms", "max_drift"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise UsageError(f"{name} must be a number from 0 up, not {value:g}")
        if not 1.0 <= self.search_ms <= _LONGEST_SEARCH_MS:
            raise UsageError(f"search_ms must lie in 1..{_LONGEST_SEARCH_MS:g}, not {self.search_ms:g}")
        if self.max_delay_ms > self.search_ms:
            raise UsageError(
                f"max_delay_ms ({self.max_delay_ms:g}) must not be above search_ms ({self.search_ms:g}), "
                "beyond which nothing is found"
            )


class Microphone(msgspec.Struct, frozen=True, kw_only=True):
    """What one file holds.

    Attributes:
        name, path: as in the manifest.
        sample_rate: the file's own, in Hz.
        channels: of the file; several are averaged before anything is measured.
        seconds: its length.
        peak: largest absolute sample, full scale = 1.
        clipped: runs of three or more samples at full scale.
        silent: whether the peak stays below -60 dB of full scale.
        alerts: what is wrong with it, one sentence each.
    """

    name: str
    path: str
    sample_rate: int
    channels: int
    seconds: float
    peak: float
    clipped: int
    silent: bool
    alerts: list[str] = []


class Track(msgspec.Struct, frozen=True, kw_only=True):
    """The delay of every hit that could be measured, in the order of time.

    Attributes:
        times_s: when the hit is heard in the anchor.
        delays_samples: how much later it is heard in the target.
        groups: hits of one number have like curves (one drum, heard along one path).
        used: False where it lies too far from the fit to count.
    """

    times_s: list[float]
    delays_samples: list[float]
    groups: list[int]
    used: list[bool]


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """The anchor and one other microphone.

    Attributes:
        anchor, target: names.
        median_delay_ms, mean_delay_ms, max_abs_delay_ms, std_delay_ms: over the hits used.
        median_delay_samples: the same median.
        drift_samples_per_min: how the delay changes; drift_error_samples_per_min: its standard error.
        jump_ms: the largest sudden change of the delay, and jump_at_s: when.
        support: hits used.
        coverage: 1 - the longest run of hits without a measurement, as a share of all hits.
        polarity: from polarity_score, 1 (all upright) .. -1 (all inverted); "unclear", and then without a
            result, where the curves have no clear main peak.
        pass_delay, pass_drift: whether the gates on delay and drift passed.
        alerts: what is wrong, one sentence each.
        track: the delay over time.
    """

    anchor: str
    target: str
    median_delay_ms: float | None
    mean_delay_ms: float | None
    max_abs_delay_ms: float | None
    std_delay_ms: float | None
    median_delay_samples: float | None
    drift_samples_per_min: float | None
    drift_error_samples_per_min: float | None
    jump_ms: float | None
    jump_at_s: float | None
    support: int
    coverage: float
    polarity: Polarity | None
    polarity_score: float | None
    pass_delay: bool
    pass_drift: bool
    alerts: list[str]
    track: Track


class AlignmentReport(GateReport, tag="alignment", frozen=True, kw_only=True):
    """Delays and drift of one session.

    Attributes:
        session_id: as in the manifest.
        sample_rate: of the session, in Hz: the rate of most files, the higher one where two are as frequent.
        anchor_mic: the microphone that the others were measured against.
        anchor_chosen: whether the gate chose it.
        num_onsets: hits in the anchor that were looked for in the others.
        max_delay_ms, max_drift, search_ms: the limits applied.
        alerts: all that is wrong, one sentence each, beginning with the microphone's name.
        microphones: in the order of the manifest.
        pairs: the anchor with every other microphone, in the order of the manifest.
    """

    session_id: str
    sample_rate: int
    anchor_mic: str
    anchor_chosen: bool
    num_onsets: int
    max_delay_ms: float
    max_drift: float
    search_ms: float
    alerts: list[str]
    microphones: list[Microphone]
    pairs: list[Pair]
