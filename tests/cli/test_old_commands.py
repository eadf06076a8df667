"""The shell lines of the older scripts, each with the same flags and arguments under its new command."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from beatsight.audio.io import load, save
from beatsight.charts import AudioRef, Timing, build_chart, read_chart, write_chart
from beatsight.cli.main import run
from beatsight.dataset.build import build_dataset
from beatsight.dataset.store import open_dataset
from beatsight.models.checkpoint import Model, load_model, save_model
from beatsight.models.classifier import DrumClassifierCNN
from beatsight.sources import Collection
from tiny_dataset import pattern, tiny_songs, write_song

torch = pytest.importorskip("torch")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A song, its beatmap and a tiny dataset, under the names that the old lines use."""
    monkeypatch.chdir(tmp_path)
    for name in ("BEATSIGHT_TRAINING_DATA", "BEATSIGHT_ML_MODEL_PATH", "BEATSIGHT_USE_ML_CLASSIFIER"):
        monkeypatch.delenv(name, raising=False)
    hits = pattern(8, ("kick", "snare"))
    write_song(Path("song.wav"), hits, 3.0)
    save("audio.mp3", load("song.wav"), subtype="MPEG_LAYER_III")
    reference = AudioRef(filename="audio.mp3", hash="sha256:" + "0" * 64, duration=3000, sample_rate=44_100)
    chart = build_chart(
        [(time, labels[0], 0.8) for time, labels in hits],
        title="t", artist="a", audio=reference, timing=Timing(bpm=120.0), difficulty=1.0,
    )  # fmt: skip
    write_chart(chart, Path("beatmap.bsm"))
    return tmp_path


def succeed(line: str) -> None:
    """Run one command line; it must exit with 0."""
    try:
        run(line.split())
    except SystemExit as stop:
        assert stop.code in (0, None), f"beatsight {line} exited with {stop.code}"


@pytest.fixture
def dataset() -> Path:
    events = tiny_songs(Path("songs"), 2, ("kick", "snare"), beats=4)
    build_dataset(events, "songs", "dataset", val_fraction=0.5)
    return Path("dataset")


def test_collecting(capsys: pytest.CaptureFixture[str]) -> None:
    # collect_training_data.py --add-sample audio.mp3 1.234 kick
    succeed("collect add audio.mp3 1.234 kick")
    (event,) = Collection().events()
    assert (event.onset_time, event.labels) == (1.234, ("kick",))
    # collect_training_data.py --extract-beatmap beatmap.bsm audio.mp3
    succeed("collect beatmap beatmap.bsm audio.mp3")
    assert len(Collection().events()) == 9
    # collect_training_data.py --stats
    capsys.readouterr()
    succeed("collect stats")
    assert "hihat_closed" in capsys.readouterr().out
    # collect_training_data.py --export dataset
    succeed("collect export dataset")
    assert len(open_dataset("dataset").moments) >= 9


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        # The old lines ask for 50 to 100 epochs and a GPU; the flags are theirs, the amounts are a test's.
        (
            "train --dataset ./dataset --epochs 1",
            {"epochs": 1, "batch_size": 32, "lr": 0.001, "dropout": 0.3},
        ),
        (
            "train --dataset ./dataset --epochs 2 --batch-size 64 --device cpu",
            {"epochs": 2, "batch_size": 64, "device": "cpu"},
        ),
        ("train --dataset ./dataset --lr 0.0001 --epochs 1", {"lr": 0.0001, "epochs": 1}),
    ],
)
def test_training(dataset: Path, line: str, expected: dict[str, Any]) -> None:
    succeed(f"{line} --metrics-json metrics.json")
    config = json.loads(Path("metrics.json").read_bytes())["config"]
    assert {name: config[name] for name in expected} == expected
    assert load_model("models/best_drum_classifier.pth").training["config"] == config
    assert Path("models/final_drum_classifier.pth").is_file()


def _fake_wandb(
    monkeypatch: pytest.MonkeyPatch,
) -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[str]]:
    begun: list[dict[str, Any]] = []
    logged: list[dict[str, Any]] = []
    sent: list[str] = []
    run_object = SimpleNamespace(
        id="run-1",
        log=lambda row, step: logged.append(row),
        log_artifact=lambda artifact: None,
        finish=lambda: None,
    )

    def init(**settings: Any) -> Any:
        begun.append(settings)
        return run_object

    module = ModuleType("wandb")
    module.init = init  # type: ignore[attr-defined]
    module.Artifact = lambda name, type: SimpleNamespace(add_file=sent.append)  # type: ignore[attr-defined]
    module.errors = SimpleNamespace(Error=RuntimeError)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "wandb", module)
    return begun, logged, sent


def test_training_with_tracking(dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, logged, sent = _fake_wandb(monkeypatch)
    succeed(
        "train --dataset ./dataset --epochs 2 --device cpu --wandb-project beatsight-classifier "
        "--wandb-tags prod retrain --wandb-entity team --wandb-mode offline"
    )
    (settings,) = begun
    assert (settings["project"], settings["entity"]) == ("beatsight-classifier", "team")
    assert (settings["tags"], settings["mode"]) == (["prod", "retrain"], "offline")
    assert settings["config"]["epochs"] == 2
    assert [row["epoch"] for row in logged] == [1, 2]
    assert [Path(path).name for path in sent] == ["best_drum_classifier.pth", "final_drum_classifier.pth"]


def test_tracking_without_its_package(
    dataset: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(SystemExit) as caught:
        run(["train", "--dataset", "./dataset", "--epochs", "1", "--wandb-project", "p"])
    assert caught.value.code == 4
    assert "beatsight: wandb is not installed; run: pip install 'beatsight[wandb]'" in capsys.readouterr().err
    assert not Path("models").exists()


def test_using_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    # pipeline.process --input song.mp3 --output beatmap.bsm --ml-model models/best_drum_classifier.pth
    model = Model(DrumClassifierCNN())
    model.thresholds[:] = 0.0
    save_model(model, "models/best_drum_classifier.pth")

    def made_by(line: str) -> str:
        succeed(line)
        editor = read_chart("found.bsm").editor
        assert editor is not None and editor.generation is not None
        return str(editor.generation.model_version)

    by_model = made_by("transcribe audio.mp3 --output found.bsm --ml-model models/best_drum_classifier.pth")
    assert "best_drum_classifier.pth sha256:" in by_model
    assert read_chart("found.bsm").hit_objects
    # Copied into models/, it is picked up where the classifier is asked for; else the package's own model is.
    assert "beatsight transcriber" in made_by("transcribe audio.mp3 --output found.bsm")
    monkeypatch.setenv("BEATSIGHT_USE_ML_CLASSIFIER", "1")
    assert made_by("transcribe audio.mp3 --output found.bsm") == by_model
    monkeypatch.setenv("BEATSIGHT_USE_ML_CLASSIFIER", "0")
    assert made_by("transcribe audio.mp3 --output found.bsm").endswith(", heuristic")
    monkeypatch.delenv("BEATSIGHT_USE_ML_CLASSIFIER")
    Path("models/best_drum_classifier.pth").rename("elsewhere.pth")
    monkeypatch.setenv("BEATSIGHT_ML_MODEL_PATH", "elsewhere.pth")
    assert "elsewhere.pth sha256:" in made_by("transcribe audio.mp3 --output found.bsm")
