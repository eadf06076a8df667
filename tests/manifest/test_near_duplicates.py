"""Near-duplicates: planted copies and retakes are found, likenesses of different recordings are not."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import resample_poly

from beatsight.audio.io import SAMPLE_RATE
from beatsight.errors import MissingDependencyError, UsageError
from beatsight.manifest.likeness.alignment import Heard, compare
from beatsight.manifest.likeness.fingerprint import RATE, fingerprint
from beatsight.manifest.likeness.near_duplicates import AudioItem, NearDuplicates, Pair, find_near_duplicates
from beatsight.synth.kit import make_kit
from beatsight.synth.song import make_song, render_drums

pytest.importorskip("sklearn")


def write(path: Path, audio: np.ndarray, rate: int = SAMPLE_RATE, subtype: str = "PCM_16") -> Path:
    data = np.clip(audio, -1.0, 1.0)
    if path.suffix == ".wav":
        soundfile.write(path, data, rate, subtype=subtype)
    else:
        soundfile.write(path, data, rate)
    return path


def find(folder: Path, **thresholds: float) -> NearDuplicates:
    items = [AudioItem(path, path.name, path.stem) for path in sorted(folder.iterdir())]
    return find_near_duplicates(items, **thresholds)


def by_names(result: NearDuplicates) -> dict[tuple[str, str], Pair]:
    return {(pair.first, pair.second): pair for pair in result.pairs}


@pytest.fixture(scope="module")
def songs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Songs of one style, tempo and kit, and copies of the first, named by what was done to it."""
    folder = tmp_path_factory.mktemp("songs")
    for seed in (1, 2, 3):
        song = make_song(
            seed,
            duration_s=12.0,
            style="rock",
            meter="4/4",
            tempo_bpm=120.0,
            kit_seed=9,
            accompaniment_db=-3.0,
        )
        write(folder / f"song{seed}.wav", song.audio, subtype="PCM_24")
        if seed == 1:
            audio = song.audio
            write(folder / "copy_gain.wav", audio * 0.25)
            write(folder / "copy_half_rate.flac", resample_poly(audio, 1, 2), SAMPLE_RATE // 2)
            write(folder / "copy_mp3.mp3", audio * 0.8)
            write(folder / "copy_ogg.ogg", audio * 0.8)
            write(folder / "copy_trimmed.wav", audio[round(1.7 * SAMPLE_RATE) : -SAMPLE_RATE])
            write(folder / "stem.wav", song.drums)
            kit = make_kit(77)
            write(folder / "other_kit.wav", 0.3 * render_drums(kit, song.hits, len(audio)))
    return folder


@pytest.fixture(scope="module")
def found(songs: Path) -> NearDuplicates:
    return find(songs)


def test_every_copy_of_a_song_is_found_and_no_other_song(found: NearDuplicates) -> None:
    assert found.skipped == {}
    assert found.compared == 10
    family = {
        "copy_gain.wav",
        "copy_half_rate.flac",
        "copy_mp3.mp3",
        "copy_ogg.ogg",
        "copy_trimmed.wav",
        "song1.wav",
    }
    retakes = {"stem.wav", "other_kit.wav"}
    pairs = by_names(found)
    same = {names for names, pair in pairs.items() if pair.kind == "same audio"}
    assert same == {(a, b) for a in family for b in family if a < b}
    assert {name for names in pairs for name in names} == family | retakes
    for name in retakes:
        one, two = sorted((name, "song1.wav"))
        assert pairs[one, two].kind == "same performance"


def test_offset_and_gain_are_those_that_were_planted(found: NearDuplicates) -> None:
    pairs = by_names(found)
    gain = pairs["copy_gain.wav", "song1.wav"]
    assert gain.gain_db == pytest.approx(12.04, abs=0.05)
    assert gain.offset_s == 0.0
    assert gain.similarity > 0.99
    trimmed = pairs["copy_trimmed.wav", "song1.wav"]
    assert trimmed.offset_s == pytest.approx(-1.7, abs=0.0002)
    assert pairs["copy_gain.wav", "copy_trimmed.wav"].offset_s == pytest.approx(1.7, abs=0.0002)
    for one, two in (("other_kit.wav", "song1.wav"), ("song1.wav", "stem.wav")):
        assert abs(pairs[one, two].offset_s) <= 0.006


def test_splits_and_sessions_are_compared(songs: Path) -> None:
    paths = [songs / "song1.wav", songs / "copy_gain.wav", songs / "copy_mp3.mp3"]
    splits = ("train", "test", None)
    items = [AudioItem(p, p.name, s, split) for p, s, split in zip(paths, "aab", splits, strict=True)]
    pairs = by_names(find_near_duplicates(items))
    assert {names: (p.across_splits, p.same_session) for names, p in pairs.items()} == {
        ("song1.wav", "copy_gain.wav"): (True, True),
        ("song1.wav", "copy_mp3.mp3"): (False, False),
        ("copy_gain.wav", "copy_mp3.mp3"): (False, False),
    }


@pytest.mark.parametrize("label", ["snare", "hihat_closed", "crash", "tom_low"])
def test_a_quieter_one_shot_is_a_copy_and_another_take_is_not(label: str, tmp_path: Path) -> None:
    kit = make_kit(4)
    for take in range(4):
        write(tmp_path / f"take{take}.wav", 0.8 * kit.render(label, 0.8, take=take))
    first = 0.8 * kit.render(label, 0.8, take=0)
    write(tmp_path / "take0_quiet.wav", 0.2 * first)
    write(tmp_path / "take0_late.wav", np.concatenate([np.zeros(4000, np.float32), first]))
    write(tmp_path / "take0_cut.ogg", first[: int(0.8 * len(first))])
    pairs = by_names(find(tmp_path))
    copies = ("take0.wav", "take0_cut.ogg", "take0_late.wav", "take0_quiet.wav")
    assert set(pairs) == {(a, b) for a in copies for b in copies if a < b}
    assert {pair.kind for pair in pairs.values()} == {"same audio"}
    assert pairs["take0.wav", "take0_quiet.wav"].gain_db == pytest.approx(-13.98, abs=0.1)
    assert pairs["take0.wav", "take0_late.wav"].offset_s == pytest.approx(-4000 / SAMPLE_RATE, abs=0.0002)


def test_equal_samples_are_linked_to_the_first_and_stand_as_one(tmp_path: Path) -> None:
    # Whole numbers, for formats round fractions differently.
    audio = np.round(0.5 * make_kit(2).render("snare", 0.9) * 32768.0).astype(np.int16)
    for name in ("a.wav", "b.flac", "c.wav"):
        soundfile.write(tmp_path / name, audio, SAMPLE_RATE)
    write(tmp_path / "d.wav", audio / 65536.0)
    pairs = by_names(find(tmp_path))
    assert list(pairs) == [("a.wav", "b.flac"), ("a.wav", "c.wav"), ("a.wav", "d.wav")]
    assert pairs["a.wav", "b.flac"] == Pair("a.wav", "b.flac", 1.0, 0.0, 0.0, "same audio", False, False)
    assert pairs["a.wav", "d.wav"].gain_db == pytest.approx(-6.02, abs=0.05)


def test_what_cannot_be_compared_is_listed_with_the_reason(tmp_path: Path) -> None:
    noise = 0.1 * np.random.default_rng(0).standard_normal(SAMPLE_RATE)
    write(tmp_path / "good.wav", noise)
    write(tmp_path / "short.wav", noise[:1500])
    write(tmp_path / "silent.wav", np.zeros(SAMPLE_RATE))
    (tmp_path / "text.wav").write_text("not audio")
    seen: list[tuple[int, int]] = []
    items = [
        AudioItem(tmp_path / name, name, "s") for name in ("good.wav", "short.wav", "silent.wav", "text.wav")
    ]
    items.append(AudioItem(tmp_path / "gone.wav", "gone.wav", "s"))
    result = find_near_duplicates(items, progress=lambda *at: seen.append(at))
    assert result.pairs == ()
    assert result.compared == 1
    assert seen == [(number, 5) for number in range(1, 6)]
    reasons = {
        "short.wav": "is too short to compare (0.034 s, under 0.05 s)",
        "silent.wav": "is silent (peak under -80 dBFS)",
        "text.wav": "cannot be decoded as audio",
        "gone.wav": "no such audio file",
    }
    assert set(result.skipped) == set(reasons)
    for name, reason in reasons.items():
        assert f"{name}: {reason}" in result.skipped[name]


def test_thresholds_decide(songs: Path) -> None:
    items = [AudioItem(songs / name, name, "s") for name in ("song1.wav", "copy_ogg.ogg", "other_kit.wav")]
    kinds = {pair.kind for pair in find_near_duplicates(items, same_audio=1.0, same_performance=1.0).pairs}
    assert "same audio" not in kinds
    assert by_names(find_near_duplicates(items))["song1.wav", "copy_ogg.ogg"].kind == "same audio"


def test_wrong_arguments_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    item = AudioItem(tmp_path / "a.wav", "a", "s")
    with pytest.raises(UsageError, match="two recordings are called 'a'; names must be unique"):
        find_near_duplicates([item, item])
    with pytest.raises(UsageError, match=r"must lie between 0 and 1, not 1\.5"):
        find_near_duplicates([item], same_audio=1.5)
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'beatsight\[similarity\]'"):
        find_near_duplicates([item])


@settings(max_examples=20)
@given(
    seed=st.integers(0, 1000),
    start=st.integers(0, 6000),
    gain_db=st.floats(-40.0, 20.0),
    flip=st.sampled_from((1.0, -1.0)),
)
def test_the_lag_and_gain_of_a_copy_are_recovered(seed: int, start: int, gain_db: float, flip: float) -> None:
    rng = np.random.default_rng(seed)
    whole = (rng.standard_normal(2 * RATE) * np.exp(-np.arange(2 * RATE) / RATE)).astype(np.float32)
    copy = (flip * 10.0 ** (gain_db / 20.0) * whole[start:]).astype(np.float32)
    likeness = compare(Heard(whole), Heard(copy))
    assert likeness is not None
    assert (likeness.kind, likeness.lag) == ("same audio", -start)
    assert likeness.gain_db == pytest.approx(gain_db, abs=0.05)
    back = compare(Heard(copy), Heard(whole))
    assert back is not None
    assert (back.lag, back.gain_db) == (start, pytest.approx(-gain_db, abs=0.05))


@settings(max_examples=20)
@given(one=st.integers(0, 1000), two=st.integers(1001, 2000), seconds=st.floats(0.1, 8.0))
def test_independent_noise_is_never_alike(one: int, two: int, seconds: float) -> None:
    first, second = (
        np.random.default_rng(seed).standard_normal(round(seconds * RATE)).astype(np.float32)
        for seed in (one, two)
    )
    assert compare(Heard(first), Heard(second)) is None


@given(gain_db=st.floats(-60.0, -0.1))
@settings(max_examples=10)
def test_a_fingerprint_does_not_know_the_gain(gain_db: float) -> None:
    audio = np.random.default_rng(7).standard_normal(RATE).astype(np.float32) * np.float32(0.3)
    one, two = fingerprint(audio), fingerprint(audio * np.float32(10.0 ** (gain_db / 20.0)))
    assert one.sound == pytest.approx(two.sound, abs=0.02)
    assert one.digest != two.digest


def test_real_stems_meet_their_mixes_and_nothing_else(shared: Path) -> None:
    folder = shared / "data" / "mdb"
    paths = sorted(folder.rglob("*.flac"))
    items = [AudioItem(p, f"{p.parent.name}/{p.name}", "s") for p in paths]
    result = find_near_duplicates(items)

    def track(name: str) -> str:
        return name.split("_")[-2]

    assert {track(item.name) for item in items} == {track(pair.first) for pair in result.pairs}
    assert all(track(pair.first) == track(pair.second) for pair in result.pairs)
    # Five stems with their mixes, and the stem and both mixes of one track among themselves.
    assert len(result.pairs) == 7
    assert {pair.kind for pair in result.pairs} == {"same performance"}
    assert max(abs(pair.offset_s) for pair in result.pairs) <= 0.003


def test_layers_that_are_one_sample_at_other_gains_are_found(shared: Path) -> None:
    folder = shared / "data" / "kits" / "avl" / "shared"
    items = [AudioItem(path, path.stem, "s") for path in sorted(folder.glob("4*-SabianRockHat*.flac"))]
    pairs = by_names(find_near_duplicates(items))
    assert set(pairs) == {
        ("44-SabianRockHatPedal-4", "44-SabianRockHatPedal-5"),
        ("48-SabianRockHatSwish-2", "48-SabianRockHatSwish-3"),
        ("48-SabianRockHatSwish-4", "48-SabianRockHatSwish-5"),
    }
    assert all(pair.gain_db == pytest.approx(1.0, abs=0.01) for pair in pairs.values())
