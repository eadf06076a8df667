"""The results of gates in words: how far each value lies from its threshold, the worst of them first."""

from __future__ import annotations

from collections.abc import Sequence

from beatsight.gates.result import GateResult
from beatsight.report.page import Check, Checks, Part, Status
from beatsight.report.plots import threshold_bar
from beatsight.report.text import plural

# More results that passed than these are folded away: what failed must be seen at once.
MOST_OPEN = 12
_DIGITS = 4
_MOST_DIGITS = 12
# A difference smaller than this share of the threshold is what adding in binary leaves behind.
_DUST = 1e-12
# Nor is a measurement below this share of its threshold worth its digits.
_NOTHING = 1e-3


def result_parts(results: Sequence[GateResult]) -> list[Part]:
    """What failed, worst first, then what passed, folded where that is much."""
    failed = sorted((r for r in results if not r.passed), key=tightness)
    passed = [r for r in results if r.passed]
    parts: list[Part] = []
    if failed:
        parts.append(Checks([check(result) for result in failed]))
    if passed:
        folded = f"{plural(len(passed), 'gate')} passed" if len(passed) > MOST_OPEN else ""
        parts.append(Checks([check(result) for result in passed], folded))
    return parts


def worst(results: Sequence[GateResult]) -> GateResult | None:
    """The result that failed by most, or the one that passed by least; None where there is none."""
    return min(results, key=tightness, default=None)


def tightness(result: GateResult) -> tuple[bool, float]:
    """Sorts failures before passes, those that could not be measured first, then by distance.

    The distance is a share of the threshold; where that is 0 (no duplicates at all), the distance itself.
    What must not be there, and is not, comes last: it cannot be better.
    """
    if result.margin is None:
        return result.passed, float("-inf")
    if _nothing_as_wanted(result):
        return True, float("inf")
    return result.passed, result.margin / (abs(result.threshold) or 1.0)


def _nothing_as_wanted(result: GateResult) -> bool:
    return result.rule == "at_most" and result.threshold == 0 and result.value == 0


def check(result: GateResult) -> Check:
    """One result as it is shown."""
    value, limit = figures(result)
    # Scores are seen on their whole range; rates that must be small, and counts, on their own.
    share = not result.unit and 0.5 <= result.threshold <= 1
    return Check(
        status=Status(result.passed, "passed" if result.passed else "failed"),
        name=result.gate,
        value=value if result.value is None else _with_unit(value, result.unit),
        limit=f"{'≥' if result.rule == 'at_least' else '≤'} {_with_unit(limit, result.unit)}",
        margin=margin_text(result),
        bar=threshold_bar(result.value, result.threshold, result.rule, unit_range=share),
        detail=result.detail,
    )


def margin_text(result: GateResult) -> str:
    """How far a value lies from its threshold, in words.

    >>> from beatsight.gates.result import at_least, at_most
    >>> margin_text(at_least("auroc", 0.88, 0.9)), margin_text(at_most("delay", 0.4, 0.25, unit="ms"))
    ('short by 0.02 (2.22 %)', 'over by 0.15 ms (60 %)')
    >>> margin_text(at_least("auroc", 0.93, 0.9)), margin_text(at_least("auroc", None, 0.9))
    ('0.03 to spare', 'not measured')
    """
    margin = result.margin
    if margin is None:
        return "not measured"
    if _nothing_as_wanted(result):
        return "none, as it must be"
    if abs(margin) <= _DUST * abs(result.threshold):
        return "exactly at the limit"
    size = _with_unit(_rounded(abs(margin)), result.unit)
    if margin > 0:
        return f"{size} to spare"
    word = "short by" if result.rule == "at_least" else "over by"
    if not result.threshold:
        return f"{word} {size}"
    return f"{word} {size} ({_percent(100 * abs(margin / result.threshold))} %)"


def _percent(share: float) -> str:
    """Three digits; what is not quite nothing or everything is not shown as that.

    >>> _percent(2.222), _percent(99.97), _percent(100), _percent(12345), _percent(0.001)
    ('2.22', '99.9', '100', '12,345', '< 0.1')
    """
    if share < 0.1:
        return "< 0.1"
    if share >= 1000:
        return f"{share:,.0f}"
    return "99.9" if 99.9 < share < 100 else f"{share:.3g}"


def _with_unit(shown: str, unit: str) -> str:
    """A figure and its unit, in the singular where it is one thing.

    >>> _with_unit("1", "hits"), _with_unit("1", "ms"), _with_unit("0.5", "samples/min"), _with_unit("3", "")
    ('1 hit', '1 ms', '0.5 samples/min', '3')
    """
    if shown == "1" and len(unit) > 2 and unit.isalpha():
        unit = unit.removesuffix("s")
    return f"{shown} {unit}".rstrip()


def figures(result: GateResult) -> tuple[str, str]:
    """Value and threshold with as many digits as tell them apart: 0.95 must not fail at 0.95.

    >>> from beatsight.gates.result import at_least
    >>> figures(at_least("recall", 0.949996, 0.95)), figures(at_least("hits", 12000, 20000))
    (('0.949996', '0.95'), ('12,000', '20,000'))
    >>> figures(GateResult(gate="drift", passed=True, value=3e-7, threshold=1, rule="at_most"))
    ('≈ 0', '1')
    """
    if result.value is None:
        return "–", _rounded(result.threshold)
    if 0 < abs(result.value) < _NOTHING * abs(result.threshold) and not float(result.value).is_integer():
        return "≈ 0", _rounded(result.threshold)
    digits = _DIGITS
    value, limit = _rounded(result.value, digits), _rounded(result.threshold, digits)
    while value == limit and result.value != result.threshold and digits < _MOST_DIGITS:
        digits += 1
        value, limit = _rounded(result.value, digits), _rounded(result.threshold, digits)
    return value, limit


def _rounded(value: float, digits: int = _DIGITS) -> str:
    """Whole numbers in full, others with ``digits`` decimals or, when small, with as many digits that count.

    >>> _rounded(12000.0), _rounded(0.25), _rounded(0.0000123), _rounded(1234.5678)
    ('12,000', '0.25', '1.23e-5', '1,234.5678')
    """
    if float(value).is_integer() and abs(value) < 1e15:
        return f"{int(value):,}"
    if abs(value) < 10.0 ** (1 - digits) or abs(value) >= 1e15:
        return f"{value:.{digits}g}".replace("e-0", "e-").replace("e+", "e")
    return f"{value:,.{digits}f}".rstrip("0").rstrip(".")
