"""Gate ``bootstrap``: how good a model is, how sure that is, and whether it is worse than the one before.

records     settings and report
measures    truths and predictions as columns of sums, and every metric as a function of sums
onset_hits  hits matched in time within their session
judging     the comparison with a baseline and the blocking rule
gate        files in, report out
"""

from beatsight.gates.bootstrap.gate import bootstrap_gate
from beatsight.gates.bootstrap.records import (
    Baseline,
    BootstrapReport,
    BootstrapSettings,
    Difference,
    Estimate,
)

__all__ = ["Baseline", "BootstrapReport", "BootstrapSettings", "Difference", "Estimate", "bootstrap_gate"]
