"""Calibration gate: can a score be taken at its word, so that of all 0.8s eight in ten are true?

Every cell (sample, class) is one forecast: the score of the class, true where the sample carries the label.
Classes are all labels that are true of a sample or have a score. A label without a score is a forecast of 0.
A sample without a prediction made no forecast: it is left out of every figure, and the gate ``coverage``
fails for it. Definitions: :mod:`beatsight.metrics.calibration`.

Most cells of a drum model are easy: a score near 0 for a drum that is not there. They pull every figure over
all cells down, so ``ece_asserted`` looks only at the cells that the model would report, at a score of .5 or
above.
"""

from beatsight.gates.calibration.gate import calibration_gate, loudness
from beatsight.gates.calibration.records import (
    BUCKETS,
    MAX_ECE,
    Bin,
    CalibrationReport,
    CalibrationSettings,
    ClassCalibration,
    DynamicCalibration,
)

__all__ = [
    "BUCKETS",
    "MAX_ECE",
    "Bin",
    "CalibrationReport",
    "CalibrationSettings",
    "ClassCalibration",
    "DynamicCalibration",
    "calibration_gate",
    "loudness",
]
