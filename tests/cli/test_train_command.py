"""``beatsight train``: flags over the run file, its trackers for real, and resuming."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from beatsight.cli.main import run
from beatsight.cli.train import _settings
from beatsight.dataset.augment import AugmentConfig
from beatsight.dataset.build import build_dataset
from beatsight.train.config import TrainConfig
from tiny_dataset import TINY_FEATURES, tiny_songs

torch = pytest.importorskip("torch")


@pytest.fixture
def dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tiny dataset in the current folder, and tiny clips."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("beatsight.train.loop.FeatureConfig", lambda: TINY_FEATURES)
    events = tiny_songs(Path("songs"), 2, ("kick", "snare"), beats=4)
    build_dataset(events, "songs", "dataset", val_fraction=0.5)
    return Path("dataset")


def call(line: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as caught:
        run(line.split())
    return int(caught.value.code or 0), *capsys.readouterr()


def given(monkeypatch: pytest.MonkeyPatch, line: str) -> TrainConfig:
    """The settings that a command line comes to, without training."""
    found: list[TrainConfig] = []

    def settings(values: Any) -> TrainConfig:
        found.append(_settings(values))
        raise KeyboardInterrupt

    monkeypatch.setattr("beatsight.cli.train._settings", settings)
    with pytest.raises(SystemExit):
        run(line.split())
    return found[0]


def test_every_flag_sets_its_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    line = (
        "train --epochs 3 --batch-size 4 --lr 0.1 --schedule plateau --warmup 0.2 --weight-decay 0.3 "
        "--gradient-clip 0 --network compact --dropout 0.4 --heads velocity openness --loss cross_entropy "
        "--class-weights balanced --label-smoothing 0.1 --ema 0.9 --patience 0 --seed 8 --device cpu "
        "--precision bf16 --compile --init-from a.pth --freeze conv1,conv2 --freeze fc "
        "--sampling-weights w.json --background pads --no-augment"
    )
    expected = TrainConfig(
        epochs=3, batch_size=4, lr=0.1, schedule="plateau", warmup=0.2, weight_decay=0.3, gradient_clip=0.0,
        network="compact", dropout=0.4, heads=("velocity", "openness"), loss="cross_entropy",
        class_weights="balanced", label_smoothing=0.1, ema=0.9, patience=0, seed=8, device="cpu",
        precision="bf16", compile=True, init_from="a.pth", freeze=("conv1", "conv2", "fc"),
        sampling_weights="w.json", background="pads", augment=None,
    )  # fmt: skip
    assert given(monkeypatch, line) == expected
    different = {k for k, v in expected.to_dict().items() if v != TrainConfig().to_dict()[k]}
    assert different == set(expected.to_dict()), "every setting should be tried with another value"


def test_flags_win_over_the_file_and_the_rest_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("run.toml").write_text('lr = 0.5\nseed = 4\ncompile = true\nheads = ["velocity"]\naugment = false\n')
    assert given(monkeypatch, "train --config run.toml") == TrainConfig(
        lr=0.5, seed=4, compile=True, heads=("velocity",), augment=None
    )
    assert given(monkeypatch, "train --config run.toml --lr 0.1 --no-compile --augment") == TrainConfig(
        lr=0.1, seed=4, heads=("velocity",), augment=AugmentConfig()
    )


@pytest.mark.parametrize(
    ("more", "code", "why"),
    [
        ("--loss hinge", 3, "training setting loss is one of bce, cross_entropy, not 'hinge'"),
        ("--heads pitch", 3, "heads are some of velocity, openness"),
        ("--precision fp16", 2, "precision fp16 needs a GPU; on a CPU use bf16, fp32 or auto"),
        ("--freeze stem,block7", 2, "--freeze block7: the network has no such part; it has stem"),
        ("--init-from none.pth", 3, "none.pth: no such model file"),
        ("--background none", 3, "none: is not a folder of recordings"),
    ],
)
def test_settings_that_cannot_be(
    dataset: Path, capsys: pytest.CaptureFixture[str], more: str, code: int, why: str
) -> None:
    found, out, err = call(f"train --dataset {dataset} --epochs 1 --device cpu {more}", capsys)
    said = err.splitlines()[-1]
    assert (found, out) == (code, "") and said.startswith("beatsight: ") and why in said
    assert not Path("models").exists()


def test_a_run_is_resumed_and_then_is_over(dataset: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = f"train --dataset {dataset} --epochs 2 --batch-size 4 --device cpu --network compact --json"
    code, first, _ = call(line, capsys)
    assert code == 0
    before = Path("models/run_state.pth").stat().st_mtime_ns
    code, again, err = call(f"{line} --resume", capsys)
    assert code == 0 and json.loads(again) == json.loads(first)
    assert "resumed after 2 of 2 steps, the whole run" in err and "epoch 1/2" not in err
    assert Path("models/run_state.pth").stat().st_mtime_ns == before
    code, out, err = call(f"{line} --resume --seed 3", capsys)
    assert (code, out) == (2, "") and "run_state.pth: the run was started with seed = 0, not 3" in err


def test_fine_tuning_says_what_it_took_over(dataset: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base = f"train --dataset {dataset} --epochs 1 --device cpu --network compact"
    assert call(base, capsys)[0] == 0
    code, _, err = call(
        f"{base} --init-from models/best_drum_classifier.pth --freeze stem,block1 --heads velocity -o fine",
        capsys,
    )
    assert code == 0
    assert "models/best_drum_classifier.pth: " in err and "2 start anew (fc.bias, fc.weight)" in err


@pytest.mark.slow
def test_an_offline_run_of_weights_and_biases(dataset: Path) -> None:
    """With the package itself: the run's files, its model files, and one id over a resumption."""
    pytest.importorskip("wandb")
    words = "train --dataset dataset --batch-size 4 --device cpu --network compact --wandb-project drums"
    words += " --wandb-tags prod retrain --wandb-mode offline --epochs 2"
    for more in ("", " --resume"):
        done = subprocess.run(
            [sys.executable, "-m", "beatsight", *(words + more).split()],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    runs = sorted(Path("wandb").glob("offline-run-*"))
    known = Path("models/wandb_run_id.txt").read_text().strip()
    assert len(runs) == 2 and all(run.name.endswith(known) for run in runs)
    record = next(runs[0].glob("*.wandb")).read_bytes()
    for text in (b"val_macro_f1", b"drum-classifier", b"best_drum_classifier.pth", b"retrain", b"drums"):
        assert text in record, text


def test_curves_for_tensorboard(dataset: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    line = f"train --dataset {dataset} --epochs 2 --device cpu --network compact --tensorboard curves --json"
    code, out, _ = call(line, capsys)
    assert code == 0
    points = reader.EventAccumulator("curves").Reload().Scalars("train_loss")
    history = json.loads(out)["history"]
    assert [(p.step, pytest.approx(p.value)) for p in points] == [
        (r["epoch"], r["train_loss"]) for r in history
    ]
