"""Starting from another model, and training only parts of a network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from beatsight.audio.features import FeatureConfig
from beatsight.dataset.build import build_dataset
from beatsight.dataset.store import Dataset
from beatsight.errors import InputError, UsageError
from beatsight.models.checkpoint import Model, load_model, save_model
from beatsight.models.networks import Network, make_network
from beatsight.train.config import TrainConfig
from beatsight.train.loop import train_classifier
from beatsight.train.start import freeze, network_name, take_weights
from tiny_dataset import TINY_FEATURES, tiny_songs, write_song


def network(name: str = "cnn", heads: tuple[str, ...] = (), seed: int = 0) -> Network:
    torch.manual_seed(seed)
    return make_network(name, 12, 0.3, heads, FeatureConfig())


def weights(made: Network) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in made.state_dict().items()}


def test_everything_is_taken_from_the_same_network(tmp_path: Path) -> None:
    given, made = network(seed=1), network(seed=2)
    save_model(Model(given), tmp_path / "old.pth")
    taken = take_weights(made, tmp_path / "old.pth")
    assert all(
        torch.equal(a, b) for a, b in zip(weights(made).values(), weights(given).values(), strict=True)
    )
    assert taken.sentence == f"{len(made.state_dict())} weights taken over"


def test_what_does_not_fit_is_named(tmp_path: Path) -> None:
    """A velocity head changes the shape of the last layer."""
    given, made = network(seed=1), network(heads=("velocity",), seed=2)
    save_model(Model(given), tmp_path / "old.pth")
    before = weights(made)
    taken = take_weights(made, tmp_path / "old.pth")
    assert taken.kept == ["fc.bias", "fc.weight"] == taken.unused
    after = weights(made)
    assert torch.equal(after["fc.weight"], before["fc.weight"])
    assert torch.equal(after["conv4.0.weight"], given.state_dict()["conv4.0.weight"])
    assert taken.sentence.endswith(
        "2 start anew (fc.bias, fc.weight); 2 of the file do not fit and are left out (fc.bias, fc.weight)"
    )


def test_a_bare_state_dict_is_matched_by_name_or_by_order(tmp_path: Path) -> None:
    given = network(seed=1).state_dict()
    torch.save(given, tmp_path / "named.pth")
    torch.save({f"layer{i}": value for i, value in enumerate(given.values())}, tmp_path / "other.pth")
    for name in ("named.pth", "other.pth"):
        made = network(seed=2)
        assert take_weights(made, tmp_path / name).kept == []
        assert torch.equal(made.state_dict()["conv2.0.weight"], given["conv2.0.weight"])


def test_the_network_of_a_file_is_told_by_its_weights(tmp_path: Path) -> None:
    assert network_name("") == "compact"
    for name in ("cnn", "compact"):
        save_model(Model(network(name, heads=("velocity",))), tmp_path / "m.pth")
        assert network_name(str(tmp_path / "m.pth")) == name
        bare = {f"layer{i}": v for i, v in enumerate(network(name).state_dict().values())}
        torch.save(bare, tmp_path / "bare.pth")
        assert network_name(str(tmp_path / "bare.pth")) == name


def test_a_network_that_shares_nothing_is_refused(tmp_path: Path) -> None:
    save_model(Model(network("compact")), tmp_path / "old.pth")
    with pytest.raises(InputError, match=r"old\.pth: none of its weights fits a DrumClassifierCNN"):
        take_weights(network("cnn", heads=("velocity",)), tmp_path / "old.pth")


class Hostile:
    """Runs code when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (Path.touch, (self.path,))


def test_hostile_and_damaged_files_are_refused(tmp_path: Path) -> None:
    torch.save({"weights": Hostile(tmp_path / "ran")}, tmp_path / "code.pth")
    with pytest.raises(InputError, match=r"code\.pth: is not a model file, or holds code"):
        take_weights(network(), tmp_path / "code.pth")
    assert not (tmp_path / "ran").exists()
    (tmp_path / "cut.pth").write_bytes((tmp_path / "code.pth").read_bytes()[:100])
    with pytest.raises(InputError, match=r"cut\.pth: is"):
        take_weights(network(), tmp_path / "cut.pth")
    with pytest.raises(InputError, match=r"none\.pth: no such model file"):
        take_weights(network(), tmp_path / "none.pth")
    spoilt = network().state_dict()
    spoilt["fc.bias"][0] = float("nan")
    torch.save(spoilt, tmp_path / "nan.pth")
    with pytest.raises(InputError, match=r"nan\.pth: the weights of fc\.bias are not all finite"):
        take_weights(network(), tmp_path / "nan.pth")


def test_freezing_what_is_not_there_or_everything() -> None:
    with pytest.raises(UsageError, match="--freeze conv9: the network has no such part; it has conv1, conv2"):
        freeze(network(), ("conv9",))
    with pytest.raises(UsageError, match="--freeze : the network has no such part"):
        freeze(network(), ("",))
    everything = [name for name, _ in network().named_children()]
    with pytest.raises(UsageError, match="--freeze leaves nothing to train"):
        freeze(network(), everything)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("start")
    events = tiny_songs(folder / "audio", 3, ("kick", "snare"), beats=6)
    return build_dataset(events, folder / "audio", folder / "d", val_fraction=0.34)


BASE = TrainConfig(
    epochs=2, batch_size=6, device="cpu", precision="fp32", augment=None, network="compact", lr=0.01
)


def run(dataset: Dataset, folder: Path, said: list[str] | None = None, **change: Any) -> Network:
    config = TrainConfig(**{**BASE.to_dict(), "heads": (), "freeze": (), **change})
    result = train_classifier(
        dataset, folder, config, features=TINY_FEATURES, on_note=(said if said is not None else []).append
    )
    return load_model(result.final_path).network


@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_frozen_parts_keep_every_bit(dataset: Dataset, tmp_path: Path, ema: float) -> None:
    """Weights and running statistics alike; all else moves."""
    old = run(dataset, tmp_path / "old")
    said: list[str] = []
    freeze_and_start = {"init_from": str(tmp_path / "old" / "final_drum_classifier.pth"), "ema": ema}
    new = run(dataset, tmp_path / "new", said, freeze=("stem", "block1"), seed=3, **freeze_and_start)
    assert len(said) == 1 and said[0].endswith(f"{len(old.state_dict())} weights taken over")
    for (name, before), after in zip(old.state_dict().items(), new.state_dict().values(), strict=True):
        assert torch.equal(before, after) == name.startswith(("stem.", "block1.")), name


def test_a_background_folder_changes_the_batches(dataset: Dataset, tmp_path: Path) -> None:
    for number in range(2):
        write_song(tmp_path / "pads" / f"{number}.wav", [], seconds=2.0, seed=number)
    from beatsight.dataset.augment import NOTHING
    from beatsight.train.setup import identity_of, set_up

    def setup(background: str) -> Any:
        from dataclasses import replace

        config = replace(BASE, augment=replace(NOTHING, background=1.0), background=background)
        return set_up(dataset, config, TINY_FEATURES, torch.device("cpu"))

    plain, laid = setup(""), setup(str(tmp_path / "pads"))
    assert laid.batches.background is not None and len(laid.batches.background) == 2 * 2 * 44_100
    assert np.isfinite(laid.batches.background).all()
    (bare,), (under,) = (list(made.batches.sampled(6, 0, 1)) for made in (plain, laid))
    assert not torch.equal(bare.features, under.features) and torch.equal(bare.labels, under.labels)
    assert identity_of(plain).files["background"] != identity_of(laid).files["background"]


def test_background_folders_that_cannot_be_used(dataset: Dataset, tmp_path: Path) -> None:
    from beatsight.dataset.augment import AugmentConfig

    augment = AugmentConfig()
    with pytest.raises(InputError, match="none: is not a folder of recordings"):
        run(dataset, tmp_path / "a", background=str(tmp_path / "none"), augment=augment)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="empty: holds no recordings"):
        run(dataset, tmp_path / "a", background=str(tmp_path / "empty"), augment=augment)
    write_song(tmp_path / "short" / "a.wav", [], seconds=0.01)
    with pytest.raises(InputError, match=r"short: its recordings last 0\.010 s together, less than a clip"):
        run(dataset, tmp_path / "a", background=str(tmp_path / "short"), augment=augment)
    with pytest.raises(UsageError, match="but augmentation is off"):
        run(dataset, tmp_path / "a", background=str(tmp_path / "short"))
    assert not (tmp_path / "a").exists()


def test_many_recordings_give_their_share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from beatsight.train import background

    monkeypatch.setattr(background, "_MOST_S", 2.0)
    monkeypatch.setattr(background, "_MOST_RECORDINGS", 4)
    for number in range(9):
        write_song(tmp_path / f"{number}.wav", [], seconds=1.0, seed=number)
    notes: list[str] = []
    audio = background.read_background(tmp_path, TINY_FEATURES, notes)
    assert len(audio) == 2 * 44_100  # half a second of each of four
    assert notes == [f"{tmp_path}: 4 of 9 recordings are laid under clips"]
