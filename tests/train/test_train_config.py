"""Run settings: from TOML, typed, unknown names and wrong types refused by name."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from beatsight.dataset.augment import AugmentConfig
from beatsight.errors import InputError
from beatsight.train.config import TrainConfig, read_config


def read(tmp_path: Path, text: str) -> TrainConfig:
    path = tmp_path / "run.toml"
    path.write_text(text)
    return TrainConfig(**read_config(path))


def test_what_is_written_is_what_is_set(tmp_path: Path) -> None:
    text = 'epochs = 3\nlr = 1\nprecision = "fp32"\n[augment]\nmix = 0.5\nnoise_db = [-60, -40.5]\n'
    config = read(tmp_path, text)
    assert config == TrainConfig(
        epochs=3, lr=1, precision="fp32", augment=AugmentConfig(mix=0.5, noise_db=(-60, -40.5))
    )


def test_an_empty_file_is_the_defaults_and_false_turns_augmentation_off(tmp_path: Path) -> None:
    assert read(tmp_path, "") == TrainConfig()
    assert read(tmp_path, "augment = false").augment is None
    assert TrainConfig(augment=None).to_dict()["augment"] is None
    assert TrainConfig().to_dict()["augment"]["noise_db"] == [-70.0, -35.0]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("epoch = 3", "unknown setting 'epoch'; known: epochs, batch_size"),
        ("[augment]\nmixing = 1", "augment: unknown setting 'mixing'; known: jitter_ms"),
        ('epochs = "many"', "epochs: must be a number, not 'many'"),
        ("epochs = true", "epochs: must be a number, not True"),
        ("epochs = 2.5", "epochs: must be a whole number, not 2.5"),
        ("device = 0", "device: must be text, not 0"),
        ("sampling_weights = 1", "sampling_weights: must be text, not 1"),
        ('heads = "velocity"', "heads: must be a list of names, not 'velocity'"),
        ("freeze = [1]", "freeze: must be a list of names"),
        ("compile = 1", "compile: must be true or false, not 1"),
        ("augment = true", "augment: must be a table of settings, or false"),
        ("[augment]\nnoise_db = -40", r"augment: noise_db: must be a range \[low, high\], not -40"),
        ('[augment]\nnoise_db = ["a", "b"]', "noise_db: must be a range"),
        ("[augment]\nnoise_db = [-40]", "noise_db: must be a range"),
        ("[augment]\nmix = 2", "augmentation setting mix is a probability, not 2"),
        ("epochs = ", "is not valid TOML"),
    ],
)
def test_faults_name_file_and_setting(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(InputError, match=why) as caught:
        read(tmp_path, text)
    assert str(caught.value).startswith(f"{tmp_path / 'run.toml'}: ")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.toml: cannot be read"):
        read_config(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"epochs": 0}, "epochs must be positive, not 0"),
        ({"batch_size": -1}, "batch_size must be positive"),
        ({"lr": float("nan")}, "lr must be positive, not nan"),
        ({"patience": -1}, "patience must not be negative"),
        ({"seed": -1}, "seed must not be negative"),
        ({"weight_decay": float("nan")}, "weight_decay must not be negative"),
        ({"lr": float("inf")}, "lr must be positive, not inf"),
        ({"seed": 2**63}, "seed must be at most 9223372036854775807"),
        ({"warmup": 1.0}, r"warmup must lie in 0\.\.1, not 1\.0"),
        ({"label_smoothing": 0.5}, r"label_smoothing must lie in 0\.\.0\.5, not 0\.5"),
        ({"ema": -0.1}, r"ema must lie in 0\.\.1"),
        ({"network": "large"}, "network is one of auto, cnn, compact, not 'large'"),
        ({"loss": "mse"}, "loss is one of bce, cross_entropy"),
        ({"class_weights": "rare"}, "class_weights is one of none, balanced"),
        ({"schedule": "step"}, "schedule is one of cosine, plateau, constant"),
    ],
)
def test_values_out_of_range(settings: dict[str, Any], why: str) -> None:
    with pytest.raises(InputError, match=f"training setting {why}"):
        TrainConfig(**settings)


RECIPE = Path(__file__).resolve().parents[2] / "recipes" / "train.toml"


def test_the_recipe_lists_every_setting_at_its_default() -> None:
    assert TrainConfig(**read_config(RECIPE)) == TrainConfig()
    raw = tomllib.loads(RECIPE.read_text(encoding="utf-8"))
    assert list(raw) == list(TrainConfig().to_dict())
    assert list(raw["augment"]) == list(AugmentConfig().to_dict())


def test_every_setting_has_a_flag_that_states_its_default() -> None:
    import typer.main

    from beatsight.cli.train import app

    command = typer.main.get_command(app)
    options = {option.name: option for option in command.params}
    for name, default in TrainConfig().to_dict().items():
        stated = {False: "no-compile", "": "none"}.get(default if isinstance(default, (bool, str)) else 0.5)
        stated = {"heads": "none", "freeze": "none", "augment": "augment"}.get(name, stated or str(default))
        text = str(getattr(options[name], "help", ""))
        assert text.endswith(f"  \\[{stated}]"), f"{name}: {text}"
