"""Sample kits: planted folders, the development kits against their index, and sounds against their labels."""

from __future__ import annotations

import csv
import math
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from beatsight.audio import io
from beatsight.errors import InputError, UsageError
from beatsight.synth.kit_layouts import bundled_layouts, layer_bounds, read_layout
from beatsight.synth.kit_layouts.names import read_name
from beatsight.synth.sample_kit import KitHit, SampleKit, attack_s, find_kits, mix_hit, read_kit, unique_hits
from beatsight.taxonomy import CANONICAL

RATE = io.SAMPLE_RATE

KIT_TOML = r"""
name = "mine"
licence = "CC0-1.0"
attribution = "me"
files = '^(?P<mic>oh|near)/(?P<piece>[a-z]+)_(?P<layer>soft|hard)_(?P<take>\d+)$'

[mics]
oh = { role = "overhead", gain_db = -6.0 }
near = { role = "close", labels = ["bd"] }

[level]
veltrack = 100

[layers]
default = { soft = 63, hard = 127 }

[pieces]
bass = { label = "bd", gain_db = { soft = -3, hard = -1 } }
hat = { label = "hihat_half", openness = 0.4, variant = "fourteen inch" }

[[skip]]
match = "_hard_9$"
reason = "a noisy take"
"""


def click(delay_s: float = 0.0, peak: float = 0.5, length_s: float = 0.05) -> np.ndarray:
    """A decaying click that starts at ``delay_s`` with its peak."""
    time = np.arange(round(length_s * RATE)) / RATE
    hit = peak * np.exp(-200 * time) * np.cos(2 * np.pi * 300 * time)
    return np.concatenate([np.zeros(round(delay_s * RATE)), hit]).astype(np.float32)


def write(path: Path, audio: np.ndarray | None = None) -> Path:
    io.save(path, click() if audio is None else audio)
    return path


def reasons(kit: SampleKit) -> dict[str, str]:
    return {path.relative_to(kit.folder).as_posix(): why for path, why in kit.skipped}


@pytest.fixture
def own_kit(tmp_path: Path) -> Path:
    folder = tmp_path / "kits" / "basement"
    folder.mkdir(parents=True)
    (folder / "kit.toml").write_text(KIT_TOML)
    write(folder / "oh/bass_soft_1.wav", click(0.004))
    write(folder / "near/bass_soft_1.wav", click(0.001))
    write(folder / "oh/bass_hard_1.wav")
    write(folder / "oh/hat_soft_1.wav")
    write(folder / "near/hat_soft_1.wav")
    return folder


# --- a kit that describes itself ---


def test_user_layout_maps_labels_layers_and_microphones(own_kit: Path) -> None:
    kit = read_kit(own_kit)
    assert (kit.name, kit.licence, kit.attribution, kit.folder) == ("mine", "CC0-1.0", "me", own_kit)
    assert kit.skipped == () and {name: mic.gain_db for name, mic in kit.mics.items()} == {
        "oh": -6.0,
        "near": 0.0,
    }
    by_key = {(hit.label, hit.velocity): hit for hit in kit.hits}
    assert set(by_key) == {("kick", 32 / 127), ("kick", 95.5 / 127), ("hihat_half", 32 / 127)}
    soft = by_key["kick", 32 / 127]
    assert soft.mics == {"oh": own_kit / "oh/bass_soft_1.wav", "near": own_kit / "near/bass_soft_1.wav"}
    assert (soft.variant, soft.take, soft.choke, soft.openness) == ("bass", 1, False, None)
    # -3 dB for the layer, and full velocity tracking: 20 log10 (v/127)^2.
    assert soft.gain_db == pytest.approx(-3 + 40 * math.log10(32 / 127))
    hat = by_key["hihat_half", 32 / 127]
    assert (hat.variant, hat.openness) == ("fourteen inch", 0.4)


def test_mix_keeps_real_delays_and_restores_level(own_kit: Path) -> None:
    kit = read_kit(own_kit)
    hit = next(hit for hit in kit.hits if len(hit.mics) == 2 and hit.label == "kick")
    audio, onset_s = mix_hit(hit, kit)
    assert audio.dtype == np.float32
    near, overhead = (io.load(hit.mics[name]) for name in ("near", "oh"))
    expected = np.zeros(len(overhead))
    expected[: len(near)] += near
    expected += overhead * 10 ** (-6 / 20)
    np.testing.assert_allclose(audio, expected * 10 ** (hit.gain_db / 20), atol=1e-6)
    assert onset_s == pytest.approx(0.001, abs=1e-4)
    _, late_s = mix_hit(hit, kit, mics=["oh"])
    assert late_s == pytest.approx(0.004, abs=1e-4)


def test_default_mix_leaves_out_bleed(own_kit: Path) -> None:
    kit = read_kit(own_kit)
    hat = next(hit for hit in kit.hits if hit.label == "hihat_half")
    assert set(hat.mics) == {"oh", "near"}
    np.testing.assert_array_equal(mix_hit(hat, kit)[0], mix_hit(hat, kit, mics=["oh"])[0])
    with pytest.raises(UsageError, match=r"no microphone 'far'; it has near, oh"):
        mix_hit(hat, kit, mics=["far"])
    with pytest.raises(UsageError, match="at least one microphone"):
        mix_hit(hat, kit, mics=[])


def test_normalised_kits_start_from_full_scale(own_kit: Path) -> None:
    text = KIT_TOML.replace("veltrack = 100", "veltrack = 50\nnormalise_peak = true")
    (own_kit / "kit.toml").write_text(text)
    kit = read_kit(own_kit)
    for hit in kit.hits:
        audio, _ = mix_hit(hit, kit)
        assert 20 * np.log10(np.abs(audio).max()) == pytest.approx(hit.gain_db, abs=1e-3)


def test_every_file_that_is_no_hit_is_listed(own_kit: Path) -> None:
    write(own_kit / "oh/bass_hard_9.wav")
    write(own_kit / "oh/zither_hard_1.wav")
    write(own_kit / "oh/bass_hard_1.flac")
    write(own_kit / "near/hat_hard_2.wav")
    write(own_kit / "extra.wav")
    kit = read_kit(own_kit)
    assert len(kit.hits) == 3
    assert reasons(kit) == {
        "oh/bass_hard_9.wav": "a noisy take",
        "oh/zither_hard_1.wav": "piece 'zither' is not in the kit's layout",
        "oh/bass_hard_1.wav": "is the same hit and microphone as oh/bass_hard_1.flac",
        "near/hat_hard_2.wav": "only bleed of this hihat_half hit is left",
        "extra.wav": "its name does not fit the kit's layout",
    }


def test_link_out_of_the_kit_is_refused(own_kit: Path, tmp_path: Path) -> None:
    outside = write(tmp_path / "secret.wav")
    (own_kit / "oh/bass_hard_2.wav").symlink_to(outside)
    assert reasons(read_kit(own_kit)) == {"oh/bass_hard_2.wav": "is a link that leaves the kit folder"}


def test_silent_hit_names_its_file(own_kit: Path) -> None:
    write(own_kit / "oh/hat_soft_1.wav", np.zeros(100, np.float32))
    kit = read_kit(own_kit)
    hat = next(hit for hit in kit.hits if hit.label == "hihat_half")
    with pytest.raises(InputError, match=r"oh/hat_soft_1\.wav: is silent"):
        mix_hit(hat, kit)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('name = "mine"', 'name = "mine', r"kit\.toml: is not valid TOML"),
        ('name = "mine"', "", r"kit\.toml: .*missing required field name"),
        ("licence =", "license =", r"kit\.toml: .*unknown field license"),
        ('label = "bd",', 'label = "bassdrm",', r"pieces\.bass\.label: unknown drum label 'bassdrm'"),
        ("(?P<piece>[a-z]+)", "[a-z]+", r"kit\.toml: files: needs a named group \(\?P<piece>"),
        ("(?P<piece>[a-z]+)", "(?P<piece>[a-z]+", r"kit\.toml: files: is not a regular expression"),
        ("soft = 63, hard = 127", "soft = 63, hard = 60", r"layers\.default\.hard: \[64, 60\] is no range"),
        ("soft = 63, hard = 127", "soft = 63, hard = 128", r"layers\.default\.hard: .* within 1\.\.127"),
        ("openness = 0.4", "openness = 1.4", r"kit\.toml: pieces.*openness: Expected .* <= 1"),
        (
            'label = "bd", gain',
            'label = "bd", openness = 0.1, gain',
            r"kick is no hi-hat and has no openness",
        ),
        (
            'label = "bd", gain',
            'label = "bd", layers = "six", gain',
            r"bass\.layers: there is no layer set 'six'",
        ),
        ('name = "mine"', 'name = "mine"\nparts = ["../other"]', r"'\.\./other' is not the name of a folder"),
        ('name = "mine"', 'name = "mine"\ndetect = ["../*"]', r"detect: '\.\./\*' leaves the kit folder"),
        ('name = "mine"', 'name = "mine"\ndefault_mic = "far"', r"default_mic: there is no microphone 'far'"),
    ],
)
def test_faulty_layout_is_one_sentence(own_kit: Path, old: str, new: str, message: str) -> None:
    assert old in KIT_TOML
    (own_kit / "kit.toml").write_text(KIT_TOML.replace(old, new, 1))
    with pytest.raises(InputError, match=message):
        read_kit(own_kit)


def test_folder_of_several_kits(tmp_path: Path) -> None:
    root = tmp_path / "pair"
    for part in ("a", "b", "both"):
        write(root / part / "kick_1.wav")
    (root / "kit.toml").write_text(
        'name = "pair"\nparts = ["a", "b"]\nshared = ["both"]\n'
        "files = '^[a-z]+/(?P<piece>kick)_(?P<take>1)$'\n[pieces]\nkick = { label = \"kick\" }\n"
    )
    assert find_kits(root) == find_kits(tmp_path) == [root / "a", root / "b"]
    assert find_kits(root / "b") == [root / "b"]
    first = read_kit(root / "a")
    assert (first.name, first.folder) == ("pair/a", root)
    # One strike, found in the part and again in the shared folder: the second is no other microphone.
    assert reasons(first) == {"both/kick_1.wav": "is the same hit and microphone as a/kick_1.wav"}
    with pytest.raises(InputError, match=r"holds several kits \(a, b\); read one"):
        read_kit(root)
    with pytest.raises(InputError, match="is a piece of the kit in"):
        read_kit(root / "both")


# --- any folder of one-shots ---


def test_one_shots_by_their_names(tmp_path: Path) -> None:
    root = tmp_path / "My Snare Crash Kit"
    names = {
        "kick_01.wav": "kick", "kick_02.wav": "kick", "Snare/05.wav": "snare", "crash_02.wav": "crash",
        "Crash2.wav": "crash2", "HH Open.wav": "hihat_open", "ClosedHat3.wav": "hihat_closed",
        "Floor Toms/hit_01.wav": "tom_low", "tom 2.wav": "tom_mid", "fancy ride bell 7.wav": "ride_bell",
        "snare_oh.wav": "snare", "bass drum.wav": "kick",
        "cymbal_open_1.wav": "hihat_open", "Cymbal.wav": "crash", "aux_percussion/3.wav": "aux_percussion",
    }  # fmt: skip
    for name in (*names, "zap.wav", "kick and snare.wav", "snare loop.wav", "perc_door.wav", "elec_bell.wav"):
        write(root / name)
    (root / "readme.txt").write_text("no sound")
    assert find_kits(tmp_path) == [root]
    kit = read_kit(root)
    got = {h.mics["main"].relative_to(root).as_posix(): h for h in kit.hits}
    assert {name: hit.label for name, hit in got.items()} == names
    assert (kit.name, kit.licence) == ("My Snare Crash Kit", "unknown")
    # No layers are told, so no velocity is made up; takes are counted.
    assert {hit.velocity for hit in kit.hits} == {None}
    assert [got[f"kick_0{n}.wav"].take for n in (1, 2)] == [1, 2]
    assert got["HH Open.wav"].openness == 0.9
    assert reasons(kit) == {
        "zap.wav": "its name holds no drum that the taxonomy knows",
        "elec_bell.wav": "its name holds no drum that the taxonomy knows",
        "perc_door.wav": "its name holds no drum that the taxonomy knows",
        "kick and snare.wav": "names more than one drum: kick, snare",
        "snare loop.wav": "is not one hit of a known drum: loop",
    }


def test_one_shot_layers_become_velocities(tmp_path: Path) -> None:
    for name in (
        "snare_vl1_rr1",
        "snare_vl2_rr1",
        "snare_vl2_rr2",
        "tom_low_soft",
        "tom_low_hard",
        "kick_vl4",
    ):
        write(tmp_path / f"{name}.wav")
    got = {hit.mics["main"].stem: (hit.velocity, hit.take) for hit in read_kit(tmp_path).hits}
    assert got == {
        "snare_vl1_rr1": (0.25, 1), "snare_vl2_rr1": (0.75, 1), "snare_vl2_rr2": (0.75, 2),
        "tom_low_soft": (0.25, 1), "tom_low_hard": (0.75, 1), "kick_vl4": (None, 1),
    }  # fmt: skip


def test_a_folder_of_one_drum_may_name_its_files(tmp_path: Path) -> None:
    write(tmp_path / "old cabasa/fw_01.wav")
    assert [hit.label for hit in read_kit(tmp_path / "old cabasa").hits] == ["shaker"]


def test_own_metadata_with_generic_names(tmp_path: Path) -> None:
    write(tmp_path / "kick.wav")
    (tmp_path / "kit.toml").write_text('name = "garage"\nlicence = "CC-BY-4.0"\nattribution = "A. Person"\n')
    kit = read_kit(tmp_path)
    assert (kit.name, kit.attribution, len(kit.hits)) == ("garage", "A. Person", 1)


def test_folder_without_a_kit(tmp_path: Path) -> None:
    write(tmp_path / "voice.wav")
    with pytest.raises(InputError, match=r"holds no drum kit; expected a kit\.toml"):
        find_kits(tmp_path)
    with pytest.raises(InputError, match=r"holds no drum hit that can be labelled; expected a kit\.toml"):
        read_kit(tmp_path)
    with pytest.raises(InputError, match="nowhere: no such folder"):
        read_kit(tmp_path / "nowhere")


@given(st.text(max_size=30))
def test_any_name_gives_a_label_or_a_reason(text: str) -> None:
    named = read_name(PurePosixPath("a") / (text.replace("/", "_").replace("\0", "_") + ".wav"))
    assert (named.label in CANONICAL) != bool(named.reason)


@given(st.lists(st.integers(1, 127), min_size=1, max_size=8, unique=True).map(sorted))
def test_layer_ranges_tile_the_velocities(uppers: list[int]) -> None:
    bounds = layer_bounds({str(n): upper for n, upper in enumerate(uppers)})
    covered = [v for low, high in bounds.values() for v in range(low, high + 1)]
    assert covered == list(range(1, uppers[-1] + 1))


# --- the attack ---


@given(st.integers(0, 4000), st.floats(0.01, 1.0))
def test_attack_follows_delay_and_ignores_level(delay: int, peak: float) -> None:
    audio = np.concatenate([np.zeros(delay, np.float32), click(peak=peak)])
    assert attack_s(audio) == pytest.approx(delay / RATE)


def test_attack_skips_a_squeak_but_not_a_rise() -> None:
    squeak = np.zeros(1050, np.float32)
    squeak[200:300] = 0.06
    audio = np.concatenate([squeak, click(peak=0.5)])
    assert attack_s(audio) == pytest.approx(1050 / RATE)
    # A kick of 40 Hz that swells over 25 ms has no quiet stretch: the onset stays at its 10 % point.
    time = np.arange(round(0.2 * RATE)) / RATE
    kick = np.minimum(time / 0.025, 1) * np.cos(2 * np.pi * 40 * time)
    first = np.argmax(np.abs(kick) >= 0.1 * np.abs(kick).max()) / RATE
    assert attack_s(kick) == first
    with pytest.raises(InputError, match="the hit is silent"):
        attack_s(np.zeros(10))


# --- the development kits ---


def test_bundled_layouts_are_valid_and_named_once() -> None:
    names = [layout.name for layout in bundled_layouts()]
    assert set(names) >= {"avl", "gogodze2", "muldjord", "salamander"} and len(set(names)) == len(names)
    assert all(layout.detect and layout.licence != "unknown" for layout in bundled_layouts())
    with pytest.raises(InputError, match=r"none\.toml: cannot be read"):
        read_layout("none.toml")


@pytest.fixture(scope="module")
def data(shared: Path) -> Path:
    return shared / "data"


@pytest.fixture(scope="module")
def index(data: Path) -> dict[str, str]:
    with (data / "index.csv").open(newline="") as stream:
        return {row["path"]: row["articulation_guess"] for row in csv.DictReader(stream)}


@pytest.fixture(scope="module")
def kits(data: Path) -> dict[str, SampleKit]:
    return {kit.name: kit for kit in map(read_kit, find_kits(data / "kits"))}


@pytest.fixture(scope="module")
def mixes(kits: Mapping[str, SampleKit]) -> list[tuple[SampleKit, KitHit, np.ndarray, float]]:
    return [(kit, hit, *mix_hit(hit, kit)) for kit, hit in unique_hits(kits.values())]


def test_kits_are_found(kits: Mapping[str, SampleKit]) -> None:
    assert list(kits) == ["avl/black_pearl", "avl/red_zeppelin", "gogodze2", "muldjord", "salamander"]
    assert {kit.licence for kit in kits.values()} == {"CC-BY-SA-3.0", "CC0-1.0", "CC-BY-4.0"}
    pearl, zeppelin = kits["avl/black_pearl"], kits["avl/red_zeppelin"]
    both = {h.mics["main"] for h in pearl.hits} & {h.mics["main"] for h in zeppelin.hits}
    assert {path.parent.name for path in both} == {"shared"}
    assert len(list(unique_hits([pearl, zeppelin]))) == len(pearl.hits) + len(zeppelin.hits) - len(both)


def test_every_file_is_mapped_and_agrees_with_the_index(
    kits: Mapping[str, SampleKit], data: Path, index: Mapping[str, str]
) -> None:
    labels: dict[str, str] = {}
    skipped: dict[str, str] = {}
    for kit, hit in unique_hits(kits.values()):
        assert kit.mics.keys() >= hit.mics.keys()
        labels |= {path.relative_to(data.resolve()).as_posix(): hit.label for path in hit.mics.values()}
    for kit in kits.values():
        skipped |= {path.relative_to(data.resolve()).as_posix(): why for path, why in kit.skipped}
    listed = {path for path in index if path.startswith("kits/")}
    assert labels.keys() | skipped.keys() == listed and not labels.keys() & skipped.keys()
    assert {path: index[path] for path in labels} == labels
    # What the names promise but the recordings do not keep, as the data's own notes say.
    assert Counter(skipped.values()) == {
        "layer 5 turned down, not a softer hit": 2,
        "the overhead's first 1.4 ms are cut off in the source": 2,
        "only bleed of this hihat_half hit is left": 4,
        "its overheads and room microphone are silent": 4,
        "a bell chime: no drum of the taxonomy": 3,
    }
    assert {index[path] for path, why in skipped.items() if "bell chime" in why} == {"other"}


def test_openness_and_layers_of_the_kits(kits: Mapping[str, SampleKit]) -> None:
    sal = {hit.variant: hit.openness for hit in kits["salamander"].hits if hit.label.startswith("hihat")}
    graded = [sal["hihatClosed"], *(sal[f"hihatSemiOpen{n}"] for n in range(1, 8)), sal["hihatOpen"]]
    assert graded == sorted(set(graded)) and graded[0] <= 0.1 and graded[-1] >= 0.8
    gog = {hit.variant: hit.openness for hit in kits["gogodze2"].hits}
    hats = [gog[f"hat_{name}"] for name in ("tight", "closed", "loose", "half", "open")]
    assert hats == sorted(set(hats))
    kicks = sorted({hit.velocity for hit in kits["gogodze2"].hits if hit.label == "kick"})
    uppers = [21, 42, 63, 85, 106, 127]
    lowers = [1, *(upper + 1 for upper in uppers[:-1])]
    assert kicks == [(low + up) / 2 / 127 for low, up in zip(lowers, uppers, strict=True)]
    snares = [hit.velocity for hit in kits["muldjord"].hits if hit.variant == "Snare"]
    assert snares == [(rank + 0.5) / 56 for rank in range(56)]
    choked = Counter(hit.label for hit in kits["salamander"].hits if hit.choke)
    assert choked == {"crash": 1, "crash2": 1, "china": 2, "ride_edge": 1}


def test_salamander_gain_follows_its_sfz(kits: Mapping[str, SampleKit]) -> None:
    gains = {(h.variant, h.velocity): h.gain_db for h in kits["salamander"].hits}
    # crash1_OH_P: group_volume -19, amp_veltrack 95, velocities 1..59.
    assert gains["crash1", 30 / 127] == pytest.approx(-19 + 20 * math.log10(0.05 + 0.95 * (30 / 127) ** 2))
    # snare_OH_MP: group_volume 0, amp_veltrack 94, velocities 30..59.
    assert gains["snare", 44.5 / 127] == pytest.approx(20 * math.log10(0.06 + 0.94 * (44.5 / 127) ** 2))


def test_louder_layers_sound_louder(mixes: list[tuple[SampleKit, KitHit, np.ndarray, float]]) -> None:
    levels: dict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
    for kit, hit, audio, onset_s in mixes:
        if hit.velocity is not None:
            energy = float(np.mean(audio[: round((onset_s + 0.3) * RATE)] ** 2, dtype=np.float64))
            levels[kit.name, hit.variant].append((hit.velocity, energy))
    layered = {key: np.array(rows) for key, rows in levels.items() if len({v for v, _ in rows}) > 1}
    rho = {key: spearmanr(rows[:, 0], rows[:, 1])[0] for key, rows in layered.items()}
    assert len(rho) > 80
    # Three ride-bell hits of one kit have two ranks swapped (0.5); measured otherwise: at least 0.74.
    assert {key for key, value in rho.items() if value <= 0.7} <= {("muldjord", "RideLBell")}
    assert np.median(list(rho.values())) > 0.95


# Bounds in ms from the data's own table of 10 % times. Salamander's says 1 ms for what is not named here;
# some cymbals and one snare file pass it, most of them by the same measure on the raw stereo file too.
SALAMANDER_LATE = {"hihatFoot": 9, "hihatFootStomp": 5, "crash1Choke": 12, "crash2Choke": 12, "ride2": 9.6,
                   "china1Choke": 12, "china2Choke": 12, "crash1": 1.4, "crash2": 1.9, "crash3": 2.3,
                   "splash1": 1.4, "snare2": 1.2}  # fmt: skip
GOGODZE = {"kick": (2.0, 3.0), "tom_high": (0.6, 0.9), "tom_mid": (0.0, 0.3), "tom_low": (1.4, 2.1),
           "hat_foot": (0.2, 54.0), "snare_centre": (0.0, 2.5), "snare_edge": (0.0, 0.5),
           "sidestick": (0.0, 1.1)}  # fmt: skip
AVL_LATE = {"SabianRockHatPedal": 21.5, "ZildjianA10Splash": 11.6, "SabianAA16Crash": 16,
            "SabianRockHatSwish": 7.2, "Ludwig16FloorTom": 9.1, "Ludwig18FloorTom": 9.1}  # fmt: skip


def test_onsets_match_the_known_trim(mixes: list[tuple[SampleKit, KitHit, np.ndarray, float]]) -> None:
    outside = []
    for kit, hit, _, onset_s in mixes:
        family = kit.name.split("/")[0]
        low, high = {
            "salamander": (0.0, SALAMANDER_LATE.get(hit.variant, 1.05)),
            "gogodze2": GOGODZE.get(hit.variant, (1.1, 1.6)),
            "muldjord": (0.0, 1.2),
            "avl": (0.0, AVL_LATE.get(hit.variant, 7.0)),
        }[family]
        if not low <= onset_s * 1000 <= high:
            outside.append((kit.name, hit.variant, hit.take, round(onset_s * 1000, 1)))
    assert outside == []
    feet = [onset for _, hit, _, onset in mixes if hit.variant == "hat_foot"]
    # The chick itself, not the pedal's noise 15 to 20 ms before it; one hit swells slowly, to 53 ms.
    assert sorted(feet)[0] > 0.014 and sorted(feet)[-2] < 0.030


@pytest.mark.parametrize("folder", ["oneshots/drum-machines", "percussion"])
def test_other_one_shots_agree_with_the_index(folder: str, data: Path, index: Mapping[str, str]) -> None:
    found: dict[str, str] = {}
    for kit in map(read_kit, find_kits(data / folder)):
        for hit in kit.hits:
            found |= {path.relative_to(data.resolve()).as_posix(): hit.label for path in hit.mics.values()}
        found |= {path.relative_to(data.resolve()).as_posix(): "other" for path, _ in kit.skipped}
    expected = {path: label for path, label in index.items() if path.startswith(folder)}
    # The index calls this machine's second and last tom low; by the taxonomy a second tom is the middle one.
    expected |= {p: "tom_mid" for p in expected if p.endswith("Drumtraks/DT_Tom02.ogg")}
    assert found == expected


def test_multimic_hits_have_room_delays(data: Path) -> None:
    kit = read_kit(data / "multimic")
    assert len(kit.hits) == 12 and sum(len(hit.mics) for hit in kit.hits) + len(kit.skipped) == 84
    kick = next(hit for hit in kit.hits if hit.label == "kick")
    _, close_s = mix_hit(kick, kit, mics=["kick"])
    _, room_s = mix_hit(kick, kit, mics=["wndw"])
    assert 0.0005 < room_s - close_s < 0.010


def test_a_hydrogen_kit_is_known_by_its_files(tmp_path: Path) -> None:
    counts = {"BD": 8, "SN4": 8, "HH3": 5, "RD2": 5, "CB": 3, "BL": 4, "SN3": 2}
    for piece, count in counts.items():
        for layer in range(1, count + 1):
            write(tmp_path / f"{piece}_{layer:02d}.wav")
    kit = read_kit(tmp_path)
    assert kit.name == "bja_pacific" and "CC-BY-SA" in kit.licence
    top = {hit.variant: hit.velocity for hit in sorted(kit.hits, key=lambda h: h.velocity or 0.0)}
    # The hardest layer reaches up to 127 however many there are.
    assert all(v is not None and 0.8 < v < 1.0 for v in top.values()) and len(top) == 6
    assert {h.label for h in kit.hits} == {"kick", "snare", "hihat_half", "ride_bow", "crash", "ride_bell"}
    assert set(reasons(kit).values()) == {"a roll, no single stroke"}
