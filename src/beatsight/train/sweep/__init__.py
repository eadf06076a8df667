"""Many training runs with different settings: every combination of lists, or a search through ranges.

:func:`sweep` does what ``beatsight sweep`` asks for, each run as a process of its own.
"""

from beatsight.train.sweep.driver import SweepConfig, sweep
from beatsight.train.sweep.search import Search
from beatsight.train.sweep.space import Range, parse_values

__all__ = ["Range", "Search", "SweepConfig", "parse_values", "sweep"]
