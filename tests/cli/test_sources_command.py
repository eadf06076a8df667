"""``beatsight sources``: the list, one card, an ingest with its listings and exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import mido
import pytest

from beatsight.cli.main import run
from beatsight.events import read_events
from beatsight.sources.catalogue import all_sources


def code_of(*words: str) -> int:
    """The exit code of a command run in this process."""
    with pytest.raises(SystemExit) as caught:
        run(list(words))
    return int(caught.value.code or 0)


def midi(path: Path, *notes: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    song = mido.MidiFile(type=0)
    song.tracks.append(
        mido.MidiTrack(
            mido.Message("note_on", note=note, velocity=100, time=240, channel=9) for note in notes
        )
    )
    song.save(path)
    return path


def test_the_list_names_every_source(capsys: pytest.CaptureFixture[str]) -> None:
    assert code_of("sources") == 0
    text = capsys.readouterr().out
    assert code_of("sources", "--json") == 0
    listed = {card["name"]: card for card in json.loads(capsys.readouterr().out)["sources"]}
    assert set(listed) == set(all_sources())
    assert all(name in text for name in listed)
    assert listed["mdb_drums"]["commercial"] is False and listed["midi"]["commercial"] is None


def test_a_card_has_licence_layout_and_settings(capsys: pytest.CaptureFixture[str]) -> None:
    assert code_of("sources", "show", "mdb_drums") == 0
    text = capsys.readouterr().out
    for word in ("CC-BY-NC-SA-4.0", "Commercial use: no", "annotations/subclass", "Southall", "full_mix"):
        assert word in text
    assert code_of("sources", "show", "midi", "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert {option["name"] for option in answer["options"]} == {"device", "notes", "channels"}
    assert code_of("sources", "show", "mdbdrums") == 2
    assert "did you mean 'mdb_drums'?" in capsys.readouterr().err


def test_an_ingest_writes_events_and_lists_what_has_no_label(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    midi(tmp_path / "in" / "a.mid", 36, 3, 22, 3)
    output = tmp_path / "events.jsonl"
    words = ("sources", "ingest", "midi", str(tmp_path / "in"), "-o", str(output), "--set", "device=roland")
    assert code_of(*words) == 0
    out, err = capsys.readouterr()
    assert "2 events with 2 hits from 1 item" in out and "note 3: 2, first at a.mid" in out and err == ""
    assert "2 events without audio" in out
    assert [event.labels for event in read_events(output)] == [("kick",), ("hihat_closed",)]
    assert code_of(*words, "--json", "--no-audio-hashes") == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["events"], answer["unmapped"][0]["count"]) == (2, 2)
    assert Path(answer["provenance"]).is_file()


def test_a_skipped_item_is_listed_and_the_exit_code_is_3(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    midi(tmp_path / "in" / "a.mid", 36)
    for number in range(30):
        (tmp_path / "in" / f"b{number:02}.mid").write_bytes(b"MThd")
    output = tmp_path / "events.jsonl"
    assert code_of("sources", "ingest", "midi", str(tmp_path / "in"), "-o", str(output)) == 3
    out, err = capsys.readouterr()
    assert "Wrote 1 event " in out and len(read_events(output)) == 1
    assert "30 were left out:\n  b00.mid: the MIDI file is cut short\n" in err
    assert "b19.mid" in err and "b20.mid" not in err and "… and 10 more, in " in err


@pytest.mark.parametrize(
    ("words", "code", "why"),
    [
        (("ingest", "midi", "in", "-o", "e.jsonl", "--set", "device"), 2, "--set device: is not NAME=VALUE"),
        (("ingest", "midi", "in", "-o", "e.jsonl", "--set", "colour=1"), 2, "midi has no setting 'colour'"),
        (("ingest", "midi", "in", "-o", "e.jsonl", "--set", "device=x"), 2, "device=x is none of gm, roland"),
        (
            ("ingest", "midi", "in", "-o", "e.jsonl", "--set", "device=gm", "--set", "device=gm"),
            2,
            "--set device: is given twice",
        ),
        (("ingest", "bsm", "in", "-o", "e.jsonl"), 3, "in: holds no .bsm file; expected charts"),
        (("ingest", "midi", "in", "-o", "in"), 3, "in: is a folder"),
        (("--json", "ingest", "midi", "in", "-o", "e.jsonl"), 2, "--json goes after ingest"),
    ],
)
def test_a_fault_is_one_sentence(
    words: tuple[str, ...],
    code: int,
    why: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    midi(tmp_path / "in" / "a.mid", 36)
    assert code_of("sources", *words) == code
    err = capsys.readouterr().err
    assert why in err and err.count("\n") == 1
    assert not (tmp_path / "e.jsonl").exists()
