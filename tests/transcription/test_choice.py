"""Who finds the hits: the order of precedence, exactly as the module says it."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from beatsight.audio.features import FeatureConfig
from beatsight.errors import InputError, MissingDependencyError, UsageError
from beatsight.models.checkpoint import Model, save_model
from beatsight.models.classifier import ClassifierConfig, DrumClassifierCNN
from beatsight.models.song_model import SongModel, write_song_model
from beatsight.models.tensor_file import write_safetensors
from beatsight.transcription import song_transcriber
from beatsight.transcription.choice import (
    DEFAULT_CLASSIFIER,
    MODEL_PATH_VARIABLE,
    USE_ML_VARIABLE,
    Choice,
    choose_listener,
    choose_transcriber,
)
from beatsight.transcription.recogniser import load_classifier
from beatsight.version import VERSION
from song_models import random_model

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


def song_model_file(path: str | Path) -> Path:
    write_song_model(random_model(), path)
    return Path(path)


def chosen(model: str | Path | None = None, use_ml: bool | None = None) -> str:
    """``heuristic``, ``shipped``, or the file name of the model."""
    transcriber = choose_transcriber(Choice(model, use_ml, "cpu"))
    assert transcriber.is_model == (transcriber.name != "heuristic") and transcriber.device == "cpu"
    if transcriber.name.startswith(f"beatsight transcriber {VERSION} sha256:"):
        return "shipped"
    return transcriber.name if transcriber.name == "heuristic" else transcriber.name.split()[1]


def test_nothing_said_is_the_transcriber_of_the_package() -> None:
    assert chosen() == "shipped"


def test_a_classifier_of_the_current_folder_is_no_longer_picked_up_in_silence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model_file(DEFAULT_CLASSIFIER)
    assert chosen() == "shipped"
    monkeypatch.setenv(USE_ML_VARIABLE, "1")
    assert chosen() == "best_drum_classifier.pth"


def test_model_files_are_told_apart_by_what_they_say() -> None:
    for name in ("song.safetensors", "song.model"):
        assert chosen(song_model_file(name)) == name
    write_safetensors(Model(DrumClassifierCNN(SMALL)), "classifier.safetensors")
    found = choose_transcriber(Choice("classifier.safetensors", device="cpu"))
    assert found.name.startswith("DrumClassifierCNN classifier.safetensors sha256:")
    with pytest.raises(
        UsageError, match=r"^classifier\.safetensors: is no transcriber, and only those are run by"
    ):
        choose_transcriber(Choice("classifier.safetensors", engine="numpy"))
    Path("text.safetensors").write_text("not a model", encoding="utf-8")
    with pytest.raises(InputError, match=r"^text\.safetensors: is damaged or not a safetensors file$"):
        chosen("text.safetensors")


def test_the_environment_names_a_transcriber(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MODEL_PATH_VARIABLE, str(song_model_file("my song.safetensors")))
    assert "transcriber my song.safetensors sha256:" in choose_transcriber().name


def test_a_transcriber_for_other_audio_is_refused() -> None:
    model = random_model()
    frames = replace(model.frames, sample_rate=48_000)
    settings = msgspec.structs.replace(model.settings, frames=frames.to_dict())
    write_song_model(SongModel(settings, model.network, frames, model.weights), "m.safetensors")
    with pytest.raises(InputError, match=r"^m\.safetensors: the model wants 48000 Hz audio, not 44100 Hz$"):
        chosen("m.safetensors")


def test_listening_takes_the_streaming_model_of_the_package(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    package = tmp_path / "package" / "weights"
    song_model_file(package / "transcriber.safetensors")
    monkeypatch.setattr(song_transcriber.resources, "files", lambda name: package.parent)
    assert choose_listener().name.startswith(f"beatsight transcriber {VERSION}")
    song_model_file(package / "transcriber-streaming.safetensors")
    assert choose_listener().name.startswith(f"beatsight streaming transcriber {VERSION}")
    assert chosen() == "shipped"
    assert "mine.safetensors" in choose_listener(Choice(song_model_file("mine.safetensors"))).name
    with pytest.raises(UsageError, match="--stream needs a transcriber's model; heuristic answers only when"):
        choose_listener(Choice(use_ml=False))
    with pytest.raises(UsageError, match="--stream runs in NumPy"):
        choose_listener(Choice(engine="torch"))


def test_a_package_without_its_model_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(song_transcriber.resources, "files", lambda name: tmp_path)
    with pytest.raises(
        InputError, match="this installation has no transcriber model; name one with --ml-model"
    ):
        chosen()


def test_the_environment_names_a_model_before_the_current_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    model_file(DEFAULT_CLASSIFIER)
    monkeypatch.setenv(MODEL_PATH_VARIABLE, str(model_file("from env.pth")))
    name = choose_transcriber(Choice(device="cpu")).name
    assert name.split("CNN ")[1].startswith("from env.pth sha256:")


def test_a_model_asked_for_wins_over_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    model_file(DEFAULT_CLASSIFIER)
    monkeypatch.setenv(MODEL_PATH_VARIABLE, str(model_file("env.pth")))
    monkeypatch.setenv(USE_ML_VARIABLE, "0")
    assert chosen(model_file("mine.pth")) == "mine.pth"


@pytest.mark.parametrize("value", ["0", "false", "No", " off "])
def test_the_environment_turns_models_off(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    model_file(DEFAULT_CLASSIFIER)
    monkeypatch.setenv(MODEL_PATH_VARIABLE, str(model_file("env.pth")))
    monkeypatch.setenv(USE_ML_VARIABLE, value)
    assert chosen() == "heuristic"
    assert chosen(use_ml=True) == "env.pth"


@pytest.mark.parametrize("value", ["1", "TRUE", "yes", "on"])
def test_the_environment_asks_for_the_classifier(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv(USE_ML_VARIABLE, value)
    assert chosen() == "shipped"  # there is none
    model_file(DEFAULT_CLASSIFIER)
    assert chosen() == "best_drum_classifier.pth"
    assert chosen(use_ml=False) == "heuristic"


def test_no_ml_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MODEL_PATH_VARIABLE, "absent.pth")
    assert chosen(use_ml=False) == "heuristic"


def test_what_is_asked_for_and_missing_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    model_file(DEFAULT_CLASSIFIER)
    with pytest.raises(InputError, match=r"^absent\.pth: no such model file$") as caught:
        chosen("absent.pth")
    assert caught.value.exit_code == 3
    monkeypatch.setenv(MODEL_PATH_VARIABLE, "gone.pth")
    with pytest.raises(
        InputError, match=r"^gone\.pth: no such model file \(set in BEATSIGHT_ML_MODEL_PATH\)$"
    ):
        chosen()


def test_a_model_wanted_is_a_model() -> None:
    assert chosen(use_ml=True) == "shipped"
    model_file(DEFAULT_CLASSIFIER)
    assert chosen(use_ml=True) == "best_drum_classifier.pth"


def test_contradictions_are_wrong_usage(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="--ml-model and --no-ml exclude each other"):
        chosen(model_file("mine.pth"), use_ml=False)
    with pytest.raises(UsageError, match="--engine is for a transcriber's model, and the rule of thumb"):
        choose_transcriber(Choice(use_ml=False, engine="numpy"))
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


def test_without_torch_the_rest_works_and_a_model_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = model_file("mine.pth")
    monkeypatch.setitem(sys.modules, "torch", None)
    assert (chosen(), chosen(use_ml=False)) == ("shipped", "heuristic")
    with pytest.raises(
        MissingDependencyError, match=r"^torch is not installed; run: pip install 'beatsight\[ml\]'$"
    ):
        chosen(path)
