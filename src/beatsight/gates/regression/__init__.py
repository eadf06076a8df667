"""Gate ``regression``: is the candidate of a data set or a model worse than the blessed baseline?

reading       health reports and evaluations, told apart by their keys
records       settings, report
health        the comparison of two health reports
evaluation    the comparison of two evaluations
drops         what both have in common
gate          reads and hands on
"""

from beatsight.gates.regression.gate import regression_gate
from beatsight.gates.regression.records import (
    Change,
    GateChange,
    RegressionReport,
    RegressionSettings,
    parse_max_drop,
)

__all__ = [
    "Change",
    "GateChange",
    "RegressionReport",
    "RegressionSettings",
    "parse_max_drop",
    "regression_gate",
]
