"""What every gate returns: named results against thresholds, and a report around them.

Conventions: a result without a value (None: it could not be measured) has failed; a report without results
has decided nothing, so its ``passed`` is None and ``--strict`` does not let it through.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import Any, Literal, TypeVar

import msgspec

from beatsight.errors import InputError
from beatsight.events import decode_as
from beatsight.files import read_bytes, write_bytes
from beatsight.version import VERSION

Rule = Literal["at_least", "at_most"]


class GateResult(msgspec.Struct, frozen=True, kw_only=True):
    """One value against one threshold.

    Attributes:
        gate: its name; with a dot what it is about: ``min_count.kick``.
        passed: whether the value keeps the rule.
        value: what was measured; None where it could not be.
        threshold: the limit, itself allowed.
        rule: on which side of the limit the value must lie.
        unit: of value and threshold, empty for counts and ratios.
        detail: one sentence for the person who asks why.
    """

    gate: str
    passed: bool
    value: float | None
    threshold: float
    rule: Rule
    unit: str = ""
    detail: str = ""

    @property
    def margin(self) -> float | None:
        """How far the value lies on the good side of its threshold; negative: by how much it failed."""
        if self.value is None:
            return None
        return self.value - self.threshold if self.rule == "at_least" else self.threshold - self.value


def _measured(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else value


def at_least(
    gate: str, value: float | None, threshold: float, detail: str = "", unit: str = ""
) -> GateResult:
    """Passes when ``value >= threshold``; never for None or NaN.

    >>> at_least("auroc", 0.93, 0.9).passed, at_least("auroc", None, 0.9).passed
    (True, False)
    """
    known = _measured(value)
    return GateResult(
        gate=gate, passed=known is not None and known >= threshold, value=known, threshold=threshold,
        rule="at_least", unit=unit, detail=detail,
    )  # fmt: skip


def at_most(gate: str, value: float | None, threshold: float, detail: str = "", unit: str = "") -> GateResult:
    """Passes when ``value <= threshold``; never for None or NaN.

    >>> at_most("unknown_labels", 0, 0).passed, at_most("drift", float("nan"), 1.0).passed
    (True, False)
    """
    known = _measured(value)
    return GateResult(
        gate=gate, passed=known is not None and known <= threshold, value=known, threshold=threshold,
        rule="at_most", unit=unit, detail=detail,
    )  # fmt: skip


def verdict(results: Sequence[GateResult]) -> bool | None:
    """Whether all passed; None when there is nothing to judge.

    >>> verdict([at_least("a", 1, 1), at_least("b", 0, 1)]), verdict([])
    (False, None)
    """
    return all(result.passed for result in results) if results else None


class GateReport(msgspec.Struct, kw_only=True, frozen=True, tag_field="report"):
    """What all gate reports share; every kind of report is a subclass with its own ``tag``.

    Attributes:
        passed: whether every result passed; None when no threshold was given.
        gating_results: the results.
        inputs: what was read: role (``predictions``) → path as given.
        notes: what the reader must know to trust the numbers: skipped, missing, guessed.
        program_version: the program that measured.
    """

    passed: bool | None
    gating_results: list[GateResult]
    inputs: dict[str, str]
    notes: list[str] = []
    program_version: str = VERSION


AnyReport = TypeVar("AnyReport", bound=GateReport)


def write_report(report: GateReport, path: str | os.PathLike[str]) -> None:
    """Write a report as indented JSON, aside and renamed.

    Raises:
        InputError: the file cannot be written.
    """
    write_bytes(path, msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")


def read_report(path: str | os.PathLike[str], kind: type[AnyReport] | Any) -> AnyReport:
    """Read a report of one kind, or of a union of kinds.

    Raises:
        InputError: the file cannot be read or is no such report; the field is named.
    """
    data = read_bytes(path)
    if not data.strip():
        raise InputError(f"{path}: is empty")
    return decode_as(data, kind, str(path))
