"""Who names the drums: the order of precedence, exactly as the module says it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from beatsight.audio.features import FeatureConfig
from beatsight.errors import InputError, MissingDependencyError, UsageError
from beatsight.models.checkpoint import Model, save_model
from beatsight.models.classifier import ClassifierConfig, DrumClassifierCNN
from beatsight.transcription.recogniser import (
    DEFAULT_MODEL,
    MODEL_PATH_VARIABLE,
    USE_ML_VARIABLE,
    choose_recogniser,
    load_classifier,
)

SMALL = ClassifierConfig(channels=(1, 1, 1, 1))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder, and an environment that says nothing."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(MODEL_PATH_VARIABLE, raising=False)
    monkeypatch.delenv(USE_ML_VARIABLE, raising=False)
    return tmp_path


def model_file(path: str | Path) -> Path:
    save_model(Model(DrumClassifierCNN(SMALL)), path)
    return Path(path)


def chosen(model: str | Path | None = None, use_ml: bool | None = None) -> str:
    """``heuristic``, or the file name of the model."""
    name = choose_recogniser(model, use_ml=use_ml, device="cpu").name
    return name if name == "heuristic" else name.split()[1]


def test_nothing_said_and_nothing_there_is_the_heuristic() -> None:
    assert chosen() == "heuristic"


def test_the_model_of_the_current_folder_is_picked_up() -> None:
    model_file(DEFAULT_MODEL)
    assert chosen() == "best_drum_classifier.pth"


def test_the_environment_names_a_model_before_the_current_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    model_file(DEFAULT_MODEL)
    monkeypatch.setenv(MODEL_PATH_VARIABLE, str(model_file("from env.pth")))
    assert choose_recogniser(device="cpu").name.split("CNN ")[1].startswith("from env.pth sha256:")


def test_a_model_asked_for_wins_over_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    model_file(DEFAULT_MODEL)
    monkeypatch.setenv(MODEL_PATH_VARIABLE, str(model_file("env.pth")))
    monkeypatch.setenv(USE_ML_VARIABLE, "0")
    assert chosen(model_file("mine.pth")) == "mine.pth"


@pytest.mark.parametrize("value", ["0", "false", "No", " off "])
def test_the_environment_turns_models_off(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    model_file(DEFAULT_MODEL)
    monkeypatch.setenv(MODEL_PATH_VARIABLE, str(model_file("env.pth")))
    monkeypatch.setenv(USE_ML_VARIABLE, value)
    assert chosen() == "heuristic"
    assert chosen(use_ml=True) == "env.pth"


@pytest.mark.parametrize("value", ["", "1", "TRUE", "yes", "on"])
def test_the_environment_leaves_models_on(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    model_file(DEFAULT_MODEL)
    monkeypatch.setenv(USE_ML_VARIABLE, value)
    assert chosen() == "best_drum_classifier.pth"
    assert chosen(use_ml=False) == "heuristic"


def test_no_ml_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MODEL_PATH_VARIABLE, "absent.pth")
    assert chosen(use_ml=False) == "heuristic"


def test_what_is_asked_for_and_missing_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    model_file(DEFAULT_MODEL)
    with pytest.raises(InputError, match=r"^absent\.pth: no such model file$") as caught:
        chosen("absent.pth")
    assert caught.value.exit_code == 3
    monkeypatch.setenv(MODEL_PATH_VARIABLE, "gone.pth")
    with pytest.raises(
        InputError, match=r"^gone\.pth: no such model file \(set in BEATSIGHT_ML_MODEL_PATH\)$"
    ):
        chosen()


def test_a_model_wanted_and_none_there_is_an_error() -> None:
    with pytest.raises(InputError, match=r"best_drum_classifier\.pth: no such model file; name one"):
        chosen(use_ml=True)


def test_contradictions_are_wrong_usage(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="--ml-model and --no-ml exclude each other"):
        chosen(model_file("mine.pth"), use_ml=False)
    monkeypatch.setenv(USE_ML_VARIABLE, "maybe")
    with pytest.raises(UsageError, match=r"^BEATSIGHT_USE_ML_CLASSIFIER='maybe' is neither on \(1\) nor off"):
        chosen()


def test_a_model_for_other_audio_is_refused() -> None:
    save_model(Model(DrumClassifierCNN(SMALL), FeatureConfig(sample_rate=48_000)), "m.pth")
    with pytest.raises(InputError, match=r"^m\.pth: the model wants 48000 Hz audio, not 44100 Hz$"):
        load_classifier("m.pth", "cpu")


def test_damaged_models_are_named() -> None:
    Path("text.pth").write_text("not a model", encoding="utf-8")
    with pytest.raises(InputError, match=r"^text\.pth: is"):
        chosen("text.pth")
    whole = model_file("whole.pth").read_bytes()
    Path("cut.pth").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"^cut\.pth: is damaged or not a model file$"):
        chosen("cut.pth")


def test_without_torch_the_heuristic_works_and_a_model_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = model_file("mine.pth")
    monkeypatch.setitem(sys.modules, "torch", None)
    assert chosen() == "heuristic"
    with pytest.raises(
        MissingDependencyError, match=r"^torch is not installed; run: pip install 'beatsight\[ml\]'$"
    ):
        chosen(path)
