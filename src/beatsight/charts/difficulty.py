"""A difficulty from 0 to 10 for a chart that nobody has rated yet.

One quantity decides: how many hits a second the busiest stretch asks for. The curve is this project's own and
has not been tried on players; it orders charts, and its scale is set so that a plain rock beat lies near 4
(easy to normal) and a blast beat near 8.6 (expert). A rating given by a person should replace it.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable

# A fill lasts a bar or two: shorter windows would rate one flam, longer ones average the fill away.
WINDOW_MS = 4000
# Hits a second at which the rating reaches 10 x (1 - 1/e) = 6.3. Eighth-note rock at 120 bpm has 6 a second,
# a blast beat at 200 bpm about 26.
SCALE_HITS_PER_S = 13.0


def estimate_difficulty(times_ms: Iterable[int]) -> float:
    """The estimated difficulty of hits at these times.

    Args:
        times_ms: onset of every hit in milliseconds, in any order; simultaneous hits count each.

    Returns:
        0 (no hits) to 10, with one decimal.

    >>> estimate_difficulty([]), estimate_difficulty(range(0, 60_000, 500))
    (0.0, 1.4)
    """
    times = sorted(times_ms)
    busiest = max(
        (bisect_left(times, time + WINDOW_MS) - index for index, time in enumerate(times)), default=0
    )
    rate = busiest * 1000 / WINDOW_MS
    return round(10 * (1 - math.exp(-rate / SCALE_HITS_PER_S)), 1)
