"""Random charts, and one planted chart, for the tests of this folder."""

from __future__ import annotations

from hypothesis import strategies as st

from beatsight.charts import (
    AudioRef,
    Chart,
    DrumKit,
    Editor,
    GenerationMetadata,
    HitObject,
    Metadata,
    Timing,
    TimingPoint,
)
from beatsight.taxonomy import ALIASES

STAMP = "2025-11-02T10:30:00Z"
UUID = "550e8400-e29b-41d4-a716-446655440000"

times = st.integers(0, 900_000)
tempi = st.floats(20.0, 400.0)
signatures = st.sampled_from(["4/4", "3/4", "7/8", "12/8", "5/4", "1/1", "15/16"])
names = st.text(max_size=12)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-1000, 1000) | st.floats(-1e6, 1e6) | names,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(names, inner, max_size=2),
    max_leaves=4,
)
# Keys of other programs; the prefix keeps them apart from the format's own.
extras = st.dictionaries(names.map("x-{}".format), json_values, max_size=2)
hits = st.builds(
    HitObject,
    times,
    st.sampled_from(sorted(ALIASES)),
    st.floats(0.0, 1.0),
    st.none() | st.integers(0, 6),
    st.none() | st.integers(0, 5000),
    extras,
)
timings = st.builds(
    Timing,
    bpm=tempi,
    offset=st.integers(-2000, 20_000),
    time_signature=signatures,
    timing_points=st.lists(
        st.builds(TimingPoint, time=times, bpm=tempi, time_signature=st.none() | signatures, extra=extras),
        max_size=4,
    ),
    extra=extras,
)
charts = st.builds(
    Chart,
    metadata=st.builds(
        Metadata,
        title=names,
        artist=names,
        creator=names,
        difficulty=st.floats(0.0, 10.0),
        beatmap_id=st.uuids().map(str),
        created_at=st.just(STAMP),
        modified_at=st.datetimes().map(lambda moment: moment.isoformat()),
        tags=st.none() | st.lists(names, max_size=2),
        preview_time=st.none() | times,
        extra=extras,
    ),
    audio=st.builds(
        AudioRef,
        filename=names.map("{}.ogg".format),
        hash=st.just("sha256:00"),
        duration=times,
        sample_rate=st.sampled_from([44100, 48000]),
        extra=extras,
    ),
    timing=timings,
    drum_kit=st.builds(DrumKit, components=st.lists(names, max_size=3), extra=extras),
    hit_objects=st.lists(hits, max_size=12),
    editor=st.none()
    | st.builds(
        Editor,
        bookmarks=st.none() | st.lists(times, max_size=2),
        generation=st.none() | st.builds(GenerationMetadata, confidence=st.floats(0.0, 1.0), extra=extras),
        extra=extras,
    ),
    extra=extras,
)


def planted(*hits: HitObject, timing: Timing | None = None) -> Chart:
    """A complete chart with these hits, at 120 bpm unless told otherwise."""
    return Chart(
        metadata=Metadata(
            title="Planted", artist="Nobody", creator="test", difficulty=3.0, beatmap_id=UUID,
            created_at=STAMP, modified_at=STAMP,
        ),
        audio=AudioRef(filename="song.ogg", hash="sha256:00", duration=60_000, sample_rate=44100),
        timing=timing or Timing(bpm=120.0),
        drum_kit=DrumKit(components=["kick", "snare"]),
        hit_objects=list(hits),
    )  # fmt: skip
