"""Gate ``health``: does a manifest hold what a model needs, and nothing that it must not?

The manifests are read once and counted (:mod:`beatsight.manifest.stats` and :mod:`.measure`); with
``check_audio`` every recording is listened to as well (:mod:`.sound`). Each threshold that is given becomes a
named result (:mod:`.judge`); a value that the manifests do not tell has failed its threshold.
"""

from beatsight.gates.health.gate import health_gate
from beatsight.gates.health.records import HealthReport
from beatsight.gates.health.settings import HealthSettings

__all__ = ["HealthReport", "HealthSettings", "health_gate"]
