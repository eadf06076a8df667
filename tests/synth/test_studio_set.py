"""Songs and sets of recorded kits: what is written, again and in parallel, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from beatsight.audio.io import load, save
from beatsight.cli.main import run
from beatsight.errors import InputError, UsageError
from beatsight.events import read_events
from beatsight.synth.song import MOMENT_S
from beatsight.synth.studio.backing import Recordings
from beatsight.synth.studio.mixing import BusConfig
from beatsight.synth.studio.performances import Stroke, read_grooves
from beatsight.synth.studio.playing import Passage
from beatsight.synth.studio.song import SongConfig, Stock, make_drums, make_events, make_song
from beatsight.synth.studio.writing import SetConfig, write_set
from planted_kits import NO_BUS, plant_bank, plant_groove, plant_kit


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("all inputs")
    plant_kit(folder / "my kits" / "planted")
    plant_groove(folder / "midi" / "one.mid")
    rng = np.random.default_rng(1)
    save(folder / "others" / "hum.wav", rng.uniform(-0.2, 0.2, 30_000).astype(np.float32))
    return folder


@pytest.fixture(scope="module")
def stock(inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> Stock:
    bank = plant_bank(tmp_path_factory.mktemp("kits") / "planted")
    return Stock.of(bank, read_grooves(inputs / "midi")[0], Recordings((), ()))


def config(inputs: Path, songs: int = 2, seconds: float = 3.0, seed: int = 0) -> SetConfig:
    song = SongConfig(seconds, seed, bus=BusConfig(tape_share=0.5, mp3_share=0.5, bleed_share=0.5))
    return SetConfig((inputs / "my kits",), inputs / "midi", (inputs / "others",), songs, song, stems=True)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_a_song_is_its_seed_and_number(stock: Stock) -> None:
    songs = [
        make_song(stock, SongConfig(4.0, seed), number) for seed, number in ((1, 0), (1, 0), (1, 1), (2, 0))
    ]
    assert songs[0].audio.tobytes() == songs[1].audio.tobytes() and songs[0].events == songs[1].events
    assert len({song.audio.tobytes() for song in songs}) == 3
    assert songs[0].name == "studio-1-00000" and np.abs(songs[0].audio).max() <= 0.9


def test_stems_add_up_and_drums_only_keeps_the_drums(stock: Stock) -> None:
    settings = SongConfig(4.0, 3, bus=BusConfig(tape_share=0.0))
    song, alone = make_song(stock, settings, 1), make_song(stock, settings, 1, drums_only=True)
    assert np.allclose(song.drums + song.backing, song.audio, atol=1e-6)
    assert not alone.backing.any()
    scale = np.abs(alone.drums).max() / np.abs(song.drums).max()
    assert np.allclose(song.drums * scale, alone.drums, atol=1e-5)


def test_damage_leaves_the_drawn_song_as_it_was(stock: Stock) -> None:
    plain = make_drums(stock, SongConfig(4.0, 5, bus=NO_BUS), 2)
    worn = make_drums(stock, SongConfig(4.0, 5, bus=BusConfig(**{**NO_BUS.__dict__, "tape_share": 1.0})), 2)
    assert plain.placed.strokes == worn.placed.strokes and plain.audio.tobytes() == worn.audio.tobytes()
    assert worn.damage.names() == ["tape"]


def test_labels_are_those_of_the_moved_strokes(stock: Stock) -> None:
    tape = SongConfig(6.0, 7, bus=BusConfig(**{**NO_BUS.__dict__, "tape_share": 1.0}))
    song = make_song(stock, tape, 0, drums_only=True)
    still = make_song(stock, SongConfig(6.0, 7, bus=NO_BUS), 0, drums_only=True)
    moved = np.array([s.time_s for s in song.strokes])
    before = np.array([s.time_s for s in still.strokes])
    assert len(moved) == len(before) > 10 and 1e-5 < np.abs(moved - before).max() < 0.05
    # What is heard moved with the labels: where nothing sounds before, the drums begin there.
    first, then = (int(np.flatnonzero(np.abs(s.drums) > 1e-3)[0]) / 44_100 for s in (song, still))
    assert (first - then) == pytest.approx(moved[0] - before[0], abs=1e-4)


def test_moments_hold_all_drums_and_say_who_plays() -> None:
    strokes = [
        Stroke(0.100, "kick", 0.5, None, "a:Kick"),
        Stroke(0.105, "hihat_open", 0.4, 0.8, "b:hihat"),
        Stroke(0.111, "kick", 0.9, None, "a:Kick 2"),
        Stroke(0.100 + 2 * MOMENT_S, "snare", 0.1, None, "a:Snare"),
    ]
    passages = (Passage(0.0, "x", "drummer1", 100.0, "4/4"), Passage(0.12, "y", "", None, None))
    one, two = make_events("song", strokes, passages, ["tape"])
    assert one.labels == ("kick", "hihat_open") and one.components[0].velocity == 0.9
    assert one.components[0].instrument_variant == "a:Kick 2" and one.components[1].openness == 0.8
    assert (one.drummer_id, one.tempo_bpm, one.meter, one.kit_id) == ("drummer1", 100.0, "4/4", "a+b")
    assert (two.drummer_id, two.tempo_bpm, two.meter) == (None, None, None)
    assert two.components[0].dynamic_bucket == "ghost" and two.processing_chain == ["tape"]
    assert make_events("song", [], ()) == []


def test_a_killed_run_goes_on_and_gives_the_same_bytes(inputs: Path, tmp_path: Path) -> None:
    whole = write_set(config(inputs, songs=3), tmp_path / "whole")
    assert (whole.songs, whole.made, whole.kits) == (3, 3, ("planted",)) and whole.damaged == ()
    write_set(config(inputs, songs=1), tmp_path / "part")
    (tmp_path / "part" / "studio-0-00001.wav").write_bytes(b"cut")
    (tmp_path / "part" / "events.jsonl").unlink()
    again = write_set(config(inputs, songs=3), tmp_path / "part")
    assert (again.made, again.events) == (2, whole.events)
    assert contents(tmp_path / "part") == contents(tmp_path / "whole")


@pytest.mark.slow
def test_any_number_of_processes_gives_the_same_bytes(inputs: Path, tmp_path: Path) -> None:
    write_set(config(inputs, songs=3), tmp_path / "one", workers=1)
    write_set(config(inputs, songs=3), tmp_path / "two", workers=2)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_events_lie_in_their_audio(inputs: Path, tmp_path: Path) -> None:
    result = write_set(config(inputs), tmp_path)
    events = list(read_events(result.table))
    assert len(events) == result.events > 5
    assert len({event.sample_id for event in events}) == len(events)
    for event in events:
        assert event.audio_path is not None and event.is_synthetic and event.mix_context == "full_mix"
        assert 0.0 <= event.onset_time < 3.0
    audio = load(tmp_path / "studio-0-00000.wav")
    assert audio.shape == (3 * 44_100,) and 0.5 < np.abs(audio).max() <= 0.9 + 1e-4
    assert (tmp_path / "studio-0-00001.backing.wav").is_file()


def test_other_settings_or_other_files_are_refused(inputs: Path, tmp_path: Path) -> None:
    write_set(config(inputs, songs=1), tmp_path)
    with pytest.raises(InputError, match=r"studio\.json: .* were made with other seed; give another folder"):
        write_set(config(inputs, songs=1, seed=4), tmp_path)
    plant_groove(inputs / "other midi" / "two.mid", bars=2)
    other = SetConfig(**{**config(inputs, songs=1).__dict__, "grooves": inputs / "other midi"})
    with pytest.raises(InputError, match="made with other inputs"):
        write_set(other, tmp_path)
    (tmp_path / "studio.json").write_text("{")
    with pytest.raises(InputError, match=r"studio\.json: does not say how the songs were made"):
        write_set(config(inputs, songs=1), tmp_path)


def test_what_cannot_be_used_is_one_sentence(inputs: Path, tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    empty, good = tmp_path / "nothing", inputs / "my kits"
    song = SongConfig(3.0)
    cases = [
        (SetConfig((empty,), inputs / "midi", song=song), "nothing: holds no drum kit"),
        (SetConfig((good,), empty, song=song), "nothing: holds no drum performance in MIDI"),
        (SetConfig((good,), inputs / "midi", (empty,), song=song), "nothing: holds no recording"),
        (SetConfig((good,), inputs / "midi", (empty / "x",), song=song), "x: no such folder of recordings"),
    ]
    for broken, why in cases:
        with pytest.raises(InputError, match=why):
            write_set(broken, tmp_path / "out")
    with pytest.raises(UsageError, match="a song must last 3 to 3600 s"):
        write_set(SetConfig((good,), inputs / "midi", song=SongConfig(1.0)), tmp_path / "out")
    with pytest.raises(UsageError, match="is a file; give a folder"):
        write_set(config(inputs), inputs / "midi" / "one.mid")


def test_a_kit_without_a_snare_plays_without_one(tmp_path: Path, inputs: Path) -> None:
    plant_kit(tmp_path / "kit", ("kick", "closed", "open"))
    result = write_set(
        SetConfig((tmp_path / "kit",), inputs / "midi", songs=1, song=SongConfig(4.0, 2)), tmp_path / "o"
    )
    labels = {label for event in read_events(result.table) for label in event.labels}
    assert labels and labels <= {"kick", "hihat_closed", "hihat_open"}


def test_the_command_names_damaged_files_and_ends_with_3(
    inputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kits, midi = tmp_path / "two kits", tmp_path / "midi"
    plant_kit(kits / "planted", ("kick", "snare", "closed"))
    cut = kits / "planted" / "near" / "kick_hard_1.wav"
    cut.write_bytes(cut.read_bytes()[:300])
    save(kits / "planted" / "near" / "cymbal_of_doom.wav", np.ones(100, np.float32))
    plant_groove(midi / "good.mid")
    (midi / "bad.mid").write_bytes(b"MThd")
    words = [
        "synth",
        "--kit",
        str(kits),
        "--grooves",
        str(midi),
        "--songs",
        "1",
        "--seconds",
        "3",
        "-o",
        str(tmp_path / "o"),
    ]
    with pytest.raises(SystemExit) as stop:
        run([*words, "--json"])
    out, err = capsys.readouterr()
    answer = json.loads(out)
    assert stop.value.code == 3 and "2 files could not be read" in err
    assert answer["made"] == 1 and answer["events"] > 0 and answer["kits"] == ["planted"]
    assert any("kick_hard_1.wav" in line for line in answer["damaged"])
    assert any("bad.mid" in line for line in answer["damaged"])
    assert any("cymbal_of_doom.wav" in line for line in answer["skipped"])


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--kit", "kits"], "--kit needs --grooves"),
        (["--grooves", "midi"], "go with --kit"),
        (["--workers", "2"], "go with --kit"),
    ],
)
def test_options_that_make_no_sense(
    words: list[str], why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        run(["synth", "-o", str(tmp_path / "o"), *words])
    assert stop.value.code == 2 and why in capsys.readouterr().err


def test_several_kits_follow_one_option(
    inputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plant_kit(tmp_path / "second", ("kick", "tom"))
    toml = tmp_path / "second" / "kit.toml"
    toml.write_text(toml.read_text().replace('"planted"', '"second"'))
    with pytest.raises(SystemExit) as stop:
        run(
            [
                "synth", "--kit", str(inputs / "my kits"), str(tmp_path / "second"),
                "--grooves", str(inputs / "midi"), "--drums-only", "--songs", "1", "--seconds", "3",
                "-o", str(tmp_path / "o"),
            ]
        )  # fmt: skip
    assert stop.value.code in (0, None)
    assert "Wrote 1 song of 2 kits" in capsys.readouterr().out
