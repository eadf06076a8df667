"""What gate ``regression`` is asked and what it answers.

Conventions: counts are hits; F1 is 0..1 and its drops are in points, hundredths of F1; a drop is baseline
minus candidate, so a gain is negative.
"""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Literal

import msgspec

from beatsight.errors import UsageError
from beatsight.gates.result import GateReport

# The comparator of the seed blocks every drop of a label's count unless told otherwise.
MAX_DROP_HITS = 0.0
# "Block when worse than the baseline by more than 3 macro-F1 points" (docs/formats.md).
MAX_DROP_POINTS = 3.0

_HUNDRED = 100.0

Unit = Literal["hits", "%", "points"]
Seen = Literal["passed", "failed", "absent"]
Status = Literal["kept", "dropped", "unmeasured", "new", "ignored", "unknown"]


class RegressionSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the gate reads and allows.

    Attributes:
        baseline: a health report, or the ``evaluation.json`` of ``beatsight evaluate``.
        candidate: another of the same kind.
        max_drop: by how much a label may fall: hits (``25``) or a share of the baseline's hits (``"25%"``)
            for health reports, points of F1 for evaluations. None: 0 hits, 3 points.
        ignore_label: labels that are not compared; aliases count for the canonical name.

    Raises:
        UsageError: ``max_drop`` is no sensible amount, or baseline and candidate are one file.
    """

    baseline: Path
    candidate: Path
    max_drop: float | str | None = None
    ignore_label: list[str] = []

    def __post_init__(self) -> None:
        if os.path.realpath(self.baseline) == os.path.realpath(self.candidate):
            raise UsageError(f"{self.baseline}: is both baseline and candidate, so nothing would be compared")
        self.limit(MAX_DROP_HITS)

    def limit(self, default: float) -> tuple[float, bool]:
        """The limit that was given, or the default, and whether it is a percentage."""
        return (default, False) if self.max_drop is None else parse_max_drop(self.max_drop)


def parse_max_drop(given: float | str) -> tuple[float, bool]:
    """The amount, and whether it is a percentage.

    Raises:
        UsageError: it is no number at or above 0, or a percentage above 100.

    >>> parse_max_drop("25"), parse_max_drop("2.5 %"), parse_max_drop(3)
    ((25.0, False), (2.5, True), (3.0, False))
    """
    text = str(given).strip()
    share = text.endswith("%")
    try:
        amount = float(text.removesuffix("%"))
    except ValueError:
        amount = math.nan
    if not (0 <= amount < math.inf) or (share and amount > _HUNDRED):
        raise UsageError(f"max_drop must be an amount such as 25, or a share such as 25%, got {text!r}")
    return amount, share


class Change(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One label in both reports; what does not apply is left out of the JSON.

    Attributes:
        baseline, candidate: hits, real and synthetic, or F1; None where the report lacks the label.
        drop: baseline minus candidate in the report's unit; None where there is none.
        status: ``kept`` (within the limit), ``dropped`` (beyond it), ``unmeasured`` (the candidate has no
            true hit of it any more), ``new`` (nothing to compare with), ``ignored``, or ``unknown`` (the
            baseline lists it under ``unknown_labels``).
        baseline_real, candidate_real: of the hits, those of recordings.
        baseline_support, candidate_support: true hits behind an F1.
    """

    baseline: int | float | None
    candidate: int | float | None
    drop: float | None
    status: Status
    baseline_real: int | None = None
    candidate_real: int | None = None
    baseline_support: int | None = None
    candidate_support: int | None = None


class Count(msgspec.Struct, frozen=True, kw_only=True):
    """A count in both reports."""

    baseline: int
    candidate: int


class GateChange(msgspec.Struct, frozen=True, kw_only=True):
    """A gate of the two reports; value, threshold and detail are the candidate's, or else the baseline's."""

    gate: str
    baseline: Seen
    candidate: Seen
    value: float | None
    threshold: float | None
    detail: str


class RegressionReport(GateReport, tag="regression", kw_only=True, frozen=True):
    """What the gate found.

    Attributes:
        kind: what was compared.
        max_drop: the limit, in ``unit``.
        labels: every label of either report, worst first.
        ignored: canonical labels that were not compared.
        macro_f1: of two evaluations, over the labels that are not ignored.
        new_failures: gates that failed in the candidate and did not fail in the baseline.
        still_failing: gates that failed in both.
        fixed: gates that failed in the baseline and passed in the candidate.
        missing_gates: gates of the baseline that the candidate did not judge.
        unknown_labels: hits of each unknown label that is not ignored; None where a report does not say.
    """

    kind: Literal["health", "evaluation"]
    max_drop: float
    unit: Unit
    labels: dict[str, Change]
    ignored: list[str]
    macro_f1: Change | None
    new_failures: list[GateChange]
    still_failing: list[GateChange]
    fixed: list[GateChange]
    missing_gates: list[GateChange]
    unknown_labels: dict[str, Count] | None
