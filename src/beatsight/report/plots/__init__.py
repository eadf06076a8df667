"""Charts as inline SVG: lines, dots, bars, histograms, intervals, a matrix of counts, a gauge.

Small pure functions: plain sequences in, one ``<svg>`` out. A value that is None or NaN leaves a gap, and a
chart of nothing says "no data". Every axis is named with its unit, text from data is escaped, and long names
are cut (the whole name shows when pointed at). See :mod:`beatsight.report.svg` for the conventions.
"""

from beatsight.report.plots.bars import Bar, bar_chart
from beatsight.report.plots.histograms import Group, histogram
from beatsight.report.plots.intervals import Interval, interval_chart
from beatsight.report.plots.lines import Series, line_chart
from beatsight.report.plots.matrix import matrix_chart
from beatsight.report.plots.meter import meter, threshold_bar
from beatsight.report.plots.references import Band, Reference
from beatsight.report.plots.xy import xy_chart

__all__ = [
    "Band",
    "Bar",
    "Group",
    "Interval",
    "Reference",
    "Series",
    "bar_chart",
    "histogram",
    "interval_chart",
    "line_chart",
    "matrix_chart",
    "meter",
    "threshold_bar",
    "xy_chart",
]
