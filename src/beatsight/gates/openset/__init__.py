"""Open-set gate: are sounds that the model does not know told from those it knows?

Every sample gets one score of knownness. The positive class is "known", a higher score means more known:

- ``max_probability``: the highest of the sample's scores.
- ``energy``: joint energy (Wang et al., "Can multi-label classification networks know what they don't know?",
  NeurIPS 2021), the sum over labels of log(1 + exp(logit)): from the prediction's ``logits`` or, since
  log(1 + exp(logit)) = -log(1 - p), from its scores.
- ``given``: minus a key of the prediction, by default ``rejection_score`` (higher: more likely unknown).

AUROC, average precision and FPR at 95 % TPR are those of :mod:`beatsight.metrics.ranking`. Thresholds and
histograms in the report are in the score's own direction, as written in the file.
"""

from beatsight.gates.openset.gate import openset_gate
from beatsight.gates.openset.records import (
    MAX_FPR95,
    MIN_AUROC,
    REJECTION_KEY,
    OpensetReport,
    OpensetSettings,
)
from beatsight.gates.openset.scores import joint_energy, joint_energy_of_logits, knownness

__all__ = [
    "MAX_FPR95",
    "MIN_AUROC",
    "REJECTION_KEY",
    "OpensetReport",
    "OpensetSettings",
    "joint_energy",
    "joint_energy_of_logits",
    "knownness",
    "openset_gate",
]
