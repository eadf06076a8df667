"""What a collection holds, set against the counts recommended for training.

Hits are counted per class of the 12-class classifier (``cross_stick`` counts as snare, ``ride_bow`` as ride);
labels that the classifier has no class for are counted apart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from beatsight import taxonomy
from beatsight.events import Event

# Source: "Recommended Data Distribution" of the original training guide. It lists nine of the twelve classes
# and asks for at least 100 samples of any other; for those it recommends no number.
_LISTED = {
    "kick": (100, 500),
    "snare": (100, 500),
    "hihat_closed": (150, 750),
    "hihat_open": (50, 250),
    "crash": (75, 300),
    "ride": (75, 300),
    "tom_high": (50, 200),
    "tom_mid": (50, 200),
    "tom_low": (50, 200),
}
_MINIMUM_OTHERWISE = 100


@dataclass(frozen=True)
class ComponentCount:
    """How many hits of one class there are, and how many there should be."""

    label: str
    count: int
    minimum: int
    recommended: int | None

    @property
    def short(self) -> int:
        """Hits missing to the minimum."""
        return max(0, self.minimum - self.count)

    @property
    def short_of_recommended(self) -> int | None:
        """Hits missing to the recommended count, or None where none is recommended."""
        return None if self.recommended is None else max(0, self.recommended - self.count)


@dataclass(frozen=True)
class Stats:
    """Counts over a collection; ``hours`` of audio, ``other`` hits outside the classes by label."""

    components: tuple[ComponentCount, ...]
    other: dict[str, int]
    hits: int
    moments: int
    audio_files: int
    hours: float
    sessions: int
    kits: int
    drummers: int
    rooms: int

    @property
    def short(self) -> dict[str, int]:
        """Class -> hits missing to its minimum, for the classes that miss any."""
        return {part.label: part.short for part in self.components if part.short}


def count_events(events: Iterable[Event], hours: float) -> Stats:
    """Count hits, sessions, kits, drummers and rooms.

    Args:
        events: of a collection.
        hours: length of the audio they lie in.

    >>> from beatsight.events import Component
    >>> hits = [Component(label="kick"), Component(label="rimshot")]
    >>> stats = count_events([Event(sample_id="a", session_id="s", onset_time=0, components=hits)], 0.1)
    >>> stats.hits, stats.short["snare"]
    (2, 99)
    """
    events = list(events)
    counts: Counter[str] = Counter()
    other: Counter[str] = Counter()
    for label in (label for event in events for label in event.labels):
        folded = taxonomy.fold(label, "classifier") if taxonomy.is_known(label) else None
        if folded is None:
            other[label] += 1
        else:
            counts[folded] += 1

    def named(values: Iterable[str | None]) -> int:
        return len(set(values) - {None})

    return Stats(
        components=tuple(
            ComponentCount(label, counts[label], *_LISTED.get(label, (_MINIMUM_OTHERWISE, None)))
            for label in taxonomy.CLASSIFIER
        ),
        other=dict(sorted(other.items())),
        hits=counts.total() + other.total(),
        moments=len(events),
        audio_files=named(event.audio_path for event in events),
        hours=hours,
        sessions=named(event.session_id for event in events),
        kits=named(event.kit_id for event in events),
        drummers=named(event.drummer_id for event in events),
        rooms=named(event.room_id for event in events),
    )
