"""Instruments and SoundFonts in a set of songs: heard, labelled, the same again, and refused by name."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from beatsight.audio.io import SAMPLE_RATE, load, save
from beatsight.cli.main import run
from beatsight.errors import InputError
from beatsight.events import read_events
from beatsight.synth.studio.backing import BackingConfig
from beatsight.synth.studio.bank import Bank
from beatsight.synth.studio.inputs import inputs_digest
from beatsight.synth.studio.song import SongConfig, make_band
from beatsight.synth.studio.soundfonts import find_instruments, with_soundfonts
from beatsight.synth.studio.writing import SET_BACKING, SetConfig, load_stock, write_set
from planted_kits import NEUTRAL, NO_BUS, plant_groove, plant_kit
from planted_soundfonts import soundfont

WHISTLE_HZ = 4000.0


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A kit, a performance, a SoundFont and an instrument of one note, high and pure."""
    folder = tmp_path_factory.mktemp("inputs")
    plant_kit(folder / "kit", ("kick", "closed"))
    plant_groove(folder / "midi" / "one.mid")
    soundfont(folder / "tiny.sf2")
    seconds = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    tone = 0.5 * np.sin(2 * np.pi * WHISTLE_HZ * seconds)
    save(folder / "notes" / "whistle" / "A4.wav", tone.astype(np.float32))
    return folder


def whistle_share(audio: np.ndarray) -> float:
    """How much of the energy lies at the semitones above the whistle's note."""
    power = np.abs(np.fft.rfft(audio)) ** 2
    freq_hz = np.fft.rfftfreq(len(audio), 1 / SAMPLE_RATE)
    lines = WHISTLE_HZ * 2 ** (np.arange(25) / 12)
    near = np.abs(freq_hz[:, None] - lines).min(axis=1) < 20.0
    return float(power[near].sum() / max(power.sum(), 1e-9))


def call(*words: object) -> int:
    """Run the command; its exit code."""
    with pytest.raises(SystemExit) as stop:
        run(["synth", *map(str, words)])
    return int(stop.value.code or 0)


def test_a_soundfont_is_a_kit_by_itself(inputs: Path, tmp_path: Path) -> None:
    song = SongConfig(3.0, 1, bus=NO_BUS, drumset=NEUTRAL)
    result = write_set(
        SetConfig((inputs / "tiny.sf2",), inputs / "midi", songs=2, song=song, drums_only=True), tmp_path
    )
    events = list(read_events(result.table))
    assert result.kits == ("tiny/Kit",) and len(events) > 3
    assert {label for event in events for label in event.labels} == {"snare"}
    assert {event.kit_id for event in events} == {"tiny/Kit"}
    assert {part.instrument_variant for e in events for part in e.components} == {"tiny/Kit:snare-38"}
    first = next(event for event in events if event.session_id == "studio-1-00000")
    audio = load(tmp_path / "studio-1-00000.wav")
    # The planted stroke is 200 Hz, and nothing sounds before the first label.
    spectrum = np.abs(np.fft.rfft(audio))
    assert spectrum.argmax() / len(audio) * SAMPLE_RATE == pytest.approx(200.0, abs=8.0)
    assert int(np.flatnonzero(np.abs(audio) > 0.02)[0]) / SAMPLE_RATE == pytest.approx(
        first.onset_time, abs=0.003
    )


def test_a_soundfont_is_played_beside_other_kits(inputs: Path) -> None:
    stock, _, _ = load_stock(SetConfig((inputs / "kit", inputs / "tiny.sf2"), inputs / "midi"))
    assert stock.bank.kits() == ("planted", "tiny/Kit")
    assert {piece.kit for piece in stock.bank.pieces["snare"]} == {"tiny/Kit"}


def test_instruments_are_heard_in_their_share_of_the_songs(inputs: Path) -> None:
    config = SetConfig((inputs / "kit",), inputs / "midi")
    song = replace(config.song, seconds=3.0)
    assert song.backing == SET_BACKING and SET_BACKING.instrument_share == 0.6
    shares = {}
    for places in ((), (inputs / "notes",)):
        stock, _, _ = load_stock(replace(config, instruments=places))
        shares[places] = [whistle_share(make_band(stock, song, number)[0]) for number in range(8)]
    without, with_whistle = shares.values()
    assert max(without) < 0.06
    assert 3 <= sum(share > 0.1 for share in with_whistle) <= 7
    never = replace(song, backing=BackingConfig(instrument_share=0.0))
    quiet = [whistle_share(make_band(stock, never, number)[0]) for number in range(8)]
    assert quiet == without


def everything(inputs: Path, songs: int = 2) -> SetConfig:
    kits, notes = (inputs / "kit", inputs / "tiny.sf2"), (inputs / "notes", inputs / "tiny.sf2")
    song = SongConfig(3.0, backing=BackingConfig(instrument_share=1.0))
    return SetConfig(kits, inputs / "midi", songs=songs, song=song, instruments=notes)


@pytest.mark.slow
def test_any_number_of_processes_gives_the_same_bytes(inputs: Path, tmp_path: Path) -> None:
    one = write_set(everything(inputs), tmp_path / "one", workers=1)
    two = write_set(everything(inputs), tmp_path / "two", workers=2)
    assert one.instruments == two.instruments == 2
    files = [{p.name: p.read_bytes() for p in sorted((tmp_path / n).iterdir())} for n in ("one", "two")]
    assert files[0] == files[1] and len(files[0]) == 6


def test_other_instruments_are_another_set(inputs: Path, tmp_path: Path) -> None:
    config = everything(inputs, songs=1)
    write_set(config, tmp_path)
    with pytest.raises(InputError, match=r"studio\.json: .* made with other inputs; give another folder"):
        write_set(replace(config, instruments=(inputs / "notes",)), tmp_path)
    rarer = replace(config.song, backing=BackingConfig(instrument_share=0.5))
    with pytest.raises(InputError, match="made with other effects"):
        write_set(replace(config, song=rarer), tmp_path)


def test_the_digest_tells_what_a_file_serves_and_how_it_is_called(inputs: Path, tmp_path: Path) -> None:
    notes, font = inputs / "notes", inputs / "tiny.sf2"
    renamed = tmp_path / "other.sf2"
    renamed.write_bytes(font.read_bytes())
    given: list[dict[str, tuple[Path, ...]]] = [
        {"backing": (notes,), "instruments": ()},
        {"backing": (), "instruments": (notes,)},
        {"backing": (notes,), "instruments": (font,)},
        {"backing": (notes,), "instruments": (renamed,)},
    ]
    assert len({inputs_digest(places) for places in given}) == len(given)
    assert inputs_digest(given[2]) == inputs_digest({"backing": (notes,), "instruments": (font,)})


def _cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def _without_drums(content: bytes) -> bytes:
    """The drum preset's bank is 127."""
    at = content.index(b"Kit".ljust(20, b"\0")) + 22
    return content[:at] + struct.pack("<H", 127) + content[at + 2 :]


def _without_names(content: bytes) -> bytes:
    """Its strokes lie on a key that is no drum of General MIDI."""
    return content.replace(struct.pack("<HH", 43, 38 | 38 << 8), struct.pack("<HH", 43, 5 | 5 << 8))


def _without_organ(content: bytes) -> bytes:
    at = content.index(b"Organ".ljust(20, b"\0") + struct.pack("<H", 16)) + 22
    return content[:at] + struct.pack("<H", 9) + content[at + 2 :]


def _at_rate(rate: int) -> Callable[[bytes], bytes]:
    return lambda content: content.replace(struct.pack("<I", SAMPLE_RATE), struct.pack("<I", rate))


def _compressed(content: bytes) -> bytes:
    return content.replace(struct.pack("<IBbHH", SAMPLE_RATE, 38, 0, 0, 1),
                           struct.pack("<IBbHH", SAMPLE_RATE, 38, 0, 0, 0x11))  # fmt: skip


@pytest.mark.parametrize(
    ("option", "change", "why"),
    [
        ("--kit", _cut, "is truncated in its 'LIST' chunk"),
        ("--kit", _without_drums, "holds no drum kit (bank 128)"),
        ("--kit", _without_names, "holds no drum that can be named by its General MIDI key"),
        ("--kit", _at_rate(4_000_000_000), "is damaged: sample 'loud' has a rate of 4000000000 Hz"),
        ("--kit", _compressed, "is compressed (.sf3); give it as .sf2"),
        ("--instruments", _cut, "is truncated in its 'LIST' chunk"),
        ("--instruments", _without_organ, "holds no instrument in bank 0"),
        ("--instruments", _at_rate(1), "has a rate of 1 Hz"),
        ("--instruments", lambda _: b"", "cannot be read"),
    ],
)
def test_a_soundfont_of_no_use_is_named(
    option: str,
    change: Callable[[bytes], bytes],
    why: str,
    inputs: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    whole = (inputs / "tiny.sf2").read_bytes()
    assert change(whole) != whole
    (tmp_path / "bad.sf2").write_bytes(change(whole))
    words = ["--kit", inputs / "kit", "--grooves", inputs / "midi", "-o", tmp_path / "o"]
    assert call(*words, option, tmp_path / "bad.sf2") == 3
    err = " ".join(capsys.readouterr().err.split())
    assert f"{tmp_path / 'bad.sf2'}: " in err and why in err
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize(
    ("option", "name", "why"),
    [
        ("--kit", "none.sf2", "none.sf2: cannot be read: No such file or directory"),
        ("--instruments", "none.sf2", "none.sf2: cannot be read: No such file or directory"),
        ("--instruments", "none", "none: no such folder or SoundFont"),
        ("--instruments", "midi/one.mid", "one.mid: is neither a folder of notes nor a SoundFont"),
        ("--instruments", "midi", "midi: holds no instrument"),
    ],
)
def test_a_place_that_is_not_there_is_named(
    option: str, name: str, why: str, inputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--kit", inputs / "kit", "--grooves", inputs / "midi", "-o", tmp_path / "o"]
    assert call(*words, option, inputs / name) == 3
    assert why in " ".join(capsys.readouterr().err.split())


def test_a_tuning_out_of_all_range_costs_no_memory(tmp_path: Path) -> None:
    path = soundfont(tmp_path / "a.sf2")
    whole = path.read_bytes()
    for tuning in (20_000, -20_000):
        # In place of the organ's loop and of the soft snare's attenuation.
        coarse = struct.pack("<Hh", 51, tuning)
        content = whole.replace(struct.pack("<HH", 54, 1), coarse)
        path.write_bytes(content.replace(struct.pack("<HH", 48, 100), coarse))
        (organ,) = find_instruments([path])
        (snare,) = with_soundfonts(Bank({}, ()), [path]).pieces["snare"]
        notes = [len(stored) for stored, _ in organ.notes.values()]
        strokes = [len(stored) for take in snare.takes for stored in take.mics.values()]
        assert 0 < max(notes) <= 3 * SAMPLE_RATE and 0 < max(strokes) <= 30 * SAMPLE_RATE


def test_notes_that_cannot_be_read_are_left_out_and_named(
    inputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    notes = tmp_path / "my notes"
    good = (inputs / "notes" / "whistle" / "A4.wav").read_bytes()
    for name, content in (("A4.wav", good), ("C5.wav", good[:30]), ("loop.wav", good)):
        notes.mkdir(exist_ok=True)
        (notes / name).write_bytes(content)
    words = ["--kit", inputs / "kit", "--grooves", inputs / "midi", "--songs", 1, "--seconds", 3]
    words += ["-o", tmp_path / "o", "--json", "--instruments", inputs / "tiny.sf2", notes]
    assert call(*words) == 3
    out, err = capsys.readouterr()
    answer = json.loads(out)
    assert answer["made"] == 1 and answer["instruments"] == 2 and "1 file could not be read" in err
    assert len(answer["damaged"]) == 1 and "C5.wav" in answer["damaged"][0]
    assert [line for line in answer["skipped"] if "loop.wav: its name is no pitch" in line]
    with pytest.raises(InputError, match=r"C5\.wav"):
        find_instruments([notes])
    (notes / "A4.wav").unlink()
    assert call(*words) == 3
    assert "my notes: holds no note that can be read; " in " ".join(capsys.readouterr().err.split())


def test_the_command_says_what_it_played(
    inputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--kit", inputs / "kit", inputs / "tiny.sf2", "--grooves", inputs / "midi", "--songs", 1]
    words += ["--instruments", inputs / "notes", inputs / "tiny.sf2", "--seconds", 3, "-o", tmp_path / "o"]
    assert call(*words) == 0
    assert "Wrote 1 song of 2 kits, 2 instruments and " in " ".join(capsys.readouterr().out.split())
    settings = json.loads((tmp_path / "o" / "studio.json").read_text())
    assert settings["effects"][3]["instrument_share"] == SET_BACKING.instrument_share


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--instruments", "notes"], "--instruments, --stems and --workers go with --kit"),
        (["--kit", "kit", "--grooves", "midi", "--drums-only", "--instruments", "x"], "leaves no room"),
        (["--kit", "kit", "--grooves", "midi", "--drums-only", "--backing", "x"], "leaves no room"),
    ],
)
def test_options_that_exclude_each_other(
    words: list[str], why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("-o", tmp_path / "o", *words) == 2
    assert why in " ".join(capsys.readouterr().err.split())
