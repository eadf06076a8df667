"""Kits told by an SFZ file: labels, layers, round robins, pedal, microphones, and their way into a bank."""

from __future__ import annotations

from pathlib import Path

import pytest

from beatsight.audio import io
from beatsight.errors import InputError
from beatsight.synth.sample_kit import read_kit
from beatsight.synth.sfz_kit import read_sfz_kit
from beatsight.synth.studio.bank import load_bank, read_kits
from planted_kits import burst, plant_kit

TEXT = """
<group> key=36
<region> sample=a/s01.wav lovel=1 hivel=63 seq_position=1
<region> sample=a/s02.wav lovel=1 hivel=63 seq_position=2
<region> sample=a/s03.wav lovel=64 hivel=127
<group> key=38 <region> sample=a/s04.wav
<group> key=42
<region> sample=a/hat_closed.wav locc4=96 hicc4=127
<region> sample=a/hat_half_open.wav locc4=32 hicc4=63
<region> sample=a/hat_open.wav locc4=0 hicc4=31
<group> key=25 <region> sample=a/s05.wav
<group> key=49 <region> sample=a/gone.wav
"""


def plant(folder: Path, text: str = TEXT, *more: str) -> Path:
    names = ("s01", "s02", "s03", "s04", "s05", "hat_closed", "hat_half_open", "hat_open")
    for number, name in enumerate((*(f"a/{n}" for n in names), *more)):
        io.save(folder / f"{name}.wav", burst(number, 0.1))
    path = folder / "my drums.sfz"
    path.write_text(text, encoding="utf-8")
    return path


def test_regions_become_hits(tmp_path: Path) -> None:
    kit = read_sfz_kit(plant(tmp_path / "a kit"))
    hits = {hit.mics["main"].stem: hit for hit in kit.hits}
    assert kit.name == "my drums" and len(kit.hits) == 7
    assert [hits[name].label for name in ("s01", "s04", "hat_open")] == ["kick", "snare", "hihat_open"]
    assert hits["s01"].velocity == hits["s02"].velocity == pytest.approx(32 / 127, abs=1e-4)
    assert hits["s03"].velocity == pytest.approx(95.5 / 127, abs=1e-4)
    # One layer for all says nothing of how hard it was struck.
    assert hits["s04"].velocity is None
    # The closed hat lies on high values of the pedal, so low ones are open.
    openness = [hits[name].openness for name in ("hat_closed", "hat_half_open", "hat_open")]
    assert openness == pytest.approx([1 - 111.5 / 127, 1 - 47.5 / 127, 1 - 15.5 / 127], abs=1e-4)
    reasons = dict((path.name, why) for path, why in kit.skipped)
    assert "a/gone.wav: the sample file is missing" in reasons.values()
    assert "names no" in reasons["s05.wav"] or "holds no drum" in reasons["s05.wav"]


def test_the_other_direction_of_the_pedal(tmp_path: Path) -> None:
    text = """<group> key=42
    <region> sample=a/hat_closed.wav locc4=0 hicc4=31
    <region> sample=a/hat_open.wav locc4=96 hicc4=127"""
    hits = {hit.label: hit.openness for hit in read_sfz_kit(plant(tmp_path, text)).hits}
    assert hits["hihat_closed"] == pytest.approx(15.5 / 127, abs=1e-4)
    assert hits["hihat_open"] == pytest.approx(111.5 / 127, abs=1e-4)


def test_a_table_of_keys_goes_first(tmp_path: Path) -> None:
    path = plant(tmp_path)
    (tmp_path / "keys.toml").write_text('25 = "cowbell"\n36 = "floor tom"\n')
    hits = {hit.mics["main"].stem: hit.label for hit in read_sfz_kit(path).hits}
    assert (hits["s05"], hits["s01"], hits["s04"]) == ("cowbell", "tom_low", "snare")
    (tmp_path / "keys.toml").write_text('36 = "gong of doom"\n')
    with pytest.raises(InputError, match=r"keys\.toml: 36: unknown drum label 'gong of doom'"):
        read_sfz_kit(path)
    (tmp_path / "keys.toml").write_text("36 = \n")
    with pytest.raises(InputError, match=r"keys\.toml: is not valid TOML"):
        read_sfz_kit(path)


def test_the_same_name_in_two_folders_is_one_stroke_on_two_microphones(tmp_path: Path) -> None:
    text = """<group> key=36 seq_position=1
    <region> sample=oh/k1.wav <region> sample=near/k1.wav
    <group> key=36 seq_position=2
    <region> sample=oh/k2.wav <region> sample=near/k2.wav"""
    kit = read_sfz_kit(plant(tmp_path, text, "oh/k1", "near/k1", "oh/k2", "near/k2"))
    assert [sorted(hit.mics) for hit in kit.hits] == [["near", "oh"], ["near", "oh"]]
    assert (kit.mics["oh"].role, kit.mics["near"].role) == ("overhead", "close")
    assert [hit.take for hit in kit.hits] == [1, 2]


def test_a_kit_without_any_sample_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "empty.sfz"
    path.write_text("<region> sample=gone.wav key=36")
    with pytest.raises(InputError, match=r"empty\.sfz: holds no drum hit whose sample file is there"):
        read_sfz_kit(path)


def test_the_bank_takes_an_instrument_and_not_its_files_again(tmp_path: Path) -> None:
    path = plant(tmp_path / "kits" / "a kit")
    plant_kit(tmp_path / "kits" / "planted")
    io.save(tmp_path / "kits" / "single" / "snare_01.wav", burst(5, 0.1))
    names = [kit.name for kit in read_kits(tmp_path / "kits")]
    assert sorted(names) == ["my drums", "planted", "single"]
    assert [kit.name for kit in read_kits(path)] == ["my drums"]
    bank = load_bank([path.parent])
    (kick,) = bank.pieces["kick"] if len(bank.pieces["kick"]) == 1 else (None,)
    assert kick is not None and kick.kit == "my drums" and len(kick.takes) == 3
    (hat,) = bank.pieces["hihat"]
    assert len(hat.takes) == 3


def test_a_layout_knows_more_than_an_instrument_in_it(tmp_path: Path) -> None:
    folder = plant_kit(tmp_path / "planted")
    (folder / "same.sfz").write_text("<region> key=36 sample=near/kick_soft_1.wav")
    assert [kit.name for kit in read_kits(tmp_path)] == ["planted"]


def test_a_faulty_layout_is_not_passed_over(tmp_path: Path) -> None:
    plant(tmp_path / "good")
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "kit.toml").write_text("nmae = 1")
    with pytest.raises(InputError, match=r"kit\.toml"):
        read_kits(tmp_path)
    with pytest.raises(InputError, match="no such folder"):
        read_kits(tmp_path / "absent")


def test_the_salamander_instrument_agrees_with_its_layout(shared: Path) -> None:
    (path,) = (shared / "data" / "kits" / "salamander").glob("*.sfz")
    by_layout = {next(iter(h.mics.values())).resolve(): h for h in read_kit(path.parent).hits}
    kit = read_sfz_kit(path)
    pairs = [(h, by_layout[f]) for h in kit.hits if (f := next(iter(h.mics.values())).resolve()) in by_layout]
    assert len(pairs) > 250
    assert all(one.label == other.label and one.choke == other.choke for one, other in pairs)
    both = [(a.velocity, b.velocity) for a, b in pairs if a.velocity is not None and b.velocity is not None]
    assert len(both) > 200 and all(abs(a - b) < 1e-3 for a, b in both)
    # Nominal openness of the layout and that from controller 4 rise together.
    hats = sorted({(a.openness, b.openness) for a, b in pairs if a.label == "hihat_half"})
    assert len(hats) == 7 and [b for _, b in hats] == sorted(b for _, b in hats)
