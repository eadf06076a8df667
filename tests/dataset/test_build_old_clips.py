"""Clip folders of the older system become datasets: by the names of their labels, in their old split."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from beatsight import taxonomy
from beatsight.audio.io import SAMPLE_RATE
from beatsight.cli.main import run
from beatsight.dataset.building.old_clips import read_old_clips
from beatsight.dataset.store import Dataset, open_dataset
from beatsight.errors import InputError
from tiny_dataset import drum


def clip(path: Path, label: str, seed: int, before_s: float = 0.025, after_s: float = 0.1) -> None:
    """A clip as the old collector cut it: 25 ms, then a stroke of 100 ms."""
    rng = np.random.default_rng(seed)
    audio = 1e-4 * rng.standard_normal(round((before_s + after_s) * SAMPLE_RATE))
    at = round(before_s * SAMPLE_RATE)
    audio[at:] += drum(label, rng, after_s)[: len(audio) - at]
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, audio, SAMPLE_RATE, subtype="PCM_16")


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """Three clips to train on and one to validate on; snare comes first, so the old index 0 is a snare."""
    folder = tmp_path / "old"
    for name, label in (
        ("train/s", "snare"),
        ("train/k", "kick"),
        ("train/h", "hihat_open"),
        ("val/k", "kick"),
    ):
        clip(folder / f"{name}.wav", label, seed=hash_of(name))
    write(folder, "train", [
        {"file": "s.wav", "label": "snare_center", "component_idx": 0},
        {"file": "k.wav", "label": "kick", "component_idx": 1},
        {"file": "h.wav", "label": "hihat_open", "component_idx": 2},
    ])  # fmt: skip
    write(folder, "val", [{"file": "k.wav", "label": "kick", "component_idx": 1}])
    (folder / "metadata.json").write_text('{"split_durations_seconds": {"train": 0.4}}')
    return folder


def hash_of(name: str) -> int:
    return sum(name.encode())


def write(folder: Path, split: str, content: Any) -> None:
    (folder / f"{split}_labels.json").write_text(json.dumps(content))


def built(old: Path) -> Dataset:
    with pytest.raises(SystemExit, match=r"^0$"):
        run(["dataset", "build", str(old), "-o", str(old.parent / "new")])
    return open_dataset(old.parent / "new", verify=True)


def names(dataset: Dataset, split: str) -> list[set[str]]:
    return [
        {label for label, on in zip(dataset.labels, dataset.moments.labels[row], strict=True) if on}
        for row in dataset.rows(split)
    ]


def test_classes_go_by_name_and_the_split_stays(old: Path) -> None:
    dataset = built(old)
    assert dataset.labels == taxonomy.CLASSIFIER
    assert names(dataset, "train") == [{"hihat_open"}, {"kick"}, {"snare"}]
    assert names(dataset, "val") == [{"kick"}]
    assert dataset.metadata.sessions == {"train": ["old (train)"], "val": ["old (val)"], "test": []}
    assert dataset.metadata.files == ["train/h.wav", "train/k.wav", "train/s.wav", "val/k.wav"]
    assert dataset.moments.onset_s == pytest.approx([0.025] * 4, abs=1e-4)
    assert dataset.metadata.notes == []


def test_the_sound_is_that_of_the_clip(old: Path) -> None:
    dataset = built(old)
    stored = dataset.shards[0][dataset.moments.start[0] : dataset.moments.end[0]]
    np.testing.assert_array_equal(stored, soundfile.read(old / "train" / "h.wav", dtype="int16")[0])


@pytest.mark.parametrize(
    "content",
    [
        {"s.wav": "snare", "k.wav": ["kick"], "train/h.wav": "Open Hi-Hat"},
        [
            {"audio": "s.wav", "component": "snare"},
            {"path": "k.wav", "labels": ["kick"]},
            {"file": "h.wav", "labels": ["hihat_open"]},
        ],
        [{"file": "s.wav", "component_idx": 0}, {"file": "k.wav", "label": 2}, {"file": "h.wav", "label": 1}],
    ],
)
def test_other_ways_to_write_the_labels(old: Path, content: Any) -> None:
    (old / "components.json").write_text(json.dumps({"components": ["snare_center", "hihat_open", "kick"]}))
    write(old, "train", content)
    assert names(built(old), "train") == [{"hihat_open"}, {"kick"}, {"snare"}]


def test_lists_may_lie_in_the_folders_of_the_clips(old: Path) -> None:
    for split in ("train", "val"):
        (old / f"{split}_labels.json").rename(old / split / f"{split}_labels.json")
    assert names(built(old), "train") == [{"hihat_open"}, {"kick"}, {"snare"}]


def test_copies_of_one_clip_become_one_example_with_all_labels(old: Path) -> None:
    """The old system wrote one clip a label, with the same sound: labels that contradict each other."""
    (old / "train" / "copy.wav").write_bytes((old / "train" / "k.wav").read_bytes())
    content = [{"file": "k.wav", "label": "kick"}, {"file": "copy.wav", "label": "crash"}]
    write(old, "train", [*content, {"file": "k.wav", "label": "ride"}])
    assert names(built(old), "train") == [{"kick", "crash", "ride"}]


def test_a_leaking_split_is_kept_but_said(old: Path) -> None:
    (old / "val" / "k.wav").write_bytes((old / "train" / "k.wav").read_bytes())
    write(old, "train", [{"file": "k.wav", "label": "kick", "session_id": "take", "source_set": "Groove"}])
    write(old, "val", [{"file": "k.wav", "label": "kick", "session_id": "take"}])
    dataset = built(old)
    assert dataset.metadata.sessions == {"train": ["take (train)"], "val": ["take (val)"], "test": []}
    assert set(dataset.metadata.duration_seconds_by_source) == {"Groove", "unknown"}
    assert dataset.metadata.notes == [
        "sounds on several sides of the old split: 1, so its scores flatter",
        "sessions on several sides of the old split: 1, so its scores flatter",
    ]


def test_the_onset_of_a_longer_clip_is_searched(old: Path) -> None:
    clip(old / "train" / "k.wav", "kick", 3, before_s=0.3, after_s=0.5)
    write(old, "train", [{"file": "k.wav", "label": "kick"}])
    dataset = built(old)
    assert dataset.moments.onset_s[dataset.rows("train")] == pytest.approx([0.3], abs=0.005)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("x", "is neither a list of clips nor a dictionary"),
        ([3], r"train_labels\.json: clip 1: is not an object"),
        ([{"label": "kick"}], r"clip 1: file: is missing"),
        ([{"file": "k.wav"}], r"clip 1: label: is missing"),
        ([{"file": "k.wav", "label": 7}], r"clip 1: label: 7 is none of the 0 names in components\.json"),
        ([{"file": "k.wav", "label": "snair"}], r"clip 1: unknown drum label 'snair'"),
        ([{"file": "../../k.wav", "label": "kick"}], r"leaves its root folder"),
        ([{"file": "gone.wav", "label": "kick"}], r"gone\.wav: no such audio file"),
        ([{"file": "k.wav", "label": "kick", "session_id": 3}], r"session_id: is not text"),
    ],
)
def test_faulty_lists_are_refused(
    old: Path, content: Any, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write(old, "train", content)
    with pytest.raises(SystemExit, match=r"^3$"):
        run(["dataset", "build", str(old), "-o", str(old.parent / "new")])
    assert re.search(why, capsys.readouterr().err)
    assert not (old.parent / "new").exists()


def test_verify_only_lists_all_faults_of_clips(old: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(
        old,
        "train",
        [{"file": "gone.wav", "label": "kick"}, {"label": "kick"}, {"file": "k.wav", "label": "x"}],
    )
    with pytest.raises(SystemExit, match=r"^3$"):
        run(["dataset", "build", str(old), "--verify-only"])
    out = capsys.readouterr().out
    assert "gone.wav: no such audio file" in out and "clip 2: file: is missing" in out
    assert "unknown drum label 'x'" in out and "3 faults" in out


def test_what_a_clip_folder_is_not(old: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(
        InputError, match=r"holds clips of the older system; convert it: beatsight dataset build"
    ):
        open_dataset(old)
    (tmp_path / "nothing").mkdir()
    with pytest.raises(InputError, match=r"nothing: is a folder without train_labels\.json"):
        read_old_clips(tmp_path / "nothing")
    with pytest.raises(SystemExit, match=r"^2$"):
        run(["dataset", "build", str(old), str(old), "-o", str(tmp_path / "new")])
    assert "has its own audio and split; build it alone" in capsys.readouterr().err
