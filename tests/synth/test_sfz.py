"""SFZ instruments: inheritance, definitions, includes, comments and sample files, planted and broken."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from beatsight.errors import InputError
from beatsight.synth.sfz import key_number, read_sfz


def kit(folder: Path, text: str, *samples: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in samples:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")
    path = folder / "kit.sfz"
    path.write_text(text, encoding="utf-8")
    return path


def test_inner_headers_inherit_from_outer_ones_until_the_next(tmp_path: Path) -> None:
    text = """
        <global> amp_veltrack=50 volume=1 global_label=kit
        <master> group_volume=-3 master_label=hats
        <group> lovel=1 hivel=63 group_label=soft
        <region> sample=a.wav volume=2
        <region> sample=b.wav lokey=40 hikey=41 region_label=edge
        <group> locc4=0 hicc4=31
        <region> sample=c.wav
        <master>
        <region> sample=d.wav
        <global>
        <region> sample=e.wav
    """
    a, b, c, d, e = read_sfz(kit(tmp_path, text)).regions
    assert (a.volume_db, b.volume_db, d.volume_db, e.volume_db) == (-1, -2, 1, 0)
    assert (a.velocities, c.velocities, a.pedal, c.pedal) == ((1, 63), None, None, (0, 31))
    assert (b.keys, a.keys) == ((40, 41), None)
    assert b.labels == ("edge", "soft", "hats", "kit") and d.labels == ("kit",) and e.labels == ()
    assert (a.veltrack, e.veltrack) == (50, 100)
    assert a.line.endswith("kit.sfz:5") and e.line.endswith("kit.sfz:12")


def test_the_gain_follows_the_velocity_squared_by_the_share_of_veltrack(tmp_path: Path) -> None:
    text = "<region> sample=a.wav amp_veltrack=93 group_volume=-7 volume=9.6"
    (region,) = read_sfz(kit(tmp_path, text)).regions
    assert region.gain_db(1.0) == pytest.approx(2.6)
    assert region.gain_db(0.5) == pytest.approx(2.6 + 20 * math.log10(0.07 + 0.93 * 0.25))
    (region,) = read_sfz(kit(tmp_path, "<region> sample=a.wav")).regions
    assert region.gain_db(0.0) == pytest.approx(-100)


def test_definitions_includes_and_comments(tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "snare.sfz").write_text("<region> key=$KEY2 sample=snare $NAME.wav // one\n")
    text = """#define $KEY 36 #define $KEY2 38
        /* <region> sample=no.wav
        */ <region> sample=kick.wav key=$KEY
        #define $NAME rim shot
        #include "parts\\snare.sfz"
        // <region> sample=no.wav
    """
    kick, snare = read_sfz(kit(tmp_path, text)).regions
    assert (kick.keys, snare.keys) == ((36, 36), (38, 38))
    assert (kick.sample, snare.sample) == ("kick.wav", "snare rim.wav")
    assert kick.line.endswith("kit.sfz:3") and snare.line.endswith("parts/snare.sfz:1")


def test_samples_are_found_in_other_cases_and_formats_but_never_outside(tmp_path: Path) -> None:
    text = r"""<control> default_path=..\Samples\ note_offset=-1 octave_offset=1
        <region> sample=Hit One.wav key=c4 <region> sample=two.wav
        <region> sample=gone.wav <region> sample=..\..\..\outside.wav
    """
    path = kit(tmp_path / "lib" / "sfz", text)
    for name in ("lib/Samples/hit one.FLAC", "lib/Samples/two.wav", "lib/Samples/two.flac", "outside.wav"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    one, two, gone, outside = read_sfz(path, tmp_path / "lib").regions
    assert one.sample == "../Samples/Hit One.wav" and one.keys == (71, 71)
    assert one.path == tmp_path / "lib" / "Samples" / "hit one.FLAC"
    assert two.path == tmp_path / "lib" / "Samples" / "two.wav"
    assert gone.path is None and outside.path is None
    # Alone, the file's folder is all it may read.
    assert all(region.path is None for region in read_sfz(path).regions)


def test_generators_release_sounds_and_faults_are_told_apart(tmp_path: Path) -> None:
    text = """<region> sample=*sine
        <region> sample=a.wav trigger=release
        <region> key=36
        <region> sample=a.wav key=H9
        <region> sample=a.wav lovel=90 hivel=20
        <region> sample=a.wav volume=loud
        <region> sample=a.wav key=128
        <region> sample=a.wav hikey=-1
        <curve> v000=0
    """
    instrument = read_sfz(kit(tmp_path, text))
    assert [why for _, why in instrument.no_strikes] == [
        "sample *sine: is a generator, no recording",
        "trigger release: it does not sound when the drum is struck",
    ]
    assert [(line.rpartition(":")[2], why) for line, why in instrument.faults] == [
        ("3", "the region names no sample"),
        ("4", "key 'H9' is not a whole number"),
        ("5", "lovel 90 and hivel 20 are no range within 0..127"),
        ("6", "volume 'loud' is not a number"),
        ("7", "key '128' is outside 0..127"),
    ]
    assert [region.keys for region in instrument.regions] == [None]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is no SFZ instrument: it holds no <region>"),
        ("<group> key=36", "is no SFZ instrument"),
        ('#include "gone.sfz"', r"kit\.sfz:1: includes gone\.sfz, which is not there"),
        ('#include "kit.sfz"', "includes go deeper than 32 files"),
        ('#include "../../x.sfz"', "leaves its root folder"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_sentence(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(InputError, match=why) as caught:
        read_sfz(kit(tmp_path, text))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("text", "number"), [("c-1", 0), ("C4", 60), ("f#2", 42), ("bb1", 34), ("g9", 127)])
def test_key_names(text: str, number: int) -> None:
    assert key_number(text) == number


def test_the_salamander_kit_has_all_its_regions(shared: Path) -> None:
    (path,) = (shared / "data" / "kits" / "salamander").glob("*.sfz")
    instrument = read_sfz(path)
    text = path.read_text(encoding="utf-8")
    assert len(instrument.regions) + len(instrument.no_strikes) == text.count("<region>") == 535
    assert instrument.faults == ()
    there = {region.path for region in instrument.regions if region.path is not None}
    files = set((path.parent / "OH").iterdir())
    # Files that no region plays are the four strikes of the foot splash, which sounds at the pedal's release.
    assert {file.stem.split("_")[0] for file in files - there} == {"hihatFootStomp"} and len(
        files - there
    ) == 4
