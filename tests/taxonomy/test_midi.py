"""General MIDI notes to labels and back, against the GM key names and an independent library."""

from __future__ import annotations

from pathlib import Path

import pretty_midi
import pytest

from beatsight.errors import InputError
from beatsight.taxonomy import CANONICAL, NOTE_MAPS, PRODUCTION, UnknownLabelError, fold, from_note, to_note

# GM key names of pretty_midi, to the label each key must have.
GM_NAMES = {
    "Acoustic Bass Drum": "kick",
    "Bass Drum 1": "kick",
    "Side Stick": "cross_stick",
    "Acoustic Snare": "snare",
    "Hand Clap": "clap",
    "Electric Snare": "snare",
    "Low Floor Tom": "tom_low",
    "High Floor Tom": "tom_low",
    "Low Tom": "tom_mid",
    "Low-Mid Tom": "tom_mid",
    "Hi Mid Tom": "tom_high",
    "High Tom": "tom_high",
    "Closed Hi Hat": "hihat_closed",
    "Pedal Hi Hat": "hihat_pedal",
    "Open Hi Hat": "hihat_open",
    "Crash Cymbal 1": "crash",
    "Crash Cymbal 2": "crash2",
    "Splash Cymbal": "splash",
    "Chinese Cymbal": "china",
    "Ride Cymbal 1": "ride_bow",
    "Ride Cymbal 2": "ride_bow",
    "Ride Bell": "ride_bell",
    "Tambourine": "tambourine",
    "Cowbell": "cowbell",
    "Maracas": "shaker",
    "Cabasa": "shaker",
}


@pytest.mark.parametrize(("name", "label"), GM_NAMES.items())
def test_general_midi_keys_by_their_names(name: str, label: str) -> None:
    assert from_note(pretty_midi.drum_name_to_note_number(name)) == label


def test_every_general_midi_percussion_key_has_a_label_in_both_maps() -> None:
    for device in ("gm", "roland"):
        for note in range(35, 82):
            assert from_note(note, device) in CANONICAL
        assert set(NOTE_MAPS[device].values()) <= set(CANONICAL)
        assert all(0 <= note <= 127 for note in NOTE_MAPS[device])


@pytest.mark.parametrize(
    ("note", "gm", "roland"),
    [
        (22, "hihat_closed", "hihat_closed"),  # closed hat, edge
        (26, "hihat_open", "hihat_open"),  # open hat, edge
        (58, "tom_low", "tom_low"),  # floor tom, rim
        (39, "clap", "clap"),
        (54, "tambourine", "tambourine"),
        (40, "snare", "rimshot"),
        (52, "china", "crash2"),
        (55, "splash", "crash"),
        (59, "ride_bow", "ride_edge"),
    ],
)
def test_e_kit_keys(note: int, gm: str, roland: str) -> None:
    assert (from_note(note), from_note(note, "roland")) == (gm, roland)


def test_keys_outside_the_percussion_map_have_no_label() -> None:
    assert [from_note(note) for note in (-1, 0, 21, 127, 200)] == [None] * 5


def test_unknown_device_is_refused() -> None:
    with pytest.raises(InputError, match="unknown MIDI note map 'yamaha'; known: gm, roland"):
        from_note(36, "yamaha")


def test_unknown_label_is_refused() -> None:
    with pytest.raises(UnknownLabelError, match="did you mean 'kick'"):
        to_note("kickk")


@pytest.mark.parametrize("label", CANONICAL)
def test_writing_and_reading_keeps_the_class(label: str) -> None:
    note = to_note(label)
    assert 35 <= note <= 81 or note == 82  # 82 is the shaker of General MIDI 2
    assert fold(from_note(note), "five") == fold(label, "five")
    # Roland's own meaning of these keys may move a hit to a neighbour, but never to another drum.
    assert fold(from_note(note, "roland"), "five") == fold(label, "five")


def test_labels_that_general_midi_names_come_back_as_they_were() -> None:
    changed = {label: from_note(to_note(label)) for label in PRODUCTION if from_note(to_note(label)) != label}
    assert changed == {"rimshot": "snare", "hihat_foot_splash": "hihat_pedal"}
    assert from_note(to_note("rimshot"), "roland") == "rimshot"


def test_aliases_have_the_note_of_their_label() -> None:
    assert to_note("Side Stick") == 37
    assert to_note("crash_2") == 57


def test_every_note_of_real_e_kit_performances_has_a_kit_label(shared: Path) -> None:
    files = sorted((shared / "data/grooves").rglob("*.mid"))[::80]
    assert len(files) >= 5
    notes = {
        note.pitch
        for path in files
        for instrument in pretty_midi.PrettyMIDI(str(path)).instruments
        for note in instrument.notes
    }
    assert len(notes) >= 10
    assert {note for note in notes if fold(from_note(note, "roland") or "aux", "five") is None} == set()
