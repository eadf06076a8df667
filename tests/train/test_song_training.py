"""Training the transcriber: it learns planted songs, resumes to the bit, and says what is wrong."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from song_shards import FRAMES, song, write_songs

from beatsight.audio.peaks import find_peaks
from beatsight.errors import InputError
from beatsight.metrics.onsets import match_onsets
from beatsight.models.song_config import SongNetworkConfig
from beatsight.models.song_labels import GROUPS
from beatsight.models.song_network import SongNetwork
from beatsight.train.songs.finishing import activations
from beatsight.train.songs.loop import SongTrainConfig, rate_of, train_songs
from beatsight.train.songs.mixtures import MixConfig, Mixer, Source
from beatsight.train.songs.targets import TargetConfig
from beatsight.train.songs.weights import average_weights

SMALL = SongNetworkConfig(stem=(4, 4), width=16, dilations=(1, 2), dropout=0.0)
CONFIG = SongTrainConfig(
    steps=8, lr=0.01, warmup=2, every=4, bf16=False, network=SMALL, mix=MixConfig(frames=200, batch=2)
)


def weights_of(folder: Path) -> dict[str, torch.Tensor]:
    return torch.load(folder / "average.pth", weights_only=True)["weights"]


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_songs(tmp_path_factory.mktemp("shards"))


def test_it_learns_planted_drums(shards: Path, tmp_path: Path) -> None:
    plain = MixConfig(frames=200, batch=4, eq_share=0.0, limit_share=0.0, noise_share=0.0, squeeze_share=0.0)
    train_songs(replace(CONFIG, steps=150, every=150, mix=plain, ema=0.9), [shards], tmp_path)
    network = SongNetwork(SMALL)
    network.load_state_dict(weights_of(tmp_path))
    network.eval()
    levels, strokes = song(np.random.default_rng(99), 400)
    said = activations(network, levels)
    for label, group in (("kick", "KD"), ("snare", "SD"), ("hihat_closed", "HH")):
        true = np.array([s.time_s for s in strokes if s.label == label])
        found = find_peaks(said[:, GROUPS.index(group)], 0.3).positions * FRAMES.hop_s
        assert len(match_onsets(true, found, 0.02)) >= 0.9 * len(true)
        assert len(found) <= 1.15 * len(true)


def test_a_stopped_run_goes_on_to_the_same_weights(shards: Path, tmp_path: Path) -> None:
    # With dropout: what is random must not tell whether a run was stopped.
    config = replace(CONFIG, network=replace(SMALL, dropout=0.3))
    train_songs(config, [shards], tmp_path / "whole")
    interrupted = tmp_path / "halves"

    class Stop(Exception):
        pass

    def stop(step: int, *_: object) -> None:
        raise Stop

    with pytest.raises(Stop):
        train_songs(config, [shards], interrupted, on_report=stop)
    train_songs(config, [shards], interrupted, resume=True)
    whole, halves = weights_of(tmp_path / "whole"), weights_of(interrupted)
    assert all(torch.equal(whole[name], halves[name]) for name in whole)


def test_another_run_s_state_and_a_damaged_one_are_refused(shards: Path, tmp_path: Path) -> None:
    train_songs(replace(CONFIG, steps=4), [shards], tmp_path)
    with pytest.raises(InputError, match="belongs to a run with other settings"):
        train_songs(replace(CONFIG, steps=4, lr=0.5), [shards], tmp_path, resume=True)
    with pytest.raises(InputError, match="belongs to a run with other settings, songs or start"):
        train_songs(replace(CONFIG, steps=4), [shards, shards], tmp_path, resume=True)
    with pytest.raises(InputError, match="belongs to a run with other settings, songs or start"):
        start = tmp_path / "average.pth"
        train_songs(replace(CONFIG, steps=4), [shards], tmp_path, resume=True, start=start)
    (tmp_path / "state.pth").write_bytes(b"nothing")
    with pytest.raises(InputError, match="is not a training state"):
        train_songs(replace(CONFIG, steps=4), [shards], tmp_path, resume=True)


def test_a_stage_begins_with_another_s_weights(shards: Path, tmp_path: Path) -> None:
    train_songs(CONFIG, [shards], tmp_path / "first")
    start = tmp_path / "first" / "average.pth"
    still = replace(CONFIG, steps=1, lr=0.0, network=replace(SMALL, lookahead=3))
    train_songs(still, [shards], tmp_path / "second", start=start)
    before, after = weights_of(tmp_path / "first"), weights_of(tmp_path / "second")
    assert all(
        torch.equal(before[name], after[name])
        for name in before
        if "running" not in name and "num" not in name
    )
    other = replace(still, network=replace(SMALL, width=8))
    with pytest.raises(InputError, match="holds no weights for this network"):
        train_songs(other, [shards], tmp_path / "third", start=start)


def test_a_network_grows_by_layers_that_change_nothing_at_first(shards: Path, tmp_path: Path) -> None:
    train_songs(CONFIG, [shards], tmp_path / "first")
    start = tmp_path / "first" / "average.pth"
    wider = replace(SMALL, dilations=(1, 2, 4))
    still = replace(CONFIG, steps=1, lr=0.0, weight_decay=0.0, network=wider)
    train_songs(still, [shards], tmp_path / "second", start=start)
    before, after = SongNetwork(SMALL), SongNetwork(wider)
    before.load_state_dict(weights_of(tmp_path / "first"))
    grown = weights_of(tmp_path / "second")
    after.load_state_dict(
        grown | {name: value for name, value in weights_of(tmp_path / "first").items() if "running" in name}
    )
    levels = torch.randn(1, 60, 80)
    assert torch.allclose(before.eval()(levels), after.eval()(levels), atol=1e-5)
    assert grown["context.2.conv.weight"].abs().sum() > 0.0  # it can learn


def test_batches_depend_on_seed_process_and_number_only(shards: Path) -> None:
    drums, backings = Source([shards / "drums"]), Source([shards / "backings"])
    one, two = (Mixer(drums, backings, CONFIG.mix, FRAMES) for _ in range(2))
    two.batch(1, 0, 0, TargetConfig())
    assert np.array_equal(
        one.batch(1, 0, 3, TargetConfig()).levels, two.batch(1, 0, 3, TargetConfig()).levels
    )
    assert not np.array_equal(
        one.batch(1, 0, 3, TargetConfig()).levels, one.batch(1, 1, 3, TargetConfig()).levels
    )


def test_mixing_adds_power_on_average(shards: Path) -> None:
    mixer = Mixer(Source([shards / "drums"]), None, CONFIG.mix, FRAMES)
    rng = np.random.default_rng(0)
    one, other = np.full((400, 80), 2.0, np.float32), np.full((400, 80), 1.0, np.float32)
    mixed = mixer._add(rng, one, other)
    assert mixed.mean() == pytest.approx(3.0, rel=0.02)
    assert mixed.min() > 0.0


def test_shards_that_are_missing_or_damaged_are_named(shards: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no rendered songs"):
        train_songs(CONFIG, [tmp_path], tmp_path / "out")
    folder = write_songs(tmp_path / "damaged")
    path = folder / "drums" / "00000.levels.npy"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(InputError, match=r"00000\.levels\.npy: is not a whole shard"):
        train_songs(CONFIG, [folder], tmp_path / "out")


def test_the_rate_warms_up_and_falls_to_nothing() -> None:
    config = replace(CONFIG, steps=100, warmup=10, lr=1.0)
    rates = [rate_of(config, step) for step in range(100)]
    assert rates[0] == pytest.approx(0.1) and max(rates) == pytest.approx(1.0) and rates[-1] < 0.001
    assert all(a >= b for a, b in pairwise(rates[10:]))


def test_a_run_may_stop_before_its_schedule_ends(shards: Path, tmp_path: Path) -> None:
    steps = []
    train_songs(replace(CONFIG, stop=6), [shards], tmp_path, on_report=lambda step, *_: steps.append(step))
    assert steps == [4, 6]


def test_the_mean_of_runs_of_different_depth(shards: Path, tmp_path: Path) -> None:
    deep = replace(SMALL, dilations=(1, 2, 4))
    train_songs(CONFIG, [shards], tmp_path / "flat")
    train_songs(replace(CONFIG, network=deep), [shards], tmp_path / "deep")
    average_weights(
        [tmp_path / "deep" / "average.pth", tmp_path / "flat" / "average.pth"], tmp_path / "mean.pth"
    )
    mean = torch.load(tmp_path / "mean.pth", weights_only=True)
    SongNetwork(SongNetworkConfig(**mean["network"])).load_state_dict(mean["weights"])
    flat, other = weights_of(tmp_path / "flat"), weights_of(tmp_path / "deep")
    assert torch.allclose(mean["weights"]["enter.weight"], (flat["enter.weight"] + other["enter.weight"]) / 2)
    # The layer that one run lacks lets everything through there, so half of it is left.
    assert torch.allclose(mean["weights"]["context.2.mix.weight"], other["context.2.mix.weight"] / 2)
    assert torch.allclose(mean["weights"]["context.2.conv.weight"], other["context.2.conv.weight"])


def test_the_state_is_never_ahead_of_the_averaged_weights(
    shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed after whichever file of the last save: the next run leaves the weights of a whole one."""
    train_songs(CONFIG, [shards], tmp_path / "whole")
    save = torch.save
    for number in (3, 4):
        saved = 0

        def stop(content: object, path: Path, number: int = number) -> None:
            nonlocal saved
            saved += 1
            if saved == number:
                raise KeyboardInterrupt
            save(content, path)

        monkeypatch.setattr(torch, "save", stop)
        folder = tmp_path / str(number)
        with pytest.raises(KeyboardInterrupt):
            train_songs(CONFIG, [shards], folder)
        monkeypatch.setattr(torch, "save", save)
        begun: list[tuple[int, int]] = []
        train_songs(
            CONFIG, [shards], folder, resume=True, on_begin=lambda step, last, b=begun: b.append((step, last))
        )
        assert begun == [(4, 8)]
        whole, again = weights_of(tmp_path / "whole"), weights_of(folder)
        assert all(torch.equal(whole[name], again[name]) for name in whole)


def test_a_complete_run_is_not_begun_again(shards: Path, tmp_path: Path) -> None:
    train_songs(CONFIG, [shards], tmp_path)
    begun: list[int] = []
    train_songs(CONFIG, [shards], tmp_path, resume=True, on_begin=lambda step, _: begun.append(step))
    assert begun == []


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"every": 0}, "steps and every must be positive"),
        ({"stop": 9}, r"stop must lie in 0\.\.8"),
        ({"warmup": -1}, "warmup and seed must not be negative"),
    ],
)
def test_numbers_with_which_no_run_ends_are_refused(setting: dict[str, int], message: str) -> None:
    with pytest.raises(InputError, match=message):
        replace(CONFIG, **setting)


def test_damaged_averages_and_other_networks_have_no_mean(shards: Path, tmp_path: Path) -> None:
    train_songs(replace(CONFIG, steps=1), [shards], tmp_path / "one")
    train_songs(replace(CONFIG, steps=1, network=replace(SMALL, width=8)), [shards], tmp_path / "two")
    one, two = (tmp_path / name / "average.pth" for name in ("one", "two"))
    with pytest.raises(InputError, match="networks of different shapes"):
        average_weights([one, two], tmp_path / "mean.pth")
    two.write_bytes(b"nothing")
    with pytest.raises(InputError, match=r"two/average\.pth: holds no averaged weights"):
        average_weights([one, two], tmp_path / "mean.pth")
    assert not (tmp_path / "mean.pth").exists()
