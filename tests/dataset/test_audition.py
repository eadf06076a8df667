"""Auditions: every version is what training would make, and only the effect named has been at work."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from beatsight.audio.features import FeatureConfig, clip_features
from beatsight.cli.main import run
from beatsight.dataset.audition import (
    EFFECTS,
    SEEN_ONLY,
    Audition,
    Version,
    alone,
    audition,
    choose_rows,
)
from beatsight.dataset.audition_files import write_audition
from beatsight.dataset.augment import NOTHING, AugmentConfig
from beatsight.dataset.build import build_dataset
from beatsight.dataset.clips import ClipSource
from beatsight.dataset.store import Dataset
from beatsight.errors import InputError
from tiny_dataset import events_of, tiny_songs, write_song

FEATURES = FeatureConfig()
# Ranges of one value each, so that what was drawn is known.
FIXED = AugmentConfig(
    noise_db=(-40.0, -40.0), saturation_drive=(4.0, 4.0), background_gain_db=(-20.0, -20.0),
    mix_gain_db=(0.0, 0.0), jitter_ms=5.0,
)  # fmt: skip
BACKGROUND = np.sin(np.arange(44_100) / 7).astype(np.float32)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Two songs to train on, and as many one-shots as they have hits."""
    folder = tmp_path_factory.mktemp("audition")
    events = tiny_songs(folder / "audio", 2, ("kick", "snare", "tom_low"), beats=6)
    for number, label in enumerate(("kick", "snare", "tom_low", "hihat_closed") * 3):
        hits = [(0.01, (label,))]
        write_song(folder / "audio" / f"shot{number}.wav", hits, seconds=0.6, seed=number)
        events += events_of(hits, f"shot{number}.wav", f"kit-{number}")
    return build_dataset(
        events, folder / "audio", folder / "d", val_fraction=0.0, test_sessions=["session-1"]
    )


@pytest.fixture(scope="module")
def heard(dataset: Dataset) -> list[Audition]:
    rows = choose_rows(dataset, 12, 1)
    return audition(dataset, rows, FIXED, FEATURES, seed=3, background=BACKGROUND)


def version(found: Audition, name: str) -> Version:
    return next(one for one in found.versions if one.name == name)


def test_all_versions_are_there(heard: list[Audition]) -> None:
    assert len(heard) == 12
    for found in heard:
        assert [one.name for one in found.versions] == ["before", *EFFECTS, "all"]
        for one in found.versions:
            assert (one.sound is None) == (one.name in SEEN_ONLY)
            assert one.features.shape == (128, 128)
        assert not found.versions[0].changed


def test_before_is_the_bare_clip(heard: list[Audition], dataset: Dataset) -> None:
    rows = np.array([found.row for found in heard])
    clips = ClipSource(dataset, FEATURES).cut(rows)
    for found, clip in zip(heard, clips, strict=True):
        np.testing.assert_array_equal(version(found, "before").sound, clip)


@pytest.mark.parametrize("effect", [name for name in EFFECTS if name not in SEEN_ONLY])
def test_the_picture_is_of_the_sound_that_is_heard(heard: list[Audition], effect: str) -> None:
    for found in heard:
        one = version(found, effect)
        expected = clip_features(torch.from_numpy(one.sound).unsqueeze(0), FEATURES)[0].numpy()
        np.testing.assert_allclose(one.features, expected, atol=2e-5)


def test_noise_alone_is_noise_of_its_level(heard: list[Audition]) -> None:
    for found in heard:
        before, after = version(found, "before").sound, version(found, "noise").sound
        assert before is not None and after is not None
        added = after - before / np.abs(before).max()
        assert 20 * np.log10(added.std()) == pytest.approx(-40.0, abs=0.3)


def test_saturation_alone_is_its_curve(heard: list[Audition]) -> None:
    for found in heard:
        before, after = version(found, "before").sound, version(found, "saturation").sound
        assert before is not None
        x = before / np.abs(before).max()
        np.testing.assert_allclose(after, x * 5.0 / (1.0 + 4.0 * np.abs(x)), atol=1e-5)


def test_background_alone_is_the_background_at_its_level(heard: list[Audition]) -> None:
    for found in heard:
        before, after = version(found, "before").sound, version(found, "background").sound
        assert before is not None and after is not None
        assert np.abs(after - before / np.abs(before).max()).max() == pytest.approx(0.1, rel=0.01)


def test_jitter_alone_moves_the_cut(heard: list[Audition]) -> None:
    moves = []
    for found in heard:
        before, after = version(found, "before").sound, version(found, "jitter").sound
        assert before is not None and after is not None
        same = np.fft.irfft(np.fft.rfft(before, 1 << 16) * np.fft.rfft(after, 1 << 16).conj())
        lag = int(np.argmax(same))
        moves.append(lag if lag < 1 << 15 else lag - (1 << 16))
    assert max(map(abs, moves)) <= 0.005 * 44_100 + 1
    assert len(set(moves)) > 4


def test_mixing_unites_labels_and_nothing_else_changes_them(heard: list[Audition]) -> None:
    grown = 0
    for found in heard:
        own = set(version(found, "before").labels)
        assert own <= set(version(found, "mix").labels)
        grown += len(version(found, "mix").labels) > len(own)
        for name in EFFECTS:
            if name != "mix":
                assert set(version(found, name).labels) == own
    assert grown >= 3


def test_effects_that_cannot_be_heard_are_seen(heard: list[Audition]) -> None:
    for name in SEEN_ONLY:
        assert all(version(found, name).changed for found in heard), name


def test_alone_switches_everything_else_off() -> None:
    for effect in EFFECTS:
        settings = alone(AugmentConfig(), effect)
        on = {
            name
            for name, value in settings.to_dict().items()
            if value and NOTHING.to_dict()[name] == 0.0 and name != "equaliser_db"
        }
        assert on == {"jitter": {"jitter_ms"}, "mix": {"mix", "mix_isolated"},
                      "neighbour": {"neighbour", "neighbour_isolated"}}.get(effect, {effect})  # fmt: skip


def test_the_same_seed_gives_the_same_files(heard: list[Audition], dataset: Dataset, tmp_path: Path) -> None:
    def files(seed: int, name: str) -> dict[str, bytes]:
        found = audition(dataset, [2, 5], FIXED, FEATURES, seed=seed, background=BACKGROUND)
        paths = write_audition(found, tmp_path / name, FIXED, FEATURES)
        return {path.name: path.read_bytes() for path in paths}

    first = files(7, "a")
    assert files(7, "b") == first
    other = files(8, "c")
    assert other["row-2-before.wav"] == first["row-2-before.wav"]
    assert other["row-2-jitter.wav"] != first["row-2-jitter.wav"]
    sound, rate = soundfile.read(tmp_path / "a" / "row-5-noise.wav")
    assert rate == 44_100 and np.abs(sound).max() == pytest.approx(0.9, abs=1e-3)
    assert len(first) == 1 + 2 * (len(EFFECTS) - len(SEEN_ONLY) + 2)


def test_without_a_background_there_is_none(dataset: Dataset) -> None:
    found = audition(dataset, [2], replace(FIXED, background=1.0), FEATURES, seed=0)
    assert "background" not in [one.name for one in found[0].versions]


def test_rows_of_other_splits_are_refused(dataset: Dataset) -> None:
    row = int(dataset.rows("test")[0])
    with pytest.raises(InputError, match=f"row {row} is not in the training split"):
        audition(dataset, [row], FIXED, FEATURES, seed=0)


def test_the_command(dataset: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["audition", str(dataset.root), "-o", str(tmp_path / "out")]
    with pytest.raises(SystemExit) as caught:
        run([*words, "--rows", "2", "5", "--json"])
    assert caught.value.code in (0, None)
    out, err = capsys.readouterr()
    answer = json.loads(out)
    assert answer["rows"] == [2, 5] and "effect background is left out" in err
    assert all(Path(name).is_file() for name in answer["files"])
    page = Path(answer["page"]).read_text()
    assert page.count("<audio") == 2 * (len(EFFECTS) - len(SEEN_ONLY) + 1)
    assert page.count('class="picture"') == 2 * (len(EFFECTS) + 1)
    assert "stretch, pitch, room, equaliser) are made on the mel power" in page
    (tmp_path / "off.toml").write_text("augment = false\n")
    with pytest.raises(SystemExit) as caught:
        run([*words, "--config", str(tmp_path / "off.toml")])
    assert caught.value.code == 2
    assert "augmentation is off there" in capsys.readouterr().err
