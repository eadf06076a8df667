"""Audacity label tracks: planted lines in, the same hits out, every faulty line named."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beatsight import taxonomy
from beatsight.errors import InputError
from beatsight.events import Component, Event
from beatsight.sources.audacity import format_labels, read_labels

AUDIO = Path("song.wav")


def written(tmp_path: Path, text: str | bytes) -> Path:
    path = tmp_path / "labels.txt"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_points_ranges_spectral_lines_and_joined_labels(tmp_path: Path) -> None:
    track = written(
        tmp_path,
        "0.500000\t0.500000\tkick+snare:0.6\r\n"
        "1.250000\t1.750000\tHi-Hat Open\r\n"
        "\\\t100.000000\t2000.000000\r\n"
        "\r\n"
        "2.000000\t2.000000\tkick, crash_1 : .25",
    )
    hits, faults = read_labels(track, AUDIO)
    assert faults == []
    assert [(hit.time_s, taxonomy.resolve(hit.label), hit.velocity) for hit in hits] == [
        (0.5, "kick", None),
        (0.5, "snare", 0.6),
        (1.25, "hihat_open", None),
        (2.0, "kick", None),
        (2.0, "crash", 0.25),
    ]
    assert [hit.where for hit in hits] == [f"{track}:{line}" for line in (1, 1, 2, 5, 5)]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("1.0\t1.0\t", r"labels\.txt:1: a drum label is empty"),
        ("1.0\t1.0\tkick+", r"labels\.txt:1: a drum label is empty"),
        ("1.0\t1.0\tkick:loud", r"labels\.txt:1: velocity 'loud' is not a number"),
        ("1.0 1.0 kick", r"labels\.txt:1: is not start, end and label"),
        ("one\t1.0\tkick", r"labels\.txt:1: start 'one' or end '1\.0' is not a number"),
    ],
)
def test_a_faulty_line_is_named_and_the_others_are_read(tmp_path: Path, line: str, why: str) -> None:
    hits, faults = read_labels(written(tmp_path, f"{line}\n2.0\t2.0\tsnare\n"), AUDIO)
    assert [hit.label for hit in hits] == ["snare"]
    assert len(faults) == 1
    with pytest.raises(InputError, match=why):
        raise InputError(faults[0])


@pytest.mark.parametrize("text", ["", "\n\n", "\\\t1\t2\n"])
def test_a_track_without_labels_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError, match=r"labels\.txt: holds no labels$"):
        read_labels(written(tmp_path, text), AUDIO)


def test_a_track_that_is_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"labels\.txt: is not UTF-8 text"):
        read_labels(written(tmp_path, b"\xff\xfe\x00RIFF"), AUDIO)


moments = st.lists(
    st.tuples(
        st.integers(0, 300_000_000),  # microseconds, the resolution of the format
        st.lists(st.sampled_from(taxonomy.CANONICAL), min_size=1, max_size=3, unique=True),
        st.one_of(st.none(), st.integers(0, 1000).map(lambda n: n / 1000)),
    ),
    min_size=1,
    max_size=20,
    unique_by=lambda moment: moment[0],
)


@given(moments)
def test_what_is_written_reads_back(tmp_path_factory: pytest.TempPathFactory, planted: list) -> None:
    events = [
        Event(
            sample_id=str(micros),
            session_id="s",
            onset_time=micros / 1e6,
            components=[Component(label=label, velocity=velocity) for label in labels],
        )
        for micros, labels, velocity in planted
    ]
    path = tmp_path_factory.getbasetemp() / "round.txt"
    path.write_text(format_labels(events), encoding="utf-8")
    hits, faults = read_labels(path, AUDIO)
    assert faults == []
    assert [(hit.time_s, hit.label, hit.velocity) for hit in hits] == [
        (event.onset_time, part.label, part.velocity)
        for event in sorted(events, key=lambda event: event.onset_time)
        for part in event.components
    ]
