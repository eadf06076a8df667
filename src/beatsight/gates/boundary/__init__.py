"""Gate ``boundary``: are hits at the edges of a streaming recogniser's windows found?

records       settings, rows, report
gate          scores over the union of true and predicted classes, by edge, and the verdict
"""

from beatsight.gates.boundary.gate import boundary_gate, boundary_scores
from beatsight.gates.boundary.records import (
    EDGES,
    MIN_MACRO_RECALL,
    Averages,
    BoundaryReport,
    BoundarySettings,
    BoundaryTruth,
    Edge,
    Scores,
)

__all__ = [
    "EDGES",
    "MIN_MACRO_RECALL",
    "Averages",
    "BoundaryReport",
    "BoundarySettings",
    "BoundaryTruth",
    "Edge",
    "Scores",
    "boundary_gate",
    "boundary_scores",
]
