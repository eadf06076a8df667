"""Bounds of a network's sizes, so that a faulty file is refused before it takes memory."""

from __future__ import annotations

from beatsight.errors import InputError

# Far above any network for clips of drums; products of three such sizes still fit 64 bits.
MOST = 1 << 16


def check_size(network: str, name: str, value: object, least: int) -> None:
    """Refuse what is no whole number from ``least`` to :data:`MOST`.

    Raises:
        InputError: such a value; the sentence names network, setting and value.

    >>> check_size("a classifier", "classes", 12, 1)
    """
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= MOST:
        raise InputError(f"{network} needs {name} from {least} to {MOST}, not {value!r}")


def check_dropout(value: object) -> None:
    """Refuse what is no probability under 1.

    Raises:
        InputError: such a value.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0.0 <= value < 1.0:
        raise InputError(f"dropout must lie in 0..1, not {value!r}")
