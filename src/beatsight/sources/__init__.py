"""A labelled thing becomes events: single hits, tables, charts, Audacity labels and sample kits."""

from beatsight.sources.collection import AddResult, Collection
from beatsight.sources.hits import Hit, Origin
from beatsight.sources.stats import ComponentCount, Stats

__all__ = ["AddResult", "Collection", "ComponentCount", "Hit", "Origin", "Stats"]
