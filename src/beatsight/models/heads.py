"""What a network says of a clip: a score per label and, if asked for, velocities and the hats' openness.

A network gives one row of logits a clip: ``classes`` columns for the labels, then ``classes`` for the
velocity of each label if there is a ``velocity`` head, then one for the hi-hat's openness if there is an
``openness`` head. Velocity and openness are the sigmoid of their column.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from beatsight.errors import InputError

VELOCITY, OPENNESS = "velocity", "openness"
HEADS = (VELOCITY, OPENNESS)


@dataclass(frozen=True)
class Outputs:
    """Logits taken apart: labels (n, classes), velocity (n, classes) or None, openness (n,) or None."""

    labels: Tensor
    velocity: Tensor | None
    openness: Tensor | None


def check_heads(heads: Sequence[str]) -> None:
    """Refuse heads that nobody knows, or out of order.

    Raises:
        InputError: such a head.
    """
    named = isinstance(heads, (tuple, list)) and all(isinstance(head, str) for head in heads)
    if not named or tuple(head for head in HEADS if head in heads) != tuple(heads):
        raise InputError(
            f"heads are some of {', '.join(HEADS)}, in this order, not {list(heads) if named else heads!r}"
        )


def columns(classes: int, heads: Sequence[str]) -> int:
    """Columns of the logits.

    >>> columns(12, ()), columns(12, ("velocity", "openness"))
    (12, 25)
    """
    return classes + (classes if VELOCITY in heads else 0) + (1 if OPENNESS in heads else 0)


def take_apart(logits: Tensor, classes: int, heads: Sequence[str]) -> Outputs:
    """The parts of the logits (n, columns)."""
    velocity = logits[:, classes : 2 * classes] if VELOCITY in heads else None
    return Outputs(logits[:, :classes], velocity, logits[:, -1] if OPENNESS in heads else None)
