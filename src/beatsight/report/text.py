"""Numbers as people read them: fixed digits, thin-spaced thousands, an en dash for what is not known.

Conventions: durations in seconds; a value that is None, NaN or infinite is "unknown" and shown as ``–``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

Value = str | int | float | None

UNKNOWN = "–"
_MINUTE_S = 60.0
_HOUR_S = 3600.0


def known(value: Value) -> bool:
    """Whether a value is there: not None, NaN or infinite.

    >>> known(0.0), known(None), known(float("nan")), known("kick")
    (True, False, False, True)
    """
    return value is not None and (isinstance(value, str) or math.isfinite(value))


def number(value: Value, digits: int = 2) -> str:
    """A number with ``digits`` decimals; whole numbers (int) without; text as it is; unknown as ``–``.

    >>> number(0.5), number(12345), number(float("nan")), number(None), number("7/8")
    ('0.50', '12,345', '–', '–', '7/8')
    """
    if isinstance(value, str):
        return value
    if value is None or not math.isfinite(value):
        return UNKNOWN
    # numpy's whole numbers are not ints, so ask for the behaviour and not for the type.
    return f"{value:,}" if hasattr(value, "bit_count") else f"{value:,.{digits}f}"


def duration(seconds: float | None) -> str:
    """A length of time in the two units that matter.

    >>> duration(0.25), duration(42.4), duration(192.3), duration(7380), duration(None)
    ('0.25 s', '42 s', '3 min 12 s', '2 h 03 min', '–')
    """
    if seconds is None or not math.isfinite(seconds):
        return UNKNOWN
    if seconds < 9.95:
        return f"{seconds:.2g} s" if seconds < 1 else f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < _MINUTE_S:
        return f"{whole} s"
    if whole < _HOUR_S:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def plural(count: int, noun: str) -> str:
    """``count`` and its noun, in the plural where it belongs.

    >>> plural(1, "song"), plural(1200, "hit")
    ('1 song', '1,200 hits')
    """
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def is_numeric(cells: Sequence[Value]) -> bool:
    """Whether a table column holds numbers: at least one, and no text.

    >>> is_numeric([1, None, 0.5]), is_numeric(["kick"]), is_numeric([None])
    (True, False, False)
    """
    return any(cell is not None for cell in cells) and not any(isinstance(cell, str) for cell in cells)
