"""The health report: every number that was counted, under the keys of docs/formats.md.

Counts are of hits (components) where labels, dynamics or openness are concerned, and of events elsewhere.
Distributions add up: what is absent stands under ``(absent)``. Lists of names are cut at :data:`LISTED`; the
count beside each says how many there are.
"""

from __future__ import annotations

import msgspec

from beatsight.events.records import Seconds
from beatsight.gates.result import GateReport

# Names listed of a kind that has no end (repeated ids, unknown labels, variants); the page shows fewer.
LISTED = 1000


class LabelHits(msgspec.Struct, frozen=True, kw_only=True):
    """Hits of one label in recorded and in synthetic events."""

    real: int
    synthetic: int

    @property
    def hits(self) -> int:
        """Both together."""
        return self.real + self.synthetic


class Spread(msgspec.Struct, frozen=True, kw_only=True):
    """How one quantity is distributed.

    Attributes:
        count: how many have it.
        missing: how many do not.
        lowest, median, highest: None where none has it; the median to a tenth.
        edges: of the bins, one more than ``counts``; what lies beyond an end is in the bin at that end.
        counts: in each bin ``edges[k] <= value < edges[k + 1]``.
    """

    count: int
    missing: int
    lowest: float | None
    median: float | None
    highest: float | None
    edges: list[float]
    counts: list[int]


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """Events of one session, recording and onset with the same labels."""

    session_id: str
    onset_time: float
    audio_path: str | None
    labels: list[str]
    events: int


class Duplicates(msgspec.Struct, frozen=True, kw_only=True):
    """Events that repeat an earlier one, by their id or by their moment.

    Attributes:
        events: events that do either.
        rate: those, divided by all events.
        ids: different sample ids that occur more than once; ``id_events``: events beyond the first of each.
        moments: different moments that occur more than once; ``moment_events``: events beyond the first.
        listed_ids: the most frequent ids with their number of events.
        listed_moments: the most frequent moments.
    """

    events: int
    rate: float
    ids: int
    id_events: int
    moments: int
    moment_events: int
    listed_ids: dict[str, int]
    listed_moments: list[Moment]


class Isolation(msgspec.Struct, frozen=True, kw_only=True):
    """Of one kind of name (drummer, kit, room, session), which stand on more than one side of the split.

    Attributes:
        names: different names on any side.
        shared: of those, on more than one.
        unnamed_events: events on a side that name none, so nobody knows.
        listed: the shared names with their sides.
    """

    names: int
    shared: int
    unnamed_events: int
    listed: dict[str, list[str]]


class Split(msgspec.Struct, frozen=True, kw_only=True):
    """The sides of a split, events on each, those left out, and what is isolated."""

    events: dict[str, int]
    left_out_events: int
    isolation: dict[str, Isolation]


class Durations(msgspec.Struct, frozen=True):
    """Seconds of a built dataset by split and by source; ``run_`` are those of its last run."""

    split_durations_seconds: dict[str, Seconds] = {}
    run_split_durations_seconds: dict[str, Seconds] = {}
    duration_seconds_by_source: dict[str, Seconds] = {}
    run_duration_seconds_by_source: dict[str, Seconds] = {}


class Coverage(msgspec.Struct, frozen=True, kw_only=True):
    """Recordings that events name; the sum over them of the last onset in each."""

    seconds: float
    audio_files: int
    events_without_audio: int


class Recording(msgspec.Struct, frozen=True, kw_only=True):
    """What was heard of one recording.

    Attributes:
        audio_path: as the manifest names it.
        duration_s: its length.
        lufs_i: integrated loudness (ITU-R BS.1770); None where it is silent or shorter than 0.4 s.
        peak_dbfs: greatest sample; None for digital silence.
        clipped_runs: stretches of three and more samples at full scale.
        dc: greatest mean of a channel, its sign with it, full scale being 1.
    """

    audio_path: str
    duration_s: float
    lufs_i: float | None
    peak_dbfs: float | None
    clipped_runs: int
    dc: float


class SoundPair(msgspec.Struct, frozen=True, kw_only=True):
    """Two recordings that are one: the same audio, or the same performance heard otherwise."""

    first: str
    second: str
    kind: str
    similarity: float
    sides: list[str] = []


class Sound(msgspec.Struct, frozen=True, kw_only=True):
    """What listening told.

    Attributes:
        recordings: different recordings that events name; ``heard``: those that could be.
        seconds: of those heard.
        unreadable: the others, each with the reason.
        clipped: recordings with a clipped run; ``clipped_share``: of those heard, None without any.
        max_dc: the greatest DC offset, without its sign.
        silent: recordings without a sample above 0.
        lufs, peak_dbfs: of the recordings.
        worst_clipped, worst_dc: the recordings in question, the worst first.
        repeats: recordings that are the same audio as another; ``repeat_rate``: of those heard.
        pairs: those and the same performances, those across a split first.
        on_several_sides: recordings, and pairs, that stand on more than one side of the split.
    """

    recordings: int
    heard: int
    seconds: float
    unreadable: dict[str, str]
    clipped: int
    clipped_share: float | None
    max_dc: float | None
    silent: int
    lufs: Spread
    peak_dbfs: Spread
    worst_clipped: list[Recording]
    worst_dc: list[Recording]
    repeats: int
    repeat_rate: float | None
    pairs: list[SoundPair]
    on_several_sides: int


class HealthReport(GateReport, frozen=True, kw_only=True, tag="health"):
    """The report of ``beatsight gate health``.

    Attributes:
        files: events of each manifest.
        events, hits, synthetic_events, negative_examples: counts.
        sessions, tracks, drummers, kits, rooms: how many different ones are named.
        sources: events of each source set.
        labels: hits of each label, most frequent first; aliases count for the canonical name.
        spellings: of each label that some hit spells otherwise, hits of each spelling.
        unknown_labels: hits of each label that is not known.
        dynamics: hits of each bucket.
        openness: hits of each tenth of 0..1; ``without_openness``: hits without one.
        techniques: events of each technique of the catalogue; ``unknown_techniques``: of the other names.
        tempo_bpm: tempo of the events; ``meters``: events of each meter.
        bleed, mix_contexts: events of each value.
        loudness_lufs, peak_dbfs: as the events state them.
        crash_variants: label → variant → hits.
        duplicates, coverage: see there.
        split, durations, audio: None where they were not asked for.
    """

    files: dict[str, int]
    events: int
    hits: int
    synthetic_events: int
    negative_examples: int
    sessions: int
    tracks: int
    drummers: int
    kits: int
    rooms: int
    sources: dict[str, int]
    labels: dict[str, LabelHits]
    spellings: dict[str, dict[str, int]]
    unknown_labels: dict[str, int]
    dynamics: dict[str, int]
    openness: list[int]
    without_openness: int
    techniques: dict[str, int]
    unknown_techniques: dict[str, int]
    tempo_bpm: Spread
    meters: dict[str, int]
    bleed: dict[str, int]
    mix_contexts: dict[str, int]
    loudness_lufs: Spread
    peak_dbfs: Spread
    crash_variants: dict[str, dict[str, int]]
    duplicates: Duplicates
    coverage: Coverage
    split: Split | None = None
    durations: Durations | None = None
    audio: Sound | None = None
