"""Tables of hits: every column comes back, every faulty row is named, and then nothing is added."""

from __future__ import annotations

from pathlib import Path

import pytest

from beatsight.errors import InputError
from beatsight.sources import AddResult, Collection


def moments_of(collection: Collection) -> list[tuple[float, tuple[str, ...]]]:
    return [(event.onset_time, event.labels) for event in collection.events()]


def table(song: Path, text: str) -> Path:
    path = song.with_name("hits.csv")
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_table_with_a_header(collection: Collection, song: Path, delimiter: str) -> None:
    rows = [
        "\ufeffLabel,onset_time,audio,velocity,openness,session,kit",
        "kick,0.5,song.wav,0.25,,mon,k1",
        "",
        'hh open,1.5,"song.wav",,0.75,mon,',
    ]
    result = collection.add_csv(table(song, "\r\n".join(row.replace(",", delimiter) for row in rows)))
    assert result == AddResult(added=2)
    first, second = collection.events()
    assert (first.onset_time, first.labels, first.components[0].velocity) == (0.5, ("kick",), 0.25)
    assert (first.session_id, first.kit_id, second.kit_id) == ("mon", "k1", None)
    assert (second.labels, second.components[0].openness) == (("hihat_open",), 0.75)


def test_a_table_without_a_header(collection: Collection, song: Path) -> None:
    assert collection.add_csv(table(song, "song.wav,0.5,kick,0.5\nsong.wav,1,snare\n")).added == 2
    assert moments_of(collection) == [(0.5, ("kick",)), (1.0, ("snare",))]


FAULTY = """audio,time,label,velocity
song.wav,0.5,kick,
song.wav,0.6,snar,
song.wav,99,kick,
song.wav,-1,kick,
song.wav,nan,kick,
song.wav,soon,kick,
song.wav,0.7,kick,1.5
song.wav,,kick,
absent.wav,1,kick,
song.wav,1,kick,0.5,extra
"""
FAULTS = [
    r"hits\.csv:3: unknown drum label 'snar'; did you mean 'snare'\?",
    r"hits\.csv:4: time 99 s is beyond the end of the audio \(4\.000 s\)",
    r"hits\.csv:5: time -1 s is before the start of the audio",
    r"hits\.csv:6: time nan is not a finite number of seconds",
    r"hits\.csv:7: time 'soon' is not a number",
    r"hits\.csv:8: velocity 1\.5 is outside 0\.\.1",
    r"hits\.csv:9: time is missing",
    r"hits\.csv:10: .*absent\.wav: no such audio file",
    r"hits\.csv:11: has 5 cells, but there are 4 columns",
]


def test_every_faulty_row_is_named_and_nothing_is_added(collection: Collection, song: Path) -> None:
    with pytest.raises(InputError, match="nothing was added, because 9 hits are faulty") as caught:
        collection.add_csv(table(song, FAULTY))
    for fault in FAULTS:
        assert caught.match(fault)
    assert not collection.root.exists()


def test_skip_bad_adds_the_good_rows_and_lists_the_others(collection: Collection, song: Path) -> None:
    result = collection.add_csv(table(song, FAULTY), skip_bad=True)
    assert (result.added, len(result.skipped)) == (1, 9)
    assert moments_of(collection) == [(0.5, ("kick",))]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", r"hits\.csv: holds no hits$"),
        ("\n \n", r"hits\.csv: holds no hits$"),
        ("audio,time,label\n", r"hits\.csv: holds no hits$"),
        ("audio,time,label,velocty\na,1,kick,1\n", r"hits\.csv:1: unknown column 'velocty'; the columns are"),
        ("audio,label\na,kick\n", r"hits\.csv:1: the column 'time' is missing"),
        ("audio,time,label,label\n", r"hits\.csv:1: the column 'label' stands there twice"),
        ('audio,time,label\n"song.wav,1,kick\n', r"hits\.csv:2: is not a CSV row"),
        ("audio,time,label\nsong.wav,1,kick,\n", r"has 4 cells.*; nothing was added$"),
    ],
)
def test_a_faulty_table_is_one_sentence(collection: Collection, song: Path, text: str, why: str) -> None:
    with pytest.raises(InputError, match=why) as caught:
        collection.add_csv(table(song, text))
    assert "\n" not in str(caught.value)


def test_two_sessions_for_one_recording_in_a_table(collection: Collection, song: Path) -> None:
    rows = "audio,time,label,session\nsong.wav,1,kick,a\nsong.wav,2,kick,b\n"
    with pytest.raises(InputError, match=r"hits\.csv:3: song\.wav belongs to session 'a'"):
        collection.add_csv(table(song, rows))
